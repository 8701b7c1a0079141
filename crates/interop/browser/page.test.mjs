// What the tester page does, driven as its user would: by mouse and by keyboard.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import {
  MESSAGE_LIMIT,
  assertCloses,
  besidesConnections,
  browserTest,
  choose,
  connect,
  drawn,
  logged,
  open,
  sendRandom,
  sendText,
  serve,
  state,
} from "./support.mjs";

const LARGE = 12_000_000;

function groupedBytes(count) {
  return `${count.toLocaleString("en")} bytes`;
}

browserTest("the page connects to where it came from, and echoes come back", async (t) => {
  const { origin, url } = await serve(t);
  const { page, complaints, headers } = await open(t, origin);
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'"]) {
    assert.ok(headers["content-security-policy"].includes(part), part);
  }
  assert.doesNotMatch(headers["content-security-policy"], /unsafe|\*/);
  assert.equal(headers["cache-control"], "no-cache");
  assert.equal(await page.inputValue("#address"), url);
  await state(page, "3 CLOSED");
  assert.ok(await page.isDisabled("#send"));

  await connect(page);
  assert.deepEqual(await page.evaluate(() => shown.states), ["3 CLOSED", "0 CONNECTING", "1 OPEN"]);
  assert.equal(await page.textContent("#url"), url);

  const text = "H\u00e9llo \u{1f310} W\u00f6rld";
  await sendText(page, text);
  const echo = await logged(page, "in", text);
  assert.deepEqual([echo.kind, echo.size], ["text", groupedBytes(Buffer.byteLength(text))]);
  assert.match(echo.note, /^echo [\d.]+ ms$/);

  await choose(page, "hex");
  await page.fill("#hex", "00 01, 0xfe:FF");
  await page.click("#send");
  const binary = await logged(page, "in", "00 01 fe ff");
  assert.deepEqual([binary.kind, binary.size], ["binary", "4 bytes"]);
  assert.match(binary.note, /^echo/);

  await sendRandom(page, "");
  assert.match(await page.textContent("#send-problem"), /^A size is/);
  await sendRandom(page, 0);
  assert.match((await logged(page, "in", "0 bytes")).note, /^echo/);
  assert.deepEqual(complaints, []);
});

browserTest("the page works at another path, with its files beside it", async (t) => {
  for (const path of ["/echo", "/a/b/echo", "/a/"]) {
    const { origin } = await serve(t, "--path", path);
    const { page, complaints } = await open(t, origin, { path });
    await connect(page);
    await sendText(page, path);
    assert.match((await logged(page, "in", path)).note, /^echo/);
    assert.deepEqual(complaints, []);
  }
});

browserTest("codes and reasons of the page's own close arrive and come back", async (t) => {
  const { origin, noted } = await serve(t);
  const { page, complaints } = await open(t, origin);
  for (const [code, name, reason] of [
    ["1000", "Normal Closure", ""],
    ["3000", "Unauthorized", "done \u2713"],
    ["3999", "Registered", "r".repeat(123)],
    ["4999", "Private Use", "\u{1f310}"],
  ]) {
    await connect(page);
    await page.fill("#close-code", code);
    await page.fill("#close-reason", reason);
    assert.ok((await page.textContent("#code-meaning")).startsWith(`${name}: `));
    assert.equal(await page.textContent("#reason-length"), `${Buffer.byteLength(reason)}/123`);
    await page.click("#disconnect");
    // A server sends the code back, and no reason.
    await assertCloses(page, code, name);
    await noted(reason ? `closed: ${code} ${JSON.stringify(reason)}` : `closed: ${code}`);
  }
  await connect(page);
  await page.fill("#close-code", "");
  await page.fill("#close-reason", "");
  await page.click("#disconnect");
  // A Close frame without a code comes back as one.
  await assertCloses(page, 1005, "No Status Received");
  const passed = (await page.evaluate(() => shown.states)).filter((text) => text !== "2 CLOSING");
  const once = ["0 CONNECTING", "1 OPEN", "3 CLOSED"];
  assert.deepEqual(passed, ["3 CLOSED", ...Array(5).fill(once).flat()]);
  assert.deepEqual(complaints, []);
});

