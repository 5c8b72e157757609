/**
 * All links of a node. At most one to a peer: of two nodes the one with the smaller id decides. It answers a hello with
 * its own only when it wants this connection, so both ends agree on which one is the link without further talk.
 */
import type { SecureContext } from 'node:tls';
import { RelaymintError, isRelaymintError, messageOf, violation, type ErrorCode } from '../../core/errors.ts';
import { shortId, type NodeId } from '../../core/ids.ts';
import {
  LINK_DEAD_MILLIS,
  LINK_FIRST_BYTE_MILLIS,
  LINK_HANDSHAKE_MILLIS,
  LINK_IDLE_MILLIS,
  LINK_SILENCE_MILLIS,
  MAX_LINKS,
  PADDING_LEAST_MILLIS,
  PADDING_MOST_MILLIS,
} from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { every } from '../../core/repeat.ts';
import { peekOffer, readOffer, type SignedOffer } from '../offer/index.ts';
import { abortError, deadline, onAbort } from '../../core/abort.ts';
import type { ListenOptions, Listener, Transport, TransportName } from '../transport/contract.ts';
import { plainOrHalfClosing, spoken, type Dialed, type Policy, type Attempt } from '../transport/index.ts';
import {
  FrameType,
  type ConnectOptions,
  type Link,
  type LinkManager,
  type LinkManagerOptions,
  type LinkTiming,
} from './contract.ts';
import { Dial, dialError } from './dial.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';
import { FrameMemory } from './frame.ts';
import { PeerLink, type LinkOwner } from './link.ts';
import { Lobby } from './lobby.ts';
import { TLS_FIRST_BYTE, createTlsContext, secureInbound, secureOutbound, type SecureConnection } from './tls.ts';

/** Rounds of the watch within the shortest of its times. */
const TICKS = 5;
/** A link that may be dead has this fraction of the handshake's time to answer before a new one replaces it. */
const PROBE_SHARE = 4;

const DIRECT_WARNINGS: Readonly<Record<NonNullable<Attempt['warning']>, string>> = {
  fallback: 'no hidden address of the peer works; connecting to it directly',
  deprecated: 'connecting directly, which is deprecated: the peer should have an onion address',
};

/** Links that end for these reasons need the operator: the ends disagree about money, or this node is at fault or lacks something. */
const WORTH_A_WARNING: readonly ErrorCode[] = ['METER_DISAGREEMENT', 'STORAGE_FAILED', 'STORAGE_FULL', 'INTERNAL'];

/** Makes a node's links. Close it before its identity is disposed. */
export function createLinkManager(options: LinkManagerOptions): LinkManager {
  return new Links(options);
}

/** What we do with a secured connection. */
interface Ends {
  readonly self: NodeId;
  readonly transport: Transport;
  readonly dialer: boolean;
}

class Links implements LinkManager, LinkOwner {
  readonly nodeId: NodeId;
  readonly #policy: Policy;
  readonly #context: SecureContext;
  readonly #dialAs: (() => NodeIdentity) | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #maxLinks: number;
  readonly #timing: LinkTiming;
  readonly #memory: FrameMemory = new FrameMemory();
  readonly #inbound: FrameMemory = new FrameMemory();
  readonly #open = new Map<NodeId, PeerLink>();
  readonly #dials = new Map<NodeId, Dial>();
  /** Secured connections before both hellos are through. */
  readonly #greeting = new Set<PeerLink>();
  /** Inbound connections before their hello. */
  readonly #lobby: Lobby;
  readonly #listeners: Listener[] = [];
  readonly #linkListeners = new Set<(link: Link) => void>();
  readonly #offerListeners = new Set<(offer: SignedOffer, link: Link) => void>();
  readonly #tickMillis: number;
  readonly #pads: (transport: TransportName) => boolean;
  readonly #watch: Disposable;
  #offer: SignedOffer | undefined;
  #closed = false;

