/** Operators of relays, tried by one who runs many and wants two of them on a path. */
import { describe, expect, it } from 'vitest';
import { MAX_RELAYS, USUAL_PRICE } from '../../../core/limits.ts';
import { pricePerMiB } from '../../../core/units.ts';
import { areOneOperator, networksOf } from '../../../node/tunnel/operators.ts';
import { choosePath, secureRandom, type PathChoice } from '../../../node/tunnel/path.ts';
import { priceOf, type SignedOffer } from '../../../node/offer/index.ts';
import { walletBindingMessage } from '../../../platform/keys/binding.ts';
import { ledgerAddress } from '../../../core/ids.ts';
import { newIdentity, offerOf } from '../link/nodes.ts';

const SELF = newIdentity().nodeId;

interface Seller {
  readonly service?: string;
  readonly price?: bigint;
  readonly addresses?: readonly string[];
  readonly wallet?: ReturnType<typeof newIdentity>;
}

function seller({ service = 'relay', price = USUAL_PRICE, addresses, wallet }: Seller = {}): SignedOffer {
  const identity = newIdentity();
  return offerOf(identity, {
    services: [{ name: service, price: pricePerMiB(price) }],
    ...(addresses === undefined ? {} : { addresses }),
    ...(wallet === undefined
      ? {}
      : {
          wallet: ledgerAddress(wallet.publicKey),
          walletBinding: wallet.sign(walletBindingMessage(identity.nodeId)),
        }),
  });
}

function at(...addresses: readonly string[]): SignedOffer {
  return seller({ addresses });
}

function choose(sellers: readonly SignedOffer[], changes: Partial<PathChoice> = {}): SignedOffer[] {
  return choosePath({
    offers: { find: (service) => sellers.filter((offer) => priceOf(offer, service) !== undefined) },
    service: 'content',
    target: undefined,
    relays: 2,
    self: SELF,
    avoid: new Set(),
    random: secureRandom,
    ...changes,
  });
}

describe('a network', () => {
  it.each([
    ['/ip4/8.9.1.1/tcp/1', 'ip4 8.9'],
    ['/ip6/2a01:4f8:1::1/tcp/1', 'ip6 2a01:4f8'],
    ['/ip6/2a01:04F8:0001:0:0:0:0:2/tcp/1', 'ip6 2a01:4f8'],
    ['/ip6/2a01::1/tcp/1', 'ip6 2a01:0'],
  ])('of %s is %s', (address, network) => {
    expect([...networksOf(at(address))]).toEqual([network]);
  });

  it.each([
    ['/ip4/127.0.0.1/tcp/1'],
    ['/ip4/10.1.2.3/tcp/1'],
    ['/ip4/192.168.1.1/tcp/1'],
    ['/ip6/::1/tcp/1'],
    ['/ip6/fd00::1/tcp/1'],
    ['/dns4/example.com/tcp/1'],
    [`/onion3/${'a'.repeat(56)}:80`],
    [`/garlic32/${'a'.repeat(52)}`],
    ['/memory/x'],
  ])('is unknown for %s', (address) => {
    expect([...networksOf(at(address))]).toEqual([]);
  });

  it('is found among all addresses that a node names: a private address beside a public one hides nothing', () => {
    const [a, b] = [at('/ip4/10.0.0.1/tcp/1', '/ip4/8.9.1.1/tcp/1'), at('/ip4/8.9.7.7/tcp/1')];
    expect(areOneOperator(a, b)).toBe(true);
    expect(areOneOperator(at('/ip4/8.8.1.1/tcp/1'), b)).toBe(false);
    expect(areOneOperator(at('/ip4/10.0.0.1/tcp/1'), at('/ip4/10.0.0.2/tcp/1'))).toBe(false);
  });
});

