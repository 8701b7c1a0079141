// The log: what was received and sent and what happened, the newest last.
//
// Rows are made once a frame, so that a flood of messages costs no more than what of it is seen.

import { $, bytes, element, grouped, onNextFrame, write } from "./dom.js";
import { dump, toHex } from "./hex.js";

/** So many entries are kept; the oldest go first. */
const ENTRIES = 500;
/** Of a payload so much is kept: bytes of a binary message, UTF-16 units of a text. */
const KEPT = 64 * 1024;
/** An opened entry shows so many bytes at first, and each "Show more" four times as many. */
const SHOWN = 256;
const PREVIEW_CHARACTERS = 200;
const PREVIEW_BYTES = 32;

const ARROWS = { in: "\u2190", out: "\u2192", event: "\u00b7", error: "!" };
const SPOKEN = { in: "received", out: "sent", event: "event", error: "error" };

const encoder = new TextEncoder();
/** Shows text from bytes that may be cut inside a character. */
const decodeCut = (bytes) =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true });

let entries = [];
let dropped = 0;
/** When the connection that is logged began, as performance.now() tells it, or null. */
let began = null;
/** Whether the end of the log stays in view; not while its user looks further up. */
let following = true;
const wide = matchMedia("(min-width: 48rem)");

/** Elapsed times count from now on. */
export function restartClock() {
  began = performance.now();
}

function add(entry) {
  const elapsed = began === null ? null : performance.now() - began;
  entries.push({ time: new Date(), elapsed, payload: null, row: null, ...entry });
  if (entries.length > ENTRIES) {
    entries.shift().row?.remove();
    dropped += 1;
  }
  draw();
}

/** An event such as `open`; `meaning` stands below it. */
export function logEvent(type, text, meaning = "") {
  add({ direction: "event", type, text, meaning });
}

export function logError(type, text) {
  add({ direction: "error", type, text, meaning: "" });
}

/** A message of either direction: a string, or binary; `note` is what there is to say of it. */
export function logMessage(direction, data, note = "") {
  if (typeof data === "string") {
    const size = encoder.encode(data).length;
    const kept = data.slice(0, KEPT);
    const text = kept.slice(0, PREVIEW_CHARACTERS);
    add({ direction, type: "text", size, text, kept, note, payload: () => encoder.encode(kept) });
  } else if (data instanceof Blob) {
    // Read once it is looked at or exported; a part of it keeps no more than that part.
    const part = data.slice(0, KEPT);
    const payload = async () => new Uint8Array(await part.arrayBuffer());
    add({ direction, type: "binary", size: data.size, text: "a Blob", note, payload });
  } else {
    const view = new Uint8Array(data);
    const kept = view.slice(0, KEPT);
    const text = toHex(kept.subarray(0, PREVIEW_BYTES));
    add({ direction, type: "binary", size: view.length, text, kept, note, payload: () => kept });
  }
}

/* Rows. */

