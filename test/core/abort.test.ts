import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  abortError,
  assertNotAborted,
  deadline,
  elapsed,
  following,
  onAbort,
  orAborted,
  pause,
} from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';

const never = new Promise<never>(() => {});

/** Timers that keep this process alive. */
function liveTimers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}

describe('onAbort', () => {
  it('acts when the signal aborts, and at once if it already has', () => {
    const controller = new AbortController();
    let acted = 0;
    onAbort(controller.signal, () => (acted += 1));
    expect(acted).toBe(0);
    controller.abort();
    expect(acted).toBe(1);
    onAbort(controller.signal, () => (acted += 1));
    expect(acted).toBe(2);
  });

  it('does not act when it was disposed, and leaves no listener behind', () => {
    const controller = new AbortController();
    let acted = 0;
    const tie = onAbort(controller.signal, () => (acted += 1));
    tie[Symbol.dispose]();
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    controller.abort();
    expect(acted).toBe(0);
    onAbort(undefined, () => (acted += 1))[Symbol.dispose]();
    expect(acted).toBe(0);
  });
});

const timeout = new DOMException('late', 'TimeoutError');
const closed = new RelaymintError('CLOSED', 'The node stops.');

describe.each([
  ['ABORTED', undefined],
  ['ABORTED', new Error('enough')],
  ['TIMEOUT', timeout],
  ['CLOSED', closed],
])('a signal that ends with what is told as %s', (code, reason) => {
  const aborted = AbortSignal.abort(reason);

  it('before the work', async () => {
    expect(() => assertNotAborted(aborted, 'Work')).toThrow(expect.objectContaining({ code }));
    await expect(orAborted(never, aborted, 'Work')).rejects.toMatchObject({ code });
    await expect(pause(600_000, aborted, 'Work')).rejects.toMatchObject({ code });
  });

  it('in the middle of it', async () => {
    const controller = new AbortController();
    const works = [orAborted(never, controller.signal, 'Work'), pause(600_000, controller.signal, 'Work')];
    controller.abort(reason);
    for (const work of works) await expect(work).rejects.toMatchObject({ code });
  });
});

describe('work that a signal ends', () => {
  it('settles as the work does, and stops listening to the signal', async () => {
    const { signal } = new AbortController();
    expect(await orAborted(Promise.resolve(1), signal, 'Work')).toBe(1);
    expect(await orAborted(Promise.resolve(2), undefined, 'Work')).toBe(2);
    await expect(orAborted(Promise.reject(new Error('broken')), signal, 'Work')).rejects.toThrow('broken');
    await pause(1, signal, 'Work');
    assertNotAborted(signal, 'Work');
    assertNotAborted(undefined, 'Work');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('says what was aborted, why, and what to do', () => {
    const reason = new Error('enough');
    const error = abortError(AbortSignal.abort(reason), 'Work', 'Do it again.');
    expect(error).toMatchObject({ message: 'Work was aborted. Do it again.', remedy: 'Do it again.', cause: reason });
  });

  it('says what to do, before it and in the middle of it', async () => {
    const controller = new AbortController();
    const works = [
      orAborted(never, AbortSignal.abort(), 'Work', 'Do it again.'),
      pause(600_000, AbortSignal.abort(), 'Work', 'Do it again.'),
      orAborted(never, controller.signal, 'Work', 'Do it again.'),
      pause(600_000, controller.signal, 'Work', 'Do it again.'),
    ];
    controller.abort();
    for (const work of works) await expect(work).rejects.toMatchObject({ code: 'ABORTED', remedy: 'Do it again.' });
  });

  it('fails with what ended the parent of its deadline', async () => {
    const parent = new AbortController();
    using limit = deadline(60_000, 'Work', parent.signal);
    parent.abort(closed);
    await expect(orAborted(never, limit.signal, 'Work')).rejects.toBe(closed);
  });
});

describe('a wait that its loop leaves when the signal ends', () => {
  it('says that the time has passed, and stops listening to the signal', async () => {
    const { signal } = new AbortController();
    expect(await elapsed(1, signal)).toBe(true);
    expect(await elapsed(1, undefined)).toBe(true);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('says so when the signal ended before, or ends meanwhile, and leaves no timer behind', async () => {
    const timers = liveTimers();
    const controller = new AbortController();
    const waiting = elapsed(600_000, controller.signal);
    controller.abort(closed);
    expect(await waiting).toBe(false);
    expect(await elapsed(600_000, controller.signal)).toBe(false);
    expect(liveTimers()).toBe(timers);
  });

  it('keeps the process alive unless it is told not to', async () => {
    const timers = liveTimers();
    const controller = new AbortController();
    const waits = [elapsed(600_000, controller.signal, { unref: true })];
    expect(liveTimers()).toBe(timers);
    waits.push(elapsed(600_000, controller.signal));
    expect(liveTimers()).toBe(timers + 1);
    controller.abort();
    expect(await Promise.all(waits)).toEqual([false, false]);
  });
});

describe.each([
  ['follows others', following],
  ['follows others until its deadline', (...parents: readonly AbortSignal[]) => deadline(60_000, 'Work', ...parents)],
])('a signal that %s', (_what, make) => {
  it('ends with the first of them, with its reason', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    using made = make(first.signal, second.signal);
    expect(made.signal.aborted).toBe(false);
    second.abort(closed);
    first.abort();
    expect(made.signal.reason).toBe(closed);
  });

  it('has ended where one of them already has', () => {
    using made = make(new AbortController().signal, AbortSignal.abort(closed));
    expect(made.signal.reason).toBe(closed);
  });

  it('ends by itself as well, and leaves nothing behind at those it followed', () => {
    const parents = [new AbortController(), new AbortController()].map(({ signal }) => signal);
    const made = make(...parents);
    made.abort(closed);
    expect(made.signal.reason).toBe(closed);
    made[Symbol.dispose]();
    expect(parents.flatMap((parent) => getEventListeners(parent, 'abort'))).toEqual([]);
  });
});
