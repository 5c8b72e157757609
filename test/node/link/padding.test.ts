/** Links on which nothing goes: what somebody who watches the connection sees. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PADDING_LEAST_MILLIS, PADDING_MOST_MILLIS, SMALLEST_FRAME_BYTES } from '../../../core/limits.ts';
import { FrameType } from '../../../node/link/index.ts';
import { Padding, PADDING_BYTES } from '../../../node/link/padding.ts';
import { TestNodes, Wire } from './nodes.ts';

const nodes = new TestNodes();
afterEach(async () => {
  vi.useRealTimers();
  await nodes.close();
});

/** Faster than real, so that a test sees some of it. */
const TIMING = { padLeast: 5, padMost: 20 };

describe('a link on which nothing goes', () => {
  it('is padded where it is hidden', async () => {
    const wire = new Wire();
    const { near, far } = await nodes.pair({ timing: TIMING, pads: () => true, wire });
    await wire.passed(20);
    expect([near.isOpen, far.isOpen]).toEqual([true, true]);
  });

  it('is closed for idleness all the same', async () => {
    const timing = { ...TIMING, idle: 200 };
    const { near, far } = await nodes.pair({ timing, pads: () => true });
    expect(await Promise.all([near.closed, far.closed])).toEqual([undefined, undefined]);
  });

  it('is silent where it is not hidden', async () => {
    const wire = new Wire();
    const { near, far } = await nodes.pair({ timing: TIMING, wire });
    let passed = 0;
    void wire.passed(1).then(() => {
      passed += 1;
      return passed;
    });
    // What is asked now and answered took longer than padding would have.
    const padded = new Wire();
    await nodes.pair({ timing: TIMING, pads: () => true, wire: padded });
    await padded.passed(20);
    expect([near.isOpen, far.isOpen, passed]).toEqual([true, true, 0]);
  });

  it('takes no padding that is longer than a cell', async () => {
    const { near, far } = await nodes.pair({});
    near.send(FrameType.PADDING, 0, new Uint8Array(PADDING_BYTES));
    await near.ping();
    near.send(FrameType.PADDING, 0, new Uint8Array(PADDING_BYTES + 1));
    expect(await far.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });
});

describe('padding', () => {
  it('follows a random silence in both directions, between 1.5 and 9.5 seconds', () => {
    vi.useFakeTimers();
    const sent: number[] = [];
    const padding = new Padding({
      least: PADDING_LEAST_MILLIS,
      most: PADDING_MOST_MILLIS,
      send: () => sent.push(performance.now()),
    });
    const start = performance.now();
    vi.advanceTimersByTime(3_600_000);
    const silences = sent.map((at, index) => at - (sent[index - 1] ?? start));
    expect(silences.length).toBeGreaterThan(400);
    expect(Math.min(...silences)).toBeGreaterThanOrEqual(PADDING_LEAST_MILLIS);
    expect(Math.max(...silences)).toBeLessThanOrEqual(PADDING_MOST_MILLIS + 1);
    expect(new Set(silences.map(Math.round)).size).toBeGreaterThan(100);
    padding.stop();
  });

  it('does not come while something goes, and ends with the link', () => {
    vi.useFakeTimers();
    let sent = 0;
    const padding = new Padding({ least: 1_500, most: 9_500, send: () => (sent += 1) });
    for (let second = 0; second < 100; second += 1) {
      vi.advanceTimersByTime(1_000);
      padding.used();
    }
    expect(sent).toBe(0);
    padding.stop();
    vi.advanceTimersByTime(100_000);
    expect([sent, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('ends where sending it ends the link', () => {
    vi.useFakeTimers();
    let sent = 0;
    const padding: Padding = new Padding({
      least: 5,
      most: 10,
      send: () => {
        sent += 1;
        padding.stop();
      },
    });
    vi.advanceTimersByTime(1_000);
    expect([sent, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it('is as long as the smallest frame that carries a cell', () => {
    expect(PADDING_BYTES + 8).toBe(SMALLEST_FRAME_BYTES);
  });
});