describe('a path', () => {
  const host = seller({ service: 'content' });

  it('has no two relays of one wallet, and none of the wallet of its host', () => {
    const wallet = newIdentity();
    const mine = Array.from({ length: 12 }, () => seller({ wallet }));
    const others = [seller(), seller()];
    for (let time = 0; time < 300; time += 1) {
      const relays = choose([...mine, ...others, host]).slice(0, -1);
      expect(relays.filter((relay) => mine.includes(relay)).length).toBeLessThanOrEqual(1);
      const own = choose([...mine, ...others, seller({ service: 'content', wallet })]).slice(0, -1);
      expect(own.some((relay) => mine.includes(relay))).toBe(false);
    }
    expect(() => choose([...mine, host])).toThrow(
      expect.objectContaining({ code: 'NO_ROUTE', details: { wanted: 2, known: 1 } }) as Error,
    );
  });

  it('has no two relays of one network', () => {
    const near = Array.from({ length: 12 }, (_, i) => at(`/ip4/8.9.${i}.1/tcp/1`));
    const far = [at('/ip4/8.8.1.1/tcp/1'), at('/ip6/2a01:4f8::1/tcp/1')];
    for (let time = 0; time < 300; time += 1) {
      const relays = choose([...near, ...far, host], { relays: 3 }).slice(0, -1);
      expect(relays.filter((relay) => near.includes(relay)).length).toBe(1);
    }
    expect(() => choose([...near, host])).toThrow(expect.objectContaining({ code: 'NO_ROUTE' }) as Error);
  });

  it('is found if there is one, even if nearly everything collides', () => {
    // 6 wallets with two nodes each, in 6 networks, so that each choice forbids two others.
    const wallets = Array.from({ length: MAX_RELAYS }, () => newIdentity());
    const relays = wallets.flatMap((wallet, i) => [
      seller({ wallet, addresses: [`/ip4/8.${i}.0.1/tcp/1`] }),
      seller({ wallet, addresses: [`/ip4/8.${(i + 1) % MAX_RELAYS}.0.1/tcp/1`] }),
    ]);
    for (let time = 0; time < 100; time += 1) {
      const path = choose([...relays, host], { relays: MAX_RELAYS });
      expect(new Set(path.map(({ wallet }) => wallet)).size).toBe(MAX_RELAYS + 1);
    }
  });

  it('gives the keys of one wallet one chance, whatever they ask', () => {
    const wallet = newIdentity();
    const mine = Array.from({ length: 40 }, () => seller({ wallet }));
    const others = Array.from({ length: 9 }, () => seller());
    let count = 0;
    for (let time = 0; time < 2000; time += 1) {
      if (choose([...mine, ...others, host], { relays: 1 }).some((relay) => mine.includes(relay))) count += 1;
    }
    expect(count / 2000).toBeGreaterThan(0.07);
    expect(count / 2000).toBeLessThan(0.13);
  });

  it('begins at the first possible guard, wherever the host says that it is', () => {
    const relays = Array.from({ length: 6 }, (_, i) => at(`/ip4/8.${i}.0.1/tcp/1`));
    const guards = relays.slice(0, 3).map(({ nodeId }) => nodeId);
    const everywhere = seller({ service: 'content', addresses: relays.map((_, i) => `/ip4/8.${i}.9.9/tcp/1`) });
    for (let time = 0; time < 100; time += 1) {
      const path = choose([...relays, everywhere], { relays: 3, guards, avoid: new Set(guards) });
      expect(path[0]?.nodeId).toBe(guards[0]);
    }
  });

  it('does not begin elsewhere when a host asks so much that no guard fits', () => {
    const honest = Array.from({ length: 6 }, () => seller());
    const guards = honest.map(({ nodeId }) => nodeId);
    const cheap = Array.from({ length: 6 }, () => seller({ price: 0n }));
    const greedy = seller({ service: 'content', price: 11n * USUAL_PRICE });
    expect(() =>
      choose([...honest, ...cheap, greedy], { relays: 3, guards, maxPrice: pricePerMiB(11n * USUAL_PRICE) }),
    ).toThrow(
      expect.objectContaining({ code: 'NO_ROUTE', message: expect.stringContaining('6 guards') as string }) as Error,
    );
  });

  it('keeps its last relay where it can', () => {
    const relays = Array.from({ length: 8 }, () => seller());
    const [guard, last] = relays.map(({ nodeId }) => nodeId);
    if (guard === undefined || last === undefined) throw new TypeError('there are eight');
    const seconds = new Set<string | undefined>();
    for (let time = 0; time < 200; time += 1) {
      const path = choose([...relays, host], { relays: 3, guards: [guard], lastRelay: last });
      expect([path[0]?.nodeId, path[2]?.nodeId]).toEqual([guard, last]);
      seconds.add(path[1]?.nodeId);
    }
    expect(seconds.size).toBe(6);
  });

  it('is found quickly among thousands of relays that one wallet gives away', () => {
    const wallet = newIdentity();
    const one = seller({ wallet, price: 0n });
    const crowd = Array.from({ length: 4000 }, (_, i) => ({ ...one, nodeId: `${one.nodeId}${i}` as never }));
    const honest = Array.from({ length: 5 }, () => seller());
    const offers = [...crowd, ...honest, host];
    const begun = process.cpuUsage();
    expect(choose(offers, { relays: 5 })).toHaveLength(6);
    // Of the processor's time, microseconds: that of a loaded machine says nothing.
    expect(process.cpuUsage(begun).user).toBeLessThan(2_000_000);
  });
});
