/**
 * The one place through which connections leave the process. Every one has a purpose, is counted, and is refused when
 * the setting does not allow where it goes.
 */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { RelaymintError } from '../../core/errors.ts';
import { shortId, type NodeId } from '../../core/ids.ts';
import { deadline, type Deadline } from '../../core/abort.ts';
import { isHiddenHost, isLoopback, parseAddress, unsupported } from './address.ts';
import type { HostDialer, ListenOptions, Listener, Transport, TransportName } from './contract.ts';
import { PolicyHttpAgent, PolicyHttpsAgent, fetchOver, type Agents, type Connect } from './http.ts';
import { isLocalAddress } from './location.ts';
import { planDial, type Attempt, type Phase, type Preference } from './preference.ts';
import { resolveHost } from './resolve.ts';
import { openSocket } from './socket.ts';

/** What every node opens connections for: peers, the ledger's RPC, names that visitors ask it for, the control ports of our own processes. */
const OWN_PURPOSES = ['link', 'ledger', 'names', 'control'] as const;
type OwnPurpose = (typeof OWN_PURPOSES)[number];

declare const declared: unique symbol;
/** What else a role or a command opens connections for. It may do no more than 'ledger' may: see `declarePurpose`. */
export type DeclaredPurpose = string & { readonly [declared]: true };

/** What a connection is for. It is counted under it, and kept apart from the connections of every other purpose. */
export type Purpose = OwnPurpose | DeclaredPurpose;

/** @param word a-z and -, at most 32. @throws TypeError when it is not, or is a purpose of every node: one of them is let through to loopback. */
export function declarePurpose(word: string): DeclaredPurpose {
  const isOwn = (OWN_PURPOSES as readonly string[]).includes(word);
  if (isOwn || !/^[a-z][a-z-]{0,31}$/.test(word)) throw new TypeError(`"${word}" is not a purpose to declare`);
  return word as DeclaredPurpose;
}

/** Where connections may go: anywhere, or only to this machine. */
export type Outbound = 'any' | 'loopback';

export interface PolicyOptions {
  readonly transports: readonly Transport[];
  /** What connections are opened for, besides what every node opens them for. Any other purpose is a TypeError. */
  readonly purposes?: readonly DeclaredPurpose[];
  /** Default 'any'. */
  readonly outbound?: Outbound;
  /**
   * True: everything leaves through a transport that is a `HostDialer`, and what none of them reaches is refused. The one
   * exception is the control port of our own daemons, on loopback. Default false: only hosts that nothing else reaches use one.
   */
  readonly anonymize?: boolean;
  /** Default 'optional'. */
  readonly phase?: Phase;
  /** Preferences for single peers. */
  readonly preferences?: ReadonlyMap<NodeId, Preference>;
}

export interface Target {
  readonly host: string;
  /** 1 .. 65535. */
  readonly port: number;
}

export interface Dialed {
  readonly connection: Duplex;
  readonly transport: Transport;
  /** Of an inbound connection: as in the transport's `listen`. */
  readonly source?: string;
}

export type PolicyStats = Readonly<Record<OwnPurpose, PurposeCounts>> &
  Readonly<Record<string, PurposeCounts | undefined>>;

/** Connections of one purpose since the policy was made. */
export interface PurposeCounts {
  readonly opened: number;
  readonly failed: number;
  readonly refused: number;
  readonly open: number;
}

export interface Policy {
  readonly outbound: Outbound;
  readonly transports: readonly TransportName[];
  readonly anonymize: boolean;
  /**
   * Asks this machine's resolver for the addresses of a name; undefined if nothing is dialled directly, because the question alone would
   * show the name's server where this node is. @throws RelaymintError CONNECTION_REFUSED if it has none.
   */
  readonly resolve: ((host: string) => Promise<readonly string[]>) | undefined;
  /** The addresses of a peer that may be tried, in that order. @throws RelaymintError NO_TRANSPORT when there is none. */
  plan(peer: NodeId, addresses: readonly string[]): readonly Attempt[];
  /**
   * Opens a connection for a link.
   * @throws RelaymintError POLICY_REFUSED, NO_TRANSPORT, ADDRESS_UNSUPPORTED, CONNECTION_REFUSED, TIMEOUT, ABORTED.
   */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<Dialed>;
  /** What the transport of `address` says about handshakes; undefined when it says nothing or there is none. */
  handshakeMillis(address: string): number | undefined;
  /** Accepts connections on `address`. @throws RelaymintError ADDRESS_UNSUPPORTED, CONNECTION_REFUSED, ABORTED, POLICY_REFUSED (it would show an anonymous node). */
  listen(address: string, onConnection: (dialed: Dialed) => void, options?: ListenOptions): Promise<Listener>;
  /**
   * Opens a plain connection to a host.
   * @throws RelaymintError POLICY_REFUSED, CONNECTION_REFUSED, TIMEOUT, ABORTED.
   */
  connect(purpose: Purpose, target: Target, options: { readonly signal: AbortSignal }): Promise<Duplex>;
  /** A `fetch` for http and https that does not follow redirects and refuses what the policy refuses. */
  fetch(purpose: Purpose): typeof globalThis.fetch;
  /** An agent for node:http, for clients that bring their own requests (WebSocket). */
  httpAgent(purpose: Purpose): HttpAgent;
  httpsAgent(purpose: Purpose): HttpsAgent;
  /** Of each known purpose. */
  stats(): PolicyStats;
  /** Ends the connections for HTTP, including those that are still being made. The manager closes links. */
  close(): void;
}

