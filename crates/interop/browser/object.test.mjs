// Chromium's own WebSocket object against the server, in the context of the page.
import assert from "node:assert/strict";
import { browserTest, open, serve } from "./support.mjs";

/** Runs `action(url)` in the page; whatever it returns. */
async function inPage(t, options, action, argument) {
  const { origin, url, noted } = await serve(t, ...options);
  const { page, complaints } = await open(t, origin);
  const result = await page.evaluate(action, { url, ...argument });
  return { result, noted, complaints, page };
}

browserTest("readyState and events come in the order of the standard", async (t) => {
  const { result, noted, complaints } = await inPage(
    t,
    ["--subprotocol", "b"],
    ({ url }) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, ["a", "b"]);
        const seen = [["constructed", socket.readyState, socket.binaryType, socket.protocol]];
        for (const type of ["open", "message", "error", "close"]) {
          socket.addEventListener(type, (event) => {
            seen.push([type, socket.readyState]);
            if (type === "open") {
              seen.push(["agreed", socket.protocol, socket.extensions]);
              socket.send("one");
            }
            if (type === "message") {
              seen.push(["data", event.data, event.origin]);
              socket.close(3000, "enough");
              seen.push(["close()", socket.readyState]);
              // Closing once more changes nothing, and sending is passed over.
              socket.close(3001);
              socket.send("late");
              seen.push(["late", socket.readyState, socket.bufferedAmount]);
            }
            if (type === "close") resolve([...seen, [event.code, event.reason, event.wasClean]]);
          });
        }
      }),
  );
  const [, , , , [, , from]] = result;
  assert.match(from, /^wss?:\/\/127\.0\.0\.1:\d+$/);
  assert.deepEqual(result, [
    ["constructed", 0, "blob", ""],
    ["open", 1],
    ["agreed", "b", ""],
    ["message", 1],
    ["data", "one", from],
    ["close()", 2],
    ["late", 2, 4],
    ["close", 3],
    [3000, "", true],
  ]);
  await noted('closed: 3000 "enough"');
  assert.deepEqual(complaints, ["error: WebSocket is already in CLOSING or CLOSED state."]);
});

browserTest("bufferedAmount grows by what is sent and falls to nothing", async (t) => {
  const { result, complaints } = await inPage(t, [], async ({ url }) => {
    const socket = new WebSocket(url);
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const payloads = ["\u00fc\u4e16\u{1f310}", new Uint8Array(1000), new Blob(["four"])];
    const grown = payloads.map((payload) => {
      socket.send(payload);
      return socket.bufferedAmount;
    });
    socket.send(new Uint8Array(4_000_000));
    grown.push(socket.bufferedAmount);
    let received = 0;
    await new Promise((resolve) => {
      socket.addEventListener("message", () => (received += 1) === 4 && resolve());
    });
    const fallen = socket.bufferedAmount;
    socket.close();
    return { grown, fallen };
  });
  // UTF-8: 2, 3 and 4 bytes. Frame headers and masking do not count.
  assert.deepEqual(result, { grown: [9, 1009, 1013, 4_001_013], fallen: 0 });
  assert.deepEqual(complaints, []);
});