browserTest("closing is shown while the server has not answered", async (t) => {
  const { origin } = await serve(t);
  const { page } = await open(t, origin);
  await connect(page);
  // The handshake cannot come to its end before this function has.
  const during = await page.evaluate(() => {
    document.getElementById("disconnect").click();
    return [document.getElementById("state").textContent, document.getElementById("send").disabled];
  });
  assert.deepEqual(during, ["2 CLOSING", true]);
  await assertCloses(page, 1005, "No Status Received");
});

browserTest("a message of megabytes is buffered, and comes back as it was", async (t) => {
  const { origin } = await serve(t);
  const { page, complaints } = await open(t, origin);
  await connect(page);
  await sendRandom(page, "12 MB");
  const echo = await logged(page, "in", groupedBytes(LARGE));
  // Only what equals what was sent in every byte is an echo.
  assert.match(echo.note, /^echo/);
  await page.waitForFunction(() => document.getElementById("buffered").textContent === "0");
  const buffered = (await page.evaluate(() => shown.buffered)).map((text) =>
    Number(text.replaceAll(",", "")),
  );
  assert.equal(Math.max(...buffered), LARGE);
  assert.equal(buffered.at(-1), 0);

  await choose(page, "file");
  const file = Buffer.alloc(LARGE).map((_, index) => index * 31 + (index >> 8));
  await page.setInputFiles("#file", {
    name: "large.bin",
    mimeType: "application/octet-stream",
    buffer: file,
  });
  await page.click("#send");
  assert.match((await logged(page, "in", "00 1f 3e 5d 7c")).note, /^echo/);
  assert.deepEqual(complaints, []);
});

browserTest("a message up to the limit is taken, and one past it refused with 1009", async (t) => {
  const { origin } = await serve(t);
  const { page, complaints } = await open(t, origin);
  await connect(page);
  await sendRandom(page, "16 MiB");
  assert.match((await logged(page, "in", groupedBytes(MESSAGE_LIMIT))).note, /^echo/);
  await sendRandom(page, MESSAGE_LIMIT + 1);
  await assertCloses(page, 1009, "Message Too Big", { reason: "message too big" });
  assert.deepEqual(besidesConnections(complaints), []);
});

browserTest("compression and the subprotocol agreed on are shown", async (t) => {
  const { origin } = await serve(t, "--compress", "--subprotocol", "superchat");
  const { page, complaints } = await open(t, origin);
  await page.fill("#subprotocols", "chat, superchat");
  await connect(page);
  assert.equal(await page.textContent("#protocol"), "superchat");
  assert.match(await page.textContent("#extensions"), /^permessage-deflate/);
  assert.match(
    (await logged(page, "event", "open")).preview,
    /^subprotocol superchat, extensions permessage-deflate/,
  );
  await sendText(page, "compressed ".repeat(10_000));
  assert.match((await logged(page, "in", "110,000 bytes")).note, /^echo/);
  await page.click("#disconnect");
  await assertCloses(page, 1005, "No Status Received");
  assert.deepEqual(complaints, []);
});

browserTest("a server that stops closes with 1001, one that is killed with nothing", async (t) => {
  const stopped = await serve(t);
  const { page, complaints } = await open(t, stopped.origin);
  await connect(page);
  assert.equal(await stopped.stop(), 0);
  await assertCloses(page, 1001, "Going Away", { reason: "the server stops" });
  assert.deepEqual(complaints, []);

  // There is nothing to connect to any more.
  await page.click("#clear");
  await page.click("#connect");
  await assertCloses(page, 1006, "Abnormal Closure", { wasClean: false });
  await logged(page, "error", "error");

  const killed = await serve(t);
  await page.fill("#address", killed.url);
  await page.click("#clear");
  await connect(page);
  assert.equal(await killed.stop("SIGKILL"), null);
  await assertCloses(page, 1006, "Abnormal Closure", { wasClean: false });
  assert.deepEqual(besidesConnections(complaints), []);
});

