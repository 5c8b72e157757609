import { describe, expect, it } from 'vitest';
import {
  attribution,
  earnersKey,
  earnersOf,
  isSameAttribution,
  namesIn,
  type NameShare,
} from '../../core/attribution.ts';
import { MAX_ATTRIBUTED_NAMES } from '../../core/limits.ts';
import { basisPoints } from '../../core/units.ts';

function share(name: string, bps: number, referrer?: string): NameShare {
  return { name, share: basisPoints(bps), ...(referrer === undefined ? {} : { referrer }) };
}

const many = (count: number): NameShare[] => Array.from({ length: count }, (_, index) => share(`n${index}.web3`, 1));

describe("names' shares", () => {
  it('are a copy that nobody changes afterwards', () => {
    const own = [{ name: 'A.web3', share: basisPoints(7_000) }, share('b.image', 3_000)];
    const shares = attribution(own);
    own[0] = share('c.web3', 1);
    own.pop();
    expect(shares).toEqual([share('a.web3', 7_000), share('b.image', 3_000)]);
    expect([shares, ...shares].every((part) => Object.isFrozen(part))).toBe(true);
  });

  it('are none, or up to the limit', () => {
    expect(attribution([])).toEqual([]);
    expect(attribution(many(MAX_ATTRIBUTED_NAMES))).toHaveLength(MAX_ATTRIBUTED_NAMES);
  });

  it.each([
    ['too many', many(MAX_ATTRIBUTED_NAMES + 1), 'INVALID_ARGUMENT'],
    ['a name twice', [share('a.web3', 1), share('A.WEB3', 1)], 'INVALID_ARGUMENT'],
    ['more than all of it', [share('a.web3', 9_999), share('b.web3', 2)], 'INVALID_ARGUMENT'],
    ['what is not a name', [share('nobody', 1)], 'NAME_INVALID'],
    ['what is not a name, as a referrer', [share('a.web3', 1, 'a b.web3')], 'NAME_INVALID'],
    ['a name twice, with two referrers', [share('a.web3', 1, 'b.web3'), share('a.web3', 1)], 'INVALID_ARGUMENT'],
  ])('are refused: %s', (_what, shares, code) => {
    expect(() => attribution(shares)).toThrow(expect.objectContaining({ code }) as Error);
  });

  it('are the same where each is', () => {
    const of = (...shares: NameShare[]): ReturnType<typeof attribution> => attribution(shares);
    const [one, other] = [share('a.web3', 1), share('b.web3', 2)];
    expect(isSameAttribution(of(one, other), of(one, other))).toBe(true);
    expect(isSameAttribution(of(one, other), of(other, one))).toBe(false);
    expect(isSameAttribution(of(one), of(one, other))).toBe(false);
    expect(isSameAttribution(of(one), of(share('a.web3', 2)))).toBe(false);
    expect(isSameAttribution(of(one), of(share('a.web3', 1, 'b.web3')))).toBe(false);
    expect(isSameAttribution(of(share('a.web3', 1, 'b.web3')), of(share('a.web3', 1, 'B.web3')))).toBe(true);
  });

  it('have the site that showed the name, unless it is the name itself', () => {
    expect(attribution([share('a.image', 1, 'News.web3')])).toEqual([share('a.image', 1, 'news.web3')]);
    expect(attribution([share('a.image', 1, 'A.IMAGE')])).toEqual([share('a.image', 1)]);
  });

  it('are one text for name and referrer, which says both again', () => {
    for (const earners of [{ name: 'a.image' }, { name: 'a.image', referrer: 'b.web3' }]) {
      expect(earnersOf(earnersKey(earners))).toEqual(earners);
    }
    expect(earnersKey({ name: 'a.image' })).toBe('a.image');
    expect(earnersKey({ name: 'a.image', referrer: 'b.web3' })).toBe('a.image b.web3');
  });

  it('mention each name once', () => {
    expect(namesIn([share('a.image', 1, 'b.web3'), share('b.web3', 2), share('a.image', 3, 'c.web3')])).toEqual([
      'a.image',
      'b.web3',
      'c.web3',
    ]);
  });
});

describe('basis points', () => {
  it.each([-1, 10_001, 0.5, Number.NaN])('are not %s', (value) => {
    expect(() => basisPoints(value)).toThrow(RangeError);
  });
});
