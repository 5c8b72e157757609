/** Signals and time-outs: what an aborted one means to a caller, as one of our errors. */
import { RelaymintError } from './errors.ts';

/** TIMEOUT when the signal's own timer fired, the reason itself when it is one of our errors, ABORTED otherwise. */
export function abortError(signal: AbortSignal, what: string): RelaymintError {
  const reason: unknown = signal.reason;
  if (reason instanceof RelaymintError) return reason;
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new RelaymintError('TIMEOUT', `${what} took too long.`, { cause: reason });
  }
  return new RelaymintError('ABORTED', `${what} was aborted.`, { cause: reason });
}

/** A signal with an end. Dispose it as soon as the work is done: the timer and the tie to the parent go away. */
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
  const onParent = (): void => controller.abort(parent?.reason);
  if (parent?.aborted === true) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/** Settles as `work` does. @throws `abortError` as soon as the signal ends; `work` then goes on with nobody watching. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal, what));
  });
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