browserTest("what the browser refuses is told in words, and the connection lives on", async (t) => {
  const { origin, url } = await serve(t);
  const { page, complaints } = await open(t, origin);
  const refused = async (form, exception, meaning) => {
    await page.waitForFunction(
      ([id, text]) => document.getElementById(id).textContent.includes(text),
      [`${form}-problem`, meaning],
    );
    if (exception) await logged(page, "error", exception);
    await page.click("#clear");
  };
  for (const address of ["ftp://localhost/", "ws://", "ws://localhost:99999/"]) {
    await page.fill("#address", address);
    await page.click("#connect");
    await refused("connect", "SyntaxError: ", "An address begins with ws:");
    await state(page, "3 CLOSED");
  }
  await page.fill("#address", url);
  for (const subprotocols of ["a, a", "a b", "\u00fc"]) {
    await page.fill("#subprotocols", subprotocols);
    await page.click("#connect");
    await refused("connect", "SyntaxError: ", "a subprotocol is a token");
  }
  await page.fill("#subprotocols", "");
  await page.click("#clear");
  await connect(page);

  for (const code of ["0", "999", "1001", "1005", "1006", "1015", "2999", "5000", "words"]) {
    await page.fill("#close-code", code);
    assert.match(await page.textContent("#code-meaning"), /The browser lets no page send it\.$/);
    await page.click("#disconnect");
    await refused(
      "close",
      "InvalidAccessError: ",
      "A page may close with 1000 or with 3000 to 4999",
    );
  }
  await page.fill("#close-code", "");
  await page.fill("#close-reason", "why");
  assert.equal(await page.textContent("#code-meaning"), "A reason needs a code.");
  await page.fill("#close-code", "1000");
  await page.fill("#close-reason", `${"r".repeat(122)}\u00fc`);
  assert.equal(await page.textContent("#reason-length"), "124/123");
  assert.equal(await page.getAttribute("#reason-length", "class"), "over");
  await page.click("#disconnect");
  await refused("close", "SyntaxError: ", "A reason has at most 123 bytes");

  await choose(page, "hex");
  for (const [digits, told] of [
    ["0", "odd"],
    ["0g", '"g" is no hex digit'],
  ]) {
    await page.fill("#hex", digits);
    await page.click("#send");
    await refused("send", told, told);
  }
  await choose(page, "file");
  await page.click("#send");
  await refused("send", "Choose a file", "Choose a file");

  await sendText(page, "still here");
  assert.match((await logged(page, "in", "still here")).note, /^echo/);
  assert.equal(await page.textContent("#send-problem"), "");
  assert.deepEqual(besidesConnections(complaints), []);
});

