// Round trips: which message is the echo of which, how long each took, and their plot.
//
// Not pings: the browser's interface has none.

import { $, milliseconds, onNextFrame, write } from "./dom.js";
import { drawPlot } from "./plot.js";

/** So many times are kept, drawn and counted. */
const SAMPLES = 120;
/** What waits for its echo is kept to be compared with it, within these bounds. */
const WAITING = 1000;
const WAITING_BYTES = 64 * 1024 * 1024;

let samples = [];
let waiting = [];
let waitingBytes = 0;

function sizeOf(data) {
  return typeof data === "string" ? data.length : (data.byteLength ?? data.size);
}

/** A Blob cannot be read at once, so of it the size alone is compared. */
function isEcho(sent, received) {
  if (typeof sent === "string" || typeof received === "string") return sent === received;
  if (sizeOf(sent) !== sizeOf(received)) return false;
  if (received instanceof Blob) return true;
  const view = new Uint8Array(received);
  return sent.every((byte, index) => byte === view[index]);
}

/** Notes that a string or a Uint8Array is about to be sent. */
export function noteSent(data) {
  waiting.push({ data, at: performance.now() });
  waitingBytes += sizeOf(data);
  while (waiting.length > WAITING || (waitingBytes > WAITING_BYTES && waiting.length > 1)) {
    waitingBytes -= sizeOf(waiting.shift().data);
  }
}

/** How long ago what has been received was sent, in milliseconds; null if it is no echo. */
export function noteReceived(data) {
  const now = performance.now();
  const index = waiting.findIndex((one) => isEcho(one.data, data));
  if (index < 0) return null;
  // Echoes keep the order, so those before it will not come any more.
  const [found] = waiting.splice(0, index + 1).slice(-1);
  waitingBytes = waiting.reduce((sum, one) => sum + sizeOf(one.data), 0);
  const time = now - found.at;
  samples = [...samples, time].slice(-SAMPLES);
  draw();
  return time;
}

/** The connection has ended: no echo will come. */
export function forgetWaiting() {
  waiting = [];
  waitingBytes = 0;
}

function medianOf(sorted) {
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function show() {
  const sorted = samples.toSorted((one, other) => one - other);
  const median = sorted.length ? medianOf(sorted) : 0;
  const figures = { last: samples.at(-1), min: sorted[0], median, max: sorted.at(-1) };
  for (const [name, value] of Object.entries(figures)) {
    write($(`rtt-${name}`), samples.length ? milliseconds(value) : "\u2013");
  }
  write($("rtt-count"), samples.length === 1 ? "1 echo" : `${samples.length} echoes`);
  $("plot-hint").hidden = samples.length > 0;
  drawPlot($("plot"), samples, median, SAMPLES);
}

const draw = onNextFrame(show);

export function setUpRoundTrips() {
  new ResizeObserver(draw).observe($("plot"));
  $("rtt-reset").addEventListener("click", () => {
    samples = [];
    draw();
  });
}
