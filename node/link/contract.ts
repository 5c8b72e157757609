/** What a link is. Types and wire constants only; the circuit and meter layers are written against this file. */
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { SignedOffer } from '../offer/index.ts';
import type { ListenOptions, TransportName } from '../transport/contract.ts';
import type { Policy } from '../transport/index.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';

/** payload length u16 | type u8 | reserved u8 (0) | circuit id u32, little-endian. */
export const FRAME_HEADER_BYTES = 8;

/** Frame types. Below 16: control frames, circuit id 0, free and rate-limited. From 16: circuit frames, id not 0, metered. */
export const FrameType = {
  HELLO: 1,
  GOODBYE: 2,
  PING: 3,
  PONG: 4,
  OFFERS_WANTED: 5,
  OFFERS: 6,
  OFFER: 7,
  CHANNEL: 8,
  ACCOUNT: 9,
  RECEIPT: 10,
  NET: 11,
  GRANT: 12,
  RETURN: 13,
  WIDEN: 14,
  PADDING: 15,
  CREATE: 16,
  CREATED: 17,
  RELAY: 18,
  DESTROY: 19,
  NOTICE: 20,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/**
 * Takes one frame. `payload` belongs to the handler: it is never reused and may be kept, changed or decrypted in place
 * (it may be a slice of a larger chunk, so copy it when a few bytes are to be kept for long).
 * A RelaymintError thrown here closes the link with that reason; anything else closes it with INTERNAL.
 */
export type FrameHandler = (circuitId: number, payload: Buffer) => void;

/** An open, authenticated, encrypted, ordered connection to one peer. */
export interface Link {
  readonly peer: NodeId;
  /** The node id by which the peer knows us. */
  readonly self: NodeId;
  readonly transport: TransportName;
  /** True when this end dialled. */
  readonly dialer: boolean;
  /** The peer's newest own offer, verified against its node id; undefined when it sent none. Renewed while the link lives. */
  readonly offer: SignedOffer | undefined;
  /** Settles once the link is gone: with the reason, or with undefined after an ordinary close by either end. Never rejects. */
  readonly closed: Promise<RelaymintError | undefined>;
  readonly isOpen: boolean;
  /** Less than LINK_HIGH_WATER bytes wait to be written. Circuit frames wait for it; control frames need not. */
  readonly writable: boolean;
  /** Bytes accepted by send/sendFrame that the transport has not taken yet. */
  readonly queuedBytes: number;
  /** Copies `payload` into an outgoing frame. Does nothing on a closed link. @throws RangeError on a payload above MAX_FRAME_PAYLOAD. */
  send(type: FrameType, circuitId: number, payload: Uint8Array): void;
  /** A buffer of FRAME_HEADER_BYTES + payloadLength; fill bytes 8.. and hand it to sendFrame (now or later, in any order, or drop it). Uninitialized memory. */
  allocFrame(payloadLength: number): Buffer;
  /** Writes the header into `frame` and queues it, without a copy. The link owns `frame` from now on. Does nothing on a closed link. */
  sendFrame(frame: Buffer, type: FrameType, circuitId: number): void;
  /** `listener` runs each time the link is writable again after it was not. */
  onDrain(listener: () => void): void;
  /** One handler per type. @throws TypeError when the type has one already or belongs to the link itself (HELLO, GOODBYE, PING, PONG, OFFER, PADDING). */
  handle(type: FrameType, handler: FrameHandler): void;
  /** Odd for the dialer, even for the listener; never 0, never the same twice. @throws RelaymintError LIMIT_EXCEEDED after 2^31 circuits. */
  nextCircuitId(): number;
  /** A retained link is not closed for idleness: retain() once per circuit, release() when it is gone. */
  retain(): void;
  release(): void;
  /** Round trip in milliseconds. @throws RelaymintError CLOSED, ABORTED, LIMIT_EXCEEDED (64 are under way). */
  ping(signal?: AbortSignal): Promise<number>;
  /** Tells the peer why, flushes what was queued and closes. Resolves when the connection is gone; never rejects. */
  close(reason?: RelaymintError): Promise<void>;
}

export interface ConnectOptions {
  readonly signal?: AbortSignal;
}

/** All links of one node: at most one to a peer. */
export interface LinkManager extends AsyncDisposable {
  readonly nodeId: NodeId;
  /** @returns the addresses that others can dial. */
  listen(addresses: readonly string[], options?: ListenOptions): Promise<string[]>;
  /**
   * The link to `peer`: the open one, the one being dialled, or a new one over the first address that works.
   * @throws RelaymintError POLICY_REFUSED, ADDRESS_UNSUPPORTED, CONNECTION_REFUSED, PEER_IDENTITY_MISMATCH, TIMEOUT,
   * VERSION_UNSUPPORTED, LIMIT_EXCEEDED, ABORTED, CLOSED: the last address's failure, with the others in the message.
   */
  connect(peer: NodeId, addresses: readonly string[], options?: ConnectOptions): Promise<Link>;
  /** The open link to `peer`, if there is one. */
  get(peer: NodeId): Link | undefined;
  /** `connect` would join a dial that is under way. */
  isDialling(peer: NodeId): boolean;
  links(): Link[];
  /**
   * `listener` runs synchronously when a link opens (either side dialled), before any of its frames is dispatched and
   * before connect() resolves: register frame handlers here. @returns how to unsubscribe.
   */
  onLink(listener: (link: Link) => void): () => void;
  /** `listener` runs when a peer presents or renews its own offer. @returns how to unsubscribe. */
  onOffer(listener: (offer: SignedOffer, link: Link) => void): () => void;
  /** Our own offer: sent in every later HELLO and, at once, on every open link. */
  setOffer(offer: SignedOffer): void;
  /** Addresses we listen on. */
  addresses(): string[];
  close(): Promise<void>;
}

export interface LinkManagerOptions {
  readonly identity: NodeIdentity;
  /**
   * Makes the identity for each link that we dial, so that no two links show the same node. It is disposed once the
   * connection has its keys. Our offer is sent on no such link. Default: `identity`.
   */
  readonly dialAs?: () => NodeIdentity;
  /** How connections are made and accepted; it holds the transports. */
  readonly policy: Policy;
  readonly clock: Clock;
  readonly log: Log;
  readonly offer?: SignedOffer;
  /** Default MAX_LINKS. */
  readonly maxLinks?: number;
  /** Defaults: the LINK_*_MILLIS of core/limits.ts. Milliseconds. */
  readonly timing?: Partial<LinkTiming>;
  /** Which links are padded while they are silent. Default: those over Tor and I2P. */
  readonly pads?: (transport: TransportName) => boolean;
}

export interface LinkTiming {
  /** To the first byte of an inbound connection; no longer than `handshake`. */
  readonly firstByte: number;
  /** From a dial to the hello; of an inbound connection, for TLS and for the hello each. */
  readonly handshake: number;
  readonly silence: number;
  readonly dead: number;
  readonly idle: number;
  /** Silence on a padded link before padding, at least and at most. */
  readonly padLeast: number;
  readonly padMost: number;
}

/** What asks a link that is gone fails with. */
export function linkClosed(): RelaymintError {
  return new RelaymintError('CLOSED', 'The link closed.', { remedy: 'Connect again.' });
}
