/**
 * The far side of a circuit that is joined to another: what comes out of one end, without our layer, goes into the other as if it were a
 * cell of our own. Both hops before us pay for what passes on their own circuit, and what one lets us send the other may send.
 */
import { FrameType } from '../link/contract.ts';
import type { FarSide, NearSide } from './far-side.ts';
import { LOW_GRANT } from './grants.ts';
import type { Ending } from './reason.ts';

export class Splice implements FarSide {
  readonly relays = true;
  readonly onward: undefined = undefined;
  readonly openStreams = 0;
  /** The other circuit counts what it holds. */
  readonly held = 0;
  readonly #near: NearSide;
  readonly #other: NearSide;

  constructor(near: NearSide, other: NearSide) {
    this.#near = near;
    this.#other = other;
  }

  take(_payload: Buffer, text: Buffer): void {
    this.#other.leg.push(this.#other.seal(text), FrameType.RELAY);
    this.#other.heard();
    if (this.#near.leg.granted < LOW_GRANT) this.#near.letSend(this.#other.leg.spareCredit);
  }

  written(): void {
    // Both payers were asked for it as it came and went: nothing is owed onward.
  }

  nearRoomier(): void {
    this.#other.letSend(this.#near.leg.spareCredit);
  }

  nearGaveBack(): void {
    const { leg } = this.#other;
    leg.port.giveBack(leg, leg.spareCredit - this.#near.leg.granted);
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
