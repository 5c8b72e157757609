/**
 * The circuits of one link: counts every circuit frame, keeps what must wait for a receipt in order, and finds whose it is.
 *
 * A circuit id ends with one DESTROY in each direction, whoever says it first. Until the peer's own DESTROY has come, its
 * late frames are still counted (both ends must agree to the byte) and then ignored; after it, the id is forgotten.
 */
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_CIRCUITS_PER_LINK } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import type { Link } from '../link/contract.ts';
import type { LinkMeter } from '../meter/contract.ts';
import { Leg } from './leg.ts';
import type { LegOwner, LegPort } from './leg.ts';
import { decodeCreate } from './messages.ts';
import { DestroyReason, decodeEnding, ending } from './reason.ts';
import { LinkScheduler } from './scheduler.ts';
import type { Traffic } from './scheduler.ts';

const CIRCUIT_FRAMES = [FrameType.CREATE, FrameType.CREATED, FrameType.RELAY, FrameType.DESTROY] as const;

/** What a port asks of the node. */
export interface PortHost {
  readonly traffic: Traffic;
  /** A peer wants a circuit: give the leg an owner, or destroy it. */
  accept(leg: Leg, payload: Buffer): void;
  /** A leg is gone for good. */
  settled(): void;
}

interface HeldFrame {
  readonly leg: Leg;
  readonly type: FrameType;
  readonly payload: Buffer;
}

export class CircuitPort implements LegPort {
  readonly link: Link;
  readonly meter: LinkMeter;
  readonly #host: PortHost;
  readonly #scheduler: LinkScheduler;
  readonly #legs = new Map<number, Leg>();
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
    this.#host = host;
    this.#ownParity = link.dialer ? 1 : 0;
    this.#scheduler = new LinkScheduler({
      link,
      meter,
      traffic: host.traffic,
      destroySent: (leg) => this.#destroySent(leg),
      failed: (error) => void link.close(error),
    });
    meter.onOpen = () => this.#opened();
    for (const type of CIRCUIT_FRAMES) {
      link.handle(type, (circuitId, payload) => this.#receive(type, circuitId, payload));
    }
    void link.closed.then((error) => this.#lost(error));
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

  /** A new circuit on this link, paid by us. @throws RelaymintError CLOSED, LIMIT_EXCEEDED. */
  open(price: PricePerMiB, owner: LegOwner): Leg {
    if (!this.link.isOpen) throw new RelaymintError('CLOSED', 'The link closed.', { remedy: 'Connect again.' });
    if (this.#legs.size - this.#peersLegs >= MAX_CIRCUITS_PER_LINK) {
      throw new RelaymintError('LIMIT_EXCEEDED', `${MAX_CIRCUITS_PER_LINK} circuits are open to ${this.link.peer}.`, {
        remedy: 'Close some, or choose another first hop.',
      });
    }
    const leg = new Leg(this, this.link.nextCircuitId(), price, true);
    leg.owner = owner;
    this.#legs.set(leg.id, leg);
    this.link.retain();
    return leg;
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
    leg.owner = undefined;
    this.link.release();
  }

  /** Every frame of every circuit enters here. Throws what must close the link. */
  #receive(type: FrameType, circuitId: number, payload: Buffer): void {
    const leg = type === FrameType.CREATE ? this.#created(circuitId, payload) : this.#legs.get(circuitId);
    if (leg === undefined) throw violation(`a frame of circuit ${circuitId}, which is not open`);
    const length = FRAME_HEADER_BYTES + payload.length;
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
    const { price } = decodeCreate(payload);
    this.#newestPeerId = circuitId;
    const leg = new Leg(this, circuitId, price, false);
    this.#legs.set(circuitId, leg);
    this.#peersLegs += 1;
    this.link.retain();
    return leg;
  }

  #dispatch(leg: Leg, type: FrameType, payload: Buffer): void {
    if (type === FrameType.DESTROY) {
      this.#destroyed(leg, payload);
    } else if (leg.closing) {
      // Sent before the peer knew that the circuit had ended: counted, and of no use.
    } else if (type === FrameType.CREATE) {
      if (this.#peersLegs > MAX_CIRCUITS_PER_LINK) {
        leg.destroy(ending(DestroyReason.RESOURCE, 'too many circuits on this link'));
      } else {
        this.#host.accept(leg, payload);
      }
    } else {
      const owner = leg.owner;
      try {
        owner?.receive(leg, type, payload);
      } catch (error) {
        if (!isRelaymintError(error)) throw error;
        owner?.fault(leg, error);
      }
    }
  }

  #destroyed(leg: Leg, payload: Buffer): void {
    const said = decodeEnding(payload);
    this.#legs.delete(leg.id);
    if (!leg.pays) this.#peersLegs -= 1;
    leg.peerClosed = true;
    const owner = leg.owner;
    leg.destroy(ending(said.reason, ''));
    owner?.ended(leg, said);
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
    this.#legs.clear();
    this.#peersLegs = 0;
    const lost = ending(
      DestroyReason.LINK_LOST,
      error === undefined ? 'the link was closed' : `the link failed: ${error.code}`,
    );
    for (const leg of legs) {
      if (leg.closing) continue;
      const owner = leg.owner;
      leg.destroy(lost);
      owner?.ended(leg, lost);
    }
    this.#host.settled();
  }
}

function violation(what: string): RelaymintError {
  return new RelaymintError('PROTOCOL_VIOLATION', `The peer sent ${what}.`, {
    remedy: 'The nodes may run different versions.',
  });
}
