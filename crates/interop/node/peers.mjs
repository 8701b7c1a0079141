// Our peers, as the tests against programs of Node.js start them.  DUOLOGUE_INTEROP names the
// program.  With INTEROP_CERT and INTEROP_KEY, which name files of PEM, everything goes over TLS.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const { DUOLOGUE_INTEROP, INTEROP_CERT, INTEROP_KEY } = process.env;
assert.ok(DUOLOGUE_INTEROP, "DUOLOGUE_INTEROP names the program");

/** How long one step of a test may take, in milliseconds. */
export const PATIENCE = 20_000;
export const ADAPTERS = ["tokio", "std"];
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** The certificate and its key, if everything goes over TLS. */
export const TLS = INTEROP_CERT && {
  cert: readFileSync(INTEROP_CERT),
  key: readFileSync(INTEROP_KEY),
};
export const SCHEME = TLS ? "wss" : "ws";

const peers = new Set();

// Whoever ends this process ends the peers with it.
process.on("exit", () => {
  for (const peer of peers) peer.kill("SIGKILL");
});
process.once("SIGTERM", () => process.exit(143));

/** Fails with `what` if `promise` is not settled in time. */
export async function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`too late: ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The arguments of the next event. */
export function next(emitter, event) {
  return once(emitter, event, { signal: AbortSignal.timeout(PATIENCE) });
}

/** A program of ours that runs. */
export class Peer {
  #lines;

  constructor(...args) {
    this.child = spawn(DUOLOGUE_INTEROP, args, { stdio: ["ignore", "pipe", "inherit"] });
    peers.add(this.child);
    this.#lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
    /** The exit status; null if it was killed. */
    this.exited = once(this.child, "exit").then(([code]) => {
      peers.delete(this.child);
      return code;
    });
  }

  /** The next line it prints. */
  async line() {
    const { value, done } = await soon(this.#lines.next(), "a line of the peer's");
    return done ? `(it ended with status ${await this.exited})` : value;
  }

  async says(line) {
    assert.equal(await this.line(), line);
  }

  /** It says that its connection has failed, and how it closed. */
  async fails(code) {
    assert.match(await this.line(), /^failed ./);
    assert.match(await this.line(), new RegExp(`^closed ${code} `));
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/** A server of ours, and its `url`. */
export async function serve(adapter, ...options) {
  const tls = TLS ? ["--tls-cert", INTEROP_CERT, "--tls-key", INTEROP_KEY] : [];
  const peer = new Peer("echo-server", "--adapter", adapter, ...tls, ...options);
  const line = await peer.line();
  const address = /^listening on (127\.0\.0\.1:\d+)$/.exec(line)?.[1];
  assert.ok(address, line);
  peer.url = `${SCHEME}://${address}/`;
  return peer;
}

/** A client of ours that connects to `port`. */
export function connect(adapter, port, ...options) {
  const tls = TLS ? ["--ca", INTEROP_CERT] : [];
  const url = `${SCHEME}://127.0.0.1:${port}/`;
  return new Peer("echo-client", "--adapter", adapter, "--url", url, ...tls, ...options);
}

/** `promise`, unless the peer ends before. */
export function unlessEnded(peer, promise) {
  const ended = peer.exited.then((code) => assert.fail(`the peer ended with status ${code}`));
  return soon(Promise.race([promise, ended]), "a connection of the peer's");
}

/** Bytes that cannot be compressed, the same for the same seed. */
export function noise(length, seed = 1) {
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
export function prose(length) {
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

/**
 * A frame.  A masked one has the masking key 0, which leaves the payload as it is (RFC 6455 section
 * 5.3).
 */
export function frame(opcode, payload, { fin = true, rsv = 0, masked = false } = {}) {
  const bytes = Buffer.from(payload);
  const mask = masked ? 0x80 : 0;
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  let header;
  if (bytes.length < 126) header = Buffer.from([first, mask | bytes.length]);
  else {
    header = Buffer.from([first, mask | 126, 0, 0]);
    header.writeUInt16BE(bytes.length, 2);
  }
  return Buffer.concat([header, Buffer.alloc(masked ? 4 : 0), bytes]);
}

/** The frames in `bytes`, which hold whole ones. */
export function framesOf(bytes) {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    let [length, header] = [bytes[at + 1] & 0x7f, 2];
    if (length === 126) [length, header] = [bytes.readUInt16BE(at + 2), 4];
    else if (length === 127) [length, header] = [Number(bytes.readBigUInt64BE(at + 2)), 10];
    const masked = (bytes[at + 1] & 0x80) !== 0;
    if (masked) header += 4;
    frames.push({
      fin: (bytes[at] & 0x80) !== 0,
      compressed: (bytes[at] & 0x40) !== 0,
      opcode: bytes[at] & 0x0f,
      masked,
      length,
    });
    at += header + length;
  }
  return frames;
}

/**
 * What breaks the protocol, and the code that says so: RFC 6455 section 7.4.1.  `mask` is what the
 * sender's frames have.
 */
export function violations(mask) {
  const of = (opcode, payload, options) => frame(opcode, payload, { masked: mask, ...options });
  const { continuation, text, binary, close, ping } = OPCODE;
  return {
    "a reserved opcode": [1002, of(3, "")],
    "a reserved bit": [1002, of(text, "x", { rsv: 2 })],
    "a compressed message without the extension": [1002, of(text, "x", { rsv: 4 })],
    "a ping in fragments": [1002, of(ping, "x", { fin: false })],
    "a ping of 126 bytes": [1002, of(ping, Buffer.alloc(126))],
    "a continuation of nothing": [1002, of(continuation, "x")],
    "a message inside another": [1002, of(text, "x", { fin: false }), of(binary, "y")],
    [mask ? "a frame of a client without a mask" : "a frame of a server with a mask"]: [
      1002,
      of(text, "x", { masked: !mask }),
    ],
    "a Close frame of 1 byte": [1002, of(close, [3])],
    "a Close frame with 1005": [1002, of(close, [0x03, 0xed])],
    "a reason that is not UTF-8": [1007, of(close, [0x03, 0xe8, 0xc3, 0x28])],
    "a text that is not UTF-8": [1007, of(text, [0xc3, 0x28])],
    "a text that ends inside a character": [1007, of(text, [0xe4, 0xb8])],
    "a text of a surrogate": [
      1007,
      of(text, [0xed, 0xa0], { fin: false }),
      of(continuation, [0x80]),
    ],
  };
}
