/**
 * Finds the tor of this machine if no setting names it. A unix socket shows by its owner whose it is; a TCP port belongs to
 * the program that listened first, so it is given no key, and an anonymous node does not use it at all.
 */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { RelaymintError } from '../../../core/errors.ts';
import type { HostDialer, ListenOptions, Listener, Transport } from '../contract.ts';
import { assertNotAborted, deadline } from '../../../core/abort.ts';
import { formatEndpoint, type Endpoint } from '../endpoint.ts';
import { openEndpoint } from '../socket.ts';
import { isTorsOwner } from './owner.ts';

/** A tor that may be there. */
export interface TorPlace {
  readonly socks: Endpoint;
  readonly control: Endpoint;
}

/** What is known of a tor that was found. */
export interface FoundTor {
  readonly socks: Endpoint;
  /** May be given keys; undefined if any program may answer. */
  readonly control: Endpoint | undefined;
}

export interface FindOptions {
  /** If true, only sockets that root, this user or tor must have made. */
  readonly anonymous?: boolean;
}

type UnixEndpoint = Endpoint & { readonly kind: 'unix' };

const port = (number: number): Endpoint => ({ kind: 'tcp', host: '127.0.0.1', port: number });
const socket = (path: string): UnixEndpoint => ({ kind: 'unix', path });

/** Our own daemon's place in its data directory. */
export function managedTor(directory: string): { readonly socks: UnixEndpoint; readonly control: UnixEndpoint } {
  return { socks: socket(`${directory}/socks`), control: socket(`${directory}/control`) };
}

/** Debian's service, any tor with the usual ports, and Tor Browser, whose control port is 9151. */
export const USUAL_PLACES: readonly TorPlace[] = [
  { socks: socket('/run/tor/socks'), control: socket('/run/tor/control') },
  { socks: port(9050), control: port(9051) },
  { socks: port(9150), control: port(9151) },
];

const PROBE_MILLIS = 5_000;

/**
 * The first of `places` whose SOCKS port speaks SOCKS (a port that only accepts connections is no tor) and whose sockets, where
 * they are unix ones, belong to root, to us or to tor's user.
 * @throws RelaymintError TOR_NOT_RUNNING, TOR_NOT_TRUSTED with what was found and how to name it, ABORTED.
 */
export async function findTor(
  places: readonly TorPlace[],
  signal: AbortSignal,
  { anonymous = false }: FindOptions = {},
): Promise<TorPlace> {
  const doubtful: string[] = [];
  let unnamed: TorPlace | undefined;
  for (const place of places) {
    const stranger = (await ownedByStranger(place.socks)) ?? (await ownedByStranger(place.control));
    if (stranger !== undefined) {
      doubtful.push(stranger);
    } else if (await speaksSocks(place.socks, signal)) {
      if (!anonymous || place.socks.kind === 'unix') return place;
      doubtful.push(formatEndpoint(place.socks));
      unnamed ??= place;
    }
  }
  assertNotAborted(signal, 'Looking for tor');
  if (doubtful.length > 0) throw notTrusted(doubtful, unnamed);
  throw new RelaymintError('TOR_NOT_RUNNING', 'No tor was found on this machine.', {
    remedy: `Start it with "relaymint tor start" (install it first: apt-get install tor), or give its place with --tor-socks. Looked at ${places.map(({ socks }) => formatEndpoint(socks)).join(', ')}.`,
  });
}

function notTrusted(doubtful: readonly string[], unnamed: TorPlace | undefined): RelaymintError {
  const example = unnamed ?? { socks: port(9050), control: port(9051) };
  const name = `--tor-socks ${formatEndpoint(example.socks)}, and --tor-control ${formatEndpoint(example.control)} for onion services`;
  return new RelaymintError(
    'TOR_NOT_TRUSTED',
    `These may be tor or another program, and no setting names them: ${doubtful.join(', ')}.`,
    { remedy: `If it is your tor, give ${name}. Or run "relaymint tor start".` },
  );
}

