/** What an end of a circuit does with a grant that it does not use. */
import { QUIET_GRANT } from '../../core/limits.ts';
import type { Leg } from './leg.ts';
import type { Mux } from './mux.ts';

/**
 * Gives back what an end was granted and did not use since the last look. One that has something to send and waits for a
 * large grant takes what it has from now on.
 */
export function returnUnused(leg: Leg, mux: Mux, sentBytes: number): void {
  if (sentBytes > 0) return;
  if (mux.wantsToSend) {
    mux.makeDo();
    leg.wake();
  } else {
    leg.port.giveBack(leg, leg.spareCredit - QUIET_GRANT);
  }
}