browserTest("an entry opens as text and as a dump, a large one in parts", async (t) => {
  const { origin } = await serve(t);
  const { page, complaints } = await open(t, origin);
  await connect(page);
  const dump = async (direction) => {
    const entry = page.locator(`#log li.${direction}`).last();
    await entry.locator("summary").click();
    await entry.locator(".payload").waitFor();
    const parts = ["offsets", "digits", "characters"].map((name) => entry.locator(`.${name}`));
    return { entry, columns: await Promise.all(parts.map((part) => part.textContent())) };
  };
  const text = "Gr\u00fc\u00dfe,\t<b>\u4e16\u754c</b>!";
  await sendText(page, text);
  await logged(page, "in", "<b>");
  const shown = await dump("in");
  assert.equal(await shown.entry.locator(".as-text").textContent(), text);
  assert.deepEqual(shown.columns, [
    "0000\n0010",
    "47 72 c3 bc c3 9f 65 2c  09 3c 62 3e e4 b8 96 e7\n95 8c 3c 2f 62 3e 21",
    "Gr\u00b7\u00b7\u00b7\u00b7e,\u00b7<b>\u00b7\u00b7\u00b7\u00b7\n\u00b7\u00b7</b>!",
  ]);
  // Where there is less room, there are eight bytes in a line.
  await page.setViewportSize({ width: 360, height: 740 });
  await shown.entry.locator(".offsets").filter({ hasText: "0008" }).waitFor();
  await page.setViewportSize({ width: 1280, height: 860 });

  await sendRandom(page, 100_000);
  await logged(page, "in", "100,000 bytes");
  const large = await dump("in");
  const counts = [];
  for (let more = true; more;) {
    const told = await large.entry.locator(".payload p").textContent();
    counts.push(/^[\d,]+/.exec(told)[0]);
    const lines = (await large.entry.locator(".digits").textContent()).split("\n").length;
    assert.equal(lines * 16, Number(counts.at(-1).replaceAll(",", "")));
    const button = large.entry.locator(".more");
    more = (await button.count()) > 0;
    if (more) {
      await button.click();
      await page.waitForFunction(
        ([row, before]) => row.querySelector(".payload p")?.textContent !== before,
        [await large.entry.elementHandle(), told],
      );
    }
  }
  assert.deepEqual(counts, ["256", "1,024", "4,096", "16,384", "65,536"]);
  assert.match(
    await large.entry.locator(".payload p").textContent(),
    /the log keeps no more of it/,
  );

  await page.selectOption("#binary-type", "blob");
  await choose(page, "hex");
  await page.fill("#hex", "41 42 00");
  await page.click("#send");
  assert.match((await logged(page, "in", "a Blob")).note, /^echo/);
  assert.deepEqual((await dump("in")).columns, ["0000", "41 42 00", "AB\u00b7"]);
  assert.deepEqual(complaints, []);
});

browserTest("the log is filtered, exported, cleared and bounded", async (t) => {
  const { origin } = await serve(t);
  const { page, complaints } = await open(t, origin);
  await connect(page);
  await sendText(page, "apple");
  await logged(page, "in", "apple");
  await sendText(page, "pear");
  await logged(page, "in", "pear");
  await choose(page, "hex");
  await page.fill("#hex", "de ad");
  await page.click("#send");
  await logged(page, "in", "de ad");
  const visible = async () => await page.locator("#log li:visible .preview").allTextContents();
  assert.equal((await visible()).length, 8);
  assert.equal(await page.textContent("#log-count"), "8 entries");
  await page.fill("#filter", "APPLE");
  assert.deepEqual(await visible(), ["apple", "apple"]);
  await page.waitForFunction(
    () => document.getElementById("log-count").textContent === "2 of 8 entries shown",
  );
  await page.press("#filter", "Escape");
  assert.equal((await visible()).length, 8);
  await page.locator("label:has(#show-out)").click();
  await page.locator("label:has(#show-events)").click();
  assert.deepEqual(await visible(), ["apple", "pear", "de ad"]);

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  assert.match(download.suggestedFilename(), /^websocket-log-.*\.json$/);
  const entries = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.deepEqual(
    entries
      .map(({ direction, type, size, text, hex }) => [direction, type, size, hex ?? text])
      .slice(2),
    [
      ["out", "text", 5, "apple"],
      ["in", "text", 5, "apple"],
      ["out", "text", 4, "pear"],
      ["in", "text", 4, "pear"],
      ["out", "binary", 2, "dead"],
      ["in", "binary", 2, "dead"],
    ],
  );
  assert.deepEqual(
    entries.slice(0, 2).map(({ type }) => type),
    ["connect", "open"],
  );
  for (const entry of entries)
    assert.ok(!Number.isNaN(Date.parse(entry.time)) && entry.elapsed >= 0);

  await page.click("#clear");
  assert.equal(await page.locator("#log li").count(), 0);
  await page.locator("label:has(#show-out)").click();
  // As many as fast typing never is: 700 messages and their echoes.
  await page.evaluate(() => {
    document.querySelector("input[name=source][value=text]").click();
    for (let number = 1; number <= 700; number += 1) {
      document.getElementById("text").value = `message ${number}`;
      document.getElementById("send-form").requestSubmit();
    }
  });
  await logged(page, "in", "message 700");
  assert.equal(await page.locator("#log li").count(), 500);
  assert.equal(await page.textContent("#log-count"), "500 entries, 900 older dropped");
  // The end stays in view.
  const below = await page.evaluate(() => {
    const list = document.getElementById("log");
    return list.scrollHeight - list.scrollTop - list.clientHeight;
  });
  assert.ok(below < 2, `${below} px of the log are below what is shown`);
  assert.deepEqual(complaints, []);
});

