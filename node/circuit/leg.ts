/** One circuit's end on one link: its id there, its price, and the frames that wait to be written. */
import { MAX_CIRCUIT_QUEUE } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import type { Link } from '../link/contract.ts';
import { encodeEnding } from './reason.ts';
import type { DestroyReason, Ending } from './reason.ts';
import type { RelaymintError } from '../../core/errors.ts';

/** Where the header keeps a frame's type: a queued frame carries it there, so that no entry object is needed. */
const TYPE_OFFSET = 2;

/** Whoever a leg belongs to: a relayed circuit or one that we built. */
export interface LegOwner {
  /** A CREATED or RELAY frame. A RelaymintError thrown here comes back as `fault`. */
  receive(leg: Leg, type: FrameType, payload: Buffer): void;
  /** The peer broke the protocol inside this circuit. */
  fault(leg: Leg, error: RelaymintError): void;
  /** The peer destroyed the circuit, it does not pay, or the link is gone. At most once, and never after leg.destroy(). */
  ended(leg: Leg, ending: Ending): void;
}

/** Makes frames when there is room for them, so that what waits can still be reordered or dropped. */
export interface FrameSource {
  /** The next sealed RELAY frame, undefined when there is none. What is pulled is sent, or the circuit ends. */
  pull(): Buffer | undefined;
  /** The pulled frame was handed to the link. */
  sent(frameBytes: number): void;
}

/** What a leg asks of the port it stands on. */
export interface LegPort {
  readonly link: Link;
  /** The leg may have something to send. */
  wake(leg: Leg): void;
  /** The leg was destroyed by our side. */
  retired(leg: Leg): void;
}

export class Leg {
  readonly port: LegPort;
  readonly id: number;
  /** What the creator pays for each frame on this link. */
  readonly price: PricePerMiB;
  /** True when we created the circuit on this link: we pay. */
  readonly pays: boolean;
  owner: LegOwner | undefined;
  source: FrameSource | undefined;
  /** We said DESTROY, or queued it: only the peer's DESTROY is still awaited. */
  closing = false;
  /** Our DESTROY was written. */
  destroySent = false;
  /** The peer's DESTROY arrived: nothing of this id will follow. */
  peerClosed = false;
  /** UNPAID is said even above the window: it is the last frame. */
  forced = false;

  // Owned by the scheduler.
  next: Leg | undefined;
  scheduled = false;
  /** Taken and not yet affordable for the peer. */
  head: Buffer | undefined;
  headFromSource = false;

  #frames: (Buffer | undefined)[] = [];
  #start = 0;
  #bytes = 0;

  constructor(port: LegPort, id: number, price: PricePerMiB, pays: boolean) {
    this.port = port;
    this.id = id;
    this.price = price;
    this.pays = pays;
  }

  get queuedBytes(): number {
    return this.#bytes;
  }

  /** Queues a finished frame (header room in front). @returns false when the queue is full: the circuit must end with RESOURCE. */
  push(frame: Buffer, type: FrameType): boolean {
    if (this.closing) return true;
    if (this.#bytes + frame.length > MAX_CIRCUIT_QUEUE) return false;
    this.#append(frame, type);
    this.port.wake(this);
    return true;
  }

  /** As `push`, from a payload. */
  pushPayload(payload: Uint8Array, type: FrameType): boolean {
    return this.push(this.#framed(payload), type);
  }

  wake(): void {
    if (!this.closing) this.port.wake(this);
  }

  /** Drops what is queued and says DESTROY. Harmless when repeated. */
  destroy(ending: Ending, forcedReason?: DestroyReason): void {
    if (this.closing) return;
    this.closing = true;
    this.forced = forcedReason === ending.reason;
    this.head = undefined;
    this.source = undefined;
    this.#frames = [];
    this.#start = 0;
    this.#bytes = 0;
    this.#append(this.#framed(encodeEnding(ending)), FrameType.DESTROY);
    this.port.retired(this);
    this.port.wake(this);
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
    const pulled = this.source.pull();
    if (pulled !== undefined) pulled[TYPE_OFFSET] = FrameType.RELAY;
    this.headFromSource = true;
    return pulled;
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
