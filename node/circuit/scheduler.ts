/**
 * Which frame goes next on a link: circuits with frames take turns, as long as the link has room and money allows.
 * A circuit whose peer has used up its window steps aside until the window opens, and one without a grant for its next frame
 * until it has one; the others go on.
 */
import { isRelaymintError } from '../../core/errors.ts';
import type { RelaymintError } from '../../core/errors.ts';
import { FrameType } from '../link/contract.ts';
import type { Link } from '../link/contract.ts';
import type { LinkMeter } from '../meter/contract.ts';
import { frameType } from './leg.ts';
import type { Leg } from './leg.ts';

/** Circuit frames of a node since it started; every port adds to the same one. */
export interface Traffic {
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
}

export interface SchedulerOptions {
  readonly link: Link;
  readonly meter: LinkMeter;
  readonly traffic: Traffic;
  /** The leg's DESTROY was written. */
  readonly destroySent: (leg: Leg) => void;
  /** The next frame of this circuit cannot be paid for: the circuit must end, the link need not. */
  readonly unpayable: (leg: Leg, error: RelaymintError) => void;
  /** Not even the end of a circuit can be paid for: the link must go. */
  readonly failed: (error: RelaymintError) => void;
}

export class LinkScheduler {
  readonly #link: Link;
  readonly #meter: LinkMeter;
  readonly #traffic: Traffic;
  readonly #options: SchedulerOptions;
  /** A ring of legs, linked through Leg.next: no allocation when one takes its turn. */
  #first: Leg | undefined;
  #last: Leg | undefined;
  /** Legs whose peer must pay first. */
  #parked: Leg[] = [];
  /** Since when the peer's window has been shut, by performance.now(). */
  #parkedSince: number | undefined;
  #running = false;
  #stopped = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#meter = options.meter;
    this.#traffic = options.traffic;
    options.link.onDrain(() => this.run());
  }

  /** True when nothing waits. */
  get idle(): boolean {
    return this.#first === undefined && this.#parked.length === 0;
  }

  /** Since when frames have waited for the peer to pay, by performance.now(); undefined when none do. */
  get parkedSince(): number | undefined {
    return this.#parkedSince;
  }

  wake(leg: Leg): void {
    if (!leg.scheduled) {
      leg.scheduled = true;
      this.#append(leg);
    } else if (leg.closing && leg.head === undefined) {
      // A DESTROY took the place of a frame that was too expensive.
      this.unpark();
      return;
    }
    this.run();
  }

  /** The peer's window opened. */
  unpark(): void {
    const parked = this.#parked;
    if (parked.length > 0) {
      this.#parked = [];
      this.#parkedSince = undefined;
      for (const leg of parked) this.#append(leg);
    }
    this.run();
  }

  run(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    try {
      for (let leg = this.#first; leg !== undefined && this.#link.writable; leg = this.#first) {
        this.#first = leg.next;
        if (leg.next === undefined) this.#last = undefined;
        leg.next = undefined;
        this.#turn(leg);
      }
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      this.stop();
      this.#options.failed(error);
    } finally {
      this.#running = false;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#first = undefined;
    this.#last = undefined;
    this.#parked = [];
  }

  /** One frame of one leg. */
  #turn(leg: Leg): void {
    // Pulling a frame may end the circuit, which queues its DESTROY: it must find the leg off the ring.
    leg.scheduled = false;
    const frame = leg.head ?? leg.take();
    if (frame === undefined) return;
    const length = frame.length;
    const type = frameType(frame);
    if (type === FrameType.RELAY && length > leg.credit) {
      leg.head = frame;
      return;
    }
    if (leg.pays) {
      if (!this.#paysFor(leg, type, length)) return;
    } else if (leg.forced || this.#meter.canSendDown(length, leg.price, leg.headFromSource)) {
      this.#meter.sentDown(length, leg.price);
    } else {
      leg.head = frame;
      if (!leg.scheduled) {
        leg.scheduled = true;
        this.#parked.push(leg);
        this.#parkedSince ??= performance.now();
      }
      return;
    }
    leg.head = undefined;
    this.#link.sendFrame(frame, type, leg.id);
    this.#traffic.framesOut += 1;
    this.#traffic.bytesOut += length;
    if (type === FrameType.RELAY) leg.credit -= length;
    if (!leg.scheduled) {
      leg.scheduled = true;
      this.#append(leg);
    }
    if (type === FrameType.RELAY) {
      if (leg.headFromSource) leg.source?.sent(length);
      else leg.owner?.passed(leg, length);
    } else if (type === FrameType.DESTROY) {
      this.#options.destroySent(leg);
    }
  }

  /** False when the circuit ends instead. @throws RelaymintError when even that cannot be paid for. */
  #paysFor(leg: Leg, type: FrameType, length: number): boolean {
    const last = type === FrameType.DESTROY;
    try {
      this.#meter.sendUp(length, leg.price, last);
      return true;
    } catch (error) {
      if (last || !isRelaymintError(error, 'WINDOW_EXHAUSTED', 'DEPOSIT_EXHAUSTED')) throw error;
      leg.head = undefined;
      this.#options.unpayable(leg, error);
      return false;
    }
  }

  #append(leg: Leg): void {
    if (this.#last === undefined) this.#first = leg;
    else this.#last.next = leg;
    this.#last = leg;
  }
}
