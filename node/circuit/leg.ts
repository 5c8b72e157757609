/**
 * One circuit's end on one link: its id there, its price, what each end granted the other, and the frames that wait to be
 * written.
 */
import type { RelaymintError } from '../../core/errors.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { FRAME_HEADER_BYTES, FrameType, type Link } from '../link/contract.ts';
import type { Sponsor } from '../meter/index.ts';
import { encodeEnding, type DestroyReason, type Ending } from './reason.ts';
import type { SlotPayer } from './slots.ts';

/** Where the header keeps a frame's type: a queued frame carries it there, so that no entry object is needed. */
const TYPE_OFFSET = 2;

/** The owner of a leg: a relayed circuit or one that we built. */
export interface LegOwner {
  /** A CREATED or RELAY frame. A RelaymintError thrown here comes back as `fault`. */
  receive(leg: Leg, type: FrameType, payload: Buffer): void;
  /** The peer broke the protocol inside this circuit. */
  fault(leg: Leg, error: RelaymintError): void;
  /** Where we pay: the peer says that the circuit is over; what it still passes on follows, then its DESTROY. */
  noticed(leg: Leg, ending: Ending): void;
  /** The peer destroyed the circuit, it does not pay, or the link is gone: nothing more comes. Never after the owner's own leg.destroy(), but see `LegHeir`. */
  ended(leg: Leg, ending: Ending): void;
  /** The peer granted us more, or money allows more: there may be something to pass on. */
  roomier(leg: Leg): void;
  /** The peer gave back some of what it was granted. */
  gaveBack(leg: Leg): void;
  /** A RELAY frame that was queued (not pulled) was written. */
  passed(leg: Leg, frameBytes: number): void;
}

/** Receives what still comes on a leg that we destroyed. */
export interface LegHeir {
  /** A RELAY frame within what was granted: it is paid for. */
  late(payload: Buffer): void;
  /** The peer's DESTROY came, or the link is gone: nothing more comes. At most once. */
  gone(leg: Leg): void;
}

/** Makes frames when there is room for them, so that what waits can still be reordered or dropped. */
export interface FrameSource {
  /** The next sealed RELAY frame of at most `limit` bytes, undefined when there is none. What is pulled is sent, or the circuit ends. */
  pull(limit: number): Buffer | undefined;
  /** The pulled frame was handed to the link. */
  sent(frameBytes: number): void;
}

/** What is granted on the legs of one port. */
export interface LegGrants {
  /**
   * Grants the peer up to `bytes` more on this leg, as far as money allows; `LegOwner.roomier` tells when it allows
   * more. @returns what was granted.
   */
  grant(leg: Leg, bytes: number): number;
  /** Tells `LegOwner.roomier` of this leg once money allows more. */
  awaitRoom(leg: Leg): void;
  /** Gives back this much of what the peer granted us. */
  giveBack(leg: Leg, bytes: number): void;
}

/** What a leg asks of its port. */
export interface LegPort {
  readonly grants: LegGrants;
  readonly link: Link;
  /** Bounds what we may have to pay onward for the peer. */
  readonly sponsor: Sponsor;
  /** The payer of the peer's circuits. */
  readonly payer: SlotPayer;
  /** The leg may have something to send. */
  wake(leg: Leg): void;
  /** The leg was destroyed by our side. */
  retired(leg: Leg): void;
}

/** What a leg is made with. */
export interface LegTerms {
  readonly id: number;
  /** What the creator pays for each frame on this link. */
  readonly price: PricePerMiB;
  /** True when we created the circuit on this link: we pay. */
  readonly pays: boolean;
  /** How many hops may follow after the receiver of CREATE. */
  readonly hops: number;
  /** The payer on whose behalf we pay; undefined: we pay for ourselves, or the peer pays. */
  readonly sponsor?: Sponsor | undefined;
  /** What that payer will owe us for a MiB that comes here. Not below `price`. */
  readonly sponsorPrice?: bigint;
}

export class Leg {
  readonly port: LegPort;
  readonly id: number;
  readonly price: PricePerMiB;
  readonly pays: boolean;
  readonly hops: number;
  readonly sponsor: Sponsor | undefined;
  readonly sponsorPrice: bigint;
  owner: LegOwner | undefined;
  heir: LegHeir | undefined;
  source: FrameSource | undefined;
  /** Bytes of RELAY frames that the peer lets us send. */
  credit = 0;
  /** Bytes of RELAY frames that we let the peer send. */
  granted = 0;
  /** The part of `granted` that the peer is told once it has said CREATED, bytes. */
  untold = 0;
  /** Made way for this one: what the peer was granted here passes to it. */
  successor: Leg | undefined;
  /** The peer's CREATED came; its NOTICE came. */
  created = false;
  noticed = false;
  /** We said DESTROY, or queued it: only the peer's DESTROY is still awaited. */
  closing = false;
  /** Our DESTROY was written. */
  destroySent = false;
  /** When something last arrived on a closing leg, by performance.now(). */
  heardAt = 0;
  /** The peer's DESTROY arrived: nothing of this id will follow. */
  peerClosed = false;
  /** UNPAID is sent even above the window: it is the last frame. */
  forced = false;

