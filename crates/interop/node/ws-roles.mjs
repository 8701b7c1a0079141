// The package ws as the other end of our peers, in either role.
import assert from "node:assert/strict";
import { on, once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { WebSocket, WebSocketServer } from "ws";
import { PATIENCE, TLS, connect, framesOf, next, serve, unlessEnded } from "./peers.mjs";

/** How long one connection may take in all, in milliseconds. */
const CONNECTION_TIMEOUT = 60_000;

/** What stands between ws and one peer of ours. */
export class Connection {
  #messages;
  #bytes = [];

  /** `socket` is that of ws, `tcp` what it reads, before anything has come behind the handshake. */
  constructor(socket, tcp) {
    this.socket = socket;
    this.tcp = tcp;
    const signal = AbortSignal.timeout(CONNECTION_TIMEOUT);
    this.#messages = on(socket, "message", { close: ["close"], signal });
    tcp.on("data", (bytes) => this.#bytes.push(bytes));
    this.closed = once(socket, "close").then(([code, reason]) => [code, reason.toString()]);
    // A peer that breaks TCP off is an error to ws, besides the end of the connection.
    socket.on("error", () => {});
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
    return framesOf(bytes);
  }

  async close() {
    this.socket.close(1000, "done");
    const [code] = await next(this.socket, "close");
    assert.equal(code, 1000);
  }
}

/** A connection of ws to a server, and the extensions of the response. */
export async function connectWs(url, protocols, perMessageDeflate) {
  const socket = new WebSocket(url, protocols, { perMessageDeflate, ca: TLS?.cert });
  const [response] = await next(socket, "upgrade");
  // ws reads on in the same turn in which it tells of the response, and gives out messages later.
  const connection = new Connection(socket, response.socket);
  return { connection, agreed: response.headers["sec-websocket-extensions"] ?? "" };
}

/**
 * How to open a connection, by our role: with the options of our peer; whether ws compresses, and
 * how; and its subprotocols.  `ended` waits for the end of our peer.
 */
export const ROLES = {
  async server(adapter, options, perMessageDeflate = false, protocols = []) {
    const peer = await serve(adapter, ...options);
    const { connection, agreed } = await connectWs(peer.url, protocols, perMessageDeflate);
    return { peer, connection, agreed, ended: () => peer.kill() };
  },

  async client(adapter, options, perMessageDeflate = false, protocols = []) {
    const http = TLS ? createHttpsServer(TLS) : createHttpServer();
    const server = new WebSocketServer({
      server: http,
      perMessageDeflate,
      handleProtocols: (offered) => protocols.find((name) => offered.has(name)) ?? false,
    });
    http.listen(0, "127.0.0.1");
    await once(http, "listening", { signal: AbortSignal.timeout(PATIENCE) });
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
    const peer = connect(adapter, http.address().port, ...options);
    try {
      const connection = await unlessEnded(peer, connected);
      const ended = async () => {
        http.close();
        return peer.exited;
      };
      return { peer, connection, agreed, ended };
    } catch (error) {
      http.close();
      throw error;
    }
  },
};
