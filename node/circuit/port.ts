/**
 * The circuits of one link: checks every circuit frame against what was granted, counts it, keeps what must wait for a
 * receipt in order, and finds whose it is. What is granted is `port-grants.ts`.
 *
 * A circuit id ends with one DESTROY in each direction, whoever says it first. Until the peer's own DESTROY has come, what it
 * was granted may still come and is counted (both ends must agree to the byte); after it, the id is forgotten.
 */
import { RelaymintError, isRelaymintError, sentAmiss as violation } from '../../core/errors.ts';
import {
  MAX_CIRCUITS_PER_LINK,
  MAX_CREDIT,
  MAX_UNGRANTED_PAYLOAD,
  ONWARD_SPARE_CIRCUITS,
  QUIET_GRANT,
} from '../../core/limits.ts';
import { FRAME_HEADER_BYTES, FrameType, linkClosed, type Link } from '../link/contract.ts';
import type { LinkMeter } from '../meter/contract.ts';
import { freeSponsor, type Sponsor } from '../meter/index.ts';
import { Leg, type LegOwner, type LegPort, type LegTerms } from './leg.ts';
import { decodeCreate, decodeGrants, type Create } from './messages.ts';
import { PortGrants } from './port-grants.ts';
import { DestroyReason, decodeEnding, ending } from './reason.ts';
import { LinkScheduler, type Traffic } from './scheduler.ts';
import type { SlotPayer } from './slots.ts';

const CIRCUIT_FRAMES = [
  FrameType.CREATE,
  FrameType.CREATED,
  FrameType.RELAY,
  FrameType.NOTICE,
  FrameType.DESTROY,
] as const;

/** What a port asks of the node. */
export interface PortHost {
  readonly traffic: Traffic;
  /** How often this link may have us answer a CREATE. */
  createRate(): { take(): boolean };
  /** A peer wants a circuit: give the leg an owner, or destroy it. */
  accept(leg: Leg, create: Create): void;
  /** A leg is gone for good. */
  settled(): void;
}

/** A new circuit on a link, as its creator wants it. */
export type LegPlan = Pick<LegTerms, 'price' | 'hops' | 'sponsor' | 'sponsorPrice'> & {
  /** The first grant, bytes: less when money allows no more. */
  readonly grant: number;
};

interface HeldFrame {
  readonly leg: Leg;
  readonly type: FrameType;
  readonly payload: Buffer;
}

export class CircuitPort implements LegPort, SlotPayer {
  readonly link: Link;
  readonly meter: LinkMeter;
  readonly grants: PortGrants;
  readonly #host: PortHost;
  readonly #scheduler: LinkScheduler;
  readonly #legs = new Map<number, Leg>();
  readonly #creates: { take(): boolean };
  /** Parity of the ids that we give. */
  readonly #ownParity: number;
  #peersLegs = 0;
  #newestPeerId = 0;
  /** Frames covered only by a receipt that is not on disk yet. */
  #held: HeldFrame[] = [];
  #heldSince = 0;

