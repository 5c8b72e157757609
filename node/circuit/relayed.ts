/**
 * A circuit of somebody else: we carry it onward, or it ends here.
 *
 * The packet path, in order. Forward (from the initiator):
 *   1 check    the port has found the frame within what we granted, counted it and found it paid for
 *   2 open     take our layer off; a wrong tag ends the circuit
 *   3 pass on  while there is a next hop, queue what is left for it ...
 *   4 or take  ... otherwise it is a cell for us: EXTEND, or a stream's
 * Backward (from the next hop, or from our own streams):
 *   1 check    as above, as the payer
 *   2 seal     put our layer on
 *   3 pass on  queue it for the hop before us
 *
 * Grants travel against the frames: what the hop before us lets us send down we let the next hop send, as far as the payer's
 * window covers it; what the next hop lets us send up we let the hop before us send. So whatever comes can go on.
 *
 * The end. Whoever ends a circuit pays for what is on its way: once it is over, the next hop is told, and what it was granted
 * still passes to the hop before us until its DESTROY has come; then ours goes up. Only when the hop before us is gone is
 * what still comes lost, and that payer owes it.
 */
import { randomFillSync } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import { CIRCUIT_WINDOW, LEAST_GRANT, QUIET_GRANT, SMALLEST_FRAME_BYTES, STACK_BYTES } from '../../core/limits.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import { CELL_HEADER_BYTES, CellType, cellData, cellType, frameCell } from './cell.ts';
import type { CircuitEnd, CircuitStream, OpenStreamOptions } from './contract.ts';
import type { HopKeys } from './handshake.ts';
import { Unused } from './grants.ts';
import { OpeningLayer, SealingLayer, scratch } from './layer.ts';
import type { FrameSource, Leg, LegHeir, LegOwner } from './leg.ts';
import { decodeCreated, decodeExtend, encodeCreate, encodeCreated } from './messages.ts';
import type { Extend } from './messages.ts';
import { Mux } from './mux.ts';
import type { MuxOwner, Refusal } from './mux.ts';
import type { RelayHost } from './relay-host.ts';
import { onwardPriceAllowed } from './price.ts';
import { DestroyReason, ending, endingError } from './reason.ts';
import type { Ending } from './reason.ts';
import type { Slotted, SlotPayer } from './slots.ts';
import type { MuxStream } from './stream.ts';

/** A hop that may send less than this runs low. */
const LOW_GRANT = QUIET_GRANT / 2;

export class RelayedCircuit implements LegOwner, LegHeir, FrameSource, MuxOwner, CircuitEnd, Slotted {
  readonly #host: RelayHost;
  readonly #up: Leg;
  readonly #opening: OpeningLayer;
  readonly #sealing: SealingLayer;
  /** Towards the next hop; undefined while the circuit ends here. */
  #down: Leg | undefined;
  /** The next hop said CREATED. */
  #extended = false;
  #extending: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #mux: Mux | undefined;
  /** Over, and why: `#up` is told once nothing more can come for it. */
  #over: Ending | undefined;
  #active = true;
  #idleTurns = 0;
  #quietTurns = 0;
  /** Frame bytes that came from the next hop and were not written to the one before us. */
  #carried = 0;
  /** Frame bytes of our own that wait before them. */
  #own = 0;
  /** What `host.carry` knows of us, bytes. */
  #counted = 0;
  readonly #unused = new Unused();
  /** Frame bytes that went on, both ways, since the sponsor was last told. */
  #passed = 0;

  constructor(host: RelayHost, up: Leg, keys: HopKeys) {
    this.#host = host;
    this.#up = up;
    this.#opening = new OpeningLayer(keys.forward);
    this.#sealing = new SealingLayer(keys.backward);
    up.heir = this;
  }

  /** True when it goes on to another node. */
  get relays(): boolean {
    return this.#extended;
  }

  /** The leg towards the next hop. */
  get onward(): Leg | undefined {
    return this.#down;
  }

  get payer(): SlotPayer {
    return this.#up.port.payer;
  }

  get quietTurns(): number {
    return this.#quietTurns;
  }

  get openStreams(): number {
    return this.#mux?.openStreams ?? 0;
  }

