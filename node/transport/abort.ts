/** Signals and time-outs: what an aborted one means to a caller, as one of our errors. */
import { RelaymintError } from '../../core/errors.ts';

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

/** What `work` brings, or the signal's reason when that comes first; `work` goes on for others. */
export async function beforeAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    stop = () => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    stop();
  }
}
