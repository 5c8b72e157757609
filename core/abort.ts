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

/** Is it what signals end with where nobody gave a reason? Then the work that failed with it was aborted, by whichever signal. */
export function isAbortReason(error: unknown): boolean {
  return error instanceof DOMException && (error.name === 'AbortError' || error.name === 'TimeoutError');
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

/** A signal that follows others. Dispose it as soon as the work is done: this removes the listeners on its parents. */
export interface Following extends Disposable {
  readonly signal: AbortSignal;
  abort(reason: RelaymintError): void;
}

/**
 * Aborts with the reason of the parent that aborts first. Not AbortSignal.any: on Node 20 what that adds to a parent stays for as long
 * as the parent lives, and a parent that only it knows may be collected before it aborts.
 */
export function following(...parents: readonly (AbortSignal | undefined)[]): Following {
  const controller = new AbortController();
  const ties = parents.map((parent) => onAbort(parent, () => controller.abort(parent?.reason)));
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      for (const tie of ties) tie[Symbol.dispose]();
    },
  };
}

/** A signal with a deadline. Disposing it also removes the timer. */
export type Deadline = Following;

/** Aborts with TIMEOUT after `millis`, or with the reason of the parent that aborts before. */
export function deadline(millis: number, what: string, ...parents: readonly (AbortSignal | undefined)[]): Deadline {
  const controller = following(...parents);
  const timer = setTimeout(() => {
    controller.abort(
      new RelaymintError('TIMEOUT', `${what} took longer than ${millis} ms.`, {
        remedy: 'Check the address and the network, then try again.',
      }),
    );
  }, millis);
  return {
    ...controller,
    [Symbol.dispose]() {
      clearTimeout(timer);
      controller[Symbol.dispose]();
    },
  };
}

/** Settles as `work` does. @throws `abortError` as soon as the signal aborts; `work` then goes on unobserved. */
export async function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  what: string,
  remedy?: string,
): Promise<T> {
  if (signal === undefined) return work;
  let stop = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal, what, remedy));
  });
  const tie = onAbort(signal, stop);
  try {
    return await Promise.race([ended, work]);
  } finally {
    tie[Symbol.dispose]();
  }
}

export interface WaitOptions {
  /** Such a wait alone does not keep the process alive. */
  readonly unref?: true;
}

/** Waits that many milliseconds, or until the signal ends if that is sooner. False when the signal ended: for loops that then leave. */
export async function elapsed(
  millis: number,
  signal: AbortSignal | undefined,
  { unref }: WaitOptions = {},
): Promise<boolean> {
  if (signal?.aborted === true) return false;
  let end = (_passed: boolean): void => {};
  const over = new Promise<boolean>((resolve) => {
    end = resolve;
  });
  const timer = setTimeout(end, millis, true);
  // In browsers this is a plain number, and nothing waits for it.
  if (unref === true) (timer as { unref?(): unknown }).unref?.();
  // Not `using`: pages of sites wait by this too, in browsers that do not have it yet.
  const tie = onAbort(signal, () => end(false));
  try {
    return await over;
  } finally {
    tie[Symbol.dispose]();
    clearTimeout(timer);
  }
}

/** Resolves after that many milliseconds. @throws `abortError` as soon as the signal ends. */
export async function pause(millis: number, signal: AbortSignal, what: string, remedy?: string): Promise<void> {
  if (!(await elapsed(millis, signal))) throw abortError(signal, what, remedy);
}
