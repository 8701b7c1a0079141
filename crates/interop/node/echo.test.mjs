// The echo peers of duologue-interop against the package ws of Node.js, with compression.
// DUOLOGUE_INTEROP names the program.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { on, once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";

const { DUOLOGUE_INTEROP } = process.env;
const PATIENCE = 20_000;
/** How long one connection may take in all. */
const CONNECTION_TIMEOUT = 60_000;
const OPCODE = { continuation: 0, text: 1, binary: 2, ping: 9, pong: 10 };

const peers = new Set();
const servers = new Set();

before(() => assert.ok(DUOLOGUE_INTEROP, "DUOLOGUE_INTEROP names the program"));

after(() => {
  for (const peer of peers) peer.kill("SIGKILL");
  for (const server of servers) server.close();
});

// Whoever ends this process ends the peers with it.
process.on("exit", () => {
  for (const peer of peers) peer.kill("SIGKILL");
});
process.once("SIGTERM", () => process.exit(143));

/** Runs a peer; `exited` gives its status. */
function run(...args) {
  const child = spawn(DUOLOGUE_INTEROP, args, { stdio: ["ignore", "pipe", "inherit"] });
  peers.add(child);
  const exited = once(child, "exit").then(([code]) => {
    peers.delete(child);
    return code;
  });
  return { child, exited };
}

/** An echo server of ours; its URL, and how to end it. */
async function serve(adapter, ...options) {
  const { child, exited } = run("echo-server", "--adapter", adapter, ...options);
  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line", { signal: AbortSignal.timeout(PATIENCE) }),
    exited.then((code) => [`it ended with status ${code} before it listened`]),
  ]);
  const address = /^listening on (127\.0\.0\.1:\d+)$/.exec(line)?.[1];
  assert.ok(address, line);
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
  };
  return { url: `ws://${address}/`, stop };
}

/** What stands between ws and one peer of ours. */
class Connection {
  #messages;
  #bytes = [];

  /** `socket` is that of ws, `tcp` what it reads, before anything has come behind the handshake. */
  constructor(socket, tcp) {
    this.socket = socket;
    const signal = AbortSignal.timeout(CONNECTION_TIMEOUT);
    this.#messages = on(socket, "message", { close: ["close"], signal });
    tcp.on("data", (bytes) => this.#bytes.push(bytes));
  }

  /** The next message, which must equal what was sent. */
  async receives(sent) {
    const { value, done } = await this.#messages.next();
    assert.ok(!done, "the connection has ended");
    const [data, isBinary] = value;
    assert.equal(isBinary, typeof sent !== "string");
    // To compare large messages by deepEqual takes long, and to print them longer.
    assert.ok(data.equals(Buffer.from(sent)), `${data.length} bytes came, which are not the same`);
  }

  async echoes(message, options) {
    this.socket.send(message, options);
    await this.receives(message);
  }

  /** The frames that came from the peer since the last call. */
  frames() {
    const bytes = Buffer.concat(this.#bytes);
    this.#bytes = [];
    const frames = [];
    for (let at = 0; at < bytes.length; ) {
      let [length, header] = [bytes[at + 1] & 0x7f, 2];
      if (length === 126) [length, header] = [bytes.readUInt16BE(at + 2), 4];
      else if (length === 127) [length, header] = [Number(bytes.readBigUInt64BE(at + 2)), 10];
      if (bytes[at + 1] & 0x80) header += 4;
      frames.push({
        fin: (bytes[at] & 0x80) !== 0,
        compressed: (bytes[at] & 0x40) !== 0,
        opcode: bytes[at] & 0x0f,
        length,
      });
      at += header + length;
    }
    return frames;
  }

  async close() {
    this.socket.close(1000, "done");
    const [code] = await once(this.socket, "close", { signal: AbortSignal.timeout(PATIENCE) });
    assert.equal(code, 1000);
  }
}

/** A connection of ws to a server, and the extensions of the response. */
async function connect(url, perMessageDeflate) {
  const socket = new WebSocket(url, { perMessageDeflate });
  const [response] = await once(socket, "upgrade", { signal: AbortSignal.timeout(PATIENCE) });
  // ws reads on in the same turn in which it tells of the response, and gives out messages later.
  const connection = new Connection(socket, response.socket);
  return { connection, agreed: response.headers["sec-websocket-extensions"] ?? "" };
}

const ROLES = {
  /** Ours is the server. */
  async server(adapter, options, perMessageDeflate) {
    const { url, stop } = await serve(adapter, ...options);
    const { connection, agreed } = await connect(url, perMessageDeflate);
    return { connection, agreed, ended: stop };
  },

  /** Ours is the client. */
  async client(adapter, options, perMessageDeflate) {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate });
    servers.add(server);
    await once(server, "listening", { signal: AbortSignal.timeout(PATIENCE) });
    let agreed = "";
    server.on("headers", (headers) => {
      const field = /^sec-websocket-extensions: *(.*)$/i;
      agreed = headers.map((line) => field.exec(line)?.[1]).find(Boolean) ?? "";
    });
    const connected = new Promise((resolve) => {
      server.on("connection", (socket, request) => {
        resolve(new Connection(socket, request.socket));
      });
    });
    const url = `ws://127.0.0.1:${server.address().port}/`;
    const { exited } = run("echo-client", "--adapter", adapter, "--url", url, ...options);
    const connection = await Promise.race([
      connected,
      exited.then((code) => assert.fail(`the client ended with status ${code}`)),
    ]);
    const ended = async () => {
      server.close();
      assert.equal(await exited, 0);
    };
    return { connection, agreed, ended };
  },
};

