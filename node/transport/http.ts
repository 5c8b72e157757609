/** HTTP over connections that the policy opens: agents for node:http and a `fetch` on top of them. */
import { Agent as HttpAgent, request as httpRequest, type ClientRequestArgs, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable, type Duplex } from 'node:stream';
import { connect as startTls } from 'node:tls';
import { RelaymintError } from '../../core/errors.ts';

/** Opens a plain connection; the policy's own, with a purpose already named. */
export type Connect = (host: string, port: number) => Promise<Duplex>;

type Created = (error: Error | null, connection?: Duplex) => void;

/** Statuses whose response has no body; the Response constructor insists. */
const BODILESS: readonly number[] = [204, 205, 304];

export class PolicyHttpAgent extends HttpAgent {
  readonly #connect: Connect;

  constructor(connect: Connect) {
    super({ keepAlive: true });
    this.#connect = connect;
  }

  override createConnection(options: ClientRequestArgs, created: Created): undefined {
    this.#connect(hostOf(options), portOf(options, 80)).then(
      (connection) => created(null, endWithPeer(connection)),
      created,
    );
  }
}

export class PolicyHttpsAgent extends HttpsAgent {
  readonly #connect: Connect;

  constructor(connect: Connect) {
    super({ keepAlive: true });
    this.#connect = connect;
  }

  override createConnection(options: ClientRequestArgs, created: Created): undefined {
    const host = hostOf(options);
    this.#connect(host, portOf(options, 443)).then(
      (connection) => secure(endWithPeer(connection), host, created),
      created,
    );
  }
}

function secure(socket: Duplex, host: string, created: Created): void {
  const secured = startTls({ socket, servername: host, ALPNProtocols: ['http/1.1'] });
  secured.once('error', created);
  secured.once('secureConnect', () => {
    secured.off('error', created);
    created(null, secured);
  });
}

/**
 * HTTP has no use for half-open connections, and a pooled one whose server has left must not look alive: the next request
 * on it would wait for ever.
 */
function endWithPeer(connection: Duplex): Duplex {
  connection.allowHalfOpen = false;
  connection.once('end', () => connection.destroy());
  return connection;
}

/** The agents of one purpose. */
export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

/**
 * A `fetch` for http and https URLs. Redirects are answered as they come (a redirect names a new destination, which the
 * caller must ask for itself). Bodies: text, bytes, URLSearchParams or none.
 */
export function fetchOver(agents: Agents): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, { ...init, redirect: 'manual' });
    const url = new URL(request.url);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new RelaymintError('ADDRESS_UNSUPPORTED', `Cannot fetch ${url.protocol} addresses.`, {
        remedy: 'Use http or https.',
      });
    }
    const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
    // The caller's own signal: the Request's copy of it dies with the Request object.
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
    const agent = url.protocol === 'http:' ? agents.http : agents.https;
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = send(url, {
        agent,
        method: request.method,
        headers: Object.fromEntries(request.headers),
        ...(signal === undefined || signal === null ? {} : { signal }),
      });
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end(body);
    });
    return responseOf(message);
  };
}

function responseOf(message: IncomingMessage): Response {
  const headers = new Headers();
  for (let i = 0; i + 1 < message.rawHeaders.length; i += 2) {
    headers.append(message.rawHeaders[i] ?? '', message.rawHeaders[i + 1] ?? '');
  }
  const status = message.statusCode ?? 502;
  const empty = BODILESS.includes(status);
  if (empty) message.resume();
  const body = empty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>);
  return new Response(body, { status, statusText: message.statusMessage ?? '', headers });
}

function hostOf(options: ClientRequestArgs): string {
  const host = options.hostname ?? options.host ?? 'localhost';
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function portOf(options: ClientRequestArgs, standard: number): number {
  const port = Number(options.port ?? standard);
  return port === 0 ? standard : port;
}
