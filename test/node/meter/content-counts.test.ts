/** What was sent for whom, beside the books. */
import { describe, expect, it } from 'vitest';
import { attribution, type NameShare } from '../../../core/attribution.ts';
import { basisPoints, pricePerMiB } from '../../../core/units.ts';
import { ContentCounts } from '../../../node/meter/content-counts.ts';

const MIB = 1024 ** 2;
const PRICE = pricePerMiB(1_000n);

function whole(name: string, referrer?: string): readonly NameShare[] {
  return [{ name, referrer, share: basisPoints(10_000) }];
}

describe('counts of content', () => {
  it('are by name and by the page that showed it, however streams take turns', () => {
    const counts = new ContentCounts();
    const own = attribution(whole('pic.image'));
    const shown = attribution(whole('pic.image', 'news.web3'));
    for (let turn = 0; turn < 4; turn += 1) {
      counts.add(own, MIB / 4, PRICE);
      counts.add(shown, MIB / 2, PRICE);
    }
    expect(counts.list()).toEqual(
      expect.arrayContaining([
        { name: 'pic.image', bytes: MIB, gross: 1_000n },
        { name: 'pic.image', referrer: 'news.web3', bytes: 2 * MIB, gross: 2_000n },
      ]),
    );
    expect(counts.list()).toHaveLength(2);
  });

  it('have each price of each stretch, and the shares of each name', () => {
    const counts = new ContentCounts();
    const both = attribution([
      { name: 'a.web3', share: basisPoints(2_500) },
      { name: 'b.web3', share: basisPoints(7_500) },
    ]);
    counts.add(both, MIB, PRICE);
    counts.add(both, MIB, pricePerMiB(3_000n));
    const gross = new Map(counts.list().map((one) => [one.name, one.gross]));
    expect([gross.get('a.web3'), gross.get('b.web3')]).toEqual([1_000n, 3_000n]);
  });
});
