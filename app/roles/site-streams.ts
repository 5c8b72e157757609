/** The streams on which each site is fetched: they end when somebody stops the site, and nothing more comes that would have to be paid. */
import type { Budget } from '../../ledger/budget/index.ts';

/** What is needed of a stream of a circuit. */
interface Stream {
  destroy(error?: Error): unknown;
  once(event: 'close' | 'error', listener: () => void): unknown;
}

export class SiteStreams implements Disposable {
  readonly #budget: Pick<Budget, 'requireStarted'>;
  readonly #open = new Map<string, Set<Stream>>();
  readonly #listening: Disposable;

  constructor(budget: Pick<Budget, 'requireStarted' | 'onStop'>) {
    this.#budget = budget;
    this.#listening = budget.onStop((site, error) => {
      for (const stream of this.#open.get(site) ?? []) stream.destroy(error);
    });
  }

  /** @throws RelaymintError BUDGET_STOPPED, and what `opening` throws. */
  async open<S extends Stream>(site: string, opening: () => Promise<S>): Promise<S> {
    this.#budget.requireStarted(site);
    const stream = await opening();
    try {
      this.#budget.requireStarted(site);
    } catch (error) {
      stream.once('error', () => undefined);
      stream.destroy(error instanceof Error ? error : undefined);
      throw error;
    }
    const streams = this.#open.get(site) ?? new Set();
    this.#open.set(site, streams.add(stream));
    stream.once('close', () => {
      streams.delete(stream);
      if (streams.size === 0 && this.#open.get(site) === streams) this.#open.delete(site);
    });
    return stream;
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }
}
