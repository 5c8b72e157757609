/**
 * The near side of somebody else's circuit, which goes on to another hop, ends here, or is joined to another circuit (`far-side.ts`).
 *
 * The packet path, in order. Forward (from the initiator):
 *   1 check    the port has found the frame within what we granted, counted it and found it paid for
 *   2 open     take our layer off; a wrong tag ends the circuit
 *   3 hand on  what is left: to the next hop, or as a cell to our own streams, or to the circuit that this one is joined to. The first
 *              cell says which: EXTEND, or a stream's
 * Backward (from the next hop, our own streams, or the other circuit):
 *   1 check    as above, as the payer of the next hop
 *   2 seal     put our layer on
 *   3 pass on  queue it for the previous hop
 *
 * Grants travel against the frames: what the previous hop lets us send towards it we let the next hop send, as far as the payer's
 * window covers it; what the next hop lets us send on we let the previous hop send. So all that comes can go on.
 *
 * The end. The node that ends a circuit pays for what is on its way (`next-hop.ts`): once it is over the far side is told, and our DESTROY
 * goes up once nothing more comes from there.
 */
import type { RelaymintError } from '../../core/errors.ts';
import { LEAST_GRANT, QUIET_GRANT, STACK_BYTES } from '../../core/limits.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import { CellType, cellType } from './cell.ts';
import type { CircuitEnd } from './contract.ts';
import type { FarSide, NearSide } from './far-side.ts';
import { LOW_GRANT, Unused } from './grants.ts';
import type { HopKeys } from './handshake.ts';
import { OpeningLayer, SealingLayer } from './layer.ts';
import type { Leg, LegHeir, LegOwner } from './leg.ts';
import { GOES_ON } from './join.ts';
import { LocalEnd } from './local-end.ts';
import { NextHop } from './next-hop.ts';
import { DestroyReason, ending, type Ending } from './reason.ts';
import type { RelayHost } from './relay-host.ts';
import type { Slotted, SlotPayer } from './slots.ts';
import { Splice } from './splice.ts';
import type { CircuitSide } from './stream-ids.ts';
import { violation } from './violation.ts';

export class RelayedCircuit implements NearSide, LegOwner, LegHeir, Slotted {
  readonly leg: Leg;
  readonly unused: Unused = new Unused();
  readonly #host: RelayHost;
  readonly #opening: OpeningLayer;
  readonly #sealing: SealingLayer;
  /** undefined until the first cell came. */
  #far: FarSide | undefined;
  /** Why it is over: the previous hop is told once nothing more can come for it. */
  #over: Ending | undefined;
  #active = true;
  #idleTurns = 0;
  #quietTurns = 0;
  /** What `host.carry` knows of us, bytes. */
  #counted = 0;

  constructor(host: RelayHost, up: Leg, keys: HopKeys) {
    this.#host = host;
    this.leg = up;
    this.#opening = new OpeningLayer(keys.forward);
    this.#sealing = new SealingLayer(keys.backward);
    up.heir = this;
  }

  /** True when it goes on to another node. */
  get relays(): boolean {
    return this.#far?.relays === true;
  }

  /** The leg towards the next hop. */
  get onward(): Leg | undefined {
    return this.#far?.onward;
  }

  get payer(): SlotPayer {
    return this.leg.port.payer;
  }

  get quietTurns(): number {
    return this.#quietTurns;
  }