  // Owned by the scheduler.
  next: Leg | undefined;
  scheduled = false;
  /** Taken from the queue and not affordable for the peer yet, or not granted. */
  head: Buffer | undefined;
  headFromSource = false;

  #frames: (Buffer | undefined)[] = [];
  #start = 0;
  #bytes = 0;

  constructor(port: LegPort, terms: LegTerms) {
    this.port = port;
    this.id = terms.id;
    this.price = terms.price;
    this.pays = terms.pays;
    this.hops = terms.hops;
    this.sponsor = terms.sponsor;
    this.sponsorPrice = terms.sponsorPrice ?? terms.price;
  }

  /** What waits to be written, including the frame that waits for money or a grant. */
  get queuedBytes(): number {
    return this.#bytes + (this.head !== undefined && !this.headFromSource ? this.head.length : 0);
  }

  /** Granted to us, and not needed for what is queued. */
  get spareCredit(): number {
    const spare = this.credit - this.queuedBytes;
    return spare > 0 ? spare : 0;
  }

  /** This many bytes that came here went on to the sponsored payer, or will not come. */
  settle(bytes: number): void {
    this.sponsor?.settle(BigInt(bytes) * this.sponsorPrice);
  }

  /** This many bytes that came here, and that we pay for, cannot go on to that payer. */
  lose(bytes: number): void {
    // In this order: what is lost was owed all the time.
    this.sponsor?.lose(BigInt(bytes) * this.price);
    this.sponsor?.settle(BigInt(bytes) * this.sponsorPrice);
  }

  /** Queues a finished frame (header room in front). */
  push(frame: Buffer, type: FrameType): void {
    if (this.closing) return;
    this.#append(frame, type);
    this.port.wake(this);
  }

  /** As `push`, from a payload. */
  pushPayload(payload: Uint8Array, type: FrameType): void {
    this.push(this.#framed(payload), type);
  }

  wake(): void {
    if (!this.closing) this.port.wake(this);
  }

  /** Drops what is queued and says DESTROY. Harmless when repeated. */
  destroy(ending: Ending, forcedReason?: DestroyReason): void {
    if (this.closing) return;
    this.forced = forcedReason === ending.reason;
    this.head = undefined;
    this.#frames = [];
    this.#start = 0;
    this.#bytes = 0;
    this.#end(ending);
  }

  /** Says DESTROY once what is queued has gone. Harmless when repeated. */
  finish(ending: Ending): void {
    if (!this.closing) this.#end(ending);
  }

  /** Tells the peer that the circuit is over, while frames of it still follow. */
  notice(ending: Ending): void {
    this.pushPayload(encodeEnding(ending), FrameType.NOTICE);
  }

  /** The scheduler's: the next frame into `head`. */
  take(): Buffer | undefined {
    const frame = this.#frames[this.#start];
    if (frame !== undefined) {
      this.#frames[this.#start] = undefined;
      this.#start += 1;
      this.#bytes -= frame.length;
      if (this.#start === this.#frames.length) {
        this.#frames.length = 0;
        this.#start = 0;
      } else if (this.#start >= 256) {
        this.#frames.splice(0, this.#start);
        this.#start = 0;
      }
      this.headFromSource = false;
      return frame;
    }
    if (this.source === undefined) return undefined;
    const pulled = this.source.pull(this.credit);
    if (pulled !== undefined) pulled[TYPE_OFFSET] = FrameType.RELAY;
    this.headFromSource = true;
    return pulled;
  }

  #end(ending: Ending): void {
    this.#append(this.#framed(encodeEnding(ending)), FrameType.DESTROY);
    this.closing = true;
    this.heardAt = performance.now();
    this.source = undefined;
    this.port.retired(this);
    this.port.wake(this);
  }

  #framed(payload: Uint8Array): Buffer {
    const frame = this.port.link.allocFrame(payload.length);
    frame.set(payload, FRAME_HEADER_BYTES);
    return frame;
  }

  #append(frame: Buffer, type: FrameType): void {
    frame[TYPE_OFFSET] = type;
    this.#frames.push(frame);
    this.#bytes += frame.length;
  }
}

/** The type of a queued frame. */
export function frameType(frame: Buffer): FrameType {
  return frame[TYPE_OFFSET] as FrameType;
}
