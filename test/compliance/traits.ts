/** Traits that suites have in common: what an implementation says, by its exact code, when it is not at its best. */
import { describe, expect, it } from 'vitest';
import { RelaymintError, type ErrorCode } from '../../core/errors.ts';

/** How a signal may end, and what a caller is told then: whatever was waited for, and wherever. */
const ENDS: readonly (readonly [ErrorCode, unknown])[] = [
  ['ABORTED', undefined],
  ['ABORTED', new Error('the caller has had enough')],
  ['TIMEOUT', new DOMException('late', 'TimeoutError')],
  ['CLOSED', new RelaymintError('CLOSED', 'The node is shutting down.')],
];

/** Methods that take a signal, by their names. Each begins one call. */
export type Calls<T> = Readonly<Record<string, (tested: T, signal: AbortSignal) => Promise<unknown>>>;

/** `calls` do nothing for a caller whose signal ended before. `tested` is asked within each test. */
export function abortedBefore<T>(tested: () => T, calls: Calls<T>): void {
  describe('aborted', () => {
    it.each(Object.entries(calls))('%s fails with the reason of a signal that ended before', async (_name, call) => {
      for (const [code, reason] of ENDS) {
        await expect(call(tested(), AbortSignal.abort(reason))).rejects.toMatchObject(told(code));
      }
    });
  });
}

/** `calls` wait for what never comes. Each tells when it is in the middle of it, by the promise that it awaits; at once when it has none. */
export function abortedInside<T>(
  tested: () => T,
  calls: Readonly<Record<string, (tested: T, signal: AbortSignal) => Waiting | Promise<Waiting>>>,
): void {
  describe('aborted in the middle', () => {
    it.each(Object.entries(calls))('%s fails with the reason of the signal that ends', async (_name, call) => {
      for (const [code, reason] of ENDS) {
        const controller = new AbortController();
        const { work, begun } = await call(tested(), controller.signal);
        const outcome = work.catch((error: unknown) => error);
        await begun;
        controller.abort(reason);
        expect(await outcome).toMatchObject(told(code));
      }
    });
  });
}

export interface Waiting {
  readonly work: Promise<unknown>;
  readonly begun?: Promise<unknown>;
}

function told(code: ErrorCode): object {
  return { name: 'RelaymintError', code };
}

/** After `close` each of `calls` fails with `code`, by default CLOSED, and to close again does no harm. */
export function closed<T>(
  tested: () => T,
  close: (tested: T) => unknown,
  calls: Readonly<Record<string, (tested: T) => unknown>>,
  code: ErrorCode = 'CLOSED',
): void {
  describe('closed', () => {
    it.each(Object.entries(calls))(`%s fails with ${code}`, async (_name, call) => {
      await close(tested());
      await expect((async () => call(tested()))()).rejects.toMatchObject(told(code));
    });

    it('can be closed again without harm', async () => {
      const all = [close(tested()), close(tested())];
      await expect(Promise.all([...all, Promise.all(all).then(() => close(tested()))])).resolves.toHaveLength(3);
    });
  });
}

/** What is asked beyond a limit, and the code that says so. */
export function limits<T>(
  tested: () => T,
  cases: readonly (readonly [what: string, code: ErrorCode, call: (tested: T) => unknown])[],
): void {
  describe('limits', () => {
    it.each(cases)('%s: %s', async (_what, code, call) => {
      await expect((async () => call(tested()))()).rejects.toMatchObject(told(code));
    });
  });
}
