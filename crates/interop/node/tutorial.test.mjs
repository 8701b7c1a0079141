// The opening handshake that tutorials show, byte for byte over TCP, against our servers; and its
// mirror image against our clients.  No other WebSocket takes part.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { connect as connectTcp, createServer } from "node:net";
import { describe, test } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { ADAPTERS, TLS, connect, next, serve, soon, unlessEnded } from "./peers.mjs";

const REQUEST = [
  "GET /chat HTTP/1.1",
  "Host: server.example.com",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==",
  "Sec-WebSocket-Protocol: chat, superchat",
  "Sec-WebSocket-Version: 13",
  "Origin: http://example.com",
  "\r\n",
].join("\r\n");

const RESPONSE = [
  "HTTP/1.1 101 Switching Protocols",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=",
  "Sec-WebSocket-Protocol: chat",
  "\r\n",
].join("\r\n");

/** RFC 6455 section 5.7: a masked text message "Hello", and an unmasked one. */
const MASKED_HELLO = Buffer.from("818537fa213d7f9f4d5158", "hex");
const HELLO = Buffer.from("810548656c6c6f", "hex");
/** A Close frame with 1000, masked with 0 and unmasked. */
const MASKED_CLOSE = Buffer.from("88820000000003e8", "hex");
const CLOSE = Buffer.from("880203e8", "hex");
/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Reads bytes of TCP in portions of a known length. */
function reader(tcp) {
  let buffer = Buffer.alloc(0);
  let ended = false;
  let wake = () => {};
  tcp.on("data", (bytes) => {
    buffer = Buffer.concat([buffer, bytes]);
    wake();
  });
  tcp.on("end", () => {
    ended = true;
    wake();
  });
  const until = async (ready, what) => {
    while (!ready()) {
      assert.ok(!ended, `TCP has ended; there are ${JSON.stringify(buffer.toString("latin1"))}`);
      await soon(new Promise((resolve) => (wake = resolve)), what);
    }
  };
  return {
    async take(length) {
      await until(() => buffer.length >= length, `${length} bytes`);
      const taken = buffer.subarray(0, length);
      buffer = buffer.subarray(length);
      return taken;
    },
    async takeHead() {
      await until(() => buffer.includes("\r\n\r\n"), "a head");
      return (await this.take(buffer.indexOf("\r\n\r\n") + 4)).toString("latin1");
    },
    async end() {
      while (!ended) await soon(new Promise((resolve) => (wake = resolve)), "the end of TCP");
      assert.equal(buffer.length, 0);
    },
  };
}

/** The payload of a short masked frame whose first byte is `first`. */
async function takeMasked(stream, first, length) {
  const frame = await stream.take(6 + length);
  assert.deepEqual([...frame.subarray(0, 2)], [first, 0x80 | length]);
  const key = frame.subarray(2, 6);
  return Buffer.from(frame.subarray(6).map((byte, index) => byte ^ key[index % 4]));
}

for (const adapter of ADAPTERS) {
  describe(`${adapter} server`, () => {
    for (const pace of ["in one piece", "byte by byte"]) {
      test(`answers the tutorial's request as the tutorial does, ${pace}`, async () => {
        const options = ["--subprotocol", "superchat", "--subprotocol", "chat"];
        const peer = await serve(adapter, ...options);
        const { port } = new URL(peer.url);
        const address = { host: "127.0.0.1", port, ca: TLS?.cert, noDelay: true };
        const tcp = TLS ? connectTls(address) : connectTcp(address);
        try {
          await next(tcp, TLS ? "secureConnect" : "connect");
          const stream = reader(tcp);
          if (pace === "in one piece") tcp.write(REQUEST);
          else for (const byte of Buffer.from(REQUEST)) tcp.write(Buffer.from([byte]));
          assert.equal((await stream.take(RESPONSE.length)).toString("latin1"), RESPONSE);
          tcp.write(MASKED_HELLO);
          assert.deepEqual(await stream.take(HELLO.length), HELLO);
          tcp.write(MASKED_CLOSE);
          assert.deepEqual(await stream.take(CLOSE.length), CLOSE);
          await stream.end();
        } finally {
          tcp.destroy();
          await peer.kill();
        }
      });
    }
  });

  describe(`${adapter} client`, () => {
    test("sends such a request, and takes such a response", async () => {
      const server = TLS ? createTlsServer(TLS) : createServer();
      server.listen(0, "127.0.0.1");
      await next(server, "listening");
      const { port } = server.address();
      const options = ["--no-compression", "--subprotocol", "chat", "--subprotocol", "superchat"];
      const accepted = next(server, TLS ? "secureConnection" : "connection");
      const peer = connect(adapter, port, ...options);
      try {
        const [tcp] = await unlessEnded(peer, accepted);
        const stream = reader(tcp);
        const head = await stream.takeHead();
        const key = /^Sec-WebSocket-Key: ([A-Za-z0-9+/]{22}==)\r$/m.exec(head)?.[1];
        assert.ok(key, head);
        const expected = [
          "GET / HTTP/1.1",
          `Host: 127.0.0.1:${port}`,
          "Upgrade: websocket",
          "Connection: Upgrade",
          `Sec-WebSocket-Key: ${key}`,
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Protocol: chat, superchat",
          "\r\n",
        ];
        assert.equal(head, expected.join("\r\n"));
        const accept = createHash("sha1").update(key + GUID).digest("base64");
        // The first frame comes in the same segment as the response.
        const response = RESPONSE.replace("HSmrc0sMlYUkAGmm5OPpG2HaGWk=", accept);
        tcp.write(Buffer.concat([Buffer.from(response), HELLO]));
        assert.equal((await takeMasked(stream, 0x81, 5)).toString(), "Hello");
        tcp.write(CLOSE);
        assert.deepEqual(await takeMasked(stream, 0x88, 2), CLOSE.subarray(2));
        tcp.end();
        assert.equal(await soon(peer.exited, "the end of the peer"), 0);
      } finally {
        server.close();
        await peer.kill();
      }
    });
  });
}
