/**
 * Links over I2P, and connections to hosts in it. One SAM session for each destination carries streams both ways; it is made
 * when it is first needed and again when the router comes back.
 */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import type { Log } from '../../../core/ports.ts';
import { MIB } from '../../../core/units.ts';
import { assertNotAborted, deadline, elapsed, following, onAbort, orAborted } from '../../../core/abort.ts';
import { backoff, type Backoff } from '../../../core/backoff.ts';
import { garlicMultiaddr, parseAddress, unsupported } from '../address.ts';
import type { HostDialer, ListenOptions, Listener, OnConnection, Transport } from '../contract.ts';
import type { Endpoint } from '../endpoint.ts';
import { greeted, halfClosing } from '../halfclose.ts';
import { garlicOfText, transientDestination, type I2pDestination } from './destination.ts';
import { SAM_MILLIS, acceptStream, connectStream, createSession, type SamSession, type SessionOptions } from './sam.ts';

/** Hops of each tunnel and how many there are: fewer and shorter is faster, more and longer hides better. */
export interface I2pTunnels {
  readonly inboundLength: number;
  readonly outboundLength: number;
  readonly inboundQuantity: number;
  readonly outboundQuantity: number;
}

/** The routers' own lengths. More inbound tunnels than their 5 find a working one sooner. */
export const DEFAULT_TUNNELS: I2pTunnels = {
  inboundLength: 3,
  outboundLength: 3,
  inboundQuantity: 5,
  outboundQuantity: 5,
};

export interface I2pTransportOptions {
  readonly sam: Endpoint;
  /**
   * The first dials peers; each may be listened on. The caller disposes them, after the transport. Default: one that is made
   * when a peer is dialled and forgotten with the transport.
   */
  readonly destinations?: readonly I2pDestination[];
  readonly tunnels?: Partial<I2pTunnels>;
  readonly log: Log;
}

/** Dispose it to end its sessions, and every stream in them. */
export interface I2pTransport extends Transport, HostDialer, AsyncDisposable {}

const FORMS = '/garlic32/HASH with the 52 characters before .b32.i2p';
/** Until a session has tunnels, and until a lease set is found. */
const HANDSHAKE_MILLIS = 180_000;
/**
 * Bytes of a link under way each way. Routers take whatever they are given and keep it in memory until it is read, so
 * that only the two ends can push back: above what I2P carries in a second.
 */
const WINDOW_BYTES = 4 * MIB;
/** Attempts to reach ourselves or a peer while tunnels are still being built are this far apart, milliseconds. */
const RETRY_MILLIS = 500;
/**
 * A listener takes one stream at a time from its router, which drops now and then (about one of a thousand) the one that comes
 * in between: a stream that ended before anybody greeted is asked for again.
 */
const DIAL_ATTEMPTS = 4;
const DIAL_PAUSE_MILLIS = 100;
/** An attempt to reach ourselves gets no answer for this long: the next one. */
const PROBE_MILLIS = 10_000;
/** What the destination that dials peers is kept under. */
const PEERS = 'peers';
/** No name on the network is longer. */
const MAX_NAME_CHARACTERS = 255;
/** Destinations that are made as they are needed: each takes tunnels of its router. */
const MAX_TRANSIENT = 16;
const RECONNECTS: Backoff = { first: 500, last: 15_000 };

const TUNNEL_NAMES: Readonly<Record<string, keyof I2pTunnels>> = {
  'inbound.length': 'inboundLength',
  'outbound.length': 'outboundLength',
  'inbound.quantity': 'inboundQuantity',
  'outbound.quantity': 'outboundQuantity',
};
/** What routers build at most. */
const MAX_TUNNEL_HOPS = 7;
const MAX_TUNNELS = 16;

