// The tester page: puts its parts together.

import { describe, everyCode, isForPages } from "./close-codes.js";
import { close, connect, explain, on, refresh, setBinaryType } from "./connection.js";
import { $, element, write } from "./dom.js";
import { logError, setUpLog } from "./log.js";
import { setUpRoundTrips } from "./round-trips.js";
import { setUpSender } from "./sender.js";

/** The most that a Close frame has room for behind the code (RFC 6455 section 5.5). */
const REASON_BYTES = 123;

/** Has a form do `action`; what the browser throws is told below the form and in the log. */
function onSubmit(form, operation, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const problem = form.querySelector(".problem");
    write(problem, "");
    try {
      action();
    } catch (error) {
      const { meaning, told } = explain(operation, error);
      write(problem, meaning);
      logError(`${operation}()`, told);
      refresh();
    }
  });
}

function subprotocols() {
  return $("subprotocols")
    .value.split(",")
    .map((name) => name.trim())
    .filter(Boolean);
}

/** Tells what the code and the reason in the form amount to. */
function showCode() {
  const text = $("close-code").value.trim();
  const { name, meaning } = describe(text === "" ? 1005 : Number(text));
  const refused = text !== "" && !isForPages(Number(text));
  const length = new TextEncoder().encode($("close-reason").value).length;
  let told = `${name}: ${meaning}`;
  if (refused) told += " The browser lets no page send it.";
  if (text === "") told = "No code: the other side sees 1005.";
  if (text === "" && length > 0) told = "A reason needs a code.";
  write($("code-meaning"), told);
  write($("reason-length"), `${length}/${REASON_BYTES}`);
  $("reason-length").classList.toggle("over", length > REASON_BYTES);
}

/**
 * A button that is out of use loses the focus. Where the keyboard pressed it, the focus goes on to
 * what is used next, once `event` has happened; a finger would only be met by a screen keyboard.
 */
function passFocus(form, button, event, next) {
  let pressed = false;
  const note = () => {
    pressed = button.matches(":focus-visible");
  };
  // Before the button is out of use.
  form.addEventListener("submit", note, { capture: true });
  on(event, () => {
    const lost = [button, document.body].includes(document.activeElement);
    if (pressed && lost) next().focus();
    pressed = false;
  });
}

setUpLog();
setUpRoundTrips();
setUpSender();

onSubmit($("connect-form"), "connect", () => {
  if ($("connect").disabled) return;
  connect($("address").value.trim(), subprotocols(), $("binary-type").value);
});
onSubmit($("close-form"), "close", () => {
  if ($("disconnect").disabled) return;
  close($("close-code").value.trim(), $("close-reason").value);
});
$("binary-type").addEventListener("change", () => setBinaryType($("binary-type").value));
$("close-code").addEventListener("input", showCode);
$("close-reason").addEventListener("input", showCode);
for (const [code, name, meaning] of everyCode()) {
  const row = element("tr", "", element("th", "", code), element("td", "", `${name}. ${meaning}`));
  row.firstChild.scope = "row";
  $("codes").append(row);
}

passFocus($("connect-form"), $("connect"), "open", () =>
  document.querySelector(".source:not([hidden])").querySelector("input, textarea"),
);
passFocus($("close-form"), $("disconnect"), "close", () => $("connect"));

// The server that gave this page answers WebSocket requests at the same address.
$("address").value = location.origin.replace(/^http/, "ws") + location.pathname;
showCode();
refresh();
