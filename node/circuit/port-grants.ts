/**
 * What is granted on the circuits of one link, and given back: as much as money allows, shared fairly by those that wait for it. What is said
 * in one turn of the event loop goes in one frame.
 */
import { RelaymintError, sentAmiss as violation } from '../../core/errors.ts';
import { LEAST_GRANT, MAX_CREDIT, QUIET_GRANT, SMALLEST_FRAME_BYTES } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { FrameType, type Link } from '../link/contract.ts';
import type { LinkMeter } from '../meter/contract.ts';
import type { Leg, LegGrants, LegTerms } from './leg.ts';
import { encodeGrants } from './messages.ts';
import { Promises } from './promises.ts';

/** Less than the worth of this many bytes is not paid before it is due. */
const EARLY_BYTES = QUIET_GRANT / 2;

export class PortGrants implements LegGrants {
  readonly #link: Link;
  readonly #meter: LinkMeter;
  /** What paying legs were granted, and which of them wait for money. */
  readonly #promises = new Promises();
  /** What is granted and given back in this turn of the event loop. */
  readonly #grants = new Map<number, number>();
  readonly #returns = new Map<number, number>();
  #flushing = false;
  #retrying = false;
  /** Waits for `payEarly`. */
  #starved: Leg | undefined;

  constructor(link: Link, meter: LinkMeter) {
    this.#link = link;
    this.#meter = meter;
  }

  /** What we may owe this peer is promised to the circuits that are there. */
  isShort(price: PricePerMiB): boolean {
    return price > 0n && this.#meter.mayOwe - this.#promises.total < price * BigInt(LEAST_GRANT);
  }

  /** What may be granted now on a leg of that price, paid for `sponsor`: bytes. */
  room(
    { price, sponsor, sponsorPrice = price }: Pick<LegTerms, 'price' | 'sponsor' | 'sponsorPrice'>,
    wanted: number,
  ): number {
    if (price === 0n) return wanted;
    const link = this.#meter.mayOwe - this.#promises.total;
    const here = link / price;
    const behind = sponsor === undefined ? here : sponsor.room / sponsorPrice;
    const room = here < behind ? here : behind;
    if (room <= 0n) return 0;
    return room < BigInt(wanted) ? Number(room) : wanted;
  }

  /** A new leg's first grant, which CREATE tells: at most `wanted`, what money allows. */
  first(leg: Leg, wanted: number): void {
    const bytes = this.room(leg, wanted);
    this.#promise(leg, bytes);
    if (bytes < wanted) this.#promises.await(leg);
  }

  grant(leg: Leg, bytes: number): number {
    if (leg.closing || leg.peerClosed || bytes <= 0) return 0;
    const granted = leg.pays ? this.#share(leg, bytes) : bytes;
    if (granted < Math.min(bytes, LEAST_GRANT)) {
      this.#promises.await(leg);
      if (leg.granted < LEAST_GRANT && this.isShort(leg.price)) this.#payEarly(leg);
      return 0;
    }
    if (granted < bytes) this.#promises.await(leg);
    this.#promise(leg, granted);
    this.#grants.set(leg.id, (this.#grants.get(leg.id) ?? 0) + granted);
    this.#flushSoon();
    return granted;
  }

  giveBack(leg: Leg, bytes: number): void {
    if (leg.closing || leg.peerClosed || bytes <= 0) return;
    leg.credit -= bytes;
    this.#returns.set(leg.id, (this.#returns.get(leg.id) ?? 0) + bytes);
    this.#flushSoon();
  }

  awaitRoom(leg: Leg): void {
    this.#promises.await(leg);
  }

  /** A RELAY frame of `length` bytes came. @throws RelaymintError GRANT_EXCEEDED: the frame is not counted and the link closes. */
  use(leg: Leg, length: number): void {
    if (length < SMALLEST_FRAME_BYTES) throw violation(`a RELAY frame of ${length} bytes, smaller than any cell`);
    if (length > leg.granted) {
      throw new RelaymintError(
        'GRANT_EXCEEDED',
        `The peer sent a frame of ${length} bytes on circuit ${leg.id}, where ${leg.granted} were granted.`,
        { remedy: 'Do not deal with this peer: it takes more than it was given.' },
      );
    }
    leg.granted -= length;
    if (leg.pays) this.#promises.add(leg, -length);
  }

