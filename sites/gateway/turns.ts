/** Lets a bounded number of requests work at once; a bounded number waits in order, and the rest is refused. */
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';

const WAITING = 'Waiting for a turn';

export class Turns {
  readonly #most: number;
  readonly #mostWaiting: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(most: number, mostWaiting: number) {
    this.#most = most;
    this.#mostWaiting = mostWaiting;
  }

  /** Resolves when it is this request's turn, with what ends it. @throws RelaymintError LIMIT_EXCEEDED, ABORTED. */
  async begin(signal: AbortSignal): Promise<() => void> {
    assertNotAborted(signal, WAITING);
    if (this.#running < this.#most) {
      this.#running += 1;
    } else {
      if (this.#waiting.size >= this.#mostWaiting) {
        throw new RelaymintError('LIMIT_EXCEEDED', 'Too many requests are waiting for this gateway.', {
          remedy: 'Try again in a few seconds.',
        });
      }
      await this.#wait(signal);
    }
    let over = false;
    return () => {
      if (over) return;
      over = true;
      const next = this.#waiting.values().next();
      if (next.done === true) this.#running -= 1;
      else next.value();
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = (): void => {
        this.#waiting.delete(onTurn);
        tie[Symbol.dispose]();
        resolve();
      };
      this.#waiting.add(onTurn);
      const tie = onAbort(signal, () => {
        this.#waiting.delete(onTurn);
        reject(abortError(signal, WAITING));
      });
    });
  }
}