  constructor({
    identity,
    dialAs,
    policy,
    clock,
    log,
    offer,
    maxLinks = MAX_LINKS,
    timing = {},
    pads = isHidden,
  }: LinkManagerOptions) {
    this.nodeId = identity.nodeId;
    this.#policy = policy;
    this.#context = createTlsContext(identity);
    this.#dialAs = dialAs;
    this.#clock = clock;
    this.#log = log;
    this.#maxLinks = maxLinks;
    this.#offer = offer;
    this.#pads = pads;
    const handshake = timing.handshake ?? LINK_HANDSHAKE_MILLIS;
    this.#timing = {
      firstByte: Math.min(timing.firstByte ?? LINK_FIRST_BYTE_MILLIS, handshake),
      handshake,
      silence: timing.silence ?? LINK_SILENCE_MILLIS,
      dead: timing.dead ?? LINK_DEAD_MILLIS,
      idle: timing.idle ?? LINK_IDLE_MILLIS,
      padLeast: timing.padLeast ?? PADDING_LEAST_MILLIS,
      padMost: timing.padMost ?? PADDING_MOST_MILLIS,
    };
    this.#lobby = new Lobby(this.#timing);
    this.#tickMillis = Math.min(this.#timing.silence, this.#timing.dead, this.#timing.idle) / TICKS;
    this.#watch = every(this.#tickMillis, () => this.#onTick());
  }

  async listen(addresses: readonly string[], options: ListenOptions = {}): Promise<string[]> {
    this.#assertNotClosed();
    const fresh: Listener[] = [];
    try {
      for (const address of addresses) {
        fresh.push(await this.#policy.listen(address, (dialed) => void this.#accept(dialed), options));
      }
    } catch (error) {
      await Promise.all(fresh.map((listener) => listener.close()));
      throw error;
    }
    this.#listeners.push(...fresh);
    return fresh.flatMap((listener) => listener.addresses);
  }

  addresses(): string[] {
    return this.#listeners.flatMap((listener) => listener.addresses);
  }

  async connect(peer: NodeId, addresses: readonly string[], { signal }: ConnectOptions = {}): Promise<Link> {
    this.#assertNotClosed();
    if (peer === this.nodeId) {
      throw new RelaymintError('INVALID_ARGUMENT', 'A node cannot have a link to itself.', {
        remedy: 'Choose another node.',
      });
    }
    if (signal?.aborted === true) throw abortError(signal, `Connecting to ${shortId(peer)}`);
    const existing = this.get(peer);
    if (existing !== undefined) return existing;
    const joined = this.#dials.get(peer);
    if (joined?.settled === false) return joined.wait(signal);
    const dial = new Dial(peer);
    this.#dials.set(peer, dial);
    const link = dial.wait(signal);
    void this.#runDial(dial, peer, addresses);
    return link;
  }

  isDialling(peer: NodeId): boolean {
    return this.#dials.get(peer)?.settled === false;
  }

  get(peer: NodeId): Link | undefined {
    const link = this.#open.get(peer);
    if (link?.isOpen !== true) return undefined;
    link.touch();
    return link;
  }

  links(): Link[] {
    return [...this.#open.values()].filter((link) => link.isOpen);
  }

  onLink(listener: (link: Link) => void): () => void {
    this.#linkListeners.add(listener);
    return () => this.#linkListeners.delete(listener);
  }

  onOffer(listener: (offer: SignedOffer, link: Link) => void): () => void {
    this.#offerListeners.add(listener);
    return () => this.#offerListeners.delete(listener);
  }

  setOffer(offer: SignedOffer): void {
    this.#offer = offer;
    for (const link of this.#open.values()) {
      if (this.#offerFor(link) !== undefined) link.send(FrameType.OFFER, 0, offer.encoded);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    const reason = new RelaymintError('CLOSED', 'This node is shutting down.');
    for (const dial of this.#dials.values()) dial.fail(reason);
    this.#lobby.abortAll(reason);
    await Promise.all([
      ...this.#listeners.splice(0).map((listener) => listener.close()),
      ...[...this.#open.values()].map((link) => link.close()),
      ...[...this.#greeting].map((link) => link.close(reason)),
    ]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- a connection becomes a link ------------------------------------------------------------------------------------

  async #accept({ connection, transport, source }: Dialed): Promise<void> {
    if (this.#closed) {
      connection.destroy();
      return;
    }
    using visit = this.#lobby.admit(source);
    const { signal } = visit;
    try {
      // Before anything costs memory: a silent connection holds only a socket.
      const arrived =
        transport.name === 'tcp'
          ? await plainOrHalfClosing(connection, TLS_FIRST_BYTE, signal)
          : await spoken(connection, signal);
      visit.enter('speaking');
      const secured = await secureInbound(arrived, this.#context, signal);
      visit.enter('known');
      await this.#greet(secured, { self: this.nodeId, transport, dialer: false }, signal);
    } catch (error) {
      this.#log.debug({ err: error }, 'an inbound connection did not become a link');
    }
  }

  async #runDial(dial: Dial, peer: NodeId, addresses: readonly string[]): Promise<void> {
    const failures: { address: string; error: RelaymintError }[] = [];
    let attempts: readonly Attempt[] = [];
    try {
      attempts = this.#policy.plan(peer, addresses);
    } catch (error) {
      dial.fail(asRelaymintError(error));
    }
    for (const { address, warning } of attempts) {
      if (dial.settled) break;
      if (warning !== undefined) this.#log.warn({ peer, address, failures: failures.length }, DIRECT_WARNINGS[warning]);
      try {
        await this.#dialOne(peer, address, dial.signal);
      } catch (error) {
        failures.push({ address, error: asRelaymintError(error) });
      }
    }
    // A link to the peer, whichever end dialled it, has settled the dial already.
    dial.fail(dialError(peer, failures));
    if (this.#dials.get(peer) === dial) this.#dials.delete(peer);
  }

  async #dialOne(peer: NodeId, address: string, signal: AbortSignal): Promise<void> {
    this.#makeRoom();
    const millis = this.#policy.handshakeMillis(address) ?? this.#timing.handshake;
    using limit = deadline(millis, `Connecting to ${shortId(peer)} at ${address}`, signal);
    const { connection, transport } = await this.#policy.dial(address, { signal: limit.signal });
    using stranger = this.#dialAs?.();
    const context = stranger === undefined ? this.#context : createTlsContext(stranger);
    const secured = await secureOutbound(connection, context, peer, limit.signal);
    const self = stranger?.nodeId ?? this.nodeId;
    await this.#greet(secured, { self, transport, dialer: true }, limit.signal);
  }

  async #greet(
    { socket, peer }: SecureConnection,
    { self, transport, dialer }: Ends,
    signal: AbortSignal,
  ): Promise<void> {
    if (peer === this.nodeId) {
      socket.destroy();
      throw new RelaymintError('PEER_IDENTITY_MISMATCH', 'This node reached itself.');
    }
    const link = new PeerLink({
      socket,
      peer,
      self,
      transport: transport.name,
      dialer,
      memory: this.#memory,
      inbound: this.#inbound,
      padding: this.#pads(transport.name) ? this.#timing : undefined,
      owner: this,
      log: this.#log,
    });
    using _tie = onAbort(signal, () => {
      // A dial that succeeded aborts its remaining attempts, not the link it made.
      if (!link.isOpen) void link.close(abortError(signal, 'The handshake'));
    });
    this.#greeting.add(link);
    if (!decides(link)) link.greet(this.#offerFor(link));
    try {
      await link.opened;
    } finally {
      this.#greeting.delete(link);
    }
  }

  /** A node that is a stranger on a link must not show there which node it is elsewhere. */
  #offerFor(link: PeerLink): SignedOffer | undefined {
    return link.self === this.nodeId ? this.#offer : undefined;
  }

  onHello(link: PeerLink, encoded: Uint8Array | undefined): void {
    const offer = encoded === undefined ? undefined : this.#readOffer(link, encoded);
    const existing = this.#open.get(link.peer);
    if (!decides(link)) {
      // The peer wants this one, so our old link is dead to it.
      existing?.closeAsDuplicate();
      this.#admit(link, offer);
    } else if (existing?.isOpen !== true) {
      this.#admit(link, offer);
    } else {
      this.#decide(link, existing, offer).catch((error: unknown) => link.fail(error));
    }
  }

  onRenewal(link: PeerLink, encoded: Uint8Array): void {
    // Before its signatures are checked: repeating an offer costs a peer nothing, but checking costs us.
    const claim = peekOffer(encoded);
    const known = link.offer?.sequence;
    if (claim !== undefined && claim.nodeId !== link.peer) throw foreignOffer();
    if (claim !== undefined && known !== undefined && known >= claim.sequence) return;
    if (!link.renewals.take()) return;
    const offer = this.#readOffer(link, encoded);
    if (offer === undefined) return;
    link.offer = offer;
    this.#tellOffer(offer, link);
  }

  /** Keeps the link we have when it answers; the peer that lost it gets the new one. */
  async #decide(link: PeerLink, existing: PeerLink, offer: SignedOffer | undefined): Promise<void> {
    using limit = deadline(this.#timing.handshake / PROBE_SHARE, 'The probe of a link');
    try {
      await existing.ping(limit.signal);
    } catch (error) {
      if (isRelaymintError(error, 'TIMEOUT')) existing.closeAsDuplicate();
    }
    if (this.#open.get(link.peer)?.isOpen === true) link.closeAsDuplicate();
    else this.#admit(link, offer);
  }

  #admit(link: PeerLink, offer: SignedOffer | undefined): void {
    // It may have closed while an older link was being checked.
    if (link.isEnding) return;
    this.#assertNotClosed();
    this.#makeRoom();
    const { peer } = link;
    const offered = this.#offerFor(link);
    if (decides(link)) link.greet(offered);
    this.#open.set(peer, link);
    void this.#forgetWhenClosed(link);
    link.open(offer);
    if (offered !== undefined && offered !== link.greetedWith) link.send(FrameType.OFFER, 0, offered.encoded);
    for (const listener of this.#linkListeners) listener(link);
    if (offer !== undefined) this.#tellOffer(offer, link);
    this.#dials.get(peer)?.succeed(link);
  }

  async #forgetWhenClosed(link: PeerLink): Promise<void> {
    const why = await link.closed;
    if (this.#open.get(link.peer) === link) this.#open.delete(link.peer);
    if (why === undefined) return;
    // What a peer can do as often as it likes must not fill the log.
    const level = isRelaymintError(why, ...WORTH_A_WARNING) ? 'warn' : 'debug';
    this.#log[level]({ peer: link.peer, err: why }, 'A link ended.');
  }

  // --- upkeep ---------------------------------------------------------------------------------------------------------

  /** undefined for an expired one. @throws RelaymintError INVALID_ENCODING, PROTOCOL_VIOLATION. */
  #readOffer(link: PeerLink, encoded: Uint8Array): SignedOffer | undefined {
    let offer: SignedOffer;
    try {
      offer = readOffer(encoded, this.#clock.now());
    } catch (error) {
      if (isRelaymintError(error, 'TIMEOUT')) return undefined;
      throw error;
    }
    if (offer.nodeId !== link.peer) throw foreignOffer();
    return offer;
  }

  #tellOffer(offer: SignedOffer, link: Link): void {
    for (const listener of this.#offerListeners) listener(offer, link);
  }

  /** Closes the link that was idle for longest when all places are taken. @throws RelaymintError LIMIT_EXCEEDED. */
  #makeRoom(): void {
    if (this.#open.size < this.#maxLinks) return;
    let idlest: PeerLink | undefined;
    for (const link of this.#open.values()) {
      if (link.idleTicks > (idlest?.idleTicks ?? 0)) idlest = link;
    }
    if (idlest === undefined) {
      throw new RelaymintError('LIMIT_EXCEEDED', `This node has all of its ${this.#maxLinks} links in use.`, {
        remedy: 'Try again later, or use another node.',
      });
    }
    this.#open.delete(idlest.peer);
    void idlest.close();
  }

  #onTick(): void {
    const ticks = (millis: number): number => Math.ceil(millis / this.#tickMillis);
    for (const link of this.#open.values()) {
      link.watch(ticks(this.#timing.silence), ticks(this.#timing.dead));
      if (link.idleTicks >= ticks(this.#timing.idle)) void link.close();
    }
  }

  #assertNotClosed(): void {
    if (this.#closed) throw new RelaymintError('CLOSED', 'This node is shutting down.');
  }
}

/** Of the two ends the one with the smaller id decides whether this connection becomes the link. */
function decides({ self, peer }: PeerLink): boolean {
  return self < peer;
}

function foreignOffer(): RelaymintError {
  return violation('A node presented the offer of another node as its own.');
}

function asRelaymintError(error: unknown): RelaymintError {
  if (isRelaymintError(error)) return error;
  return new RelaymintError('INTERNAL', `Connecting failed: ${messageOf(error)}.`, { cause: error });
}

/** Links over networks that hide who talks to whom, but not when. */
function isHidden(transport: TransportName): boolean {
  return transport === 'tor' || transport === 'i2p';
}
