/** Signals and time-outs: turns an aborted signal into one of our errors. */
import { RelaymintError } from './errors.ts';

/**
 * TIMEOUT when the signal's own timer fired, the reason itself when it is one of our errors, ABORTED otherwise.
 * `remedy`: what to do then, one sentence.
 */
export function abortError(signal: AbortSignal, what: string, remedy?: string): RelaymintError {
  const reason: unknown = signal.reason;
  if (reason instanceof RelaymintError) return reason;
  const options = { cause: reason, ...(remedy === undefined ? {} : { remedy }) };
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new RelaymintError('TIMEOUT', `${what} took too long.`, options);
  }
  return new RelaymintError('ABORTED', `${what} was aborted.`, options);
}

/** @throws `abortError` where the signal has ended. `throwIfAborted` throws whatever it was aborted with. */
export function assertNotAborted(signal: AbortSignal | undefined, what: string, remedy?: string): void {
  if (signal?.aborted === true) throw abortError(signal, what, remedy);
}

/** Calls `act` when the signal aborts, at once if it already has. Dispose it when the work is done: `act` is then no longer called. */
export function onAbort(signal: AbortSignal | undefined, act: () => void): Disposable {
  if (signal?.aborted === true) act();
  else signal?.addEventListener('abort', act, { once: true });
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', act) };
}

/** A signal with a deadline. Dispose it as soon as the work is done: this removes the timer and the listener on the parent. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  abort(reason: RelaymintError): void;
}

/** Aborts with TIMEOUT after `millis`, or with the parent's reason when that comes first. */
export function deadline(millis: number, what: string, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new RelaymintError('TIMEOUT', `${what} took longer than ${millis} ms.`, {
        remedy: 'Check the address and the network, then try again.',
      }),
    );
  }, millis);
  const tie = onAbort(parent, () => controller.abort(parent?.reason));
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      clearTimeout(timer);
      tie[Symbol.dispose]();
    },
  };
}

/** Settles as `work` does. @throws `abortError` as soon as the signal aborts; `work` then goes on unobserved. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (signal === undefined) return work;
  let stop = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal, what));
  });
  const tie = onAbort(signal, stop);
  try {
    return await Promise.race([ended, work]);
  } finally {
    tie[Symbol.dispose]();
  }
}

/** Resolves after that many milliseconds. @throws `abortError` as soon as the signal ends. */
export async function pause(millis: number, signal: AbortSignal, what: string): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, millis);
  });
  try {
    await orAborted(over, signal, what);
  } finally {
    clearTimeout(timer);
  }
}
