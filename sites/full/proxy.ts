/**
 * The proxy of full mode: what browsers are told to ask for names. It opens no connection: TLS ends here, and the gateway answers. It
 * knows names of ours and nothing else, so that it is no way to anywhere for anybody.
 */
import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { deadline, onAbort, orAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import {
  MAX_PROXY_CONNECTIONS,
  MAX_PROXY_HANDSHAKES,
  MAX_PROXY_HEAD_BYTES,
  PROXY_HANDSHAKE_MILLIS,
} from '../../core/limits.ts';
import { isThisMachine } from '../../core/name.ts';
import { silentLog, systemClock, type Clock, type Log } from '../../core/ports.ts';
import { listenAt, type ListenAt } from '../../platform/listen.ts';
import { nameOfTunnel, secureAddressOf } from './asked.ts';
import type { Authority } from './authority.ts';
import { Leaves } from './leaves.ts';
import { PAC_PATH, PAC_TYPE, pacUrlAt, proxyAutoConfig } from './pac.ts';

export interface FullModeOptions extends ListenAt {
  readonly authority: Authority;
  /** Takes a browser's connection to `https://NAME`, decrypted, and answers what is asked on it. */
  readonly accept: (connection: TLSSocket, name: string) => void;
  /** By which certificates of names end. Default: the machine's, as browsers'. */
  readonly clock?: Clock;
  /** How long a browser may take for each step until TLS stands. Default PROXY_HANDSHAKE_MILLIS. */
  readonly handshakeMillis?: number;
  readonly log?: Log;
}

/** Disposing it ends the connections through it. */
export interface FullMode extends AsyncDisposable {
  readonly port: number;
  /** For the browser's setting "automatic proxy configuration". */
  readonly pacUrl: string;
}

const REFUSED = 'This proxy is for the names of Relaymint on this machine, and leads nowhere else.\n';
const BUSY = 'Too many connections are being set up.\n';

/** @throws RelaymintError as `listenAt`. */
export async function openFullMode(options: FullModeOptions): Promise<FullMode> {
  const proxy = new ProxyServer(options);
  const port = await proxy.listen();
  return {
    port,
    pacUrl: pacUrlAt({ address: options.address, port }),
    [Symbol.asyncDispose]: () => proxy.close(),
  };
}

class ProxyServer {
  readonly #options: FullModeOptions;
  readonly #log: Log;
  readonly #millis: number;
  readonly #leaves: Leaves;
  readonly #server: Server;
  readonly #closing = new AbortController();
  /** Through which names are asked for, those under way included. */
  readonly #tunnels = new Set<Duplex>();
  /** On which a request was answered: what follows on them is nothing that a browser sends. */
  readonly #answered = new WeakSet<Duplex>();
  #handshakes = 0;
  #pac = '';

  constructor(options: FullModeOptions) {
    const { authority, clock = systemClock, log = silentLog, handshakeMillis = PROXY_HANDSHAKE_MILLIS } = options;
    this.#options = options;
    // One for each handshake.
    setMaxListeners(MAX_PROXY_HANDSHAKES + 1, this.#closing.signal);
    this.#log = log;
    this.#millis = handshakeMillis;
    this.#leaves = new Leaves(authority, clock);
    this.#server = createServer(
      {
        maxHeaderSize: MAX_PROXY_HEAD_BYTES,
        headersTimeout: handshakeMillis,
        requestTimeout: handshakeMillis,
        connectionsCheckingInterval: Math.ceil(handshakeMillis / 10),
      },
      (request, response) => this.#answer(request, response),
    );
    this.#server.maxConnections = MAX_PROXY_CONNECTIONS;
    this.#server.on('connect', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
      void this.#tunnel(request, connection, head);
    });
  }

  async listen(): Promise<number> {
    const port = await listenAt(this.#server, this.#options, 'the proxy of full mode');
    this.#server.on('error', (error) => this.#log.error({ err: error }, 'The proxy of full mode failed.'));
    this.#pac = proxyAutoConfig({ address: this.#options.address, port });
    return port;
  }

  async close(): Promise<void> {
    this.#closing.abort(new RelaymintError('CLOSED', 'The proxy of full mode is stopping.'));
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    for (const tunnel of this.#tunnels) tunnel.destroy();
    await closed;
  }

  /** A request that opens no tunnel. Each has a connection of its own. */
  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = '', headers, socket } = request;
    if (this.#answered.has(socket)) {
      socket.destroy();
      return;
    }
    this.#answered.add(socket);
    response.setHeader('Connection', 'close');
    request.resume();
    const isReading = method === 'GET' || method === 'HEAD';
    const secure = isReading ? secureAddressOf(url) : undefined;
    if (secure !== undefined) {
      // Not for ever: without full mode the name is elsewhere.
      response.writeHead(302, { Location: secure, 'Cache-Control': 'no-store' }).end();
    } else if (!url.startsWith('/')) {
      say(response, 403, REFUSED);
    } else if (!isThisMachine(headers.host)) {
      say(response, 421, 'This proxy does not serve that host name.\n');
    } else if (!isReading || url !== PAC_PATH) {
      say(response, 404, `There is only ${PAC_PATH} here, for browsers.\n`);
    } else if (!isForBrowser(request)) {
      say(response, 403, 'This is for browsers, and no page may read it.\n');
    } else {
      response
        .writeHead(200, {
          'Content-Type': PAC_TYPE,
          'Content-Length': this.#pac.length,
          'Cache-Control': 'no-store',
          'X-Content-Type-Options': 'nosniff',
          'Cross-Origin-Resource-Policy': 'same-origin',
        })
        .end(this.#pac);
    }
  }

  async #tunnel({ url = '', httpVersionMajor }: IncomingMessage, connection: Duplex, head: Buffer): Promise<void> {
    // A browser that leaves is no fault of anybody.
    connection.on('error', () => undefined);
    if (this.#answered.has(connection)) {
      connection.destroy();
      return;
    }
    const name = httpVersionMajor === 1 ? nameOfTunnel(url) : undefined;
    if (name === undefined) return this.#refuse(connection, '403 Forbidden', REFUSED);
    if (this.#handshakes >= MAX_PROXY_HANDSHAKES) return this.#refuse(connection, '503 Service Unavailable', BUSY);
    this.#handshakes += 1;
    this.#tunnels.add(connection);
    connection.once('close', () => this.#tunnels.delete(connection));
    try {
      connection.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) connection.unshift(head);
      const secure = await this.#secured(connection, name);
      this.#options.accept(secure, name);
    } catch (error) {
      connection.destroy();
      this.#log.debug({ name, err: error }, 'A browser and the proxy of full mode agreed on no keys.');
    } finally {
      this.#handshakes -= 1;
    }
  }

  /** @throws RelaymintError INVALID_ARGUMENT (it means another host), CONNECTION_LOST, TIMEOUT, CLOSED. */
  async #secured(connection: Duplex, name: string): Promise<TLSSocket> {
    const context = this.#leaves.contextOf(name);
    const isMeant = (host: unknown): boolean => typeof host === 'string' && host.toLowerCase() === name;
    const socket = new TLSSocket(connection, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: ['http/1.1'],
      SNICallback: (host, done) => {
        if (isMeant(host)) done(null, context);
        else done(astray(name));
      },
    });
    using limit = deadline(this.#millis, 'The TLS handshake', this.#closing.signal);
    using _cut = onAbort(limit.signal, () => socket.destroy());
    const ready = new Promise<void>((resolve, reject) => {
      // They stay: after the promise has settled they change nothing, and no 'error' is ever unhandled.
      socket.on('error', (cause) => reject(lost(cause)));
      socket.on('close', () => reject(lost()));
      socket.once('secure', () => resolve());
    });
    await orAborted(ready, limit.signal, 'The TLS handshake');
    // Asked again: SNICallback is not called when a session is resumed, or when no host is named.
    if (isMeant(socket.servername)) return socket;
    socket.destroy();
    throw astray(name);
  }

  #refuse(connection: Duplex, status: string, text: string): void {
    connection.end(
      `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
      () => connection.destroy(),
    );
  }
}

/** Pages would learn from it that Relaymint is here. Browsers' own requests say nothing, or that nobody made them. */
function isForBrowser({ headers }: IncomingMessage): boolean {
  return ['none', undefined].includes(headers['sec-fetch-site']?.toString());
}

function say(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, {
      'Content-Type': 'text/plain',
      'Content-Length': text.length,
      'X-Content-Type-Options': 'nosniff',
    })
    .end(text);
}

function astray(name: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `The TLS handshake was for another host than ${name}.`);
}

function lost(cause?: Error): RelaymintError {
  return new RelaymintError(
    'CONNECTION_LOST',
    'The TLS handshake failed: the browser left, or does not trust the certificate.',
    {
      remedy: 'Have it trust the authority: "relaymint ca show" says how.',
      cause,
    },
  );
}