browserTest("round trips are measured and drawn", async (t) => {
  const { origin } = await serve(t);
  const { page, complaints } = await open(t, origin);
  await connect(page);
  assert.equal(await page.locator("#plot .point").count(), 0);
  await page.click("#measure");
  await page.waitForFunction(() => document.querySelectorAll("#plot .point").length === 20);
  assert.equal(await page.textContent("#rtt-count"), "20 echoes");
  const figure = async (name) => {
    const text = await page.textContent(`#rtt-${name}`);
    assert.match(text, /^[\d,.]+ ms$/);
    return parseFloat(text);
  };
  const [min, median, max, last] = [
    await figure("min"),
    await figure("median"),
    await figure("max"),
    await figure("last"),
  ];
  assert.ok(
    min <= median && median <= max && min <= last && last <= max,
    `${min} ${median} ${max} ${last}`,
  );
  // The highest point stands at the greatest time of those in the log.
  const times = (await page.locator("#log .in .note").allTextContents()).map((text) =>
    parseFloat(text.slice(5)),
  );
  const heights = await page
    .locator("#plot .point")
    .evaluateAll((points) => points.map((point) => Number(point.getAttribute("cy"))));
  assert.equal(heights.indexOf(Math.min(...heights)), times.indexOf(Math.max(...times)));
  await page.click("#rtt-reset");
  await page.waitForFunction(() => document.querySelectorAll("#plot .point").length === 0);
  assert.deepEqual(complaints, []);
});

browserTest("what is no echo is not taken for one", async (t) => {
  const { origin, url } = await serve(t);
  // In the place of the server: it answers each message with an earlier push, with another of the
  // same length, with the message itself and with the same once more.
  const answers = (socket) => {
    socket.onMessage((message) => {
      const other = Buffer.from(message);
      other[other.length - 1] ^= 1;
      for (const answer of ["push", other, message, message]) {
        socket.send(typeof message === "string" ? answer.toString() : Buffer.from(answer));
      }
    });
  };
  const prepare = async (page) => await page.routeWebSocket(url, answers);
  const { page, complaints } = await open(t, origin, { prepare });
  await connect(page);
  await sendText(page, "some text");
  await page.waitForFunction(() => document.querySelectorAll("#log .in").length === 4);
  await choose(page, "hex");
  await page.click("#send");
  await page.waitForFunction(() => document.querySelectorAll("#log .in").length === 8);
  const notes = await page.locator("#log .in .note").allTextContents();
  const expected = [false, false, true, false, false, false, true, false];
  assert.deepEqual(
    notes.map((note) => note.startsWith("echo ")),
    expected,
  );
  assert.equal(await page.textContent("#rtt-count"), "2 echoes");
  assert.deepEqual(complaints, []);
});