  /** One turn of the node's watch. Ends a circuit that carried nothing for this many turns. */
  watch(maxIdleTurns: number): void {
    this.#idleTurns = this.#active ? 0 : this.#idleTurns + 1;
    this.#active = false;
    this.#tellKept();
    if (this.#idleTurns >= maxIdleTurns) this.end(ending(DestroyReason.FINISHED, 'it carried nothing for a long time'));
  }

  // --- the packet path ------------------------------------------------------------------------------------------------------

  receive(leg: Leg, type: FrameType, payload: Buffer): void {
    this.#active = true;
    this.#quietTurns = 0;
    if (type === FrameType.RELAY) {
      if (this.#over !== undefined) return;
      if (leg === this.#up) this.#forward(payload);
      else if (this.#extended) this.#backward(payload);
      else throw violation('a RELAY frame before CREATED');
    } else if (type === FrameType.CREATED && leg === this.#down && !this.#extended) {
      this.#created(payload);
    } else {
      throw violation(`a frame of type ${type} out of place`);
    }
  }

  #forward(payload: Buffer): void {
    const opened = this.#opening.open(payload);
    if (opened === undefined) {
      this.end(ending(DestroyReason.TAMPERED, 'a frame was changed, lost, repeated or out of order'));
    } else if (this.#extended && this.#down !== undefined) {
      const frame = this.#down.port.link.allocFrame(payload.length);
      this.#opening.pass(payload, opened, frame, FRAME_HEADER_BYTES);
      this.#down.push(frame, FrameType.RELAY);
      if (this.#up.granted < LOW_GRANT) this.#passUp();
    } else if (this.#extending !== undefined) {
      throw violation('a cell while EXTEND is not answered');
    } else {
      this.#take(opened, FRAME_HEADER_BYTES + payload.length);
    }
  }

  #backward(payload: Buffer): void {
    const frame = this.#up.port.link.allocFrame(payload.length);
    this.#sealing.pass(payload, frame, FRAME_HEADER_BYTES);
    this.#carried += frame.length;
    this.#up.push(frame, FrameType.RELAY);
    if (this.#down !== undefined && this.#down.granted < LOW_GRANT) this.#passDown();
  }

  /** A frame went on. */
  passed(leg: Leg, frameBytes: number): void {
    if (leg !== this.#up) {
      this.#passed += frameBytes;
      return;
    }
    if (this.#own > 0) {
      this.#own -= frameBytes;
      return;
    }
    this.#carried -= frameBytes;
    this.#passed += frameBytes;
    this.#down?.settle(frameBytes);
  }

  /** What was kept of what passed makes good what was spent on chain for that payer. */
  #tellKept(): void {
    const { port, price } = this.#up;
    if (this.#down !== undefined) port.sponsor.keep(BigInt(this.#passed) * (price - this.#down.price));
    this.#passed = 0;
  }

  #take(cell: Buffer, frameBytes: number): void {
    if (cellType(cell) === CellType.EXTEND) {
      if (this.#mux !== undefined) throw violation('EXTEND in a circuit that is in use');
      this.#extend(decodeExtend(cellData(cell)));
      return;
    }
    if (this.#mux === undefined) {
      this.#mux = new Mux('host', this, this.#up.price);
      this.#up.source = this;
    }
    this.#mux.receive(cell, frameBytes);
  }

  // --- grants -----------------------------------------------------------------------------------------------------------------

  roomier(leg: Leg): void {
    if (this.#over !== undefined) return;
    if (leg === this.#down && leg.pays && !this.#extended) return;
    // The next hop lets us send more, or money lets us grant it more; the hop before us lets us send more.
    if (leg === this.#down) this.#passUp();
    this.#passDown();
  }

  /** What the hop before us lets us send, the next hop may send. */
  #passDown(): void {
    const down = this.#down;
    if (down === undefined || !this.#extended) return;
    const wanted = this.#worthPassing(this.#up.spareCredit, down.granted);
    if (wanted === 0) return;
    if (down.port.grant(down, wanted) < wanted) this.#up.port.awaitRoom(this.#up);
    this.#count();
  }

  /** What the next hop lets us send, the hop before us may send. */
  #passUp(): void {
    const down = this.#down;
    if (down === undefined || !this.#extended) return;
    const wanted = this.#worthPassing(down.spareCredit, this.#up.granted);
    if (wanted === 0) return;
    this.#up.port.grant(this.#up, wanted);
    this.#count();
  }

  /**
   * How much more to grant a hop that may send `granted`, when we may send `spare`. Little is not worth a frame, until the hop
   * runs low: then all of it goes on, and a little is granted however much the node carries, so that every circuit gets on.
   */
  #worthPassing(spare: number, granted: number): number {
    const wanted = spare - granted;
    if (wanted < (granted < LOW_GRANT ? 1 : LEAST_GRANT)) return 0;
    this.#count();
    if (this.#host.carry(0)) return wanted;
    return Math.max(0, Math.min(wanted, QUIET_GRANT - granted));
  }

  #count(): void {
    const { granted = 0, queuedBytes = 0 } = this.#down ?? {};
    const counted = this.#up.granted + this.#up.queuedBytes + granted + queuedBytes;
    this.#host.carry(counted - this.#counted);
    this.#counted = counted;
  }

  /** Whoever sends little gives back what it was granted: so do we. */
  gaveBack(leg: Leg): void {
    if (this.#over !== undefined) return;
    const other = leg === this.#up ? this.#down : this.#up;
    if (other === undefined || !this.#extended) {
      this.#mux?.rest(leg.granted);
      return;
    }
    // No more is kept than what the sender still has: it would wait for what stays here.
    other.port.giveBack(other, other.spareCredit - leg.granted);
    this.#count();
  }

  granted(): number {
    return this.#up.granted;
  }

  grant(bytes: number): void {
    this.#up.port.grant(this.#up, bytes);
  }

  /** Once in a while: gives back what it does not use. */
  returnUnused(): void {
    this.#quietTurns += 1;
    if (this.#over !== undefined || this.#extended || this.#extending !== undefined) return;
    // A circuit that ends here and that nobody used yet has no streams: it holds money all the same.
    this.#unused.look(this.#up, this.#mux);
  }

  // --- our own cells, when the circuit ends here ----------------------------------------------------------------------------

  pull(limit: number): Buffer | undefined {
    const size = this.#mux?.pull(scratch, limit - FRAME_HEADER_BYTES - STACK_BYTES) ?? 0;
    return size === 0 ? undefined : this.#ownFrame(size);
  }

  /** The first `size` bytes of `scratch`, sealed. */
  #ownFrame(size: number): Buffer {
    const frame = this.#up.port.link.allocFrame(STACK_BYTES + size);
    this.#sealing.originate(scratch.subarray(0, size), frame, FRAME_HEADER_BYTES);
    return frame;
  }

  sent(frameBytes: number): void {
    this.#unused.sent(frameBytes);
    this.#mux?.sent(frameBytes);
  }

  wake(): void {
    this.#up.wake();
  }

  serve(service: string, params: Buffer, stream: MuxStream, connect: () => void): Refusal | undefined {
    return this.#host.serve(service, params, stream, this, connect);
  }

  get isOpen(): boolean {
    return this.#over === undefined;
  }

  get acceptsStreams(): boolean {
    return this.isOpen && this.#mux?.acceptsStreams === true;
  }

  async openStream(service: string, params: Uint8Array, options: OpenStreamOptions = {}): Promise<CircuitStream> {
    if (this.#mux === undefined) throw new TypeError('only who was served a stream knows that the circuit ends here');
    return this.#mux.open(service, params, options.signal);
  }

  attribute(name: string, frameBytes: number): void {
    this.#host.attribute(this.#up, name, frameBytes);
  }

  control(type: number): void {
    throw violation(`a cell of type ${type} out of place`);
  }

  // --- extending --------------------------------------------------------------------------------------------------------------

  #extend(request: Extend): void {
    const own = this.#host.relayPrice;
    if (own === undefined || request.node === this.#host.nodeId) {
      this.end(ending(DestroyReason.REFUSED, own === undefined ? 'this node does not relay' : 'a hop twice in a row'));
      return;
    }
    if (this.#up.price - request.price < own) {
      const left = this.#up.price - request.price;
      this.end(ending(DestroyReason.PRICE, `of ${this.#up.price} per MiB, ${left} would be left, and ${own} is asked`));
      return;
    }
    if (!onwardPriceAllowed(request.price, this.#host.maxOnwardPrice)) {
      this.end(ending(DestroyReason.PRICE, `${request.price} per MiB is more than is paid onward here`));
      return;
    }
    if (this.#up.hops === 0) {
      this.end(ending(DestroyReason.REFUSED, 'no hop may follow'));
      return;
    }
    this.#extending = new AbortController();
    this.#answerWithin(this.#host.buildMillis);
    void this.#reach(request, this.#extending.signal);
  }

  #answerWithin(millis: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.end(ending(DestroyReason.TIMEOUT, 'the next hop did not answer in time'));
    }, millis);
  }

  async #reach(request: Extend, signal: AbortSignal): Promise<void> {
    const { sponsor, link } = this.#up.port;
    const onFar = (): void => {
      if (this.#over === undefined) this.#answerWithin(this.#host.hiddenBuildMillis);
    };
    try {
      const port = await this.#host.reachOnward(request, { signal, sponsor, peer: link.peer, onFar });
      if (this.#over !== undefined) return;
      const hops = this.#up.hops - 1;
      // The answer to EXTEND takes the smallest frame of what we were granted.
      const spare = Math.max(0, this.#up.spareCredit - SMALLEST_FRAME_BYTES);
      const grant = Math.min(this.#worthPassing(spare, 0), CIRCUIT_WINDOW);
      const { price } = request;
      // The places that are left are for those for whom somebody made way: its own is free once both ends have said DESTROY.
      if (port.isFull && !this.#host.makeRoomOnward(port, this.payer)) {
        throw new RelaymintError('LIMIT_EXCEEDED', `All places for circuits to ${port.link.peer} are taken.`);
      }
      const down = port.open({ price, hops, sponsor, sponsorPrice: this.#up.price, grant }, this);
      down.heir = this;
      this.#down = down;
      this.#count();
      if (port.isShort(price)) this.#host.makeMoneyFor(down, this.payer);
      down.pushPayload(encodeCreate({ ...request, grant: down.granted, hops }), FrameType.CREATE);
    } catch (error) {
      this.end(this.#host.unreached(request.node, error));
    }
  }

  #created(payload: Buffer): void {
    clearTimeout(this.#timer);
    this.#extending = undefined;
    this.#extended = true;
    const answer = encodeCreated(decodeCreated(payload));
    scratch.set(answer, CELL_HEADER_BYTES);
    const size = frameCell(scratch, CellType.EXTENDED, 0, answer.length);
    const frame = this.#ownFrame(size);
    this.#own += frame.length;
    this.#up.push(frame, FrameType.RELAY);
    this.#passUp();
    this.#passDown();
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

  /** Nothing more comes on that leg. */
  ended(leg: Leg, why: Ending): void {
    this.#finish(why);
    if (leg === this.#down) {
      leg.destroy(ending(why.reason, ''));
      this.#up.finish(why);
      return;
    }
    // The hop before us ended it: what the next hop was granted still passes, while there is somebody to take it.
    if (this.#down === undefined || this.#down.peerClosed) leg.finish(why);
    else this.#down.destroy(why);
    if (leg.closing || !leg.port.link.isOpen) this.#loseCarried();
  }

  /** Ends it in both directions. */
  end(why: Ending): void {
    if (this.#over !== undefined) return;
    this.#finish(why);
    if (this.#down === undefined || this.#down.peerClosed) {
      this.#up.destroy(why);
      return;
    }
    this.#up.notice(why);
    this.#down.destroy(why);
  }

  /** Within what the next hop was granted, after we told it that the circuit is over. */
  late(payload: Buffer): void {
    const down = this.#down;
    if (down === undefined) return;
    const up = this.#up;
    if (up.closing) {
      down.lose(FRAME_HEADER_BYTES + payload.length);
      return;
    }
    // Nobody opens it any more; whoever granted it takes it, and pays. Our layer is gone: what came must not be known again behind us.
    const frame = up.port.link.allocFrame(payload.length);
    randomFillSync(frame, FRAME_HEADER_BYTES);
    this.#carried += frame.length;
    up.push(frame, FrameType.RELAY);
  }

  /** Of a leg that we had ended nothing more comes. */
  gone(leg: Leg): void {
    if (leg === this.#down) this.#up.finish(this.#over ?? ending(DestroyReason.FINISHED, ''));
    else if (!leg.port.link.isOpen) this.#loseCarried();
  }

  /** The hop before us is gone with what we carried for it. */
  #loseCarried(): void {
    this.#down?.lose(this.#carried);
    this.#carried = 0;
  }

  #finish(why: Ending): void {
    if (this.#over !== undefined) return;
    this.#over = why;
    this.#tellKept();
    clearTimeout(this.#timer);
    this.#extending?.abort(endingError(why));
    this.#opening.close();
    this.#sealing.close();
    this.#mux?.close(endingError(why));
    this.#host.carry(-this.#counted);
    this.#counted = 0;
    this.#host.over(this, why);
  }
}

function isUnpayable(error: RelaymintError): boolean {
  return error.code === 'WINDOW_EXHAUSTED' || error.code === 'DEPOSIT_EXHAUSTED';
}

function violation(what: string): RelaymintError {
  return new RelaymintError('PROTOCOL_VIOLATION', `The circuit carried ${what}.`, {
    remedy: 'The nodes may run different versions.',
  });
}
