/** What is done again and again in the background until it is disposed; neither keeps the process alive. */
import type { Log } from './ports.ts';

export interface IntervalOptions {
  /** From the end of one run to the start of the next, milliseconds. */
  readonly everyMillis: number;
  /** By what share of it each pause is drawn to be shorter or longer, so that a node cannot be recognised by its rhythm. Default 0. */
  readonly jitter?: number;
  /** The first run begins now instead of after `everyMillis`. */
  readonly atOnce?: true;
  readonly work: (signal: AbortSignal) => Promise<void>;
  /** What failed, for the log: a failure does not end the interval. */
  readonly what: string;
  readonly log: Log;
}

/** Work that takes time: one run after the other. Disposing waits for a run under way. */
export function repeat(options: IntervalOptions): AsyncDisposable {
  const { jitter = 0 } = options;
  const controller = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const start = (): void => {
    running = run();
  };
  const schedule = (): void => {
    if (controller.signal.aborted) return;
    timer = setTimeout(start, jittered(options.everyMillis, jitter));
    letGo(timer);
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

/** A look at things that is done at once, at fixed times. What it throws is a fault in it, and ends the process as in any timer. */
export function every(millis: number, look: () => void): Disposable {
  const timer = setInterval(look, millis);
  letGo(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Drawn from that much of it (0.25: a quarter) less to that much more. */
export function jittered(millis: number, share: number): number {
  return millis * (1 + share * (2 * Math.random() - 1));
}

function letGo(timer: ReturnType<typeof setTimeout>): void {
  // In browsers this is a plain number, and nothing waits for it.
  if (typeof timer === 'object') timer.unref();
}
