/** HTTP and WebSocket on one port. Requests of a browser page of another origin are refused: this is not a public service. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { RelaymintError } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import type { Chain } from './chain.ts';
import { dispatch } from './rpc/dispatch.ts';
import type { Subscriptions } from './subscriptions.ts';
import { hasErrno } from '../../../platform/errno.ts';

/** A batch of the longest transactions fits; clusters take 50 KB. */
const MAX_BODY_BYTES = 128 * 1024;
const MAX_WEBSOCKET_MESSAGE_BYTES = 16 * 1024;
/** Enough for every process of a large local network with a handful each. */
const MAX_CONNECTIONS = 1024;
const REQUEST_MILLIS = 30_000;
/** Longer than clients keep an idle connection: we must not close it just as the next request leaves. */
const KEEP_ALIVE_MILLIS = 75_000;

export class RpcServer {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #chain: Chain;
  readonly #subscriptions: Subscriptions;
  readonly #host: string;
  readonly #log: Log;

  constructor(chain: Chain, subscriptions: Subscriptions, host: string, log: Log) {
    this.#chain = chain;
    this.#subscriptions = subscriptions;
    this.#host = host;
    this.#log = log;
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: MAX_WEBSOCKET_MESSAGE_BYTES,
      perMessageDeflate: false,
    });
    this.#server = createServer(
      { requestTimeout: REQUEST_MILLIS, keepAliveTimeout: KEEP_ALIVE_MILLIS },
      (request, response) => {
        void this.#onRequest(request, response).catch((error: unknown) => {
          this.#log.debug({ err: error }, 'a request to the embedded ledger was cut off');
          response.destroy();
        });
      },
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#server.on('clientError', (_error, socket: Socket) => socket.destroy());
  }

  /** Resolves with the port. @throws RelaymintError ADDRESS_IN_USE; INVALID_CONFIG when it cannot be had otherwise. */
  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        reject(
          new RelaymintError(
            hasErrno(cause, 'EADDRINUSE') ? 'ADDRESS_IN_USE' : 'INVALID_CONFIG',
            `The ledger cannot listen on ${this.#host} port ${port}: ${cause.message}.`,
            {
              remedy: 'Choose another port, or 0 for any free one.',
              cause,
            },
          ),
        );
      });
      this.#server.listen(port, this.#host, resolve);
    });
    this.#server.on('error', (error) => this.#log.error({ err: error }, 'the embedded ledger cannot take connections'));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets answers under way go out, then hangs up. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    this.#sockets.close();
    for (const socket of this.#sockets.clients) socket.terminate();
    const patience = setTimeout(() => this.#server.closeAllConnections(), 1000);
    await closed;
    clearTimeout(patience);
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#isForUs(request)) return refuse(response, 403, 'Forbidden: unknown Host.');
    if (request.method === 'GET' && request.url === '/health') return plain(response, 200, 'ok');
    if (request.method !== 'POST') return refuse(response, 405, 'Send JSON-RPC requests with POST.');
    // A page of another origin cannot send this type without asking first, and asking is never granted.
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
      return refuse(response, 415, 'The content type must be application/json.');
    }
    const body = await readBody(request);
    if (body === undefined) return refuse(response, 413, `A request has at most ${MAX_BODY_BYTES} bytes.`);
    const answer = await dispatch(this.#chain, body, this.#log);
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
    response.end(answer ?? '');
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    // Only browsers send an Origin, and WebSockets know no CORS.
    if (!this.#isForUs(request) || request.headers.origin !== undefined) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#subscriptions.attach(client));
  }

  /** Against DNS rebinding: refuses names that somebody else points to this machine. */
  #isForUs(request: IncomingMessage): boolean {
    const host = request.headers.host ?? '';
    const name = host
      .replace(/:\d*$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase();
    // No resolver leads a browser here by an onion or I2P name (RFC 7686): a client that uses one came through that network.
    const hidden = /\.(?:onion|i2p)$/.test(name);
    return hidden || name === 'localhost' || name === this.#host.toLowerCase() || isIP(name) !== 0;
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text);
}

/** The body may still be on its way: nobody reads it. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response.setHeader('connection', 'close');
  plain(response, status, text);
}