  constructor(link: Link, meter: LinkMeter, host: PortHost) {
    this.link = link;
    this.meter = meter;
    this.grants = new PortGrants(link, meter);
    this.#host = host;
    this.#creates = host.createRate();
    this.#ownParity = link.dialer ? 1 : 0;
    this.#scheduler = new LinkScheduler({
      link,
      meter,
      traffic: host.traffic,
      destroySent: (leg) => this.#destroySent(leg),
      unpayable: (leg, error) => leg.owner?.fault(leg, error),
      failed: (error) => void link.close(error),
    });
    meter.onOpen = () => this.#opened();
    meter.onRoom = () => this.grants.retrySoon();
    link.handle(FrameType.GRANT, (_circuit, payload) => decodeGrants(payload, (id, bytes) => this.#granted(id, bytes)));
    link.handle(FrameType.RETURN, (_circuit, payload) => {
      decodeGrants(payload, (id, bytes) => this.#gaveBack(id, bytes));
      this.grants.retrySoon();
    });
    for (const type of CIRCUIT_FRAMES) {
      link.handle(type, (circuitId, payload) => this.#receive(type, circuitId, payload));
    }
    void link.closed.then((error) => this.#lost(error));
  }

  get sponsor(): Sponsor {
    return this.meter.sponsor;
  }

  /** The peer, as the payer of its circuits: itself, for what it paid is asked for once a payer and not once a circuit. */
  get payer(): SlotPayer {
    return this;
  }

  get key(): object {
    const { sponsor } = this.meter;
    return sponsor === freeSponsor ? this : sponsor;
  }

  /** What the peer signed receipts for, base units. */
  get paid(): bigint {
    return this.meter.counts().earning?.signed ?? 0n;
  }

  /** Circuits on this link, those included that wait for the peer's DESTROY. */
  get size(): number {
    return this.#legs.size;
  }

  get queuedBytes(): number {
    let total = 0;
    for (const leg of this.#legs.values()) total += leg.queuedBytes;
    return total;
  }

  /** True when nothing waits to be written. */
  get idle(): boolean {
    return this.#scheduler.idle;
  }

  /** All places for circuits to this peer are taken, but for those that are kept for the DESTROYs of who makes way. */
  get isFull(): boolean {
    return this.#legs.size - this.#peersLegs >= MAX_CIRCUITS_PER_LINK - ONWARD_SPARE_CIRCUITS;
  }

  /**
   * A new circuit on this link, paid by us. Its owner, once it holds the leg, sends CREATE with `leg.granted`: that frame may end
   * the circuit at once, when the deposit does not hold it.
   * @throws RelaymintError CLOSED, LIMIT_EXCEEDED, WINDOW_EXHAUSTED (too dear).
   */
  open(plan: LegPlan, owner: LegOwner): Leg {
    if (!this.link.isOpen) throw linkClosed();
    if (this.#legs.size - this.#peersLegs >= MAX_CIRCUITS_PER_LINK) {
      throw new RelaymintError('LIMIT_EXCEEDED', `${MAX_CIRCUITS_PER_LINK} circuits are open to ${this.link.peer}.`, {
        remedy: 'Close some, or choose another first hop.',
      });
    }
    if (!this.meter.canAfford(plan.price)) {
      throw new RelaymintError(
        'WINDOW_EXHAUSTED',
        `${this.link.peer} does not let us owe enough for a circuit at ${plan.price} base units per MiB.`,
        { remedy: 'Choose a cheaper peer, or widen the channel to it.' },
      );
    }
    const leg = new Leg(this, { ...plan, id: this.link.nextCircuitId(), pays: true });
    leg.owner = owner;
    this.#legs.set(leg.id, leg);
    this.link.retain();
    this.grants.first(leg, plan.grant);
    return leg;
  }

  /**
   * Closes the link when the peer does not answer our DESTROY: what it was granted could come for ever. Each hop that may
   * still be behind it has so many milliseconds of silence.
   */
  closeSilent(now: number, silenceMillis: number): void {
    for (const leg of this.#legs.values()) {
      if (!leg.destroySent || now - leg.heardAt < silenceMillis * (leg.hops + 1)) continue;
      void this.link.close(violation(`no DESTROY for circuit ${leg.id}, which ended long ago`));
      return;
    }
  }

  /** Cuts the peer off when it has owed a whole window for longer than `millis`. */
  cutDebtor(millis: number): void {
    const since = Math.min(this.#held.length > 0 ? this.#heldSince : Infinity, this.#scheduler.parkedSince ?? Infinity);
    if (performance.now() - since < millis || since === Infinity) return;
    this.#cut();
  }

  wake(leg: Leg): void {
    this.#scheduler.wake(leg);
  }

  retired(leg: Leg): void {
    this.grants.forget(leg);
    this.link.release();
  }

  /** Every frame of every circuit enters here. Throws what must close the link. */
  #receive(type: FrameType, circuitId: number, payload: Buffer): void {
    const leg = type === FrameType.CREATE ? this.#created(circuitId, payload) : this.#legs.get(circuitId);
    if (leg === undefined) throw violation(`a frame of circuit ${circuitId}, which is not open`);
    const length = FRAME_HEADER_BYTES + payload.length;
    if (type === FrameType.RELAY) this.grants.use(leg, length);
    else ensureNeedsNoGrant(leg, type, payload);
    if (leg.closing) leg.heardAt = performance.now();
    this.#host.traffic.framesIn += 1;
    this.#host.traffic.bytesIn += length;
    if (leg.pays) {
      this.meter.receivedDown(length, leg.price);
      this.#dispatch(leg, type, payload);
      return;
    }
    const verdict = this.meter.receivedUp(length, leg.price);
    if (verdict === 'cut') this.#cut();
    if (verdict === 'hold' || this.#held.length > 0) {
      if (this.#held.length === 0) this.#heldSince = performance.now();
      this.#held.push({ leg, type, payload });
    } else {
      this.#dispatch(leg, type, payload);
    }
  }

  /** A leg for a CREATE, so that even a refused one is counted at its own price. */
  #created(circuitId: number, payload: Buffer): Leg {
    if ((circuitId & 1) === this.#ownParity || circuitId <= this.#newestPeerId) {
      throw violation(`a CREATE with circuit id ${circuitId}, which is not its turn`);
    }
    if (this.#peersLegs >= 2 * MAX_CIRCUITS_PER_LINK) {
      throw new RelaymintError(
        'LIMIT_EXCEEDED',
        `The peer does not acknowledge ${MAX_CIRCUITS_PER_LINK} closed circuits.`,
      );
    }
    const { price, hops, grant } = decodeCreate(payload);
    this.#newestPeerId = circuitId;
    const leg = new Leg(this, { id: circuitId, price, hops, pays: false });
    leg.credit = grant;
    this.#legs.set(circuitId, leg);
    this.#peersLegs += 1;
    this.link.retain();
    return leg;
  }

  #dispatch(leg: Leg, type: FrameType, payload: Buffer): void {
    if (type === FrameType.DESTROY) {
      this.#destroyed(leg, payload);
    } else if (leg.closing) {
      if (type === FrameType.RELAY) this.#late(leg, payload);
    } else if (type === FrameType.CREATE) {
      const create = decodeCreate(payload);
      if (this.#peersLegs > MAX_CIRCUITS_PER_LINK) {
        leg.destroy(ending(DestroyReason.RESOURCE, 'too many circuits on this link'));
      } else if (!this.#creates.take()) {
        leg.destroy(ending(DestroyReason.RESOURCE, 'too many circuits at once: try again later'));
      } else if (!this.meter.canCarry(create.price)) {
        leg.destroy(ending(DestroyReason.PRICE, `${create.price} per MiB is more than this payer's window carries`));
      } else {
        this.#host.accept(leg, create);
      }
    } else {
      const { owner } = leg;
      if (type === FrameType.CREATED) {
        leg.credit += QUIET_GRANT;
        this.grants.tell(leg);
      }
      try {
        if (type === FrameType.NOTICE) owner?.noticed(leg, decodeEnding(payload));
        else owner?.receive(leg, type, payload);
      } catch (error) {
        if (!isRelaymintError(error)) throw error;
        owner?.fault(leg, error);
      }
    }
  }

  /** Sent before the peer knew that the circuit had ended, or in spite of it: counted, and within what was granted. */
  #late(leg: Leg, payload: Buffer): void {
    if (!leg.pays) return;
    if (leg.heir !== undefined) leg.heir.late(payload);
    else leg.lose(FRAME_HEADER_BYTES + payload.length);
  }

  #destroyed(leg: Leg, payload: Buffer): void {
    const said = decodeEnding(payload);
    const wasClosing = leg.closing;
    leg.peerClosed = true;
    this.#forget(leg);
    if (wasClosing) {
      leg.heir?.gone(leg);
    } else {
      // The owner says when our own DESTROY goes: what is still on its way to the peer goes first.
      leg.owner?.ended(leg, said);
      if (leg.owner === undefined) leg.destroy(ending(said.reason, ''));
    }
    if (leg.destroySent) this.#settled(leg);
  }

  #destroySent(leg: Leg): void {
    leg.destroySent = true;
    if (leg.peerClosed) this.#settled(leg);
  }

  /** Both ends have said DESTROY: nothing of this circuit can follow, so this is the moment to pay for it. */
  #settled(leg: Leg): void {
    if (leg.pays) this.meter.rest();
    this.#host.settled();
  }

  #granted(id: number, bytes: number): void {
    const leg = this.#legs.get(id);
    if (leg === undefined || leg.peerClosed) throw violation(`a GRANT for circuit ${id}, which is not open`);
    leg.credit += bytes;
    if (leg.credit > MAX_CREDIT) throw violation(`grants of ${leg.credit} bytes on circuit ${id}`);
    this.#scheduler.wake(leg);
    if (!leg.closing) leg.owner?.roomier(leg);
  }

  #gaveBack(id: number, bytes: number): void {
    const leg = this.#legs.get(id);
    if (leg === undefined || leg.peerClosed) throw violation(`a RETURN for circuit ${id}, which is not open`);
    if (bytes > leg.granted)
      throw violation(`a RETURN of ${bytes} bytes on circuit ${id}, where ${leg.granted} were granted`);
    this.grants.unused(leg, bytes);
    if (!leg.closing) leg.owner?.gaveBack(leg);
  }

  #forget(leg: Leg): void {
    this.#legs.delete(leg.id);
    if (!leg.pays) this.#peersLegs -= 1;
    const { granted, successor } = leg;
    this.grants.unused(leg, granted);
    if (successor !== undefined) this.grants.bequeath(successor, granted);
    this.grants.forget(leg);
    this.grants.retrySoon();
  }

  /** The peer does not pay: none of its circuits goes on. */
  #cut(): void {
    const unpaid = ending(DestroyReason.UNPAID, 'the window is used up and no receipt covers it');
    for (const leg of this.#legs.values()) {
      if (leg.pays || leg.closing) continue;
      const owner = leg.owner;
      leg.destroy(unpaid, DestroyReason.UNPAID);
      owner?.ended(leg, unpaid);
    }
    this.#release();
  }

  #opened(): void {
    try {
      this.#release();
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      void this.link.close(error);
    }
    this.#scheduler.unpark();
  }

  #release(): void {
    const held = this.#held;
    if (held.length === 0) return;
    this.#held = [];
    for (const frame of held) this.#dispatch(frame.leg, frame.type, frame.payload);
  }

  #lost(error: RelaymintError | undefined): void {
    this.#scheduler.stop();
    this.#held = [];
    const legs = [...this.#legs.values()];
    this.grants.clear();
    for (const leg of legs) this.#forget(leg);
    const lost = ending(
      DestroyReason.LINK_LOST,
      error === undefined ? 'the link was closed' : `the link failed: ${error.code}`,
    );
    for (const leg of legs) {
      leg.peerClosed = true;
      if (leg.closing) {
        leg.heir?.gone(leg);
      } else {
        leg.owner?.ended(leg, lost);
        leg.destroy(lost);
      }
    }
    this.#host.settled();
  }
}

/** What is counted without a grant comes once, and is small. @throws RelaymintError PROTOCOL_VIOLATION: it is not counted. */
function ensureNeedsNoGrant(leg: Leg, type: FrameType, payload: Buffer): void {
  if (payload.length > MAX_UNGRANTED_PAYLOAD) throw violation(`a frame of type ${type} with ${payload.length} bytes`);
  if (type === FrameType.CREATED) {
    if (!leg.pays || leg.created) throw violation('a CREATED out of place');
    leg.created = true;
  } else if (type === FrameType.NOTICE) {
    if (!leg.pays || leg.noticed) throw violation('a NOTICE out of place');
    leg.noticed = true;
  }
}
