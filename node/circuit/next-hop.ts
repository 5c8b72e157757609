/**
 * The far side of a circuit that goes on: the next hop, which we reach, tell of the circuit, and pay for what passes.
 *
 * The end. The node that ends a circuit pays for what is on its way: once it is over, the next hop is told, and what it was granted
 * still passes to the previous hop until its DESTROY has come; then ours goes up. Only if the previous hop is gone is
 * what still comes lost, and that payer owes it.
 */
import { randomFillSync } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import { CIRCUIT_WINDOW, SMALLEST_FRAME_BYTES } from '../../core/limits.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import { CELL_HEADER_BYTES, CellType, cellData, frameCell } from './cell.ts';
import type { FarSide, NearSide } from './far-side.ts';
import { LOW_GRANT } from './grants.ts';
import { scratch, type OpeningLayer } from './layer.ts';
import type { Leg, LegHeir, LegOwner } from './leg.ts';
import { decodeCreated, decodeExtend, encodeCreate, encodeCreated, type Extend } from './messages.ts';
import { onwardPriceAllowed } from './price.ts';
import { DestroyReason, ending, endingError, type Ending } from './reason.ts';
import type { RelayHost } from './relay-host.ts';
import { violation } from './violation.ts';

export class NextHop implements FarSide, LegOwner, LegHeir {
  readonly openStreams = 0;
  readonly #host: RelayHost;
  readonly #near: NearSide;
  #down: Leg | undefined;
  /** The next hop said CREATED. */
  #extended = false;
  #extending: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Frame bytes that came from the next hop and were not written to the one before us. */
  #carried = 0;
  /** Frame bytes of our own that wait before them. */
  #own = 0;
  /** Frame bytes that went on, both ways, since the sponsor was last told. */
  #passed = 0;

  constructor(host: RelayHost, near: NearSide) {
    this.#host = host;
    this.#near = near;
  }

  /** The next hop answered. */
  get relays(): boolean {
    return this.#extended;
  }

  get onward(): Leg | undefined {
    return this.#down;
  }

  get held(): number {
    const down = this.#down;
    return down === undefined ? 0 : down.granted + down.queuedBytes;
  }

  // --- forward ----------------------------------------------------------------------------------------------------------------