  get openStreams(): number {
    return this.#far?.openStreams ?? 0;
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** One turn of the node's watch. Ends a circuit that carried nothing for this many turns. */
  watch(maxIdleTurns: number): void {
    this.#idleTurns = this.#active ? 0 : this.#idleTurns + 1;
    this.#active = false;
    this.#far?.tellKept();
    if (this.#idleTurns >= maxIdleTurns) this.end(ending(DestroyReason.FINISHED, 'it carried nothing for a long time'));
  }

  /**
   * Joins two circuits that end here: each initiator gets what the other sends from now on (`join.ts`). Their streams with us end.
   * @throws TypeError if one of them goes on already, or is over.
   */
  join(other: RelayedCircuit): void {
    if (this === other || !this.#endsHere || !other.#endsHere)
      throw new TypeError('only circuits that end here can be joined');
    this.#goOnIn(other, 'initiator');
    other.#goOnIn(this, 'host');
    this.letSend(other.leg.spareCredit);
    other.letSend(this.leg.spareCredit);
  }

  get #endsHere(): boolean {
    return this.#over === undefined && (this.#far === undefined || this.#far instanceof LocalEnd);
  }

  #goOnIn(other: RelayedCircuit, side: CircuitSide): void {
    this.#far?.stop(GOES_ON);
    this.leg.source = undefined;
    this.#far = new Splice(this, other, side);
  }

  // --- the packet path ------------------------------------------------------------------------------------------------------

  receive(_leg: Leg, type: FrameType, payload: Buffer): void {
    this.heard();
    if (type !== FrameType.RELAY) throw violation(`a frame of type ${type} out of place`);
    if (this.#over !== undefined) return;
    const text = this.#opening.open(payload);
    if (text === undefined) {
      this.end(ending(DestroyReason.TAMPERED, 'a frame was changed, lost, repeated or out of order'));
      return;
    }
    this.#far ??= cellType(text) === CellType.EXTEND ? new NextHop(this.#host, this) : new LocalEnd(this.#host, this);
    this.#far.take(payload, text, this.#opening);
  }

  heard(): void {
    this.#active = true;
    this.#quietTurns = 0;
  }

  pass(payload: Buffer): void {
    const frame = this.leg.port.link.allocFrame(payload.length);
    this.#sealing.pass(payload, frame, FRAME_HEADER_BYTES);
    this.leg.push(frame, FrameType.RELAY);
  }

  seal(cell: Buffer): Buffer {
    const frame = this.leg.port.link.allocFrame(STACK_BYTES + cell.length);
    this.#sealing.originate(cell, frame, FRAME_HEADER_BYTES);
    return frame;
  }

  passed(_leg: Leg, frameBytes: number): void {
    this.#far?.written(frameBytes);
  }

  // --- grants -----------------------------------------------------------------------------------------------------------------

  roomier(): void {
    if (this.#over === undefined) this.#far?.nearRoomier();
  }

  gaveBack(): void {
    if (this.#over === undefined) this.#far?.nearGaveBack();
  }

  letSend(room: number): void {
    const wanted = this.worthPassing(room, this.leg.granted);
    if (wanted === 0) return;
    this.leg.port.grants.grant(this.leg, wanted);
    this.count();
  }

  /**
   * How much more to grant a hop that may send `granted`, when we may send `spare`. A little is not worth a frame until the hop
   * runs low: then all of it goes on, and a little is granted however much the node carries, so that every circuit makes progress.
   */
  worthPassing(spare: number, granted: number): number {
    const wanted = spare - granted;
    if (wanted < (granted < LOW_GRANT ? 1 : LEAST_GRANT)) return 0;
    this.count();
    if (this.#host.carry(0)) return wanted;
    return Math.max(0, Math.min(wanted, QUIET_GRANT - granted));
  }

  count(): void {
    const counted = this.leg.granted + this.leg.queuedBytes + (this.#far?.held ?? 0);
    this.#host.carry(counted - this.#counted);
    this.#counted = counted;
  }

  /** Once in a while: gives back what it does not use. A circuit that nobody used yet holds money all the same. */
  returnUnused(): void {
    this.#quietTurns += 1;
    if (this.#over !== undefined) return;
    if (this.#far === undefined) this.unused.look(this.leg, undefined);
    else this.#far.returnUnused();
  }

  // --- the end ----------------------------------------------------------------------------------------------------------------

  fault(_leg: Leg, error: RelaymintError): void {
    this.fail(error);
  }

  fail(error: RelaymintError): void {
    this.end(ending(isUnpayable(error) ? DestroyReason.UNREACHABLE : DestroyReason.PROTOCOL, error.message));
  }

  noticed(_leg: Leg, why: Ending): void {
    this.end(why);
  }

  /** The previous hop ended it: what the next hop was granted still passes, while the previous hop is there to take it. */
  ended(leg: Leg, why: Ending): void {
    this.#finish(why);
    if (this.#far?.close(why) !== true) leg.finish(why);
    if (leg.closing || !leg.port.link.isOpen) this.#far?.nearLost();
  }

  end(why: Ending): void {
    if (this.#over !== undefined) return;
    this.#finish(why);
    if (this.#far?.close(why) === true) this.leg.notice(why);
    else this.leg.destroy(why);
  }

  farEnded(why: Ending): void {
    this.#finish(why);
    this.leg.finish(why);
  }

  farGone(): void {
    this.leg.finish(this.#over ?? ending(DestroyReason.FINISHED, ''));
  }

  late(): void {
    // The previous hop pays for what it sends, and is not paid.
  }

  /** The previous hop had been told. */
  gone(leg: Leg): void {
    if (!leg.port.link.isOpen) this.#far?.nearLost();
  }

  #finish(why: Ending): void {
    if (this.#over !== undefined) return;
    this.#over = why;
    this.#far?.stop(why);
    this.#opening.close();
    this.#sealing.close();
    this.#host.carry(-this.#counted);
    this.#counted = 0;
    this.#host.over(this, why);
  }
}

/**
 * Joins the circuits of two ends that services of this node were given. Each initiator then has the other one at its far end, if both
 * expect it (`Circuit.expectJoin`); otherwise both circuits end. Streams with us end. Each initiator pays for its own circuit.
 * @throws TypeError if these are not the ends of two circuits that end here.
 */
export function joinCircuits(one: CircuitEnd, other: CircuitEnd): void {
  nearOf(one).join(nearOf(other));
}

function nearOf(end: CircuitEnd): RelayedCircuit {
  if (end instanceof LocalEnd && end.near instanceof RelayedCircuit) return end.near;
  throw new TypeError('only circuits that end here can be joined');
}

function isUnpayable(error: RelaymintError): boolean {
  return error.code === 'WINDOW_EXHAUSTED' || error.code === 'DEPOSIT_EXHAUSTED';
}