function clockTime(time) {
  return `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

function makeRow(entry) {
  const { direction, type, size, text, note, meaning, time, elapsed, payload } = entry;
  const mark = element("span", "arrow", ARROWS[direction]);
  mark.setAttribute("aria-hidden", "true");
  const kind = element("span", "kind", element("span", "hidden", `${SPOKEN[direction]} `), type);
  const when = element("time", "time", clockTime(time));
  when.dateTime = time.toISOString();
  const after = elapsed === null ? "" : `+${(elapsed / 1000).toFixed(3)} s`;
  const parts = [
    mark,
    kind,
    element("span", "size", size === undefined ? "" : bytes(size)),
    element("span", "preview", text),
    element("span", "note", note ?? ""),
    when,
    element("span", "elapsed", after),
  ];
  const row = element("li", `entry ${direction}`);
  if (payload) {
    const summary = element("summary", "head", ...parts);
    summary.tabIndex = -1;
    const details = element("details", "", summary);
    details.addEventListener("toggle", () => {
      if (details.open) showPayload(entry, details, SHOWN);
      else details.querySelector(".payload")?.remove();
    });
    row.append(details);
  } else {
    if (meaning) parts.push(element("span", "meaning", meaning));
    row.append(element("div", "head", ...parts));
  }
  return row;
}

/** Shows the first `count` bytes of the payload below the head of its entry. */
async function showPayload(entry, details, count) {
  const kept = await entry.payload();
  if (!details.open) return;
  const shown = kept.subarray(0, count);
  const box = element("div", "payload");
  box.dataset.shown = count;
  if (kept.length === 0) box.append(element("p", "", "The payload is empty."));
  else if (entry.type === "text") box.append(element("pre", "as-text", decodeCut(shown)));
  if (kept.length > 0) {
    const [offsets, digits, characters] = dump(shown, wide.matches ? 16 : 8);
    box.append(
      element(
        "div",
        "dump",
        element("pre", "offsets", offsets),
        element("pre", "digits", digits),
        element("pre", "characters", characters),
      ),
    );
  }
  if (shown.length < entry.size) {
    const most = shown.length === kept.length ? "; the log keeps no more of it" : "";
    box.append(element("p", "", `${grouped(shown.length)} of ${bytes(entry.size)} shown${most}. `));
  }
  if (shown.length < kept.length) {
    const more = element("button", "small more", "Show more");
    more.type = "button";
    more.addEventListener("click", async () => {
      await showPayload(entry, details, count * 4);
      // The button is gone: the keyboard goes on from its successor, or from the entry.
      (details.querySelector(".more") ?? details.querySelector("summary")).focus();
    });
    box.lastChild.append(more);
  }
  details.querySelector(".payload")?.remove();
  details.append(box);
  noteFollowing();
}

// The dump has as many bytes in a line as there is room for.
wide.addEventListener("change", () => {
  for (const { row, ...entry } of entries) {
    const box = row?.querySelector(".payload");
    if (box) showPayload(entry, box.parentElement, Number(box.dataset.shown));
  }
});

/* Drawing and filtering. */

function isWanted({ direction, type, text, kept }) {
  const box = { in: "show-in", out: "show-out" }[direction] ?? "show-events";
  if (!$(box).checked) return false;
  const sought = $("filter").value.toLowerCase();
  const searched = typeof kept === "string" ? kept : text;
  return !sought || `${type} ${searched}`.toLowerCase().includes(sought);
}

function show() {
  const list = $("log");
  const fresh = entries.filter((entry) => !entry.row);
  for (const entry of fresh) {
    entry.row = makeRow(entry);
    entry.row.hidden = !isWanted(entry);
  }
  list.append(...fresh.map((entry) => entry.row));
  // One entry is reached by Tab, the others from it by the arrow keys.
  if (!list.querySelector('summary[tabindex="0"]')) {
    const last = Array.from(list.querySelectorAll("li:not([hidden]) summary")).at(-1);
    if (last) last.tabIndex = 0;
  }
  const visible = entries.filter((entry) => !entry.row.hidden).length;
  const all = entries.length === 1 ? "1 entry" : `${grouped(entries.length)} entries`;
  const some = visible < entries.length ? `${grouped(visible)} of ${all} shown` : all;
  write($("log-count"), dropped ? `${some}, ${grouped(dropped)} older dropped` : some);
  $("log-empty").hidden = visible > 0;
  write(
    $("log-empty"),
    entries.length ? "Nothing matches the filter." : "Nothing has happened yet.",
  );
  if (fresh.length > 0) follow();
}

function follow() {
  if (following) $("log").scrollTop = $("log").scrollHeight;
}

function noteFollowing() {
  const list = $("log");
  following = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
}

const draw = onNextFrame(show);

function filter() {
  for (const entry of entries) if (entry.row) entry.row.hidden = !isWanted(entry);
  const current = $("log").querySelector('li[hidden] summary[tabindex="0"]');
  if (current) current.tabIndex = -1;
  draw();
}

function moveAmong(event) {
  const summary = event.target.closest("summary");
  if (event.key === "Escape") {
    const details = event.target.closest("details[open]");
    if (!details) return;
    details.open = false;
    details.querySelector("summary").focus();
    return;
  }
  if (!summary) return;
  const all = Array.from($("log").querySelectorAll("li:not([hidden]) summary"));
  const at = all.indexOf(summary);
  const next = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  all[Math.max(0, Math.min(next, all.length - 1))].focus();
}

/* Export. */

async function exportLog() {
  const list = await Promise.all(
    entries.map(
      async ({ direction, type, size, text, note, meaning, time, elapsed, kept, payload }) => {
        const whole = { time: time.toISOString(), elapsed, direction, type, size };
        if (!payload) return { ...whole, text, ...(meaning && { meaning }) };
        const bytes = await payload();
        const content = type === "text" ? { text: kept } : { hex: toHex(bytes, "") };
        return { ...whole, ...(note && { note }), ...content, whole: bytes.length >= size };
      },
    ),
  );
  const url = URL.createObjectURL(
    new Blob([JSON.stringify(list, null, 2), "\n"], { type: "application/json" }),
  );
  const link = element("a");
  link.href = url;
  link.download = `websocket-log-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function setUpLog() {
  const list = $("log");
  list.addEventListener("keydown", moveAmong);
  list.addEventListener("scroll", noteFollowing);
  new ResizeObserver(follow).observe(list);
  list.addEventListener("focusin", (event) => {
    if (!event.target.matches("summary")) return;
    for (const other of list.querySelectorAll('summary[tabindex="0"]')) other.tabIndex = -1;
    event.target.tabIndex = 0;
  });
  for (const id of ["show-in", "show-out", "show-events", "filter"]) {
    $(id).addEventListener("input", filter);
  }
  $("filter").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    $("filter").value = "";
    filter();
  });
  $("export").addEventListener("click", exportLog);
  $("clear").addEventListener("click", () => {
    entries = [];
    dropped = 0;
    list.replaceChildren();
    draw();
  });
  draw();
}
