/** Repeats work in the background, one run after the other, until it is disposed. */
import type { Log } from './ports.ts';

export interface IntervalOptions {
  /** From the end of one run to the start of the next, milliseconds. */
  readonly everyMillis: number;
  /** Draws each pause between half and one and a half times that, so that a node cannot be recognised by its rhythm. */
  readonly jittered?: true;
  /** The first run begins now instead of after `everyMillis`. */
  readonly atOnce?: true;
  readonly work: (signal: AbortSignal) => Promise<void>;
  /** What failed, for the log: a failure does not end the interval. */
  readonly what: string;
  readonly log: Log;
}

/** Disposing waits for a run under way. */
export function repeat(options: IntervalOptions): AsyncDisposable {
  const controller = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const start = (): void => {
    running = run();
  };
  const schedule = (): void => {
    const millis = options.everyMillis * (options.jittered === true ? 0.5 + Math.random() : 1);
    if (controller.signal.aborted) return;
    timer = setTimeout(start, millis);
    // In browsers this is a plain number, and nothing waits for it.
    if (typeof timer === 'object') timer.unref();
  };
  const run = async (): Promise<void> => {
    try {
      await options.work(controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) options.log.warn({ err: error }, `${options.what} failed`);
    }
    schedule();
  };
  if (options.atOnce === true) start();
  else schedule();
  return {
    async [Symbol.asyncDispose]() {
      controller.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
