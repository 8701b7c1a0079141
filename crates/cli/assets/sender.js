// Sending: from the four sources, once or at an interval, and measuring round trips.

import { bufferedAmount, explain, on, readyState, send } from "./connection.js";
import { $, bytes, write } from "./dom.js";
import { parseHex } from "./hex.js";
import { logError } from "./log.js";

/** While more than this waits in the browser's buffer, repeated sending waits too. */
const BUFFERED_LIMIT = 16 * 1024 * 1024;
/** So many round trips are one measurement. */
const PROBES = 20;
/** crypto.getRandomValues gives no more at a time. */
const RANDOM_CHUNK = 65_536;

const UNITS = { "": 1, b: 1, kb: 1e3, kib: 1024, mb: 1e6, mib: 1024 ** 2, gb: 1e9, gib: 1024 ** 3 };

/** `65536`, `64 KiB` or `12 MB` as a number of bytes, or NaN. */
export function parseSize(text) {
  const [, number, unit] = /^([\d.,_]+)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = UNITS[unit?.toLowerCase()];
  const size = Number(number?.replaceAll(/[,_]/g, "")) * factor;
  return Number.isFinite(size) ? Math.round(size) : NaN;
}

function randomBytes(size) {
  const data = new Uint8Array(size);
  for (let at = 0; at < size; at += RANDOM_CHUNK) {
    crypto.getRandomValues(data.subarray(at, at + RANDOM_CHUNK));
  }
  return data;
}

/** What each source sends now: a string or a Uint8Array, perhaps a promise of one. */
const SOURCES = {
  text: () => $("text").value,
  hex: () => parseHex($("hex").value),
  file: async () => {
    const [file] = $("file").files;
    if (!file) throw new SyntaxError("Choose a file first.");
    return new Uint8Array(await file.arrayBuffer());
  },
  random: () => {
    const size = parseSize($("random-size").value);
    if (Number.isNaN(size))
      throw new SyntaxError("A size is a number, or such as 64 KiB or 12 MB.");
    return randomBytes(size);
  },
};

function source() {
  return new FormData($("send-form")).get("source");
}

function showSource() {
  for (const name of Object.keys(SOURCES)) $(`source-${name}`).hidden = name !== source();
  write($("send-problem"), "");
}

/** Sends once; whether it could. */
async function sendOnce() {
  try {
    send(await SOURCES[source()]());
    write($("send-problem"), "");
    return true;
  } catch (error) {
    const { meaning, told } = explain("send", error);
    write($("send-problem"), meaning);
    logError("send()", told);
    return false;
  }
}

/* Repeating. */

let timer = null;
let repeated = 0;

function stopRepeating() {
  clearTimeout(timer);
  timer = null;
  $("repeat").setAttribute("aria-pressed", "false");
  write($("repeat"), "Repeat");
}

async function repeat(interval, due) {
  if (bufferedAmount() <= BUFFERED_LIMIT) {
    const mine = timer;
    if (!(await sendOnce())) return stopRepeating();
    if (timer !== mine) return;
    repeated += 1;
    write($("repeat-count"), `${repeated} sent`);
  }
  // Counted from when this one was due, so that the rate is kept; what was missed is not made up.
  const next = Math.max(due + interval, performance.now());
  timer = setTimeout(() => repeat(interval, next), next - performance.now());
}

function toggleRepeating() {
  if (timer !== null) return stopRepeating();
  const interval = Number($("interval").value);
  if (!(interval >= 1)) {
    write($("send-problem"), "An interval is 1 ms or more.");
    return;
  }
  repeated = 0;
  $("repeat").setAttribute("aria-pressed", "true");
  write($("repeat"), "Stop");
  timer = setTimeout(() => repeat(interval, performance.now()));
}

/* Measuring: one short text after the other, each sent once the last has come back. */

let probesLeft = 0;
let probesSent = 0;

/** Once what has changed is painted, for painting is no part of a round trip. */
function afterPainting(action) {
  requestAnimationFrame(() => setTimeout(action));
}

function probe() {
  if (probesLeft === 0 || readyState() !== WebSocket.OPEN) return;
  probesLeft -= 1;
  probesSent += 1;
  send(`round trip ${probesSent}`);
}

export function setUpSender() {
  $("send-form").addEventListener("submit", (event) => {
    event.preventDefault();
    // The form is also submitted by Enter, whatever its button says.
    if (readyState() === WebSocket.OPEN) sendOnce();
  });
  for (const radio of document.getElementsByName("source")) {
    radio.addEventListener("change", showSource);
  }
  $("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("send-form").requestSubmit();
  });
  $("random-size").addEventListener("input", () => {
    const size = parseSize($("random-size").value);
    write($("random-told"), Number.isNaN(size) ? "no size" : bytes(size));
  });
  $("send-form").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && timer !== null) stopRepeating();
  });
  $("repeat").addEventListener("click", toggleRepeating);
  $("measure").addEventListener("click", () => {
    probesLeft = PROBES;
    afterPainting(probe);
  });
  on("message", (time) => {
    if (time !== null && probesLeft > 0) afterPainting(probe);
  });
  on("close", () => {
    probesLeft = 0;
    stopRepeating();
  });
  showSource();
}
