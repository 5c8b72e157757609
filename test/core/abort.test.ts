import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { deadline, onAbort, orAborted, orEnded } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';

const never = new Promise<never>(() => {});

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

describe('work that a signal ends', () => {
  it('settles as the work does, and stops listening to the signal', async () => {
    const { signal } = new AbortController();
    expect(await orAborted(Promise.resolve(1), signal, 'Work')).toBe(1);
    await expect(orEnded(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('fails with ABORTED, or with the very reason', async () => {
    const controller = new AbortController();
    const [told, raw] = [orAborted(never, controller.signal, 'Work'), orEnded(never, controller.signal)];
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(told).rejects.toMatchObject({ code: 'ABORTED', message: 'Work was aborted.', cause: reason });
    await expect(raw).rejects.toBe(reason);
    await expect(orEnded(never, controller.signal)).rejects.toBe(reason);
  });

  it('fails with what ended the parent of its deadline', async () => {
    const parent = new AbortController();
    using limit = deadline(60_000, 'Work', parent.signal);
    const closed = new RelaymintError('CLOSED', 'The node stops.');
    parent.abort(closed);
    await expect(orAborted(never, limit.signal, 'Work')).rejects.toBe(closed);
  });
});
