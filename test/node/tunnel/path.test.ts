/** Who is on a path, and what it may cost: tried by those who would be paid too much. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_ONWARD_PRICE, USUAL_PRICE } from '../../../core/limits.ts';
import type { NodeId } from '../../../core/ids.ts';
import { pricePerMiB } from '../../../core/units.ts';
import { choosePath, secureRandom, type PathChoice } from '../../../node/tunnel/path.ts';
import { addPrices, defaultMaxPrice, marketPrice, onwardPriceAllowed } from '../../../node/circuit/price.ts';
import { priceOf, type SignedOffer } from '../../../node/offer/index.ts';
import { newIdentity, offerOf } from '../link/nodes.ts';

const MOST = 1n << 40n;
const USUAL: bigint = USUAL_PRICE;

function seller(service: string, price: bigint): SignedOffer {
  return offerOf(newIdentity(), { services: [{ name: service, price: pricePerMiB(price) }] });
}

function market(relays: readonly bigint[], hosts: readonly bigint[] = [USUAL]) {
  const offers = [...relays.map((price) => seller('relay', price)), ...hosts.map((price) => seller('content', price))];
  const find = (service: string): SignedOffer[] => offers.filter((offer) => priceOf(offer, service) !== undefined);
  return { relays: find('relay'), hosts: find('content'), find };
}

const price = fc.bigInt({ min: 0n, max: 5n * USUAL });
const SELF = newIdentity().nodeId;

function choose(offers: PathChoice['offers'], changes: Partial<PathChoice> = {}): SignedOffer[] {
  return choosePath({
    offers,
    service: 'content',
    target: undefined,
    relays: 1,
    self: SELF,
    avoid: new Set(),
    random: secureRandom,
    ...changes,
  });
}

function cost(path: readonly SignedOffer[]): bigint {
  return path.reduce((sum, offer) => sum + (offer.services[0]?.price ?? 0n), 0n);
}

function times(count: number, draw: () => string): Map<string, number> {
  const drawn = new Map<string, number>();
  for (let i = 0; i < count; i += 1) {
    const who = draw();
    drawn.set(who, (drawn.get(who) ?? 0) + 1);
  }
  return drawn;
}

describe('a path', () => {
  it('never goes through an overpriced relay or host', () => {
    const offers = market([USUAL, MOST], [USUAL, MOST]);
    for (let i = 0; i < 1000; i += 1) expect(cost(choose(offers))).toBe(2n * USUAL);
  });

  it('takes cheaper ones more often, as the weights say', () => {
    const offers = market([0n, USUAL, 2n * USUAL, USUAL]);
    const drawn = times(4000, () => String(priceOf(choose(offers)[0] as SignedOffer, 'relay')));
    // Weights 1, 1/2 twice, 1/5 of 2.2 in all.
    const share = (price: bigint): number => (drawn.get(String(price)) ?? 0) / 4000;
    expect(share(0n)).toBeGreaterThan(0.4);
    expect(share(0n)).toBeLessThan(0.51);
    expect(share(2n * USUAL)).toBeGreaterThan(0.06);
    expect(share(2n * USUAL)).toBeLessThan(0.13);
  });

  it('gives a node that sells for nothing at most twice the share of one that asks the market price', () => {
    const offers = market([0n, USUAL, USUAL, USUAL]);
    const free = offers.relays[0]?.nodeId ?? '';
    const drawn = times(4000, () => choose(offers)[0]?.nodeId ?? '');
    expect((drawn.get(free) ?? 0) / 4000).toBeLessThan(2 / 5 + 0.04);
  });

  it('stays within any limit that some path is within, and uses every node that fits', () => {
    fc.assert(
      fc.property(
        fc.array(price, { minLength: 3, maxLength: 7 }),
        fc.array(price, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.bigInt({ min: 0n, max: 20n * USUAL }),
        (relayPrices, hostPrices, relays, limit) => {
          const offers = market(relayPrices, hostPrices);
          const sorted = relayPrices.toSorted((a, b) => Number(a - b));
          const least =
            sorted.slice(0, relays).reduce((sum, one) => sum + one, 0n) +
            (hostPrices.toSorted((a, b) => Number(a - b))[0] ?? 0n);
          fc.pre(least <= limit);
          const path = choose(offers, { relays, maxPrice: pricePerMiB(limit) });
          expect(cost(path)).toBeLessThanOrEqual(limit);
          expect(new Set(path.map(({ nodeId }) => nodeId)).size).toBe(relays + 1);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('does not exist below the cheapest sum', () => {
    fc.assert(
      fc.property(fc.array(price, { minLength: 3, maxLength: 7 }), fc.integer({ min: 0, max: 3 }), (prices, relays) => {
        const least = prices
          .toSorted((a, b) => Number(a - b))
          .slice(0, relays)
          .reduce((sum, one) => sum + one, USUAL);
        expect(() => choose(market(prices), { relays, maxPrice: pricePerMiB(least - 1n) })).toThrow(
          expect.objectContaining({ code: 'NO_ROUTE' }) as Error,
        );
        expect(cost(choose(market(prices), { relays, maxPrice: pricePerMiB(least) }))).toBe(least);
      }),
      { numRuns: 30 },
    );
  });

  it('includes an expensive node as long as the others leave it room', () => {
    const offers = market([0n, 0n, 3n * USUAL]);
    const dear = offers.relays[2]?.nodeId ?? '';
    const seen = times(500, () =>
      String(choose(offers, { relays: 2, maxPrice: pricePerMiB(4n * USUAL) }).some(({ nodeId }) => nodeId === dear)),
    );
    expect(seen.get('true') ?? 0).toBeGreaterThan(0);
  });

  it('that costs too much says so, with both figures and the option', () => {
    const offers = market([5n * USUAL], [7n * USUAL]);
    const limit = pricePerMiB(11n * USUAL);
    expect(() => choose(offers, { maxPrice: limit })).toThrow(
      expect.objectContaining({
        code: 'NO_ROUTE',
        message: expect.stringMatching(/0\.12 credits a MiB.*0\.11.*--max-price/) as string,
        details: { cheapest: '120000', limit: '110000' },
      }) as Error,
    );
    expect(cost(choose(offers, { maxPrice: pricePerMiB(12n * USUAL) }))).toBe(12n * USUAL);
  });

  it('prefers a more expensive node to one that failed, and one that failed to none', () => {
    const offers = market([USUAL, 2n * USUAL]);
    const [cheap, dear] = offers.relays.map(({ nodeId }) => nodeId);
    if (cheap === undefined || dear === undefined) throw new Error('two relays were made');
    for (let i = 0; i < 50; i += 1) expect(choose(offers, { avoid: new Set([cheap]) })[0]?.nodeId).toBe(dear);
    const tight = { avoid: new Set([cheap]), maxPrice: pricePerMiB(2n * USUAL) };
    expect(choose(offers, tight)[0]?.nodeId).toBe(cheap);
  });

  it('of the usual price is found quickly among thousands that are too expensive', () => {
    const one = seller('content', MOST);
    const crowd = Array.from({ length: 4000 }, (_, i) => ({ ...one, nodeId: `${one.nodeId}${i}` as NodeId }));
    const good = market([USUAL, USUAL]);
    const find = (service: string): readonly SignedOffer[] =>
      service === 'content' ? [...crowd, ...good.find(service)] : good.find(service);
    const begun = process.cpuUsage();
    expect(cost(choose({ find }, { relays: 2 }))).toBe(3n * USUAL);
    // Of the processor's time, microseconds: that of a loaded machine says nothing.
    expect(process.cpuUsage(begun).user).toBeLessThan(2_000_000);
  });
});

describe('the limit without --max-price', () => {
  it('is three times what the market asks for such a circuit', () => {
    const offers = market([2n * USUAL, 2n * USUAL, 3n * USUAL], [USUAL]);
    expect(defaultMaxPrice(offers, 'content', 2)).toBe(3n * (2n * (2n * USUAL) + USUAL));
  });

  it.each([
    ['lifted', MOST, 3n * 4n * USUAL],
    ['pressed down', 0n, 3n * USUAL],
  ])('cannot be %s without limit by somebody who makes most of the offers', (_how, price, bound) => {
    const offers = market([USUAL, ...Array<bigint>(40).fill(price)], Array<bigint>(40).fill(price));
    expect(defaultMaxPrice(offers, 'content', 0)).toBe(bound);
    // And the honest relay is never shut out by it.
    expect(defaultMaxPrice(offers, 'content', 1) >= marketPrice(offers, 'content') + USUAL).toBe(true);
  });

  it('counts a wallet once, by its cheapest node', () => {
    const wallets = [USUAL, 3n * USUAL].map((price) => seller('relay', price));
    const copies = Array.from({ length: 9 }, () => ({ ...(wallets[1] as SignedOffer), nodeId: newIdentity().nodeId }));
    expect(marketPrice({ find: () => [...wallets, ...copies] }, 'relay')).toBe(USUAL);
  });
});

describe('prices', () => {
  it('that add up to more than the highest possible price are blamed on the hop that exceeds it', () => {
    expect(addPrices(pricePerMiB(1n), MOST - 1n, 0)).toBe(MOST);
    expect(() => addPrices(pricePerMiB(1n), MOST, 2)).toThrow(
      expect.objectContaining({ code: 'PRICE_TOO_HIGH', details: { hop: 2 } }) as Error,
    );
  });

  it('that a relay is told to pay onward have an upper bound', () => {
    expect(onwardPriceAllowed(MAX_ONWARD_PRICE)).toBe(true);
    expect(onwardPriceAllowed(pricePerMiB(MAX_ONWARD_PRICE + 1n))).toBe(false);
    expect(onwardPriceAllowed(pricePerMiB(6n), pricePerMiB(5n))).toBe(false);
    expect(onwardPriceAllowed(pricePerMiB(5n), pricePerMiB(5n))).toBe(true);
  });
});
