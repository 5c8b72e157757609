/** Repeats what could not reach the ledger, more and more slowly. */
import { assertNotAborted, orAborted, pause } from '../../core/abort.ts';
import { backoff } from '../../core/backoff.ts';
import { isRelaymintError } from '../../core/errors.ts';
import type { RelaymintError } from '../../core/errors.ts';

export interface PatienceOptions {
  /** First pause, milliseconds; doubles each time. */
  readonly retryMillis: number;
  readonly attempts: number;
}

const SETTLING = 'Settling';

export class Patience {
  readonly #options: PatienceOptions;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Repeats what could not reach the ledger. @throws ABORTED as soon as `stop` ends; a request under way goes on unheard. */
  async retried<T>(stop: AbortSignal, request: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      assertNotAborted(stop, SETTLING);
      try {
        return await orAborted(request(), stop, SETTLING);
      } catch (error) {
        if (!isRelaymintError(error, 'LEDGER_UNREACHABLE')) throw error;
        await this.pause(stop, attempt, error);
      }
    }
  }

  /** Longer each time. @throws the error itself when it was the last attempt. */
  async pause(stop: AbortSignal, attempt: number, error: RelaymintError): Promise<void> {
    if (attempt + 1 >= this.#options.attempts) throw error;
    const pauses = { first: this.#options.retryMillis, last: Number.POSITIVE_INFINITY };
    await pause(backoff(attempt + 1, pauses), stop, SETTLING);
  }
}
