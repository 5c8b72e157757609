/**
 * The far side of a circuit that is joined to another (`join.ts`): what comes out of one end, without our layer, goes into the other as if it
 * were a cell of our own. Each previous hop pays for what passes on its own circuit, and what one lets us send the other may send.
 */
import { QUIET_GRANT } from '../../core/limits.ts';
import { FrameType } from '../link/contract.ts';
import type { FarSide, NearSide } from './far-side.ts';
import { LOW_GRANT } from './grants.ts';
import { CELL_HEADER_BYTES, CellType, cellData, cellType, frameCell } from './cell.ts';
import { encodeJoin } from './join.ts';
import { scratch } from './layer.ts';
import type { Ending } from './reason.ts';
import type { CircuitSide } from './stream-ids.ts';
import { violation } from './violation.ts';

export class Splice implements FarSide {
  readonly relays = true;
  readonly onward: undefined = undefined;
  readonly openStreams = 0;
  /** The other circuit counts what it holds. */
  readonly held = 0;
  readonly #near: NearSide;
  readonly #other: NearSide;

  /** The initiator on our near side knows that what it sends goes to the other one. */
  #joined = false;

  /** `side`: what the initiator on our near side is from now on. */
  constructor(near: NearSide, other: NearSide, side: CircuitSide) {
    this.#near = near;
    this.#other = other;
    const data = encodeJoin(side);
    scratch.set(data, CELL_HEADER_BYTES);
    const size = frameCell(scratch, CellType.JOIN, 0, data.length);
    near.leg.push(near.seal(scratch.subarray(0, size)), FrameType.RELAY);
    // It has to be able to answer.
    near.letSend(QUIET_GRANT);
  }

  take(_payload: Buffer, text: Buffer): void {
    if (!this.#joined) {
      this.#takeLast(text);
      return;
    }
    this.#other.leg.push(this.#other.seal(text), FrameType.RELAY);
    this.#other.heard();
    if (this.#near.leg.granted < LOW_GRANT) this.#near.letSend(this.#other.leg.spareCredit);
  }

  /** What it still sent to us, until it says JOINED: it paid for that, and nobody takes it. */
  #takeLast(text: Buffer): void {
    const data = cellData(text);
    if (cellType(text) === CellType.JOINED) {
      if (data.length > 0) throw violation('a JOINED with data');
      this.#joined = true;
    }
    if (this.#near.leg.granted < LOW_GRANT) this.#near.letSend(QUIET_GRANT);
  }

  written(): void {
    // Both payers were asked for it as it came and went: nothing is owed onward.
  }

  nearRoomier(): void {
    this.#other.letSend(this.#near.leg.spareCredit);
  }

  nearGaveBack(): void {
    const { leg } = this.#other;
    leg.port.grants.giveBack(leg, leg.spareCredit - this.#near.leg.granted);
    this.#other.count();
  }

  returnUnused(): void {
    // The two initiators do.
  }

  tellKept(): void {
    // Nothing was spent on chain for it.
  }

  stop(): void {
    // `close` follows.
  }

  close(why: Ending): boolean {
    this.#other.end(why);
    return false;
  }

  nearLost(): void {
    // Each payer owes what came on its own circuit, and nobody is owed for it.
  }
}