/** Bytes that cannot be compressed, the same for the same seed. */
function noise(length, seed = 1) {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed;
  for (let index = 0; index < length; index += 1) {
    // Marsaglia's xorshift32.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}

/** Text of so many bytes in UTF-8, with characters of each length. */
function prose(length) {
  const piece = (number) => `Zeile ${number}: Gr\u00fc\u00dfe, \u4e16\u754c, \u{1f310} und mehr; `;
  const pieces = [];
  for (let size = 0, number = 0; size < length; number += 1) {
    pieces.push(piece(number));
    size += Buffer.byteLength(pieces.at(-1));
  }
  // No character is cut in two: what is left over is filled up.
  const cut = new TextDecoder().decode(Buffer.from(pieces.join("")).subarray(0, length), {
    stream: true,
  });
  return cut + ".".repeat(length - Buffer.byteLength(cut));
}

/** Blocks of noise that come twice, at distances of a little under each size of window. */
function repeats() {
  const blocks = [8, 9, 10, 11, 12, 13, 14, 15].map((bits) => noise(3 << (bits - 2), bits));
  return Buffer.concat(blocks.flatMap((block) => [block, block]));
}

const isData = ({ opcode }) => opcode <= OPCODE.binary;

for (const adapter of ["tokio", "std"]) {
  for (const [role, open] of Object.entries(ROLES)) {
    // The RFC's name for the end that is ours, and for the other.
    const other = role === "server" ? "client" : "server";

    /** Opens a connection, and closes it after `scenario`. */
    const within = async (options, perMessageDeflate, scenario) => {
      const { connection, agreed, ended } = await open(adapter, options, perMessageDeflate);
      try {
        await scenario(connection, agreed);
        await connection.close();
      } catch (error) {
        connection.socket.terminate();
        await ended().catch(() => {});
        throw error;
      }
      await ended();
    };
    /** As `within`, and sees to it that compression was agreed on. */
    const compressed = (options, perMessageDeflate, scenario) =>
      within(options, { threshold: 0, ...perMessageDeflate }, async (connection, agreed) => {
        assert.match(agreed, /^permessage-deflate(;|$)/);
        assert.equal(connection.socket.extensions, "permessage-deflate");
        await scenario(connection, agreed);
      });

    describe(`${adapter} ${role}`, () => {
      test("messages of every size come back, compressed", async () => {
        await compressed([], {}, async (connection) => {
          for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
            for (const message of [prose(length), Buffer.alloc(length, 7), noise(length)]) {
              await connection.echoes(message);
              const frames = connection.frames();
              assert.ok(frames.every(({ compressed }) => compressed), `${length} bytes`);
              assert.equal(frames.length, 1);
            }
          }
        });
      });

      test("many small messages refer to those before them", async () => {
        await compressed([], {}, async (connection) => {
          const messages = Array.from({ length: 5000 }, (_, number) =>
            JSON.stringify({ number, kind: "measurement", unit: "\u00b0C", value: number * 0.37 }),
          );
          for (const message of messages) connection.socket.send(message);
          for (const message of messages) await connection.receives(message);
          const frames = connection.frames();
          assert.equal(frames.length, messages.length);
          assert.ok(frames.every(({ compressed }) => compressed));
          const total = (list) => list.reduce((sum, { length }) => sum + length, 0);
          const [received, sent] = [total(frames), total(messages)];
          assert.ok(received < sent / 2, `${received} of ${sent} bytes`);
        });
      });

      for (const end of ["server", "client"]) {
        const parameter = `${end}_no_context_takeover`;
        const wishes = {
          ours: [[`--${end}-no-context-takeover`], {}],
          theirs: [[], { [`${end}NoContextTakeover`]: true }],
        };
        for (const [whose, wish] of Object.entries(wishes)) {
          test(`${parameter} at ${whose} wish`, async () => {
            await compressed(...wish, async (connection, agreed) => {
              assert.ok(agreed.includes(parameter), agreed);
              for (let count = 0; count < 20; count += 1) {
                await connection.echoes(noise(1000));
                await connection.echoes(prose(3000));
              }
              // The noise was the third message too, and is noise again without a look back.
              const again = connection.frames()[2].length;
              assert.equal(again > 900, end === role, `${again} bytes`);
            });
          });
        }
      }

      for (const end of ["server", "client"]) {
        const parameter = `${end}_max_window_bits`;
        for (const whose of ["ours", "theirs"]) {
          test(`${parameter} at ${whose} wish`, async () => {
            const lengths = [];
            // zlib cannot compress raw data for a window of 8 bits; ours can.
            for (let bits = end === role ? 8 : 9; bits <= 15; bits += 1) {
              const wish =
                whose === "ours"
                  ? [[`--${end}-max-window-bits`, `${bits}`], {}]
                  : [[], { [`${end}MaxWindowBits`]: bits }];
              await compressed(...wish, async (connection, agreed) => {
                const value = new RegExp(`${parameter}=(\\d+)`).exec(agreed)?.[1] ?? "15";
                assert.equal(value, `${bits}`, agreed);
                for (let count = 0; count < 3; count += 1) await connection.echoes(repeats());
                await connection.echoes(prose(100_000));
                lengths.push(connection.frames()[0].length);
              });
            }
            // ws inflates with the window agreed on, so what came did not go past it; and what may
            // go farther back does.
            if (end === role) assert.ok(lengths.at(-1) < lengths[0] * 0.7, lengths.join(" "));
          });
        }
      }

      test("what is shorter than the threshold is not compressed", async () => {
        await compressed(["--threshold", "64"], {}, async (connection) => {
          for (const length of [63, 64, 0, 1000, 1, 64, 63]) {
            // Either way of ours, and of theirs.
            for (const compress of [true, false]) {
              await connection.echoes(prose(length), { compress });
              assert.deepEqual(
                connection.frames().map(({ compressed }) => compressed),
                [length >= 64],
              );
            }
          }
        });
      });

      test("fragments of theirs with pings between are one message", async () => {
        await compressed([], {}, async (connection) => {
          const { socket } = connection;
          const pongs = [];
          socket.on("pong", (payload) => pongs.push(payload.toString()));
          for (const message of [prose(65_536), noise(65_536), prose(10), ""]) {
            const bytes = Buffer.from(message);
            const binary = typeof message !== "string";
            const pings = [];
            // Fragments of 1 byte to 1,030, and an empty one at the end; characters are cut in two.
            for (let at = 0, length = 1; at < bytes.length; length = (length % 1024) + 7) {
              socket.send(bytes.subarray(at, at + length), { binary, fin: false });
              socket.ping(`ping at ${at}`);
              pings.push(`ping at ${at}`);
              at += length;
            }
            socket.send("", { binary, fin: true });
            await connection.receives(message);
            assert.deepEqual(pongs.splice(0), pings);
            const frames = connection.frames();
            assert.ok(frames.every((frame) => frame.compressed === isData(frame)));
          }
        });
      });

      test("fragments of ours with pings between are one message", async () => {
        await compressed(["--fragment", "1000"], {}, async (connection) => {
          let pings = 0;
          connection.socket.on("ping", () => (pings += 1));
          for (const message of [prose(65_536), noise(65_536), prose(10), "", Buffer.alloc(0)]) {
            await connection.echoes(message);
            const pieces = Math.ceil(Buffer.byteLength(message) / 1000);
            assert.equal(pings, pieces);
            pings = 0;
            const frames = connection.frames();
            assert.equal(frames.filter(({ opcode }) => opcode === OPCODE.ping).length, pieces);
            // RFC 7692 section 6: only the first frame of a message tells that it is compressed.
            frames.filter(isData).forEach(({ opcode, compressed, fin }, index, { length }) => {
              assert.equal(compressed, index === 0);
              assert.equal(opcode === OPCODE.continuation, index > 0);
              assert.equal(fin, index === length - 1);
            });
          }
        });
      });

      const refusals = { ours: [["--no-compression"], {}], theirs: [[], false] };
      for (const [whose, wish] of Object.entries(refusals)) {
        test(`no compression at ${whose} wish`, async () => {
          await within(...wish, async (connection, agreed) => {
            assert.equal(agreed, "");
            assert.equal(connection.socket.extensions, "");
            for (const length of [0, 125, 126, 65_536]) {
              await connection.echoes(prose(length));
              assert.deepEqual(connection.frames(), [
                { fin: true, compressed: false, opcode: OPCODE.text, length },
              ]);
            }
          });
        });
      }
    });
  }

  test(`connections to one ${adapter} server keep apart what they refer to`, async () => {
    const { url, stop } = await serve(adapter);
    const opened = await Promise.all(
      Array.from({ length: 32 }, () => connect(url, { threshold: 0 })),
    );
    const connections = opened.map(({ connection }) => connection);
    try {
      await Promise.all(
        connections.map(async (connection, index) => {
          for (let count = 0; count < 100; count += 1) {
            await connection.echoes(noise(500 + count, index + 1));
            await connection.echoes(`connection ${index}, ${prose(count)}`);
          }
          const frames = connection.frames();
          assert.ok(frames.every(({ compressed }) => compressed));
          // Noise that has come before is short.
          assert.ok(frames.slice(2).every(({ length }) => length < 250));
          await connection.close();
        }),
      );
    } finally {
      for (const { socket } of connections) socket.terminate();
      await stop();
    }
  });
}
