import { expect, it } from 'vitest';
import { backoff } from '../../core/backoff.ts';

it('is longer after each failure, and never longer than the last pause', () => {
  const pauses = [1, 2, 3, 4, 5, 6, 2_000].map((failures) => backoff(failures, { first: 250, last: 5_000 }));
  expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  expect([1, 2, 3].map((failures) => backoff(failures, { first: 40, last: 1_000, factor: 1.5 }))).toEqual([40, 60, 90]);
});
