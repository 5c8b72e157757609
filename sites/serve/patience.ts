/** How long a visitor waits, and shared waits of several visitors. Times are milliseconds. */
import { setMaxListeners } from 'node:events';
import { assertNotAborted, onAbort, orAborted } from '../../core/abort.ts';
import type { RelaymintError } from '../../core/errors.ts';

/** Ends when the time is over or one of its parents ends. Dispose it as soon as the work is done. */
export class Limit implements Disposable {
  readonly #controller = new AbortController();
  readonly #ties: readonly Disposable[];
  #timer: NodeJS.Timeout | undefined;
  #expired: RelaymintError | undefined;

  /** The time begins with `restart`. */
  constructor(...parents: readonly AbortSignal[]) {
    // One listener for each block that is waited for.
    setMaxListeners(0, this.#controller.signal);
    this.#ties = parents.map((parent) => onAbort(parent, () => this.#controller.abort(parent.reason)));
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
    for (const tie of this.#ties) tie[Symbol.dispose]();
  }
}

const WAITING = 'Waiting for a host';

/** One search for all who wait for the same: it ends when it found something, or when the last of them has left. */
export class SharedSearch<T> {
  readonly #limit: Limit;
  readonly #left = new AbortController();
  readonly #found: Promise<T>;
  #waiting = 0;
  #over = false;
  #result: T | undefined;

  /** `parent` ends it for everybody who waits. */
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

  /** All have left: the next one must begin another search. */
  get isAbandoned(): boolean {
    return this.#left.signal.aborted;
  }

  /** @throws what the search throws; ABORTED. */
  async wait(signal: AbortSignal): Promise<T> {
    assertNotAborted(signal, WAITING);
    this.#waiting += 1;
    try {
      return await orAborted(this.#found, signal, WAITING);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#over) this.#left.abort(signal.reason);
    }
  }
}
