/** Questions that strangers cause, asked of somebody who is slow, or who fails. */
import { describe, expect, it } from 'vitest';
import { Questions } from '../../core/questions.ts';

const HOUR = 3_600_000;

function asked(now: () => number = () => 0): Questions<string> {
  return new Questions({ atOnce: 2, restMillis: HOUR, kept: 2, now, lanes: ['one', 'other'] });
}

describe('questions', () => {
  it('are asked once for all who ask meanwhile', async () => {
    const questions = asked();
    let answer = (_text: string): void => {};
    const pending = new Promise<string>((resolve) => (answer = resolve));
    const first = questions.ask('a', () => pending, 'one');
    const second = questions.ask('a', () => Promise.resolve('not asked'), 'other');
    answer('asked');
    expect(await Promise.all([first, second])).toEqual(['asked', 'asked']);
  });

  it('are as many as may be at once in each lane, and the rest is told so', async () => {
    const questions = asked();
    const outcomes: unknown[] = [];
    for (const about of ['a', 'b', 'c']) outcomes.push(await questions.ask(about, () => Promise.resolve(about), 'one'));
    expect(outcomes).toEqual(['a', 'b', undefined]);
    expect(await questions.ask('d', () => Promise.resolve('d'), 'other')).toBe('d');
  });

  it('wait for one that is not answered, whatever time has passed', () => {
    const questions = new Questions<string>({ atOnce: 1, restMillis: 1e-9, kept: 2, now: () => 0, lanes: ['one'] });
    const never = new Promise<string>(() => {});
    expect(questions.ask('a', () => never, 'one')).toBeDefined();
    expect(questions.ask('b', () => never, 'one')).toBeUndefined();
  });

  it('that fail are remembered by nobody', async () => {
    const questions = asked();
    await expect(questions.ask('a', () => Promise.reject(new Error('down')), 'one')).rejects.toThrow('down');
    expect(questions.known('a', HOUR)).toBeUndefined();
    expect(await questions.ask('a', () => Promise.resolve('up'), 'one')).toBe('up');
  });

  it('are remembered for a while, the newest ones, and by no clock that was set back', async () => {
    let now = 1_000;
    const questions = asked(() => now);
    await questions.ask('a', () => Promise.resolve('a'), 'one');
    now = 2_000;
    expect(questions.known('a', 1_001)).toEqual({ answer: 'a', askedAt: 1_000 });
    expect(questions.known('a', 1_000)).toBeUndefined();
    now = 500;
    expect(questions.known('a', HOUR)).toBeUndefined();
    now = 2_000;
    await questions.ask('b', () => Promise.resolve('b'), 'one');
    await questions.ask('c', () => Promise.resolve('c'), 'other');
    expect(['a', 'b', 'c'].map((about) => questions.known(about, HOUR)?.answer)).toEqual([undefined, 'b', 'c']);
  });
});
