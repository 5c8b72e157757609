/** Tries candidates one after the other: the next one begins when the previous one fails, or takes too long. */
import { assertNotAborted, orAborted } from '../../core/abort.ts';

const TRYING = 'Trying one after the other';

export interface StaggerOptions<T> {
  /** How long a candidate is waited for before the next one begins as well, milliseconds. */
  readonly millis: (candidate: T) => number;
  readonly signal: AbortSignal;
}

/**
 * The first result. The signal that `attempt` gets ends when `signal` does, or when another candidate was faster.
 * @throws what the last candidate to fail failed with, once all have; undefined when there were none; ABORTED.
 */
export async function staggered<T, R>(
  candidates: readonly T[],
  attempt: (candidate: T, signal: AbortSignal) => Promise<R>,
  { millis, signal }: StaggerOptions<T>,
): Promise<R> {
  assertNotAborted(signal, TRYING);
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    const first = new Promise<R>((resolve, reject) => {
      let [next, running] = [0, 0];
      let failure: unknown;
      const begin = (): void => {
        clearTimeout(timer);
        const candidate = candidates[next];
        if (next >= candidates.length || candidate === undefined) {
          if (running === 0) reject(failure);
          return;
        }
        next += 1;
        running += 1;
        timer = setTimeout(begin, millis(candidate));
        attempt(candidate, over.signal).then(resolve, (error: unknown) => {
          running -= 1;
          failure = error;
          // A later one may still succeed.
          if (!over.signal.aborted) begin();
        });
      };
      begin();
    });
    return await orAborted(first, signal, TRYING);
  } finally {
    clearTimeout(timer);
    over.abort(signal.reason);
  }
}
