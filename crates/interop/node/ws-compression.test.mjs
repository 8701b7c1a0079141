// Our echo peers against the package ws of Node.js, with compression.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ADAPTERS, OPCODE, noise, prose, serve } from "./peers.mjs";
import { ROLES, connectWs } from "./ws-roles.mjs";

/** Blocks of noise that come twice, at distances of a little under each size of window. */
function repeats() {
  const blocks = [8, 9, 10, 11, 12, 13, 14, 15].map((bits) => noise(3 << (bits - 2), bits));
  return Buffer.concat(blocks.flatMap((block) => [block, block]));
}

const FRAME = { fin: true, compressed: false };
const isData = ({ opcode }) => opcode <= OPCODE.binary;

for (const adapter of ADAPTERS) {
  for (const [role, open] of Object.entries(ROLES)) {
    /** Opens a connection, and closes it after `scenario`. */
    const within = async (options, perMessageDeflate, scenario) => {
      const { connection, agreed, ended } = await open(adapter, options, perMessageDeflate);
      try {
        await scenario(connection, agreed);
        await connection.close();
      } catch (error) {
        connection.socket.terminate();
        await ended();
        throw error;
      }
      const status = await ended();
      if (role === "client") assert.equal(status, 0);
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
                { ...FRAME, masked: role === "client", opcode: OPCODE.text, length },
              ]);
            }
          });
        });
      }
    });
  }

  describe(`${adapter} server`, () => {
    test("connections to one server keep apart what they refer to", async () => {
      const server = await serve(adapter);
      const opened = await Promise.all(
        Array.from({ length: 32 }, () => connectWs(server.url, [], { threshold: 0 })),
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
        await server.kill();
      }
    });
  });
}