/** Reads `inbound.length=2,outbound.quantity=4`, in I2P's own words. @throws RelaymintError INVALID_ARGUMENT. */
export function parseTunnels(text: string): Partial<I2pTunnels> {
  const tunnels: { -readonly [K in keyof I2pTunnels]?: number } = {};
  for (const part of text.split(',')) {
    const [, name = '', digits = ''] = /^\s*([a-z.]+)=(\d{1,2})\s*$/.exec(part) ?? [];
    const key = TUNNEL_NAMES[name];
    const value = Number(digits);
    const [least, most] = name.endsWith('quantity') ? [1, MAX_TUNNELS] : [0, MAX_TUNNEL_HOPS];
    if (key === undefined || digits === '' || value < least || value > most) {
      throw new RelaymintError('INVALID_ARGUMENT', `"${part.slice(0, 80)}" is not a tunnel setting.`, {
        remedy: `Write inbound.length or outbound.length (0 to ${MAX_TUNNEL_HOPS}), inbound.quantity or outbound.quantity (1 to ${MAX_TUNNELS}): inbound.length=2,inbound.quantity=4.`,
      });
    }
    tunnels[key] = value;
  }
  return tunnels;
}

export function createI2pTransport(options: I2pTransportOptions): I2pTransport {
  return new GarlicTransport(options);
}

class GarlicTransport implements I2pTransport {
  readonly name = 'i2p';
  readonly handshakeMillis = HANDSHAKE_MILLIS;
  readonly #options: I2pTransportOptions;
  readonly #houses: ReadonlyMap<string, House>;
  /** By use: peers are dialled from `PEERS` if we have no destination, hosts from one for each isolation. */
  readonly #transient = new Map<string, Promise<House>>();
  readonly #closing = new AbortController();

  constructor(options: I2pTransportOptions) {
    this.#options = options;
    this.#houses = new Map((options.destinations ?? []).map((own) => [own.garlic, new House(own, options)]));
  }

  canDial(address: string): boolean {
    return parseAddress(address)?.kind === 'garlic';
  }

