/**
 * Lets a bounded number of requests be answered at once; a bounded number waits, in order and not for long, and the rest is refused. One
 * client never has all of it: those that come from elsewhere find room.
 */
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';

const WAITING = 'Waiting for a turn';

export interface TurnsOptions {
  /** Requests that have their turn at once. */
  readonly most: number;
  readonly mostWaiting: number;
  /** Milliseconds. */
  readonly waitMillis: number;
}

interface Waiting {
  readonly client: string;
  readonly begin: () => void;
}

export class Turns {
  readonly #most: number;
  readonly #mostWaiting: number;
  readonly #waitMillis: number;
  readonly #waiting = new Set<Waiting>();
  /** Turns that each client has. */
  readonly #running = new Map<string, number>();
  #total = 0;

  constructor({ most, mostWaiting, waitMillis }: TurnsOptions) {
    this.#most = most;
    this.#mostWaiting = mostWaiting;
    this.#waitMillis = waitMillis;
  }

  /** Whether a request of that client has to wait. */
  isBusy(client: string): boolean {
    return this.#total >= this.#most || this.hasShare(client);
  }

  /** Whether that client has as many turns as one may have. */
  hasShare(client: string): boolean {
    return (this.#running.get(client) ?? 0) >= shareOf(this.#most);
  }

  /**
   * Resolves when it is this request's turn, with what ends it. `client`: who asks, as far as that can be told.
   * @throws RelaymintError LIMIT_EXCEEDED (too many wait, or it waited too long), ABORTED.
   */
  async begin(client: string, signal: AbortSignal): Promise<() => void> {
    assertNotAborted(signal, WAITING);
    if (this.isBusy(client)) await this.#wait(client, signal);
    else this.#take(client);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#release(client);
    };
  }

  #take(client: string): void {
    this.#total += 1;
    this.#running.set(client, (this.#running.get(client) ?? 0) + 1);
  }

  #release(client: string): void {
    this.#total -= 1;
    const left = (this.#running.get(client) ?? 0) - 1;
    if (left > 0) this.#running.set(client, left);
    else this.#running.delete(client);
    for (const waiting of this.#waiting) {
      if (this.isBusy(waiting.client)) continue;
      this.#take(waiting.client);
      waiting.begin();
      return;
    }
  }

  async #wait(client: string, signal: AbortSignal): Promise<void> {
    let ofClient = 0;
    for (const other of this.#waiting) if (other.client === client) ofClient += 1;
    if (this.#waiting.size >= this.#mostWaiting || ofClient >= shareOf(this.#mostWaiting)) throw busy();
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        clearTimeout(timer);
        tie[Symbol.dispose]();
      };
      const waiting: Waiting = {
        client,
        begin: () => {
          leave();
          resolve();
        },
      };
      this.#waiting.add(waiting);
      const timer = setTimeout(() => {
        leave();
        reject(busy());
      }, this.#waitMillis);
      const tie = onAbort(signal, () => {
        leave();
        reject(abortError(signal, WAITING));
      });
    });
  }
}

/** Three quarters: enough for all visitors behind one proxy, and a quarter is left to the others when one client takes what it can. */
function shareOf(most: number): number {
  return Math.ceil((most * 3) / 4);
}

function busy(): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', 'Too many requests are waiting for this gateway.', {
    remedy: 'Try again in a few seconds.',
  });
}
