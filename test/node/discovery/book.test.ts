import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../core/ids.ts';
import { MAX_OFFER_NETWORK_PARTS, OFFER_KEPT_MILLIS } from '../../../core/limits.ts';
import { pricePerMiB, unixMillis } from '../../../core/units.ts';
import { createOfferBook, formatPeer, parsePeer } from '../../../node/discovery/index.ts';
import type { SignedOffer } from '../../../node/offer/offer.ts';
import { networkOf } from '../../../node/discovery/places.ts';
import { newIdentity, offerOf } from '../link/nodes.ts';

const start = Date.now();
const HOUR = 60 * 60_000;
const somewhere = (network: number) => ({ addresses: [`/ip4/8.${network}.0.1/tcp/1`] });
const offerNode = (text: string): NodeId => text as NodeId;

function bookAt(limit = 100): { book: ReturnType<typeof createOfferBook>; setTime: (millis: number) => void } {
  let now = start;
  return {
    book: createOfferBook({ clock: { now: () => unixMillis(now) }, limit }),
    setTime: (millis) => {
      now = start + millis;
    },
  };
}

const expiring = (millis: number) => ({ expires: unixMillis(start + millis) });

describe('the offer book', () => {
  it('keeps the newest offer of each node', () => {
    const { book } = bookAt();
    const node = newIdentity();
    const heard: bigint[] = [];
    book.onOffer((offer) => heard.push(offer.sequence));
    expect(book.add(offerOf(node, { sequence: 5n }))).toBe(true);
    expect(book.add(offerOf(node, { sequence: 4n }))).toBe(false);
    expect(book.add(offerOf(node, { sequence: 5n }))).toBe(false);
    expect(book.add(offerOf(node, { sequence: 6n }))).toBe(true);
    expect(book.get(node.nodeId)?.sequence).toBe(6n);
    expect(book.size).toBe(1);
    expect(heard).toEqual([5n, 6n]);
    book.remove(node.nodeId);
    expect(book.get(node.nodeId)).toBeUndefined();
  });

  it('takes no offer of a node that sells nothing', () => {
    const { book } = bookAt();
    const node = newIdentity();
    const heard: bigint[] = [];
    book.onOffer((offer) => heard.push(offer.sequence));
    expect(book.add(offerOf(node, { services: [] }))).toBe(false);
    for (const found of [book.all(), book.page(undefined, 10)]) expect(found).toEqual([]);
    expect(book.get(node.nodeId)).toBeUndefined();
    expect(heard).toEqual([]);
  });

  it('keeps a node that others told of, or that was reached, when a circuit finds that it leads nowhere', () => {
    const { book } = bookAt();
    const offer = offerOf(newIdentity());
    const { nodeId } = offer;
    const afterwards = (...meanwhile: (() => unknown)[]): boolean => {
      book.remove(nodeId);
      book.add(offer, 'strangers', true);
      for (const happens of meanwhile) happens();
      book.dropPassing(nodeId);
      return book.get(nodeId) !== undefined;
    };
    expect(afterwards()).toBe(false);
    expect(afterwards(() => book.alsoFrom(nodeId, 'strangers', true))).toBe(false);
    expect(afterwards(() => book.alsoFrom(nodeId, 'strangers'))).toBe(true);
    expect(afterwards(() => book.add(offer))).toBe(true);
    expect(afterwards(() => book.reached(nodeId))).toBe(true);
  });

  it('never gives out an expired offer', () => {
    const { book, setTime } = bookAt();
    const [short, long] = [newIdentity(), newIdentity()];
    book.add(offerOf(short, expiring(100)));
    book.add(offerOf(long, expiring(200)));
    expect(book.all().map((offer) => offer.nodeId)).toEqual([long.nodeId, short.nodeId]);
    setTime(100);
    expect(book.get(short.nodeId)).toBeUndefined();
    for (const found of [book.all(), book.find('relay'), book.page(undefined, 10)]) {
      expect(found.map((offer) => offer.nodeId)).toEqual([long.nodeId]);
    }
    expect(book.size).toBe(1);
    expect(book.add(offerOf(newIdentity(), expiring(100)))).toBe(false);
  });

  it('an offer that has expired does not stand in the way of one with a lower sequence', () => {
    const { book, setTime } = bookAt();
    const node = newIdentity();
    expect(book.add(offerOf(node, { sequence: 100n, ...expiring(100) }))).toBe(true);
    expect(book.add(offerOf(node, { sequence: 50n, ...expiring(900) }))).toBe(false);
    setTime(100);
    expect(book.add(offerOf(node, { sequence: 50n, ...expiring(900) }))).toBe(true);
    expect(book.find('relay').map(({ sequence }) => sequence)).toEqual([50n]);
  });

  it('a book full of expired offers has room for a newcomer, however short its life', () => {
    const { book, setTime } = bookAt(3);
    for (const millis of [60, 70, 80]) book.add(offerOf(newIdentity(), expiring(millis)));
    setTime(80);
    const newcomer = newIdentity();
    expect(book.add(offerOf(newcomer, expiring(81)))).toBe(true);
    expect(book.page(undefined, 10).map(({ nodeId }) => nodeId)).toEqual([newcomer.nodeId]);
    expect(book.size).toBe(1);
  });

  it('keeps no offer for longer than honest nodes ask for, whatever its expiry', () => {
    const { book, setTime } = bookAt();
    const node = newIdentity();
    book.add(offerOf(node, expiring(24 * HOUR)));
    setTime(OFFER_KEPT_MILLIS - 1);
    expect(book.get(node.nodeId)).toBeDefined();
    setTime(OFFER_KEPT_MILLIS);
    expect(book.get(node.nodeId)).toBeUndefined();
    expect(book.page(undefined, 10)).toEqual([]);
    expect(book.size).toBe(0);
  });

  it('finds a service, cheapest first', () => {
    const { book } = bookAt();
    const prices = [700n, 20n, 300n];
    for (const price of prices) {
      book.add(offerOf(newIdentity(), { services: [{ name: 'content', price: pricePerMiB(price) }] }));
    }
    book.add(offerOf(newIdentity()));
    expect(book.find('content').map((offer) => offer.services[0]?.price)).toEqual([20n, 300n, 700n]);
    expect(book.find('exit')).toEqual([]);
  });

  it('pages through all of them', () => {
    const { book } = bookAt();
    for (let i = 0; i < 25; i += 1) book.add(offerOf(newIdentity()));
    const seen = new Set<string>();
    let last = undefined;
    for (;;) {
      const page = book.page(last, 10);
      for (const offer of page) seen.add(offer.nodeId);
      last = page.at(-1)?.nodeId;
      if (page.length < 10) break;
    }
    expect(seen.size).toBe(25);
  });
});

