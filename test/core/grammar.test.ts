/** One grammar for shares, sizes and durations, wherever people write them. */
import { describe, expect, it } from 'vitest';
import { formatShare, parseDuration, parseShare, parseSize } from '../../core/grammar.ts';

describe('a share', () => {
  it.each([
    ['20%', 2_000],
    ['2000bps', 2_000],
    ['2.5%', 250],
    ['0.01%', 1],
    ['100%', 10_000],
    ['10000bps', 10_000],
    ['0', 0],
  ])('%s is %d basis points', (text, bps) => {
    expect(parseShare(text)).toBe(bps);
  });

  it.each(['20', '1', '2000', '20 %', '100.01%', '10001bps', '2.5bps', '1.234%', '-1%', '%', '', 'all', '1e2%'])(
    '"%s" is refused: it is ambiguous or out of bounds',
    (text) => {
      expect(() => parseShare(text)).toThrow(/with its unit, from 0% to 100%/);
    },
  );

  it.each([0, 1, 250, 2_000, 10_000])('of %d basis points is written as it is read', (bps) => {
    expect(parseShare(formatShare(bps))).toBe(bps);
  });
});

describe('a size', () => {
  it.each([
    ['1024B', 1024],
    ['0', 0],
    ['0G', 0],
    ['500M', 500 * 1024 ** 2],
    ['20G', 20 * 1024 ** 3],
    ['20 GiB', 20 * 1024 ** 3],
    ['1t', 1024 ** 4],
    ['7B', 7],
  ])('%s is %d bytes', (text, size) => {
    expect(parseSize(text)).toBe(size);
  });

  it.each(['', 'G', '-1', '20', '1024', '1KK', '5iB', '1.5G', '1P', '9999999999999999', '999999999999999T'])(
    '"%s" is refused',
    (text) => {
      expect(() => parseSize(text)).toThrow(RangeError);
    },
  );
});

describe('a duration', () => {
  it.each([
    ['250ms', 250],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0', 0],
  ])('%s is %d milliseconds', (text, millis) => {
    expect(parseDuration(text)).toBe(millis);
  });

  it.each(['24', '', 's', '1.5h', '-1s', '1w', '99999999d', '1 h'])('"%s" is refused', (text) => {
    expect(() => parseDuration(text)).toThrow(/with its unit/);
  });
});