/** The place with its owner, if that owner cannot be tor. A symbolic link counts as its target. */
async function ownedByStranger(endpoint: Endpoint): Promise<string | undefined> {
  if (endpoint.kind === 'tcp') return undefined;
  const stats = await stat(endpoint.path).catch(() => undefined);
  if (stats === undefined || (await isTorsOwner(stats.uid))) return undefined;
  return `${formatEndpoint(endpoint)} of user ${stats.uid}`;
}

/** Offers SOCKS 5 with user names, as every dial does, and checks whether it is accepted. */
async function speaksSocks(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  using limit = deadline(PROBE_MILLIS, `The SOCKS port at ${formatEndpoint(endpoint)}`, signal);
  try {
    const connection = await openEndpoint(endpoint, limit.signal);
    try {
      connection.write(Uint8Array.of(5, 1, 2));
      const [answer] = (await once(connection, 'data', { signal: limit.signal })) as [Buffer];
      return answer[0] === 5 && answer[1] === 2;
    } finally {
      connection.destroy();
    }
  } catch {
    return false;
  }
}

type Dialer = Transport & HostDialer & AsyncDisposable;

/**
 * A tor transport for the tor that is found when it is first needed. Until then no socket is opened; if none is found, the next
 * use looks again.
 */
export function createDetectedTor(options: {
  readonly places: readonly TorPlace[];
  readonly anonymous?: boolean;
  /** Makes the transport; also used, without a place being tried, to tell which addresses it reaches. */
  readonly create: (found: FoundTor) => Dialer;
}): Dialer {
  return new DetectedTor(options.places, options.create, options.anonymous ?? false);
}

class DetectedTor implements Dialer {
  readonly name = 'tor';
  readonly handshakeMillis: number;
  readonly #places: readonly TorPlace[];
  readonly #create: (found: FoundTor) => Dialer;
  readonly #anonymous: boolean;
  /** Knows addresses; never connected. */
  readonly #model: Dialer;
  #found: Dialer | undefined;

  constructor(places: readonly TorPlace[], create: (found: FoundTor) => Dialer, anonymous: boolean) {
    this.#places = places;
    this.#create = create;
    this.#anonymous = anonymous;
    this.#model = create({ socks: socket('/nowhere'), control: undefined });
    this.handshakeMillis = this.#model.handshakeMillis ?? 0;
  }

  canDial(address: string): boolean {
    return this.#model.canDial(address);
  }

  reachesHost(host: string): boolean {
    return this.#model.reachesHost(host);
  }

  async dial(address: string, options: { readonly signal: AbortSignal }): Promise<Duplex> {
    return (await this.#torFor(this.canDial(address), options.signal)).dial(address, options);
  }

  async dialHost(
    host: string,
    port: number,
    options: { readonly isolation: string; readonly signal: AbortSignal },
  ): Promise<Duplex> {
    return (await this.#torFor(this.reachesHost(host), options.signal)).dialHost(host, port, options);
  }

  async listen(
    address: string,
    onConnection: (connection: Duplex) => void,
    options: ListenOptions = {},
  ): Promise<Listener> {
    const { signal = new AbortController().signal } = options;
    return (await this.#torFor(this.canDial(address), signal)).listen(address, onConnection, options);
  }

  /** The one that is found, looked for only where it is needed: what Tor does not reach, the model refuses as well. */
  async #torFor(isReached: boolean, signal: AbortSignal): Promise<Dialer> {
    return isReached ? this.#tor(signal) : this.#model;
  }

  async #tor(signal: AbortSignal): Promise<Dialer> {
    if (this.#found === undefined) {
      const { socks, control } = await findTor(this.#places, signal, { anonymous: this.#anonymous });
      // Two dials may have looked at the same time.
      this.#found ??= this.#create({ socks, control: control.kind === 'unix' ? control : undefined });
    }
    return this.#found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model[Symbol.asyncDispose]();
    await this.#found?.[Symbol.asyncDispose]();
  }
}