/** Time for a connection for HTTP, milliseconds: a request also has its own signal. */
const HTTP_CONNECT_MILLIS = 20_000;
/** The same through a network whose first circuit or tunnels take longer, milliseconds. */
const HIDDEN_CONNECT_MILLIS = 60_000;

type Counter = { -readonly [K in keyof PurposeCounts]: number };

export function createPolicy(options: PolicyOptions): Policy {
  return new OutboundPolicy(options);
}

class OutboundPolicy implements Policy {
  readonly outbound: Outbound;
  readonly anonymize: boolean;
  readonly resolve: Policy['resolve'];
  readonly #phase: Phase;
  readonly #preferences: ReadonlyMap<NodeId, Preference>;
  readonly #transports: readonly Transport[];
  /** Of each known purpose. */
  readonly #counts: ReadonlyMap<Purpose, Counter>;
  readonly #agents = new Map<Purpose, Agents>();
  /** Connections for HTTP that are being made. */
  readonly #connecting = new Set<Deadline>();

  constructor(options: PolicyOptions) {
    const { transports, purposes = [], outbound = 'any', anonymize = false, phase, preferences = new Map() } = options;
    this.outbound = outbound;
    this.anonymize = anonymize;
    this.#phase = phase ?? 'optional';
    this.resolve = anonymize || this.#phase === 'tor-only' ? undefined : resolveHost;
    this.#preferences = preferences;
    this.#transports = transports;
    const counts = [...OWN_PURPOSES, ...purposes].map((purpose): [Purpose, Counter] => [purpose, noneYet()]);
    this.#counts = new Map(counts);
  }

  get transports(): readonly TransportName[] {
    return this.#transports.map((transport) => transport.name);
  }

