// The one connection of the page, and the panel that shows its state.

import { describe } from "./close-codes.js";
import { $, grouped, milliseconds, onNextFrame, write } from "./dom.js";
import { logError, logEvent, logMessage, restartClock } from "./log.js";
import { forgetWaiting, noteReceived, noteSent } from "./round-trips.js";

const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];

/** The connection, or null before the first. */
let socket = null;
/** The greatest bufferedAmount since it was 0: the full length of its bar. */
let peak = 0;
const listeners = { open: [], close: [], message: [] };

/** Has `listener` run when the connection is open, has closed, or has received a message. */
export function on(event, listener) {
  listeners[event].push(listener);
}

function tell(event, argument) {
  for (const listener of listeners[event]) listener(argument);
}

export function readyState() {
  return socket?.readyState ?? WebSocket.CLOSED;
}

export function bufferedAmount() {
  return socket?.bufferedAmount ?? 0;
}

/* What the browser's own exceptions mean, for each thing that it is asked to do. */

const REFUSALS = {
  connect: {
    SyntaxError:
      "An address begins with ws: or wss: and has no #fragment; a subprotocol is a token, " +
      "without spaces, named once.",
    SecurityError: "A page that came over https may connect over wss only.",
  },
  close: {
    InvalidAccessError:
      "A page may close with 1000 or with 3000 to 4999; the other codes belong to the protocol.",
    SyntaxError: "A reason has at most 123 bytes in UTF-8.",
  },
  send: {
    InvalidStateError: "The connection is not open.",
    RangeError: "The browser has no room for that many bytes.",
    NotReadableError: "The file cannot be read; it may have changed since it was chosen.",
  },
};

/** What an exception means, in our words where we have some, and all there is to tell of it. */
export function explain(operation, error) {
  // Mistakes in the forms are thrown as SyntaxError, the browser's own are DOMExceptions.
  const ours = error instanceof SyntaxError;
  const told = ours ? error.message : `${error.name}: ${error.message}`;
  return { meaning: (!ours && REFUSALS[operation]?.[error.name]) || told, told };
}

/* Commands. Each throws what the browser throws. */

export function connect(url, subprotocols, binaryType) {
  const opened = new WebSocket(url, subprotocols);
  opened.binaryType = binaryType;
  socket = opened;
  peak = 0;
  restartClock();
  forgetWaiting();
  write($("outcome"), "");
  $("outcome-row").hidden = true;
  logEvent("connect", opened.url);

  opened.addEventListener("open", () => {
    const details = [
      opened.protocol && `subprotocol ${opened.protocol}`,
      opened.extensions && `extensions ${opened.extensions}`,
    ];
    logEvent("open", details.filter(Boolean).join(", ") || "no subprotocol, no extensions");
    refresh();
    tell("open");
  });
  opened.addEventListener("message", ({ data }) => {
    const time = noteReceived(data);
    logMessage("in", data, time === null ? "" : `echo ${milliseconds(time)}`);
    tell("message", time);
    refreshSoon();
  });
  opened.addEventListener("error", () => logError("error", "the browser tells a page no more"));
  opened.addEventListener("close", ({ code, reason, wasClean }) => {
    forgetWaiting();
    const { name, meaning } = describe(code);
    const told = `${code} ${name}, reason ${JSON.stringify(reason)}, wasClean ${wasClean}`;
    logEvent("close", told, meaning);
    $("outcome-row").hidden = false;
    $("outcome").dataset.clean = wasClean;
    write($("outcome"), `${told}. ${meaning}`);
    refresh();
    tell("close");
  });
  refresh();
}

/** Closes with a code and a reason, or, where both are empty, with neither. */
export function close(code, reason) {
  if (code === "" && reason === "") {
    socket.close();
    logEvent("close()", "without a code");
  } else {
    // Nothing is checked here, for the browser's own refusal is of interest. Text that is no number
    // becomes NaN, which the browser takes for 0.
    const number = code === "" ? undefined : Number(code);
    socket.close(number, reason);
    logEvent("close()", `${number ?? "no code"}, reason ${JSON.stringify(reason)}`);
  }
  refresh();
}

/** Sends a string or a Uint8Array. */
export function send(data) {
  if (readyState() !== WebSocket.OPEN) {
    throw new DOMException("the connection has closed meanwhile", "InvalidStateError");
  }
  noteSent(data);
  socket.send(data);
  // Before the log entry is made, which takes its time with a large message.
  refresh();
  logMessage("out", data);
}

export function setBinaryType(type) {
  if (socket) socket.binaryType = type;
}

/* The panel. */

/** Brings the panel up to date: at every event, and every frame while something is awaited. */
export function refresh() {
  const state = readyState();
  const text = `${state} ${STATES[state]}`;
  $("state").dataset.state = state;
  write($("state"), text);
  write($("ready-state"), text);

  const buffered = bufferedAmount();
  peak = buffered === 0 ? 0 : Math.max(peak, buffered);
  write($("buffered"), grouped(buffered));
  $("buffered-bar").max = Math.max(peak, 1);
  $("buffered-bar").value = buffered;

  write($("url"), socket?.url ?? "\u2013");
  write($("protocol"), socket?.protocol ? socket.protocol : "\u2013");
  write($("extensions"), socket?.extensions ? socket.extensions : "\u2013");

  const ended = state === WebSocket.CLOSED;
  $("connect").disabled = !ended;
  $("disconnect").disabled = ended || state === WebSocket.CLOSING;
  for (const button of document.querySelectorAll("[data-needs-open]")) {
    button.disabled = state !== WebSocket.OPEN;
  }
  // What is left in the buffer of a connection that has closed stays there for good.
  if (!ended && (buffered > 0 || state !== WebSocket.OPEN)) refreshSoon();
}

const refreshSoon = onNextFrame(refresh);
