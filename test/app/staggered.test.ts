import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { staggered } from '../../app/roles/staggered.ts';

interface Attempt {
  readonly who: string;
  readonly signal: AbortSignal;
  readonly found: (what: string) => void;
  readonly failed: (error: Error) => void;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function begin(candidates: readonly string[], signal = new AbortController().signal) {
  const attempts: Attempt[] = [];
  const result = staggered(
    candidates,
    (who, ends) => new Promise<string>((found, failed) => void attempts.push({ who, signal: ends, found, failed })),
    { millis: () => 1_000, signal },
  );
  result.catch(() => {});
  return { attempts, result, asked: () => attempts.map(({ who }) => who) };
}

describe('candidates one after the other', () => {
  it('begin when the one before takes too long, and its answer still counts', async () => {
    const { attempts, result, asked } = begin(['a', 'b', 'c']);
    await vi.advanceTimersByTimeAsync(999);
    expect(asked()).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked()).toEqual(['a', 'b']);
    attempts[0]?.found('from a');
    expect(await result).toBe('from a');
    expect(attempts[1]?.signal.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked()).toEqual(['a', 'b']);
  });

  it('begin at once when the one before failed', async () => {
    const { attempts, result, asked } = begin(['a', 'b']);
    attempts[0]?.failed(new Error('a is dead'));
    await vi.advanceTimersByTimeAsync(0);
    expect(asked()).toEqual(['a', 'b']);
    attempts[1]?.found('from b');
    expect(await result).toBe('from b');
  });

  it('fail together with what the last one failed with', async () => {
    const { attempts, result } = begin(['a', 'b']);
    await vi.advanceTimersByTimeAsync(5_000);
    attempts[1]?.failed(new Error('b is dead'));
    attempts[0]?.failed(new Error('a is dead'));
    await expect(result).rejects.toThrow('a is dead');
  });

  it('end with the signal, and none begins after', async () => {
    const leaving = new AbortController();
    const { attempts, result, asked } = begin(['a', 'b'], leaving.signal);
    leaving.abort(new Error('left'));
    await expect(result).rejects.toMatchObject({ code: 'ABORTED' });
    expect(attempts[0]?.signal.aborted).toBe(true);
    attempts[0]?.failed(new Error('ended'));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(asked()).toEqual(['a']);
  });
});
