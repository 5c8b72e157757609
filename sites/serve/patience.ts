/** How long a visitor waits, and what it waits for with others. Times are milliseconds. */
import { setMaxListeners } from 'node:events';
import type { RelaymintError } from '../../core/errors.ts';

/** Ends when the time is over or one of its parents ends. Dispose it as soon as the work is done. */
export class Limit implements Disposable {
  readonly #controller = new AbortController();
  readonly #parents: readonly AbortSignal[];
  readonly #onParent = (event: Event): void => this.#controller.abort((event.target as AbortSignal).reason);
  #timer: NodeJS.Timeout | undefined;
  #expired: RelaymintError | undefined;

  /** The time begins with `restart`. */
  constructor(...parents: readonly AbortSignal[]) {
    this.#parents = parents;
    // One listener for each block that is waited for.
    setMaxListeners(0, this.#controller.signal);
    for (const parent of parents) {
      if (parent.aborted) this.#controller.abort(parent.reason);
      parent.addEventListener('abort', this.#onParent, { once: true });
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What it ended with when the time was over. */
  get expired(): RelaymintError | undefined {
    return this.#expired;
  }

  restart(millis: number, error: () => RelaymintError): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.signal.aborted) return;
      this.#expired = error();
      this.#controller.abort(this.#expired);
    }, millis);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stop();
    for (const parent of this.#parents) parent.removeEventListener('abort', this.#onParent);
  }
}

/** Settles as `work` does, which goes on for others. @throws the signal's reason as soon as that ends. */
export async function orEnded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      onAbort = () => reject(signal.reason as Error);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      work.then(resolve, reject);
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** One search for all who wait for the same: it ends when it found something, or when the last of them has left. */
export class SharedSearch<T> {
  readonly #limit: Limit;
  readonly #left = new AbortController();
  readonly #found: Promise<T>;
  #waiting = 0;
  #over = false;
  #result: T | undefined;

  /** `parent` ends it, whoever waits. */
  constructor(search: (signal: AbortSignal) => Promise<T>, parent: AbortSignal) {
    this.#limit = new Limit(parent, this.#left.signal);
    this.#found = Promise.resolve()
      .then(() => search(this.#limit.signal))
      .then((result) => (this.#result = result))
      .finally(() => {
        this.#over = true;
        this.#limit[Symbol.dispose]();
      });
    // Perhaps nobody waits any more.
    this.#found.catch(() => undefined);
  }

  /** undefined as long as it searches, and when it failed. */
  get result(): T | undefined {
    return this.#result;
  }

  /** All have left: another search has to begin. */
  get isAbandoned(): boolean {
    return this.#left.signal.aborted;
  }

  /** @throws what the search throws; the signal's reason. */
  async wait(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    this.#waiting += 1;
    try {
      return await orEnded(this.#found, signal);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#over) this.#left.abort(signal.reason);
    }
  }
}
