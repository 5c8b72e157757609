/** What an end of a circuit does with a grant that it does not use. */
import { LEAST_GRANT, QUIET_GRANT } from '../../core/limits.ts';
import type { Leg } from './leg.ts';
import type { Mux } from './mux.ts';

/** After this many looks in a row without anything sent, a circuit is idle, not only quiet. */
const IDLE_LOOKS = 8;

/** A hop that may send less than this runs low. */
export const LOW_GRANT: number = QUIET_GRANT / 2;

export class Unused {
  /** Frame bytes sent since the last look. */
  #sent = 0;
  #looks = 0;

  sent(frameBytes: number): void {
    this.#sent += frameBytes;
  }

  /**
   * Once in a while: gives back what was granted and not used since the last look. A sender that waits for a
   * large grant uses what it has from now on. An idle circuit keeps hardly anything of what the peer pays for: there are many.
   */
  look(leg: Leg, mux: Mux | undefined): void {
    this.#looks = this.#sent > 0 ? 0 : this.#looks + 1;
    this.#sent = 0;
    if (this.#looks === 0) return;
    if (mux?.wantsToSend === true) {
      this.#looks = 0;
      mux.makeDo();
      leg.wake();
    } else {
      const idle = this.#looks >= IDLE_LOOKS && !leg.pays;
      leg.port.grants.giveBack(leg, leg.spareCredit - (idle ? LEAST_GRANT : QUIET_GRANT));
      mux?.gaveBack(idle);
    }
  }
}
