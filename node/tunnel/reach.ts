/** Whether the last hop of a pool's circuits is up, according to the relays before it. */
import type { RelaymintError } from '../../core/errors.ts';

/**
 * Attempts in a row that must fail at the step to it: all of one request's, so that one last relay, which may say so because another
 * host would suit it better, is not enough where there are two.
 */
const FAILURES = 4;

export class Reach {
  #failures = 0;
  #away: RelaymintError | undefined;

  /** The last failure, once it counts as away. */
  get away(): RelaymintError | undefined {
    return this.#away;
  }

  /** `directly`: this node dialled it itself, so no relay's word is needed. */
  failed(directly: boolean, error: RelaymintError): void {
    this.#failures += 1;
    if (directly || this.#failures >= FAILURES) this.#away = error;
  }

  /** A circuit to it is open. */
  stood(): void {
    this.#failures = 0;
    this.#away = undefined;
  }
}
