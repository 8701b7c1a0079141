// What the tests of the tester page share: one Chromium, servers that end with their test, and
// pages that note whatever the browser has to complain about.
//
// DUOLOGUE names the server, CHROMIUM the browser; TLS_CERT and TLS_KEY, where they are set, have
// everything go over https and wss.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { DUOLOGUE, CHROMIUM = "/usr/bin/chromium", TLS_CERT, TLS_KEY } = process.env;
export const PATIENCE = 20_000;
/** What the server takes unless it is told otherwise. */
export const MESSAGE_LIMIT = 16 * 1024 * 1024;

const TLS = Boolean(TLS_CERT);
const servers = new Set();
let browser;

before(
  async () => {
    assert.ok(DUOLOGUE, "DUOLOGUE names the server's binary");
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      headless: true,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // The certificate of the test is signed by nobody else.
        ...(TLS ? ["--ignore-certificate-errors"] : []),
      ],
    });
  },
  { timeout: 60_000 },
);

after(async () => {
  await browser?.close();
  for (const server of servers) server.kill("SIGKILL");
});

// Whoever ends this process ends the servers and the browser with it.
process.on("exit", () => {
  for (const server of servers) server.kill("SIGKILL");
});
process.once("SIGTERM", () => {
  setTimeout(() => process.exit(143), 3000);
  Promise.resolve(browser?.close()).finally(() => process.exit(143));
});

/** A test with the time limit that all have. */
export function browserTest(name, action) {
  test(name, { timeout: 60_000 }, action);
}

/** Runs `duologue serve`; it stops at the end of the test, if it has not before. */
export async function serve(t, ...options) {
  const secure = TLS ? ["--tls-cert", TLS_CERT, "--tls-key", TLS_KEY] : [];
  const child = spawn(DUOLOGUE, ["serve", "--addr", "127.0.0.1:0", ...secure, ...options], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log = createInterface(child.stderr);
  const notes = [];
  log.on("line", (line) => notes.push(line));
  /** Waits until the server has noted `text`. */
  const noted = async (text) => {
    const signal = AbortSignal.timeout(PATIENCE);
    while (!notes.some((line) => line.includes(text))) await once(log, "line", { signal });
  };
  servers.add(child);
  const exited = once(child, "exit").then(([code]) => {
    servers.delete(child);
    return code;
  });
  const stop = async (signal = "SIGTERM") => {
    child.kill(signal);
    return await exited;
  };
  t.after(async () => {
    await stop();
    if (!t.passed) for (const line of notes) t.diagnostic(line);
  });
  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line", { signal: AbortSignal.timeout(PATIENCE) }),
    exited.then((code) => [`it ended with status ${code} before it listened`]),
  ]);
  const address = /^listening on (127\.0\.0\.1:\d+)$/.exec(line)?.[1];
  assert.ok(address, line);
  const origin = `${TLS ? "https" : "http"}://${address}`;
  return { origin, url: `${TLS ? "wss" : "ws"}://${address}/`, stop, noted };
}

/**
 * Opens the page at `path`, once `prepare` has done to the empty one what it wants: to load a page
 * a second time would break off what the first is still fetching, its icon for one. Whatever the
 * browser has to complain about stands in `complaints`: what it writes in its console, exceptions,
 * failed requests, requests for anything but the page and its files, and whatever the page's policy
 * forbids.
 */
export async function open(t, origin, { path = "/", prepare, ...options } = {}) {
  const page = await browser.newPage({
    viewport: { width: 1280, height: 860 },
    ignoreHTTPSErrors: TLS,
    ...options,
  });
  t.after(() => page.close());
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  const files = new URL("tester/", origin + path).href;
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  page.on("response", (response) => {
    if (response.status() !== 200) complaints.push(`${response.status()}: ${response.url()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    const expected = url === origin + path || url.startsWith(files) || url.startsWith("blob:");
    if (!expected) complaints.push(`request: ${url}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`the policy forbids ${event.violatedDirective}: ${event.blockedURI}`);
    });
    // The states and the buffered amounts that are shown, in their order.
    globalThis.shown = { states: [], buffered: [] };
    const note = (list, text) => {
      if (text && text !== list.at(-1)) list.push(text);
    };
    new MutationObserver(() => {
      note(globalThis.shown.states, document.getElementById("state")?.textContent);
      note(globalThis.shown.buffered, document.getElementById("buffered")?.textContent);
    }).observe(document, { childList: true, characterData: true, subtree: true });
  });
  await prepare?.(page);
  const response = await page.goto(origin + path);
  assert.equal(response.status(), 200);
  await page.waitForFunction(() => document.getElementById("address")?.value);
  return { page, complaints, headers: response.headers() };
}

/** Waits until the state is shown. */
export async function state(page, expected) {
  await page.waitForFunction(
    (text) => document.getElementById("state").textContent === text,
    expected,
  );
}

export async function connect(page) {
  await page.click("#connect");
  await state(page, "1 OPEN");
}

/** Chooses what the form sends: `text`, `hex`, `file` or `random`. */
export async function choose(page, source) {
  await page.locator(`label:has(input[name=source][value=${source}])`).click();
}

/** Sends a text, or random bytes of a size. */
export async function sendText(page, text) {
  await choose(page, "text");
  await page.fill("#text", text);
  await page.click("#send");
}

export async function sendRandom(page, size) {
  await choose(page, "random");
  await page.fill("#random-size", String(size));
  await page.click("#send");
}

/** Waits until the log has a row for everything that has happened: they are made once a frame. */
export async function drawn(page) {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
}

/** Waits for a log entry with `text` in it, and returns its parts: those of the newest such. */
export async function logged(page, direction, text) {
  await drawn(page);
  const entry = page.locator(`#log li.${direction}`).filter({ hasText: text }).last();
  await entry.waitFor({ state: "attached" });
  return await entry.evaluate((row) => {
    const part = (name) => row.querySelector(`.${name}`)?.textContent ?? "";
    return {
      kind: part("kind").split(" ").slice(1).join(" "),
      size: part("size"),
      preview: part("preview"),
      note: part("note"),
      meaning: part("meaning"),
    };
  });
}

/** Waits for the close of the connection, and asserts what the page tells of it everywhere. */
export async function assertCloses(page, code, name, { reason = "", wasClean = true } = {}) {
  await state(page, "3 CLOSED");
  // The state can be shown before the event has come, and the outcome is empty until then.
  await page.waitForFunction(() => document.getElementById("outcome").textContent);
  const told = `${code} ${name}, reason ${JSON.stringify(reason)}, wasClean ${wasClean}`;
  assert.equal((await logged(page, "event", "wasClean")).preview, told);
  assert.ok((await page.textContent("#outcome")).startsWith(`${told}. `));
  assert.ok((await page.textContent("#outcome")).length > told.length + 10, "no meaning is told");
}

/** Complaints but those that a connection which was not made or was cut always brings about. */
export function besidesConnections(complaints) {
  return complaints.filter((text) => !/^error: WebSocket connection to '[^']*' failed/.test(text));
}