browserTest("repeated sending goes on until it is stopped", async (t) => {
  const { origin } = await serve(t);
  const { page, complaints } = await open(t, origin);
  await connect(page);
  await page.fill("#text", "again");
  await page.fill("#interval", "20");
  const sent = async () => parseInt(await page.textContent("#repeat-count"), 10) || 0;
  const reaches = async (count) =>
    await page.waitForFunction(
      (least) => parseInt(document.getElementById("repeat-count").textContent, 10) >= least,
      count,
    );
  await page.click("#repeat");
  await reaches(5);
  assert.equal(await page.textContent("#repeat"), "Stop");
  await page.press("#interval", "Escape");
  assert.equal(await page.textContent("#repeat"), "Repeat");
  const count = await sent();
  // As many echoes as were sent, and so no more were sent.
  await page.waitForFunction((all) => document.querySelectorAll("#log .in").length === all, count);
  assert.equal(await page.locator("#log .out").count(), count);

  await page.click("#repeat");
  await reaches(3);
  await page.click("#disconnect");
  await state(page, "3 CLOSED");
  assert.equal(await page.getAttribute("#repeat", "aria-pressed"), "false");
  await connect(page);
  await page.fill("#interval", "0");
  await page.click("#repeat");
  assert.match(await page.textContent("#send-problem"), /^An interval is 1 ms or more/);
  assert.deepEqual(complaints, []);
});

browserTest("everything can be done by keyboard", async (t) => {
  const { origin } = await serve(t);
  const { page, complaints } = await open(t, origin);
  const { keyboard } = page;
  const focused = async () =>
    await page.evaluate(() => document.activeElement.id || document.activeElement.localName);
  const tab = async (...ids) => {
    for (const id of ids) {
      await keyboard.press("Tab");
      assert.equal(await focused(), id);
      // What has the focus can be seen to have it.
      const outlined = await page.evaluate(() => {
        const node = document.activeElement;
        const drawn = node.closest(".choice") ? node.nextElementSibling : node;
        return getComputedStyle(drawn).outlineStyle !== "none";
      });
      assert.ok(outlined, id);
    }
  };
  await tab("address", "subprotocols", "connect");
  await keyboard.press("Enter");
  await state(page, "1 OPEN");
  // The button is out of use, and the focus where it is of use.
  assert.equal(await focused(), "text");
  await keyboard.press("Control+A");
  await keyboard.type("by keyboard");
  await keyboard.press("Shift+Enter");
  await keyboard.type("two lines");
  await keyboard.press("Enter");
  assert.match((await logged(page, "in", "by keyboard")).note, /^echo/);
  assert.equal(await page.inputValue("#text"), "by keyboard\ntwo lines");

  await keyboard.press("Shift+Tab");
  await keyboard.press("ArrowRight");
  await tab("hex");
  await keyboard.press("Enter");
  await logged(page, "in", "00 01 fe ff");
  await tab("send", "interval", "repeat", "export", "clear", "show-in");
  await keyboard.press("Space");
  assert.equal(await page.locator("#log li.in:visible").count(), 0);
  await keyboard.press("Space");
  // Which entry is reached by Tab is settled when the rows are drawn.
  await drawn(page);
  await tab("show-out", "show-events", "filter", "log", "summary");
  await keyboard.press("Home");
  await keyboard.press("ArrowDown");
  await keyboard.press("Enter");
  const opened = page.locator("#log details[open]");
  await opened.locator(".payload").waitFor();
  assert.match(await opened.locator(".as-text").textContent(), /^by keyboard\ntwo lines$/);
  assert.equal(await page.locator("#log li.in details[open]").count(), 1);
  await keyboard.press("Escape");
  assert.equal(await opened.count(), 0);
  assert.equal(await focused(), "summary");
  await tab("binary-type", "rtt-reset", "measure");

  await page.focus("#close-code");
  await keyboard.type("4000");
  await tab("close-reason", "disconnect");
  await keyboard.press("Enter");
  await assertCloses(page, 4000, "Private Use");
  assert.equal(await focused(), "connect");
  assert.deepEqual(complaints, []);
});