  async dial(address: string, { signal }: { readonly signal: AbortSignal }): Promise<Dialed> {
    const transport = this.#transportFor(address);
    const destination = parseAddress(address);
    if (destination?.kind === 'tcp' && this.#goesHidden(destination.host)) {
      const [dialer, opening] = this.#dialHidden('link', destination, signal);
      return { transport: dialer, connection: await this.#counted('link', opening) };
    }
    if (!this.#mayDial(transport, address)) throw this.#refuse('link', address);
    return { transport, connection: await this.#counted('link', transport.dial(address, { signal })) };
  }

  plan(peer: NodeId, addresses: readonly string[]): readonly Attempt[] {
    const preference = this.#preferences.get(peer);
    const attempts = planDial(addresses, { phase: this.#phase, preference, anonymize: this.anonymize });
    if (attempts.length > 0 || addresses.length === 0) return attempts;
    throw new RelaymintError('NO_TRANSPORT', `No available transport for node ${shortId(peer)}.`, {
      remedy:
        preference === undefined || this.#phase === 'tor-only'
          ? `It has no hidden address, and the setting phase is "${this.#phase}".`
          : `It has no address of the kind that the setting prefer "${preference}" allows.`,
    });
  }

  handshakeMillis(address: string): number | undefined {
    return this.#transports.find((transport) => transport.canDial(address))?.handshakeMillis;
  }

  listen(address: string, onConnection: (dialed: Dialed) => void, options: ListenOptions = {}): Promise<Listener> {
    const transport = this.#transportFor(address);
    if (this.anonymize && parseAddress(address)?.kind === 'tcp' && !isLocalAddress(address)) {
      return Promise.reject(
        new RelaymintError('POLICY_REFUSED', `Listening on ${address} would show where this node is.`, {
          remedy: 'An anonymous node listens on loopback.',
        }),
      );
    }
    const accept = (connection: Duplex, source?: string): void =>
      onConnection({ transport, connection, ...(source === undefined ? {} : { source }) });
    return transport.listen(address, accept, options);
  }

  async connect(purpose: Purpose, target: Target, { signal }: { readonly signal: AbortSignal }): Promise<Duplex> {
    const { host, port } = target;
    this.#counterOf(purpose);
    const near = purpose === 'control' && isLoopback(host);
    if (!near && this.#goesHidden(host)) return this.#counted(purpose, this.#dialHidden(purpose, target, signal)[1]);
    if (!this.#mayReach(host)) throw this.#refuse(purpose, `${host} port ${port}`);
    return this.#counted(purpose, openSocket(host, port, signal));
  }

  fetch(purpose: Purpose): typeof globalThis.fetch {
    return fetchOver(this.#agentsOf(purpose));
  }

  httpAgent(purpose: Purpose): HttpAgent {
    return this.#agentsOf(purpose).http;
  }

  httpsAgent(purpose: Purpose): HttpsAgent {
    return this.#agentsOf(purpose).https;
  }

  stats(): PolicyStats {
    const copies = Array.from(this.#counts, ([purpose, count]) => [purpose, { ...count }] as const);
    return Object.fromEntries(copies) as PolicyStats;
  }

  close(): void {
    const reason = new RelaymintError('CLOSED', 'This node is shutting down.');
    for (const limit of this.#connecting) limit.abort(reason);
    for (const { http, https } of this.#agents.values()) {
      http.destroy();
      https.destroy();
    }
    this.#agents.clear();
  }

  /** @throws TypeError when nobody declared it. */
  #counterOf(purpose: Purpose): Counter {
    const counter = this.#counts.get(purpose);
    if (counter === undefined) throw new TypeError(`nobody declared that connections are opened for "${purpose}"`);
    return counter;
  }

  #transportFor(address: string): Transport {
    const found = this.#transports.find((transport) => transport.canDial(address));
    if (found === undefined) {
      throw unsupported(address, `an address of one of the transports in use: ${this.transports.join(', ')}`);
    }
    return found;
  }

  #goesHidden(host: string): boolean {
    return this.anonymize || isHiddenHost(host);
  }

  /** Shares no path with connections of another purpose or to another place. @throws RelaymintError NO_TRANSPORT, POLICY_REFUSED. */
  #dialHidden(purpose: Purpose, { host, port }: Target, signal: AbortSignal): [Transport, Promise<Duplex>] {
    if (!this.anonymize && this.outbound === 'loopback') throw this.#refuse(purpose, `${host} port ${port}`);
    const dialer = this.#dialerTo(purpose, host);
    return [dialer, dialer.dialHost(host, port, { isolation: `${purpose} ${host} ${port}`, signal })];
  }

  /** The transport that reaches a host without revealing us. @throws RelaymintError NO_TRANSPORT, POLICY_REFUSED. */
  #dialerTo(purpose: Purpose, host: string): Transport & HostDialer {
    const dialer = this.#transports.filter(isHostDialer).find((transport) => transport.reachesHost(host));
    if (dialer !== undefined) return dialer;
    this.#counterOf(purpose).refused += 1;
    const name = host.toLowerCase().endsWith('.i2p') ? 'I2P' : 'Tor';
    if (isHiddenHost(host)) {
      throw new RelaymintError(
        'NO_TRANSPORT',
        `${host} can only be reached through ${name}, which is not set up here.`,
        {
          remedy:
            name === 'I2P'
              ? 'Give --i2p-sam.'
              : 'Start it with: relaymint tor start, or install it: apt-get install tor.',
        },
      );
    }
    throw new RelaymintError('POLICY_REFUSED', `A ${purpose} connection to ${host} would not be anonymous.`, {
      remedy: 'No anonymizing network reaches it: use a public name, an onion address or an I2P address.',
      details: { purpose },
    });
  }

  /** Memory stays in the process; for TCP the host decides; any other network leaves the machine. */
  #mayDial(transport: Transport, address: string): boolean {
    if (transport.name === 'memory') return true;
    const destination = parseAddress(address);
    return destination?.kind === 'tcp' ? this.#mayReach(destination.host) : this.outbound === 'any';
  }

  #mayReach(host: string): boolean {
    return this.outbound === 'any' || isLoopback(host);
  }

  #refuse(purpose: Purpose, where: string): RelaymintError {
    this.#counterOf(purpose).refused += 1;
    return new RelaymintError('POLICY_REFUSED', `A ${purpose} connection to ${where} is not allowed.`, {
      remedy: `The setting outbound is "${this.outbound}"; "any" allows it.`,
      details: { purpose },
    });
  }

  async #counted(purpose: Purpose, opening: Promise<Duplex>): Promise<Duplex> {
    const count = this.#counterOf(purpose);
    let connection: Duplex;
    try {
      connection = await opening;
    } catch (error) {
      count.failed += 1;
      throw error;
    }
    count.opened += 1;
    count.open += 1;
    connection.once('close', () => {
      count.open -= 1;
    });
    return connection;
  }

  #agentsOf(purpose: Purpose): Agents {
    this.#counterOf(purpose);
    let agents = this.#agents.get(purpose);
    if (agents === undefined) {
      const connect: Connect = async (host, port) => {
        const millis = this.#goesHidden(host) ? HIDDEN_CONNECT_MILLIS : HTTP_CONNECT_MILLIS;
        using limit = deadline(millis, `Connecting to ${host} port ${port}`);
        this.#connecting.add(limit);
        try {
          return await this.connect(purpose, { host, port }, limit);
        } finally {
          this.#connecting.delete(limit);
        }
      };
      agents = { http: new PolicyHttpAgent(connect), https: new PolicyHttpsAgent(connect) };
      this.#agents.set(purpose, agents);
    }
    return agents;
  }
}

function noneYet(): Counter {
  return { opened: 0, failed: 0, refused: 0, open: 0 };
}

function isHostDialer(transport: Transport): transport is Transport & HostDialer {
  return 'dialHost' in transport;
}