  /** What the peer was granted and will not use. */
  unused(leg: Leg, bytes: number): void {
    leg.granted -= bytes;
    if (!leg.pays) return;
    this.#promises.add(leg, -bytes);
    leg.settle(bytes);
  }

  /** Before the others that wait for money, which may be many. */
  bequeath(leg: Leg, bytes: number): void {
    if (leg.closing || leg.peerClosed) return;
    const room = this.room(leg, Math.min(bytes, Math.max(0, QUIET_GRANT - leg.granted)));
    this.#promise(leg, room);
    leg.untold += room;
    if (leg.created) this.tell(leg);
  }

  /** Grants what it may be told now. */
  tell(leg: Leg): void {
    if (leg.untold === 0) return;
    this.#grants.set(leg.id, (this.#grants.get(leg.id) ?? 0) + leg.untold);
    leg.untold = 0;
    this.#flushSoon();
  }

  /** The leg is over: it asks for nothing, and nothing more is said of it. */
  forget(leg: Leg): void {
    this.#promises.leave(leg);
    this.#grants.delete(leg.id);
    this.#returns.delete(leg.id);
  }

  /** The link is lost. */
  clear(): void {
    this.#promises.clear();
  }

  /** Money allows more than before: all that wait ask again, once for all that came in this turn of the event loop. */
  retrySoon(): void {
    if (this.#retrying || this.#promises.waiting === 0) return;
    this.#retrying = true;
    setImmediate(retryGrants, this);
  }

  /** The deferred half of retrySoon. */
  retryGrants(): void {
    this.#retrying = false;
    // One that still waits is added again.
    for (const leg of this.#promises.inTurn()) {
      this.#promises.leave(leg);
      leg.owner?.roomier(leg);
    }
  }

  /** Grants of one turn go in one frame. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(flushGrants, this);
  }

  /** The deferred half of #flushSoon. */
  flushGrants(): void {
    this.#flushing = false;
    if (this.#grants.size > 0) encodeGrants(this.#grants, (payload) => this.#link.send(FrameType.GRANT, 0, payload));
    if (this.#returns.size > 0) encodeGrants(this.#returns, (payload) => this.#link.send(FrameType.RETURN, 0, payload));
    this.#grants.clear();
    this.#returns.clear();
  }

  /** Where money is short, all that wait for it get the same of what there is; where that is too little for all, those whose turn it is. */
  #share(leg: Leg, bytes: number): number {
    this.#promises.leave(leg);
    const others = this.#promises.rivals;
    if (others === 0) return this.room(leg, bytes);
    if (this.#promises.goesAfter(leg)) return 0;
    const room = this.room(leg, MAX_CREDIT);
    return Math.min(bytes, room, Math.max(LEAST_GRANT, Math.floor(room / (others + 1))));
  }

  #promise(leg: Leg, bytes: number): void {
    leg.granted += bytes;
    if (!leg.pays) return;
    this.#promises.add(leg, bytes);
    leg.sponsor?.promise(BigInt(bytes) * leg.sponsorPrice);
  }

  /**
   * A circuit can send nothing, for want of what is owed and not due yet: what others hold and do not use leaves too little for a receipt
   * ever to become due. It is paid now, unless it is hardly anything.
   */
  #payEarly(leg: Leg): void {
    if (this.#starved === undefined) setImmediate(payEarly, this);
    this.#starved = leg;
  }

  /** The deferred half of #payEarly: a receipt makes room, and whoever asked is in the middle of asking. */
  payEarly(): void {
    const leg = this.#starved;
    this.#starved = undefined;
    if (leg !== undefined && this.#promises.waiting > 0) this.#meter.payEarly(BigInt(EARLY_BYTES) * leg.price);
  }
}

function payEarly(grants: PortGrants): void {
  grants.payEarly();
}

function retryGrants(grants: PortGrants): void {
  grants.retryGrants();
}

function flushGrants(grants: PortGrants): void {
  grants.flushGrants();
}
