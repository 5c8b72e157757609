/** What a circuit is. Types only: the composition root, the pool and every test are written against this file. */
import type { KeyObject } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { NameShare } from '../../core/attribution.ts';
import type { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { PricePerMiB } from '../../core/units.ts';
import type { OfferBook } from '../discovery/contract.ts';
import type { SignedOffer } from '../offer/index.ts';
import type { LinkManager } from '../link/contract.ts';
import type { Metering } from '../meter/contract.ts';

/**
 * A flow-controlled byte stream inside a circuit. Half-open is allowed: `end()` closes our direction only. What was not read yet waits
 * where whole cells are counted, so `readableLength` is the length of one piece and not of all that came.
 * `destroy()` resets the other end, which then fails with STREAM_RESET; a lost circuit fails it with CIRCUIT_DESTROYED.
 */
export interface CircuitStream extends Duplex {
  /** What the payer of this circuit pays its last hop, base units per MiB. */
  readonly circuitPrice: PricePerMiB;
  /**
   * Host side: from now on, what the frames sent down for this stream earn is attributed to these names, in these shares (their
   * royalties); to nobody if there are none. At most MAX_ATTRIBUTED_NAMES. A share's referrer, the site that showed it, gets the part of
   * the royalty that the name offers.
   * @throws RelaymintError NAME_INVALID; INVALID_ARGUMENT (too many, a name twice, shares of more than all of it).
   */
  attribute(shares: readonly NameShare[]): void;
  /**
   * Bytes of the cells of data that came, their padding included, and of the data in them. Many times what the data is: the other end fills
   * its cells with padding, which the circuit's payer pays for.
   */
  readonly cellBytesReceived: number;
  readonly dataBytesReceived: number;
  /** The other end takes datagrams of this stream. */
  readonly takesDatagrams: boolean;
  /**
   * Sends a datagram of at most MAX_DATAGRAM_BYTES beside the stream's bytes; it is copied. It belongs to the stream: so do its price, its
   * name and its end. One that is sent arrives as it was, as long as the stream and the circuit stand; in which order with the stream's
   * bytes is not said.
   * @returns false when it is dropped: the other end takes none, too many wait here for a grant or for the reader there, or the stream
   * was ended.
   * @throws RelaymintError INVALID_ARGUMENT when it is longer than that.
   */
  sendDatagram(data: Uint8Array): boolean;
  /**
   * Passes datagrams to the handler: those that wait, and all that come from now on. Undefined: they wait again. The other end is told how
   * much may wait, and drops the rest itself. A handler that throws ends the stream.
   * @throws TypeError when the stream takes no datagrams at this end.
   */
  onDatagram(handler: ((data: Buffer) => void) | undefined): void;
}

/** Our end of an open circuit: either end opens streams to services of the other one. */
export interface CircuitEnd {
  readonly isOpen: boolean;
  /** False once this end has used every stream number. */
  readonly acceptsStreams: boolean;
  /**
   * Opens a stream to a service of the other end. The circuit's payer pays for it, whoever opens it.
   * @throws RelaymintError STREAM_REFUSED (no such service, too cheap, too many streams), STREAM_RESET, CIRCUIT_DESTROYED,
   * CLOSED, ABORTED, LIMIT_EXCEEDED, INVALID_ARGUMENT (a name or params longer than allowed).
   */
  openStream(service: string, params: Uint8Array, options?: OpenStreamOptions): Promise<CircuitStream>;
}

/**
 * Serves one stream of a registered service. `params` are the bytes that the other end gave to openStream; `circuit` is where the stream
 * came from, the same object for all streams of a circuit.
 */
export type ServiceHandler = (stream: CircuitStream, params: Buffer, circuit: CircuitEnd) => void;

export interface ServiceOptions {
  /** The service's own price: a stream on a circuit that pays less is refused. */
  readonly price: PricePerMiB;
  /** Its streams take datagrams. Default false. */
  readonly datagrams?: boolean;
}

export interface CreateCircuitOptions {
  /** The service that the last hop is paid for: its price in the last offer. */
  readonly service: string;
  readonly signal?: AbortSignal;
}

export interface OpenStreamOptions {
  /** Datagrams that the service sends are taken. Default false. */
  readonly datagrams?: boolean;
  readonly signal?: AbortSignal;
}

/** The other circuit that ends at our last hop, once that joined them. */
export interface ExpectedJoin {
  /** As `Circuit.register`, for the initiator of the other circuit, and nobody else. Before the join: its streams may come at once. */
  register(service: string, handler: ServiceHandler, options?: Pick<ServiceOptions, 'datagrams'>): void;
  /**
   * The circuit, once the initiator of the other one is at its far end. The last hop between them carries all that they say: without
   * keys of their own it reads it, and may be the other end itself.
   * @throws RelaymintError why the circuit ended before.
   */
  readonly end: Promise<CircuitEnd>;
}

/** A built circuit, held by its initiator. */
export interface Circuit extends CircuitEnd {
  /** First hop first; the last one is the exit or host. */
  readonly hops: readonly NodeId[];
  /** Settles once it is gone: undefined if we destroyed it without an error, else the reason. Never rejects. */
  readonly closed: Promise<RelaymintError | undefined>;
  /** Link frames, header and layers included, both directions. */
  readonly bytes: number;
  /** Streams opened by either end. */
  readonly openStreams: number;
  /**
   * From now on the last hop may open streams to this service of ours, on this circuit. Without a service all are refused, and a circuit on
   * which more than MAX_REFUSED_STREAMS were refused ends, because the last hop is paid for each attempt.
   * @throws TypeError when the name is taken; RelaymintError INVALID_ARGUMENT when it is not 1..32 of a-z 0-9 . _ -
   */
  register(service: string, handler: ServiceHandler, options?: Pick<ServiceOptions, 'datagrams'>): void;
  /**
   * Lets the last hop join this circuit to another one, once; a join that nobody expects ends the circuit. Streams with the last hop then
   * fail with CIRCUIT_DESTROYED, and the services registered for it are served to nobody.
   * @throws TypeError when it was called before.
   */
  expectJoin(): ExpectedJoin;
  /**
   * One round trip through all hops, milliseconds. After a join the other initiator pays for it as well: what is more than 1,024 and one
   * each five seconds ends the circuit. @throws RelaymintError CIRCUIT_DESTROYED, CLOSED, TIMEOUT.
   */
  rttMillis(): Promise<number>;
  /** Tells every hop. Streams still open fail with CIRCUIT_DESTROYED. */
  destroy(reason?: RelaymintError): void;
}

export interface CircuitStats {
  /** Circuits that we built and that are open. */
  readonly initiated: number;
  /** Circuits of others that end here or go through us. */
  readonly joined: number;
  readonly relayed: number;
  readonly streams: number;
  /** Frames queued for links, both kinds, bytes. */
  readonly queuedBytes: number;
  /** Circuit frames since start, header included. */
  readonly framesIn: number;
  readonly framesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Circuits that ended, by reason. */
  readonly destroyed: Readonly<Record<string, number>>;
}

/** A node's circuits: those it builds, those it relays and those that end at its services. One per node. */
export interface CircuitEndpoint extends AsyncDisposable {
  /** @throws TypeError when the name is taken; RelaymintError INVALID_ARGUMENT when it is not 1..32 of a-z 0-9 . _ - */
  register(service: string, options: ServiceOptions, handler: ServiceHandler): void;
  /**
   * Builds a circuit over `path` (1..MAX_HOPS offers, the last one is the exit or host).
   * @throws RelaymintError NO_ROUTE (an offer lacks the service), CIRCUIT_REFUSED, CIRCUIT_DESTROYED (with the reason of the
   * hop), TIMEOUT, ABORTED, CLOSED, LIMIT_EXCEEDED, and what connecting to the first hop or paying it throws.
   */
  createCircuit(path: readonly SignedOffer[], options: CreateCircuitOptions): Promise<Circuit>;
  stats(): CircuitStats;
  /** Destroys every circuit with SHUTDOWN, pays what is due and waits until the frames are handed to the links. */
  close(): Promise<void>;
}

/** The X25519 key of hop handshakes; its public half is the offer's `onionKey`. */
export interface OnionKey {
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

/** Durations, milliseconds; tests shorten them. */
export interface CircuitTiming {
  /** One CREATE or EXTEND. Default CIRCUIT_BUILD_MILLIS. */
  readonly buildMillis?: number;
  /** One EXTEND to a hop with an onion or I2P address. Default CIRCUIT_BUILD_HIDDEN_MILLIS. */
  readonly hiddenBuildMillis?: number;
  /** A circuit with an open stream is pinged when nothing came for this long. Default 10,000. */
  readonly quietMillis?: number;
  /** A ping unanswered for this long destroys the circuit. Default 10,000. */
  readonly pingMillis?: number;
  /** A peer whose window stays shut for this long is cut off. Default 20,000. */
  readonly unpaidMillis?: number;
  /** Silence after our DESTROY, for each hop that may be behind the peer, before its link is closed. Default DESTROY_SILENCE_MILLIS. */
  readonly destroySilenceMillis?: number;
  /** A grant that is not used for this long is given back. Default GRANT_IDLE_MILLIS. */
  readonly grantIdleMillis?: number;
  /** A circuit of others that carries nothing for this long is destroyed. Default JOINED_IDLE_MILLIS. */
  readonly joinedIdleMillis?: number;
}

/** Which next hops the circuits of others may lead to from here. */
export interface ExtendRules {
  /** Our own book: circuits lead to the nodes in it, at the addresses that they signed. */
  readonly offers: Pick<OfferBook, 'get' | 'dropPassing' | 'wasReached'>;
  /** Takes an offer that a circuit of this linked peer brings into that book, like any other that this peer sends (`Discovery.introduce`). */
  readonly introduce: (encoded: Uint8Array, peer: NodeId) => void;
  /** May a dial begin for the payer, to a node that we reached before or to another one? Counts it. */
  readonly mayDial: (reached: boolean) => boolean;
  /** A link to this node is open, or being dialled: nothing more is dialled for it. */
  readonly isLinked: (node: NodeId) => boolean;
  /** The operator lets circuits lead into private networks, or this node only dials its own machine anyway. */
  readonly allowPrivate: boolean;
  /** The IP addresses of a name; undefined where this node hides: then only onion and I2P addresses are dialled. */
  readonly resolve: ((host: string) => Promise<readonly string[]>) | undefined;
}

export interface CircuitEndpointOptions {
  readonly links: LinkManager;
  readonly metering: Metering;
  readonly nodeId: NodeId;
  readonly onionKey: OnionKey;
  /** Our offer for carrying circuits onward; undefined: we relay for nobody. */
  readonly relayPrice?: PricePerMiB;
  /** The most that we pay onward per MiB of somebody else's circuit (`onwardPriceAllowed`). Default MAX_ONWARD_PRICE. */
  readonly maxOnwardPrice?: PricePerMiB;
  /** Where circuits of others may lead (`extendTarget`); absent: to whatever addresses the next hop signed. */
  readonly extend?: Omit<ExtendRules, 'isLinked' | 'mayDial'>;
  /** Circuits of others that we take part in. Default MAX_JOINED_CIRCUITS. */
  readonly maxJoinedCircuits?: number;
  readonly timing?: CircuitTiming;
  readonly clock?: Clock;
  readonly log?: Log;
}