browserTest("what may not be is thrown, and changes nothing", async (t) => {
  const { result, complaints } = await inPage(t, [], async ({ url }) => {
    const thrown = (action) => {
      try {
        action();
        return "nothing";
      } catch (error) {
        return error.name;
      }
    };
    const connecting = new WebSocket(url);
    const early = thrown(() => connecting.send("early"));
    const opened = new Promise((resolve) => connecting.addEventListener("open", resolve));
    const closed = new Promise((resolve) => connecting.addEventListener("close", resolve));
    await opened;
    const codes = [0, 1, 999, 1001, 1002, 1005, 1006, 1011, 1015, 2999, 5000, 65_535, NaN];
    const refused = codes.map((code) => thrown(() => connecting.close(code)));
    const reason = thrown(() => connecting.close(1000, "\u00fc".repeat(62)));
    const stillOpen = connecting.readyState;
    const addresses = ["ftp://localhost/", "ws://", "ws://localhost:65536/", `${url}#fragment`];
    const constructed = addresses.map((address) => thrown(() => new WebSocket(address).close()));
    const subprotocols = [["a", "a"], [""], ["a b"], ["a,b"], ["\u00fc"]];
    const offered = subprotocols.map((names) => thrown(() => new WebSocket(url, names).close()));
    // The longest reason there may be.
    connecting.close(4999, "\u00fc".repeat(61) + "r");
    const { code, wasClean } = await closed;
    return { early, refused, reason, stillOpen, constructed, offered, code, wasClean };
  });
  assert.equal(result.early, "InvalidStateError");
  assert.deepEqual(new Set(result.refused), new Set(["InvalidAccessError"]));
  assert.equal(result.reason, "SyntaxError");
  assert.equal(result.stillOpen, 1);
  assert.deepEqual(new Set(result.constructed), new Set(["SyntaxError"]));
  assert.deepEqual(new Set(result.offered), new Set(["SyntaxError"]));
  assert.deepEqual([result.code, result.wasClean], [4999, true]);
  assert.deepEqual(
    complaints.filter((text) => !/closed before/.test(text)),
    [],
  );
});

browserTest("close codes go both ways, and wasClean tells how", async (t) => {
  const { result, noted, complaints } = await inPage(
    t,
    ["--max-message", "1000"],
    async ({ url }) => {
      const ends = async (action, when = "open") => {
        const socket = new WebSocket(url);
        const events = [];
        return await new Promise((resolve) => {
          socket.addEventListener("error", () => events.push("error"));
          socket.addEventListener("close", ({ code, reason, wasClean }) => {
            resolve([...events, code, reason, wasClean, socket.readyState]);
          });
          if (when === "open") socket.addEventListener("open", () => action(socket));
          else action(socket);
        });
      };
      return [
        await ends((socket) => socket.close()),
        await ends((socket) => socket.close(1000)),
        await ends((socket) => socket.close(1000, "done")),
        await ends((socket) => socket.close(3000)),
        await ends((socket) => socket.close(4999, "last")),
        await ends((socket) => socket.send("x".repeat(1001))),
        await ends((socket) => socket.close(1000), "connecting"),
      ];
    },
  );
  assert.deepEqual(result.slice(0, 5), [
    [1005, "", true, 3],
    [1000, "", true, 3],
    [1000, "", true, 3],
    [3000, "", true, 3],
    [4999, "", true, 3],
  ]);
  assert.deepEqual(result[5], [1009, "message too big", true, 3]);
  // A connection that is closed before it is open fails: the browser tells an error first.
  assert.deepEqual(result[6], ["error", 1006, "", false, 3]);
  await noted('closed: 4999 "last"');
  assert.deepEqual(
    complaints.filter((text) => !/closed before/.test(text)),
    [],
  );
});

for (const options of [[], ["--no-context-takeover"], ["--level", "9"]]) {
  const name = ["compressed messages come back as they were", ...options].join(" ");
  browserTest(name, async (t) => {
    const argument = { count: 3_000_000 };
    const { result, complaints } = await inPage(
      t,
      ["--compress", ...options],
      async ({ url, count }) => {
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
        const socket = new WebSocket(url);
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
          differing: sent.flatMap((message, index) =>
            same(message, received[index]) ? [] : [index],
          ),
        };
      },
      argument,
    );
    assert.match(result.extensions, /^permessage-deflate(;|$)/);
    assert.equal(
      /no_context_takeover/.test(result.extensions),
      options.includes("--no-context-takeover"),
    );
    assert.deepEqual(result.differing, []);
    assert.deepEqual(complaints, []);
  });
}
