// Our peers against the package ws of Node.js, without compression: messages, control frames, the
// closing handshake from either end, and what breaks the protocol.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createServer } from "node:https";
import { WebSocket, WebSocketServer } from "ws";
import {
  ADAPTERS,
  OPCODE,
  Peer,
  TLS,
  frame,
  next,
  noise,
  prose,
  serve,
  soon,
  violations,
} from "./peers.mjs";
import { ROLES, connectWs } from "./ws-roles.mjs";

const COMMANDS = ["--commands"];
/** Close codes, and reasons in UTF-8; the longest that a frame has room for. */
const CLOSINGS = [
  [1000, "done"],
  [1001, ""],
  [3000, "a".repeat(123)],
  [4999, "Gr\u00fc\u00dfe, \u4e16\u754c \u{1f310}"],
];

for (const adapter of ADAPTERS) {
  for (const [role, open] of Object.entries(ROLES)) {
    /** Opens a connection, and sees to the end of both ends. */
    const within = async (options, scenario, protocols) => {
      const opened = await open(adapter, options, false, protocols);
      try {
        await scenario(opened);
      } finally {
        opened.connection.socket.terminate();
        await soon(opened.ended(), "the end of the peer");
      }
    };
    /** As `within`, with a peer that takes commands. */
    const commanding = (scenario, { options = [], subprotocol = "", protocols } = {}) =>
      within(
        [...COMMANDS, ...options],
        async (opened) => {
          await opened.peer.says(`opened ${subprotocol}`);
          await scenario(opened);
        },
        protocols,
      );

    describe(`${adapter} ${role}`, () => {
      test("text and binary of every size come back", async () => {
        await within([], async ({ connection }) => {
          for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
            for (const message of [prose(length), noise(length)]) {
              await connection.echoes(message);
              assert.deepEqual(connection.frames(), [
                {
                  fin: true,
                  compressed: false,
                  opcode: typeof message === "string" ? OPCODE.text : OPCODE.binary,
                  // RFC 6455 section 5.1: a client masks every frame, a server none.
                  masked: role === "client",
                  length,
                },
              ]);
            }
          }
          await connection.close();
        });
      });

      test("1,000 messages on their way at once come back in order", async () => {
        await within([], async ({ connection }) => {
          const messages = Array.from({ length: 1000 }, (_, number) => `message ${number}`);
          for (const message of messages) connection.socket.send(message);
          for (const message of messages) await connection.receives(message);
          await connection.close();
        });
      });

      test("fragments of theirs with pings between are one message", async () => {
        await commanding(async ({ peer, connection: { socket }, connection }) => {
          // The command too comes in fragments, one of them empty, and is cut inside a character.
          const bytes = Buffer.from("text Gr\u00fc\u00dfe, \u{1f310}");
          for (let at = 0; at < bytes.length; at += 1) {
            socket.send(bytes.subarray(at, at + 1), { binary: false, fin: false });
            socket.send("", { binary: false, fin: false });
            socket.ping(`${at}`);
          }
          socket.send("", { binary: false, fin: true });
          for (let at = 0; at < bytes.length; at += 1) await peer.says(`ping ${at}`);
          await connection.receives(bytes.subarray(5).toString());
          for (const piece of ["ab", "", "c"]) socket.send(Buffer.from(piece), { fin: false });
          socket.send(Buffer.alloc(0), { fin: true });
          await connection.receives(Buffer.from("abc"));
        });
      });

      test("fragments of ours are one message", async () => {
        await commanding(async ({ connection }) => {
          connection.socket.send("fragments a|b c|\u{1f310}");
          await connection.receives("ab c\u{1f310}");
          const frames = connection.frames();
          assert.deepEqual(
            frames.map(({ opcode, fin, length }) => [opcode, fin, length]),
            [
              [OPCODE.text, false, 1],
              [OPCODE.continuation, false, 3],
              [OPCODE.continuation, false, 4],
              [OPCODE.continuation, true, 0],
            ],
          );
        });
        // A ping follows each; ws breaks off at more on end than its maxPendingAutoPongs.
        await within(["--fragment", "17"], async ({ connection }) => {
          for (const message of [prose(1000), noise(1000), "", Buffer.alloc(0)]) {
            await connection.echoes(message);
          }
          await connection.close();
        });
      });

      test("pings of either end are answered with their payload", async () => {
        await commanding(async ({ peer, connection: { socket } }) => {
          for (const payload of ["", "abc", "\u4e16\u754c", "p".repeat(125)]) {
            const pong = next(socket, "pong");
            socket.ping(payload);
            await peer.says(`ping ${payload}`);
            assert.equal((await pong)[0].toString(), payload);

            const ping = next(socket, "ping");
            socket.send(`ping ${payload}`);
            assert.equal((await ping)[0].toString(), payload);
            await peer.says(`pong ${payload}`);
          }
        });
      });

      test("a pong that nobody asked for changes nothing", async () => {
        await commanding(async ({ peer, connection }) => {
          const { socket } = connection;
          socket.pong("unasked");
          await peer.says("pong unasked");
          const pong = next(socket, "pong");
          socket.send("pong of ours");
          assert.equal((await pong)[0].toString(), "of ours");
          socket.send("text still here");
          await connection.receives("still here");
        });
      });

      for (const [code, reason] of CLOSINGS) {
        test(`closed by theirs with ${code}`, async () => {
          await commanding(async ({ peer, connection }) => {
            connection.socket.close(code, reason);
            await peer.says(`closed ${code} clean ${reason}`);
            const [answer] = await soon(connection.closed, "the end of the connection");
            assert.equal(answer, code);
          });
        });

        test(`closed by ours with ${code}`, async () => {
          await commanding(async ({ peer, connection }) => {
            // What stands before the Close frame arrives before it.
            for (const message of ["text last", `close ${code} ${reason}`]) {
              connection.socket.send(message);
            }
            await connection.receives("last");
            assert.deepEqual(await soon(connection.closed, "the Close frame"), [code, reason]);
            await peer.says(`closed ${code} clean ${reason}`);
          });
        });
      }

      test("closed by theirs without a code: 1005 at either end", async () => {
        await commanding(async ({ peer, connection }) => {
          connection.socket.close();
          await peer.says("closed 1005 clean ");
          assert.deepEqual(await soon(connection.closed, "the end"), [1005, ""]);
        });
      });

      test("closed by ours without a code: 1005 at either end", async () => {
        await commanding(async ({ peer, connection }) => {
          connection.socket.send("close");
          assert.deepEqual(await soon(connection.closed, "the Close frame"), [1005, ""]);
          await peer.says("closed 1005 clean ");
        });
      });

      test("broken off by theirs: 1006", async () => {
        await commanding(async ({ peer, connection }) => {
          connection.socket.terminate();
          await peer.fails(1006);
        });
      });

      test("killed: 1006 at theirs", async () => {
        await commanding(async ({ peer, connection }) => {
          await peer.kill();
          assert.deepEqual(await soon(connection.closed, "the end"), [1006, ""]);
        });
      });

      test("the subprotocol is the one agreed on", async () => {
        const options = ["--subprotocol", "superchat", "--subprotocol", "chat"];
        // RFC 6455 section 1.9: the client offers in the order of its preference.  Of ours and of
        // theirs, the server takes the first of the client's that it knows.
        const [protocols, chosen] =
          role === "server" ? [["soap", "chat", "superchat"], "chat"] : [["chat", "soap"], "chat"];
        const scenario = async ({ connection: { socket } }) => {
          assert.equal(socket.protocol, chosen);
        };
        await commanding(scenario, { options, protocols, subprotocol: chosen });
        if (role === "client") {
          const none = async ({ connection: { socket } }) => assert.equal(socket.protocol, "");
          await commanding(none, { options, protocols: ["soap"] });
        }
      });

      for (const [what, [code, ...frames]] of Object.entries(violations(role === "server"))) {
        test(`${what}: ${code}`, async () => {
          await commanding(async ({ peer, connection }) => {
            for (const bytes of frames) connection.tcp.write(bytes);
            const [seen] = await soon(connection.closed, "the Close frame");
            assert.equal(seen, code);
            assert.match(await peer.line(), /^failed the connection failed: ./);
          });
        });
      }

      test("a message over the limit: 1009", async () => {
        await commanding(
          async ({ peer, connection }) => {
            await connection.echoes(noise(1000));
            connection.socket.send(noise(1001));
            const [code] = await soon(connection.closed, "the Close frame");
            assert.equal(code, 1009);
            assert.match(await peer.line(), /^failed the connection failed: ./);
          },
          { options: ["--max-message-length", "1000"] },
        );
      });

      test("fragments over the limit together: 1009", async () => {
        await commanding(
          async ({ connection }) => {
            const masked = role === "server";
            const piece = frame(OPCODE.binary, noise(501), { masked, fin: false });
            connection.tcp.write(piece);
            piece[0] = OPCODE.continuation;
            connection.tcp.write(piece);
            const [code] = await soon(connection.closed, "the Close frame");
            assert.equal(code, 1009);
          },
          { options: ["--max-message-length", "1000"] },
        );
      });

      test("a command that is none: 1008", async () => {
        await commanding(async ({ connection }) => {
          connection.socket.send("dance");
          const closed = await soon(connection.closed, "the Close frame");
          assert.deepEqual(closed, [1008, "no such command"]);
        });
      });
    });
  }

  if (!TLS) continue;

  describe(`${adapter} server`, () => {
    test("a client that does not trust the certificate is not the last", async () => {
      const server = await serve(adapter);
      try {
        const [error] = await next(new WebSocket(server.url), "error");
        assert.equal(error.code, "DEPTH_ZERO_SELF_SIGNED_CERT");
        const { connection } = await connectWs(server.url, [], false);
        await connection.echoes("still here");
        await connection.close();
      } finally {
        await server.kill();
      }
    });
  });

  describe(`${adapter} client`, () => {
    test("a server whose certificate is not trusted is refused", async () => {
      const https = createServer(TLS);
      const server = new WebSocketServer({ server: https });
      server.on("connection", () => assert.fail("it has connected"));
      https.listen(0, "127.0.0.1");
      await next(https, "listening");
      const url = `wss://127.0.0.1:${https.address().port}/`;
      const failed = next(https, "tlsClientError");
      const peer = new Peer("echo-client", "--adapter", adapter, "--url", url);
      try {
        // The alert of RFC 8446 section 6.2: unknown_ca.
        assert.equal((await failed)[0].code, "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA");
        assert.equal(await soon(peer.exited, "the end of the peer"), 1);
      } finally {
        await peer.kill();
        https.close();
      }
    });
  });
}