describe('a full offer book', () => {
  it('loses no node to a flood of long-lived offers, and lets the nodes in it renew theirs', () => {
    const { book } = bookAt(64);
    const honest = Array.from({ length: 40 }, newIdentity);
    for (const node of honest) book.add(offerOf(node, expiring(6 * HOUR)), 'strangers');
    for (let i = 0; i < 200; i += 1) book.add(offerOf(newIdentity(), expiring(24 * HOUR)), 'strangers');
    expect(book.size).toBe(64);
    for (const node of honest) {
      expect(book.get(node.nodeId)).toBeDefined();
      expect(book.add(offerOf(node, { sequence: 2n, ...expiring(7 * HOUR) }), 'strangers')).toBe(true);
    }
  });

  it('shares its places between those who bring offers: a newcomer gets in although another filled it', () => {
    const { book } = bookAt(64);
    for (let i = 0; i < 64; i += 1) book.add(offerOf(newIdentity()), 'strangers');
    const [named, payer] = [newIdentity().nodeId, newIdentity().nodeId];
    const brought = Array.from({ length: 3 * 21 }, (_, index) => {
      const node = newIdentity();
      expect(book.add(offerOf(node), index % 3 === 0 ? named : index % 3 === 1 ? payer : 'presented')).toBe(index < 48);
      return node;
    }).slice(0, 48);
    expect(brought.every((node) => book.get(node.nodeId) !== undefined)).toBe(true);
    expect(book.hasRoomFor('strangers')).toBe(false);
    expect(book.add(offerOf(newIdentity()), 'strangers')).toBe(false);
  });

  it('takes nothing from a peer that holds no more than its share, whatever the others bring', () => {
    const groups = ['strangers', 'presented', newIdentity().nodeId, newIdentity().nodeId] as const;
    const [pool, limit] = [Array.from({ length: 300 }, (_, i) => offerOf(newIdentity(), somewhere(i % 7))), 24];
    const moves = fc.array(fc.tuple(fc.nat(pool.length - 1), fc.nat(groups.length - 1)), { maxLength: 400 });
    fc.assert(
      fc.property(moves, (steps) => {
        const { book } = bookAt(limit);
        const from = new Map<string, number>();
        for (const [offer, group] of steps.map(([i, j]) => [pool[i] as SignedOffer, j] as const)) {
          if (book.get(offer.nodeId) !== undefined) continue;
          const held = groups.map((_, other) => [...from.values()].filter((each) => each === other).length);
          if (book.add(offer, groups[group])) from.set(offer.nodeId, group);
          const gone = Array.from(from).filter(([node]) => book.get(offerNode(node)) === undefined);
          for (const [node] of gone) from.delete(node);
          expect(gone.filter(([, other]) => other !== group && (held[other] ?? 0) <= limit / groups.length)).toEqual(
            [],
          );
          expect(book.size).toBe(from.size);
          expect(book.size).toBeLessThanOrEqual(limit);
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('gives one network no more than its part', () => {
    const { book } = bookAt(2 * MAX_OFFER_NETWORK_PARTS);
    const [big, other] = [somewhere(1), somewhere(2)];
    const crowd = Array.from({ length: 2 * MAX_OFFER_NETWORK_PARTS }, newIdentity);
    for (const node of crowd) book.add(offerOf(node, big));
    const few = Array.from({ length: 2 }, newIdentity);
    for (const node of few) expect(book.add(offerOf(node, other))).toBe(true);
    expect(book.add(offerOf(newIdentity(), big))).toBe(false);
    // The last of the crowd went; of the small network nobody does.
    expect(crowd.map(({ nodeId }) => book.get(nodeId) !== undefined).lastIndexOf(true)).toBe(crowd.length - 3);
    for (const { nodeId } of few) expect(book.get(nodeId)).toBeDefined();
  });

  it('drops nodes that were reached last', () => {
    const { book } = bookAt(3);
    const [early, late, reached] = [newIdentity(), newIdentity(), newIdentity()];
    for (const node of [early, late, reached]) book.add(offerOf(node), 'strangers');
    book.reached(reached.nodeId);
    expect(book.add(offerOf(newIdentity()))).toBe(true);
    expect([early, late, reached].map(({ nodeId }) => book.get(nodeId) !== undefined)).toEqual([true, false, true]);
  });

  it('keeps what somebody else brings too when a crowd is crowded out', () => {
    const { book } = bookAt(8);
    const [named, node] = [newIdentity().nodeId, newIdentity()];
    for (let i = 0; i < 7; i += 1) book.add(offerOf(newIdentity()), 'strangers');
    book.add(offerOf(node), 'strangers');
    book.alsoFrom(node.nodeId, named);
    for (let i = 0; i < 4; i += 1) book.add(offerOf(newIdentity()), 'presented');
    expect(book.get(node.nodeId)).toBeDefined();
  });

  it('knows the network of an address', () => {
    const of = (...addresses: string[]): string | undefined => networkOf({ addresses });
    expect(of('/ip4/8.9.10.11/tcp/1')).toBe('ip4 8.9');
    expect(of('/ip4/10.9.10.11/tcp/1', '/ip4/8.9.1.1/tcp/1')).toBe('ip4 8.9');
    expect(of('/ip6/2a01:4f8:1::1/tcp/1')).toBe('ip6 2a01:4f8');
    expect(of('/ip6/2a01:04f8:2::1/tcp/1')).toBe('ip6 2a01:4f8');
    expect(of('/ip6/2a01::1/tcp/1')).toBe('ip6 2a01:0');
    for (const none of ['/ip4/127.0.0.1/tcp/1', '/dns4/a.test/tcp/1', '/memory/x', `/garlic32/${'a'.repeat(52)}`]) {
      expect(of(none)).toBeUndefined();
    }
    expect(of()).toBeUndefined();
  });
});

describe('a peer address', () => {
  it('is written as NODEID@MULTIADDR', () => {
    const { nodeId } = newIdentity();
    const text = `${nodeId}@/ip4/127.0.0.1/tcp/4001`;
    expect(parsePeer(text)).toEqual({ nodeId, address: '/ip4/127.0.0.1/tcp/4001' });
    expect(formatPeer(parsePeer(text))).toBe(text);
    for (const wrong of [
      '',
      '@',
      nodeId,
      `${nodeId}@`,
      `${nodeId}@x`,
      '@/memory/x',
      'abc@/memory/x',
      `${nodeId}@/a b`,
    ]) {
      expect(() => parsePeer(wrong)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
    }
  });
});
