/**
 * Fetches of what strangers name. Whoever names an address must not learn what is in our network, nor have us act there. So: https to names only, whose
 * addresses are all public; the address that was checked is the one that is connected, and it is looked at again then; the certificate is
 * checked whatever the environment says; no redirect is followed, nothing of ours is sent along, and the answer is short and soon.
 */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as startTls, type TLSSocket } from 'node:tls';
import { deadline, onAbort, orAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_STRANGERS_BYTES, STRANGERS_LOOK_UPS_AT_ONCE, STRANGERS_MILLIS } from '../../core/limits.ts';
import { isHiddenHost, isLoopback } from './address.ts';
import type { Policy, Purpose } from './policy.ts';
import { isPublicIp } from './reach.ts';

export interface StrangersOptions {
  readonly policy: Pick<Policy, 'anonymize' | 'resolve' | 'connect'>;
  readonly purpose: Purpose;
  /** Certificates of authorities, PEM, instead of those that this machine trusts. */
  readonly authorities?: readonly string[] | undefined;
}

export interface StrangersRequest {
  readonly method: 'GET' | 'POST';
  /** All that is sent besides the host. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** The whole answer, of any status: a redirect is an answer too. */
export interface StrangersAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** @throws RelaymintError POLICY_REFUSED (nothing was sent there), LIMIT_EXCEEDED (it is too long), TIMEOUT, CONNECTION_REFUSED, CONNECTION_LOST. */
export type StrangersFetch = (url: URL, request: StrangersRequest) => Promise<StrangersAnswer>;

/** For addresses that strangers name, out in the public. */
export function fetchFromStrangers(options: StrangersOptions): StrangersFetch {
  const lookUp = boundedLookUp(options.policy.resolve);
  return async (url, request) => {
    const host = hostOf(url);
    if (url.protocol !== 'https:') throw refusal(url, 'it is not https');
    if (isIP(host) !== 0) throw refusal(url, 'it has no name');
    if (isLoopback(host)) throw refusal(url, 'it is this machine');
    using limit = deadline(STRANGERS_MILLIS, `Asking ${url.host}`);
    const opened = await connected(url, options, lookUp, limit.signal);
    const socket = await secured(opened, host, options, limit.signal);
    return await exchange(httpsRequest, socket, url, request, limit.signal);
  };
}

/** For addresses on this machine, over http. Only for who is asked by this machine alone: to anybody else it would show what runs here. */
export function fetchFromThisMachine({
  policy,
  purpose,
}: Pick<StrangersOptions, 'policy' | 'purpose'>): StrangersFetch {
  return async (url, request) => {
    const host = hostOf(url);
    if (url.protocol !== 'http:' || !isLoopback(host)) throw refusal(url, 'it is not this machine');
    using limit = deadline(STRANGERS_MILLIS, `Asking ${url.host}`);
    const socket = await policy.connect(purpose, { host, port: portOf(url) }, limit);
    return await exchange(httpRequest, socket, url, request, limit.signal);
  };
}

type LookUp = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/** An anonymous node, and what only Tor or I2P reaches, goes by name: whoever connects there looks it up, elsewhere. */
async function connected(
  url: URL,
  { policy, purpose }: StrangersOptions,
  lookUp: LookUp | undefined,
  signal: AbortSignal,
): Promise<Duplex> {
  const [host, port] = [hostOf(url), portOf(url)];
  if (policy.anonymize || isHiddenHost(host)) return await policy.connect(purpose, { host, port }, { signal });
  if (lookUp === undefined) throw refusal(url, 'this node looks no names up');
  const found = await lookUp(host, signal);
  const [address] = found;
  // A name with one private address is not public: its owner must not choose which address is connected.
  if (address === undefined || !found.every(isPublicIp)) throw refusal(url, 'it is not in the public internet');
  const socket = await policy.connect(purpose, { host: address, port }, { signal });
  if ('remoteAddress' in socket && typeof socket.remoteAddress === 'string' && isPublicIp(socket.remoteAddress))
    return socket;
  socket.destroy();
  throw refusal(url, 'it is not in the public internet');
}

/** The system's resolver works in a few threads that files need too: names that are answered slowly must not take them all. */
function boundedLookUp(resolve: Policy['resolve']): LookUp | undefined {
  if (resolve === undefined) return undefined;
  const turns: Promise<unknown>[] = Array.from({ length: STRANGERS_LOOK_UPS_AT_ONCE }, () => Promise.resolve());
  let next = 0;
  return async (host, signal) => {
    const lane = (next += 1) % turns.length;
    const mine = (turns[lane] ?? Promise.resolve()).then(() => (signal.aborted ? [] : resolve(host)));
    turns[lane] = mine.catch(() => undefined);
    return await orAborted(mine, signal, `Looking up ${host}`);
  };
}

/** @throws RelaymintError CONNECTION_REFUSED: the certificate is not that host's. */
async function secured(
  socket: Duplex,
  host: string,
  { authorities }: StrangersOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const tls = startTls({
    socket,
    servername: host,
    ALPNProtocols: ['http/1.1'],
    // Said, because the environment may say otherwise.
    rejectUnauthorized: true,
    ...(authorities !== undefined && { ca: [...authorities] }),
  });
  const done = new Promise<void>((resolve, reject) => {
    tls.once('secureConnect', resolve);
    // Stays on: an error nobody watches must not end the process.
    tls.on('error', (cause) =>
      reject(
        new RelaymintError('CONNECTION_REFUSED', `${host} does not prove to be it (${cause.message}).`, { cause }),
      ),
    );
    tls.once('close', () => reject(new RelaymintError('CONNECTION_LOST', `${host} hung up.`)));
  });
  try {
    await orAborted(done, signal, `Connecting to ${host}`);
    return tls;
  } catch (error) {
    tls.destroy();
    socket.destroy();
    throw error;
  }
}

/** One request over a connection, which ends with it. */
async function exchange(
  send: (url: URL, options: RequestOptions) => ReturnType<typeof httpRequest>,
  socket: Duplex,
  url: URL,
  { method, headers, body }: StrangersRequest,
  signal: AbortSignal,
): Promise<StrangersAnswer> {
  using _cut = onAbort(signal, () => socket.destroy());
  try {
    return await orAborted(answered(send, socket, url, { method, headers, body }), signal, `Asking ${url.host}`);
  } finally {
    socket.destroy();
  }
}

async function answered(
  send: (url: URL, options: RequestOptions) => ReturnType<typeof httpRequest>,
  socket: Duplex,
  url: URL,
  { method, headers, body }: StrangersRequest,
): Promise<StrangersAnswer> {
  try {
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = send(url, { method, headers: { ...headers, Host: url.host }, createConnection: () => socket });
      outgoing.once('response', resolve);
      outgoing.on('error', reject);
      outgoing.end(body);
    });
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of message as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > MAX_STRANGERS_BYTES) {
        throw new RelaymintError('LIMIT_EXCEEDED', `${url.host} answered with more than ${MAX_STRANGERS_BYTES} bytes.`);
      }
      chunks.push(chunk);
    }
    return { status: message.statusCode ?? 0, headers: headersOf(message), body: Buffer.concat(chunks) };
  } catch (cause) {
    if (cause instanceof RelaymintError) throw cause;
    throw new RelaymintError('CONNECTION_LOST', `${url.host} gave no answer.`, { cause });
  }
}

function headersOf({ rawHeaders }: IncomingMessage): StrangersAnswer['headers'] {
  return rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ''] as const] : []));
}

/** @throws RelaymintError POLICY_REFUSED: something of a password is in it. */
function hostOf(url: URL): string {
  if (url.username !== '' || url.password !== '') throw refusal(url, 'it says who asks');
  const { hostname } = url;
  return hostname.replace(/^\[|\]$/g, '');
}

function portOf({ protocol, port }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function refusal(url: URL, why: string): RelaymintError {
  return new RelaymintError('POLICY_REFUSED', `${url.host} is not asked: ${why}.`, {
    remedy: 'Use https at a name of the public internet.',
  });
}