  async dial(address: string, { signal }: { readonly signal: AbortSignal }): Promise<Duplex> {
    const garlic = garlicAt(address);
    using limit = deadline(HANDSHAKE_MILLIS, `Connecting to ${garlic}.b32.i2p`, signal);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const stream = await this.#connect(this.#peerHouse(), `${garlic}.b32.i2p`, limit.signal);
        return await greeted(stream, limit.signal, WINDOW_BYTES);
      } catch (error) {
        if (attempt === DIAL_ATTEMPTS || !isRelaymintError(error, 'CONNECTION_REFUSED')) throw error;
      }
      await elapsed(DIAL_PAUSE_MILLIS, limit.signal);
    }
  }

  reachesHost(host: string): boolean {
    return host.length <= MAX_NAME_CHARACTERS && /^[a-z0-9.-]+\.i2p$/i.test(host);
  }

  /**
   * From a separate destination for each isolation text, so that the host does not learn who we are to our peers.
   * @throws RelaymintError as `HostDialer.dialHost`, and LIMIT_EXCEEDED for the seventeenth such text.
   */
  async dialHost(
    host: string,
    port: number,
    { isolation, signal }: { readonly isolation: string; readonly signal: AbortSignal },
  ): Promise<Duplex> {
    if (!this.reachesHost(host)) throw unsupported(host, 'a name that ends in .i2p');
    using limit = deadline(HANDSHAKE_MILLIS, `Connecting to ${host} port ${port} through I2P`, signal);
    // Awaited here: the limit is over once this returns.
    return await this.#connect(this.#transientHouse(`host ${isolation}`), host.toLowerCase(), limit.signal);
  }

  async listen(
    address: string,
    onConnection: OnConnection,
    { signal = new AbortController().signal }: ListenOptions = {},
  ): Promise<Listener> {
    const garlic = garlicAt(address);
    assertNotAborted(signal, `Listening on ${address}`);
    const house = this.#houses.get(garlic);
    if (house === undefined) throw refusal(address, 'its key is not ours');
    await house.open(onConnection, signal);
    return { addresses: [garlicMultiaddr(garlic)], close: async () => house.close() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new RelaymintError('CLOSED', 'This node is shutting down.'));
    for (const house of this.#houses.values()) house.dispose();
    for (const making of this.#transient.values()) (await making.catch(() => undefined))?.dispose();
  }

  #peerHouse(): House | Promise<House> {
    const [first] = this.#houses.values();
    return first ?? this.#transientHouse(PEERS);
  }

  /** One attempt serves all callers that wait for it, whichever of them gives up. */
  async #transientHouse(purpose: string): Promise<House> {
    const known = this.#transient.get(purpose);
    if (known !== undefined) return known;
    if (this.#transient.size >= MAX_TRANSIENT) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'Too many I2P hosts must be kept apart from each other.', {
        remedy: 'Use fewer, or restart the node.',
      });
    }
    const opening = this.#makeHouse().catch((error: unknown) => {
      this.#transient.delete(purpose);
      throw error;
    });
    this.#transient.set(purpose, opening);
    return opening;
  }

  async #makeHouse(): Promise<House> {
    using limit = deadline(SAM_MILLIS, 'Making an I2P destination', this.#closing.signal);
    return new House(await transientDestination(this.#options.sam, limit.signal), this.#options, true);
  }

  async #connect(from: House | Promise<House>, host: string, signal: AbortSignal): Promise<Duplex> {
    const house = await orAborted(Promise.resolve(from), signal, 'Making an I2P destination');
    const session = await house.session(signal);
    return connectStream(this.#options.sam, session.id, host, signal);
  }
}

/** One destination of ours: its session, and the listener for its streams. */
class House {
  readonly #destination: I2pDestination;
  readonly #options: I2pTransportOptions;
  /** The destination is nobody else's to dispose. */
  readonly #owns: boolean;
  readonly #closing = new AbortController();
  #onConnection: OnConnection | undefined;
  #opening: Promise<SamSession> | undefined;
  /** Streams that we send to ourselves until one arrives are nobody else's business. */
  #probing = false;

  constructor(destination: I2pDestination, options: I2pTransportOptions, owns = false) {
    this.#destination = destination;
    this.#options = options;
    this.#owns = owns;
  }

  async open(onConnection: OnConnection, signal: AbortSignal): Promise<void> {
    if (this.#onConnection !== undefined) {
      throw refusal(garlicMultiaddr(this.#destination.garlic), 'this node already listens on it', 'ADDRESS_IN_USE');
    }
    this.#onConnection = onConnection;
    try {
      await this.session(signal);
    } catch (error) {
      this.#onConnection = undefined;
      throw error;
    }
  }

  /** The session stays for its open streams; new callers are refused from now on. */
  close(): void {
    this.#onConnection = undefined;
  }

  dispose(): void {
    this.#onConnection = undefined;
    this.#closing.abort(new RelaymintError('CLOSED', 'This node is shutting down.'));
    if (this.#owns) this.#destination[Symbol.dispose]();
  }

  /** The session, once it is ready for streams. One attempt serves all callers. */
  async session(signal: AbortSignal): Promise<SamSession> {
    this.#opening ??= this.#establish().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return orAborted(this.#opening, signal, 'Building I2P tunnels');
  }

  async #establish(): Promise<SamSession> {
    const { sam, tunnels } = this.#options;
    using limit = deadline(HANDSHAKE_MILLIS, 'Building I2P tunnels', this.#closing.signal);
    using answer = deadline(SAM_MILLIS, 'Opening an I2P session', limit.signal);
    const session = await createSession(
      sam,
      {
        id: `relaymint-${randomBytes(8).toString('hex')}`,
        privateKey: this.#destination.privateKey,
        options: samOptions({ ...DEFAULT_TUNNELS, ...tunnels }),
      },
      answer.signal,
    );
    const ending = onAbort(this.#closing.signal, () => session.close());
    void session.closed.then(() => ending[Symbol.dispose]());
    void this.#watch(session);
    void this.#accept(session);
    try {
      await this.#reachOurselves(session, limit.signal);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  /** A router says late that a session is ready; that a stream comes round says it at once. */
  async #reachOurselves(session: SamSession, signal: AbortSignal): Promise<void> {
    this.#probing = true;
    using probing = following(signal);
    const round = async (): Promise<void> => {
      for (;;) {
        try {
          using limit = deadline(PROBE_MILLIS, 'Reaching ourselves over I2P', probing.signal);
          const host = `${this.#destination.garlic}.b32.i2p`;
          const stream = await connectStream(this.#options.sam, session.id, host, limit.signal);
          const probe = await greeted(stream, limit.signal);
          probe.destroy();
          return;
        } catch {
          if (probing.signal.aborted) return;
        }
        await elapsed(RETRY_MILLIS, probing.signal);
      }
    };
    try {
      await Promise.race([
        round(),
        session.announced,
        session.closed.then((error) => {
          throw error ?? new RelaymintError('CLOSED', 'The session was closed.');
        }),
      ]);
      assertNotAborted(signal, 'Reaching ourselves over I2P');
    } finally {
      probing.abort(new RelaymintError('CLOSED', 'The session is known to work, or not to.'));
      this.#probing = false;
    }
  }

  async #accept(session: SamSession): Promise<void> {
    let failures = 0;
    for (;;) {
      try {
        const { connection, from } = await acceptStream(this.#options.sam, session.id, this.#closing.signal);
        failures = 0;
        this.#take(connection, from);
      } catch (error) {
        failures += 1;
        // What ended may have been the whole session, which shows a little later.
        if (!(await elapsed(Math.min(failures * 20, RETRY_MILLIS), this.#closing.signal))) return;
        if (await isOver(session)) return;
        this.#options.log.debug({ err: error }, 'accepting a stream over I2P failed');
      }
    }
  }

  #take(connection: Duplex, from: string): void {
    // An error nobody watches must not end the process; whoever holds the connection sees it close.
    connection.on('error', () => {});
    const ours = this.#probing && garlicOfText(from) === this.#destination.garlic;
    if (ours) {
      halfClosing(connection, { greet: true })
        .on('error', () => {})
        .resume()
        .end();
    } else if (this.#onConnection === undefined) {
      connection.destroy();
    } else {
      this.#onConnection(halfClosing(connection, { greet: true, window: WINDOW_BYTES }), garlicOfText(from));
    }
  }

  /** A router that went away takes the session with it: a new one is made while somebody listens, or when the next one dials. */
  async #watch(session: SamSession): Promise<void> {
    const reason = await session.closed;
    this.#opening = undefined;
    if (reason === undefined || this.#closing.signal.aborted) return;
    const { log } = this.#options;
    log.warn({ err: reason }, 'the I2P session was lost');
    for (let failures = 1; this.#onConnection !== undefined; failures += 1) {
      if (!(await elapsed(backoff(failures, RECONNECTS), this.#closing.signal))) return;
      try {
        await this.session(this.#closing.signal);
        log.info({ address: garlicMultiaddr(this.#destination.garlic) }, 'the I2P session is back');
        return;
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        log.debug({ err: error }, 'the I2P session is not back yet');
      }
    }
  }
}

async function isOver(session: SamSession): Promise<boolean> {
  const open = Symbol('open');
  return (await Promise.race([session.closed, Promise.resolve(open)])) !== open;
}

function samOptions(tunnels: I2pTunnels): SessionOptions {
  return {
    SIGNATURE_TYPE: 7,
    'inbound.length': tunnels.inboundLength,
    'outbound.length': tunnels.outboundLength,
    'inbound.quantity': tunnels.inboundQuantity,
    'outbound.quantity': tunnels.outboundQuantity,
  };
}

function garlicAt(address: string): string {
  const destination = parseAddress(address);
  if (destination?.kind !== 'garlic') throw unsupported(address, FORMS);
  return destination.garlic;
}

function refusal(
  address: string,
  why: string,
  code: 'ADDRESS_IN_USE' | 'CONNECTION_REFUSED' = 'CONNECTION_REFUSED',
): RelaymintError {
  return new RelaymintError(code, `Cannot listen on ${address}: ${why}.`, {
    remedy: 'Listen once, on the address of a destination of this node.',
  });
}