  take(payload: Buffer, text: Buffer, opening: OpeningLayer): void {
    const down = this.#down;
    if (this.#extended && down !== undefined) {
      const frame = down.port.link.allocFrame(payload.length);
      opening.pass(payload, text, frame, FRAME_HEADER_BYTES);
      down.push(frame, FrameType.RELAY);
      if (this.#near.leg.granted < LOW_GRANT) this.#near.letSend(down.spareCredit);
    } else if (this.#extending === undefined) {
      this.#extend(decodeExtend(cellData(text)));
    } else {
      throw violation('a cell while EXTEND is not answered');
    }
  }

  // --- backward ---------------------------------------------------------------------------------------------------------------

  receive(leg: Leg, type: FrameType, payload: Buffer): void {
    this.#near.heard();
    if (type === FrameType.RELAY) {
      if (this.#near.isOver) return;
      if (!this.#extended) throw violation('a RELAY frame before CREATED');
      // Before it is handed on: an idle link writes it at once, and says so.
      this.#carried += FRAME_HEADER_BYTES + payload.length;
      this.#near.pass(payload);
      if (leg.granted < LOW_GRANT) this.#passDown();
    } else if (type === FrameType.CREATED && !this.#extended) {
      this.#created(payload);
    } else {
      throw violation(`a frame of type ${type} out of place`);
    }
  }

  passed(_leg: Leg, frameBytes: number): void {
    this.#passed += frameBytes;
  }

  written(frameBytes: number): void {
    if (this.#own > 0) {
      this.#own -= frameBytes;
      return;
    }
    this.#carried -= frameBytes;
    this.#passed += frameBytes;
    this.#down?.settle(frameBytes);
  }

  /** What we kept of the pay makes up for what was spent on chain for that payer. */
  tellKept(): void {
    const { port, price } = this.#near.leg;
    if (this.#down !== undefined) port.sponsor.keep(BigInt(this.#passed) * (price - this.#down.price));
    this.#passed = 0;
  }

  // --- grants -----------------------------------------------------------------------------------------------------------------

  /** The next hop lets us send more, or money lets us grant it more. */
  roomier(leg: Leg): void {
    if (this.#near.isOver || !this.#extended) return;
    this.#near.letSend(leg.spareCredit);
    this.#passDown();
  }

  nearRoomier(): void {
    this.#passDown();
  }

  /** A sender of little gives back what it was granted: so do we. */
  gaveBack(leg: Leg): void {
    if (this.#near.isOver || !this.#extended) return;
    const up = this.#near.leg;
    // No more is kept than what the sender still has: it would wait for what stays here.
    up.port.grants.giveBack(up, up.spareCredit - leg.granted);
    this.#near.count();
  }

  nearGaveBack(): void {
    const down = this.#down;
    if (down === undefined || !this.#extended) return;
    down.port.grants.giveBack(down, down.spareCredit - this.#near.leg.granted);
    this.#near.count();
  }

  returnUnused(): void {
    // Both ends of the circuit do.
  }

  /** What the hop before us lets us send, the next hop may send. */
  #passDown(): void {
    const down = this.#down;
    if (down === undefined || !this.#extended) return;
    const up = this.#near.leg;
    const wanted = this.#near.worthPassing(up.spareCredit, down.granted);
    if (wanted === 0) return;
    if (down.port.grants.grant(down, wanted) < wanted) up.port.grants.awaitRoom(up);
    this.#near.count();
  }

  // --- extending --------------------------------------------------------------------------------------------------------------

  #extend(request: Extend): void {
    const up = this.#near.leg;
    const own = this.#host.relayPrice;
    if (own === undefined || request.node === this.#host.nodeId) {
      this.#near.end(
        ending(DestroyReason.REFUSED, own === undefined ? 'this node does not relay' : 'a hop twice in a row'),
      );
      return;
    }
    if (up.price - request.price < own) {
      const left = up.price - request.price;
      this.#near.end(ending(DestroyReason.PRICE, `of ${up.price} per MiB, ${left} would be left, and ${own} is asked`));
      return;
    }
    if (!onwardPriceAllowed(request.price, this.#host.maxOnwardPrice)) {
      this.#near.end(ending(DestroyReason.PRICE, `${request.price} per MiB is more than is paid onward here`));
      return;
    }
    if (up.hops === 0) {
      this.#near.end(ending(DestroyReason.REFUSED, 'no hop may follow'));
      return;
    }
    this.#extending = new AbortController();
    this.#answerWithin(this.#host.buildMillis);
    void this.#reach(request, this.#extending.signal);
  }

  #answerWithin(millis: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#near.end(ending(DestroyReason.TIMEOUT, 'the next hop did not answer in time'));
    }, millis);
  }

  async #reach(request: Extend, signal: AbortSignal): Promise<void> {
    const up = this.#near.leg;
    const { sponsor, link } = up.port;
    const onFar = (): void => {
      if (!this.#near.isOver) this.#answerWithin(this.#host.hiddenBuildMillis);
    };
    try {
      const port = await this.#host.reachOnward(request, { signal, sponsor, peer: link.peer, onFar });
      if (this.#near.isOver) return;
      const hops = up.hops - 1;
      // The answer to EXTEND takes the smallest frame of what we were granted.
      const spare = Math.max(0, up.spareCredit - SMALLEST_FRAME_BYTES);
      const grant = Math.min(this.#near.worthPassing(spare, 0), CIRCUIT_WINDOW);
      const { price } = request;
      // The places that are left are for circuits for which another made way: its place is free once both ends have said DESTROY.
      if (port.isFull && !this.#host.makeRoomOnward(port, this.#near.payer)) {
        throw new RelaymintError('LIMIT_EXCEEDED', `All places for circuits to ${port.link.peer} are taken.`);
      }
      const down = port.open({ price, hops, sponsor, sponsorPrice: up.price, grant }, this);
      down.heir = this;
      this.#down = down;
      this.#near.count();
      if (port.grants.isShort(price)) this.#host.makeMoneyFor(down, this.#near.payer);
      down.pushPayload(encodeCreate({ ...request, grant: down.granted, hops }), FrameType.CREATE);
    } catch (error) {
      this.#near.end(this.#host.unreached(request.node, error));
    }
  }

  #created(payload: Buffer): void {
    clearTimeout(this.#timer);
    this.#extending = undefined;
    this.#extended = true;
    const answer = encodeCreated(decodeCreated(payload));
    scratch.set(answer, CELL_HEADER_BYTES);
    const size = frameCell(scratch, CellType.EXTENDED, 0, answer.length);
    const frame = this.#near.seal(scratch.subarray(0, size));
    this.#own += frame.length;
    this.#near.leg.push(frame, FrameType.RELAY);
    this.#near.letSend(this.#down?.spareCredit ?? 0);
    this.#passDown();
  }

  // --- the end ----------------------------------------------------------------------------------------------------------------

  fault(_leg: Leg, error: RelaymintError): void {
    this.#near.fail(error);
  }

  noticed(_leg: Leg, why: Ending): void {
    this.#near.end(why);
  }

  ended(leg: Leg, why: Ending): void {
    // The next hop first: its answer, and with it its pay, does not depend on what the previous hop does.
    leg.destroy(ending(why.reason, ''));
    this.#near.farEnded(why);
  }

  stop(why: Ending): void {
    this.tellKept();
    clearTimeout(this.#timer);
    this.#extending?.abort(endingError(why));
  }

  close(why: Ending): boolean {
    const down = this.#down;
    if (down === undefined || down.peerClosed) return false;
    down.destroy(why);
    return true;
  }

  /** Within what the next hop was granted, after we told it that the circuit is over. */
  late(payload: Buffer): void {
    const up = this.#near.leg;
    if (up.closing) {
      this.#down?.lose(FRAME_HEADER_BYTES + payload.length);
      return;
    }
    // Nobody opens it any more; whoever granted it takes it, and pays. Our layer is gone: what came must not be known again behind us.
    const frame = up.port.link.allocFrame(payload.length);
    randomFillSync(frame, FRAME_HEADER_BYTES);
    this.#carried += frame.length;
    up.push(frame, FrameType.RELAY);
  }

  /** Nothing more comes from the next hop, which we had told. */
  gone(): void {
    this.#near.farGone();
  }

  nearLost(): void {
    this.#down?.lose(this.#carried);
    this.#carried = 0;
  }
}
