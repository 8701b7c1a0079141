// The tester page of `duologue serve` in a headless Chromium; run.sh runs it.  DUOLOGUE names the
// server, CHROMIUM the browser, SCREENSHOTS perhaps a directory for pictures.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { DUOLOGUE, CHROMIUM = "/usr/bin/chromium", SCREENSHOTS } = process.env;
const PATIENCE = 20_000;
const MESSAGE_BYTES = 12_000_000;

const servers = new Set();
let browser;

before(async () => {
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
    ],
  });
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
}, { timeout: 60_000 });

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

/** Runs `duologue serve`; it stops at the end of the test, if it has not before. */
async function serve(t, ...options) {
  const child = spawn(DUOLOGUE, ["serve", "--addr", "127.0.0.1:0", ...options], {
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
  const stop = async () => {
    child.kill("SIGTERM");
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
  return { address, stop, noted };
}

/** Opens the page.  Whatever the browser has to complain about stands in `complaints`. */
async function open(t, address, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, ...options });
  t.after(() => page.close());
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  page.on("request", (request) => {
    if (request.url() !== `http://${address}/`) complaints.push(`request: ${request.url()}`);
  });
  // The states that are shown, in their order.
  await page.addInitScript(() => {
    globalThis.statesShown = [];
    new MutationObserver(() => {
      const shown = document.getElementById("state")?.textContent;
      if (shown && shown !== globalThis.statesShown.at(-1)) globalThis.statesShown.push(shown);
    }).observe(document, { childList: true, characterData: true, subtree: true });
  });
  const response = await page.goto(`http://${address}/`);
  assert.equal(response.status(), 200);
  return { page, complaints, policy: response.headers()["content-security-policy"] };
}

/** Waits until the state is shown. */
async function state(page, expected) {
  await page.waitForFunction((text) => document.getElementById("state").textContent === text, expected);
}

async function connect(page) {
  await page.click("#connect");
  await state(page, "1 OPEN");
}

/** Waits for a log entry that begins with `text`; all of what it says. */
async function logged(page, direction, text) {
  const entry = page.locator(`#log li.${direction}`).filter({ hasText: text }).last();
  await entry.waitFor();
  return (await entry.locator(".what").textContent()).replace(/^(received|sent) /, "");
}

test("the page connects to where it came from, and echoes come back", { timeout: 60_000 }, async (t) => {
  const { address, noted } = await serve(t);
  const { page, complaints, policy } = await open(t, address);
  assert.match(policy, /default-src 'none'/);
  assert.equal(await page.inputValue("#address"), `ws://${address}/`);
  await state(page, "3 CLOSED");
  assert.ok(await page.isDisabled("#send-text"));

  await connect(page);
  assert.deepEqual(await page.evaluate(() => statesShown), ["3 CLOSED", "0 CONNECTING", "1 OPEN"]);

  const text = "H\u00e9llo \u{1f310} W\u00f6rld";
  await page.fill("#text", text);
  await page.press("#text", "Control+Enter");
  assert.equal(await logged(page, "in", text), `text, ${Buffer.byteLength(text)} bytes`);

  await page.fill("#hex", "00 01 fe ff");
  await page.click("#send-hex");
  assert.equal(await logged(page, "in", "00 01 fe ff"), "binary, 4 bytes");

  await page.click("#round-trip");
  await page.waitForFunction(() => / ms$/.test(document.getElementById("rtt").textContent));

  await page.fill("#close-code", "3000");
  await page.fill("#close-reason", "done \u2713");
  await page.click("#disconnect");
  await state(page, "3 CLOSED");
  assert.equal(
    await logged(page, "local", "close, code"),
    // A server sends the code back, and no reason.
    'close, code 3000, reason "", wasClean true',
  );
  await noted('closed: 3000 "done \u2713"');
  const shown = await page.evaluate(() => statesShown);
  assert.deepEqual(shown.filter((text) => text !== "2 CLOSING"), [
    "3 CLOSED",
    "0 CONNECTING",
    "1 OPEN",
    "3 CLOSED",
  ]);
  assert.ok(await page.isEnabled("#connect"));

  await connect(page);
  await page.fill("#close-code", "");
  await page.fill("#close-reason", "");
  await page.click("#disconnect");
  await state(page, "3 CLOSED");
  // A Close frame without a code comes back as one.
  assert.match(await logged(page, "local", "close, code 1005"), /wasClean true$/);
  assert.deepEqual(complaints, []);
});

test("a message of megabytes comes back as it was", { timeout: 60_000 }, async (t) => {
  const { address } = await serve(t);
  const { page, complaints } = await open(t, address);
  await connect(page);
  await page.setInputFiles("#file", {
    name: "large.bin",
    mimeType: "application/octet-stream",
    buffer: Buffer.alloc(MESSAGE_BYTES, 7),
  });
  await page.click("#send-file");
  assert.equal(
    await logged(page, "in", "binary, "),
    `binary, ${MESSAGE_BYTES} bytes`,
  );
  await page.waitForFunction(() => document.getElementById("buffered").textContent === "0");
  // What the log shows is the beginning only; all of it is compared here.
  const equal = await page.evaluate(async (count) => {
    const sent = new Uint8Array(count);
    for (let index = 0; index < count; index += 1) sent[index] = (index * 31 + (index >> 8)) & 0xff;
    const socket = new WebSocket(document.getElementById("address").value);
    socket.binaryType = "arraybuffer";
    const received = await new Promise((resolve, reject) => {
      socket.onopen = () => socket.send(sent);
      socket.onmessage = ({ data }) => resolve(new Uint8Array(data));
      socket.onclose = () => reject(new Error("closed"));
    });
    socket.close();
    return received.length === sent.length && received.every((byte, index) => byte === sent[index]);
  }, MESSAGE_BYTES);
  assert.ok(equal);
  assert.deepEqual(complaints, []);
});

for (const options of [[], ["--no-context-takeover"], ["--level", "9"]]) {
  const name = ["compressed messages come back as they were", ...options].join(" ");
  test(name, { timeout: 60_000 }, async (t) => {
    const { address } = await serve(t, "--compress", ...options);
    const { page, complaints } = await open(t, address);
    await connect(page);
    assert.match(await logged(page, "local", "open"), /^open, extensions permessage-deflate/);
    const { extensions, differing } = await page.evaluate(async (count) => {
      const regular = (length) => new Uint8Array(length).map((_, index) => index % 251);
      const noise = (length) => {
        const bytes = new Uint8Array(length);
        // It gives no more than 65,536 bytes at a time.
        for (let at = 0; at < length; at += 65_536) {
          crypto.getRandomValues(bytes.subarray(at, at + 65_536));
        }
        return bytes;
      };
      const text = (length) => "Gr\u00fc\u00dfe, \u4e16\u754c \u{1f310} ".repeat(length / 12 + 1);
      const lengths = [0, 1, 63, 64, 125, 126, 65_535, 65_536, 1 << 20, count];
      const sent = lengths.flatMap((length) => [
        // The cut may be inside a pair of surrogates, which would not go through as they are.
        text(length).slice(0, length).toWellFormed(),
        regular(length),
        noise(length),
      ]);
      for (let number = 0; number < 2000; number += 1) {
        sent.push(JSON.stringify({ number, kind: "measurement", value: number * 0.37 }));
      }
      const socket = new WebSocket(document.getElementById("address").value);
      socket.binaryType = "arraybuffer";
      const received = await new Promise((resolve, reject) => {
        const messages = [];
        socket.onopen = () => sent.forEach((message) => socket.send(message));
        socket.onmessage = ({ data }) => {
          messages.push(typeof data === "string" ? data : new Uint8Array(data));
          if (messages.length === sent.length) resolve(messages);
        };
        socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
      });
      socket.onclose = null;
      socket.close();
      const same = (one, other) =>
        typeof one === "string"
          ? one === other
          : one.length === other.length && one.every((byte, index) => byte === other[index]);
      return {
        extensions: socket.extensions,
        differing: sent.flatMap((message, index) => (same(message, received[index]) ? [] : [index])),
      };
    }, MESSAGE_BYTES / 4);
    assert.match(extensions, /^permessage-deflate(;|$)/);
    assert.equal(/no_context_takeover/.test(extensions), options.includes("--no-context-takeover"));
    assert.deepEqual(differing, []);
    assert.deepEqual(complaints, []);
  });
}

test("a message over the limit is refused with 1009", { timeout: 60_000 }, async (t) => {
  const { address } = await serve(t, "--max-message", "1000");
  const { page } = await open(t, address);
  await connect(page);
  await page.fill("#text", "x".repeat(1001));
  await page.click("#send-text");
  await state(page, "3 CLOSED");
  assert.match(await logged(page, "local", "close, code"), /^close, code 1009, .*wasClean true$/);
});

test("the subprotocol agreed on is shown", { timeout: 60_000 }, async (t) => {
  const { address } = await serve(t, "--subprotocol", "superchat");
  const { page, complaints } = await open(t, address);
  await page.fill("#subprotocols", "chat, superchat");
  await connect(page);
  assert.equal(await logged(page, "local", "open"), "open, subprotocol superchat");
  assert.deepEqual(complaints, []);
});

test("a server that stops closes with 1001", { timeout: 60_000 }, async (t) => {
  const { address, stop } = await serve(t);
  const { page, complaints } = await open(t, address);
  await connect(page);
  assert.equal(await stop(), 0);
  await state(page, "3 CLOSED");
  assert.equal(
    await logged(page, "local", "close, code"),
    'close, code 1001, reason "the server stops", wasClean true',
  );
  assert.deepEqual(complaints, []);

  // There is nothing to connect to any more.
  await page.click("#connect");
  assert.match(await logged(page, "local", "close, code 1006"), /wasClean false$/);
  await state(page, "3 CLOSED");
});

test("what the browser refuses is shown, and the connection lives on", { timeout: 60_000 }, async (t) => {
  const { address } = await serve(t);
  const { page, complaints } = await open(t, address);
  await connect(page);
  await page.fill("#close-code", "1006");
  await page.click("#disconnect");
  await logged(page, "error", "InvalidAccessError");
  await page.fill("#hex", "0");
  await page.click("#send-hex");
  await logged(page, "error", "odd");
  await page.fill("#text", "still here");
  await page.click("#send-text");
  await logged(page, "in", "still here");
  await page.click("#clear");
  assert.equal(await page.locator("#log li").count(), 0);
  assert.deepEqual(complaints, []);
});

test("the page fits the screen, small and large, light and dark", { timeout: 60_000 }, async (t) => {
  const { address } = await serve(t);
  for (const [size, viewport] of [
    ["phone", { width: 375, height: 740 }],
    ["desktop", { width: 1200, height: 800 }],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      const { page, complaints } = await open(t, address, { viewport, colorScheme });
      await connect(page);
      await page.click("#send-text");
      await logged(page, "in", "Hello");
      await page.click("#send-hex");
      await logged(page, "in", "00 01 fe ff");
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${size}, ${colorScheme}: ${overflow} px too wide`);
      if (SCREENSHOTS) {
        await page.screenshot({ path: join(SCREENSHOTS, `${size}-${colorScheme}.png`), fullPage: true });
      }
      assert.deepEqual(complaints, []);
    }
  }
});
