import { describe, expect, it } from 'vitest';
import { pricePerMiB, unixMillis } from '../../../core/units.ts';
import { createOfferBook, formatPeer, parsePeer } from '../../../node/discovery/index.ts';
import { newIdentity, offerOf } from '../link/nodes.ts';

const start = Date.now();

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

  it('takes none of a node that sells nothing: it is kept for nobody to read', () => {
    const { book } = bookAt();
    const node = newIdentity();
    const heard: bigint[] = [];
    book.onOffer((offer) => heard.push(offer.sequence));
    expect(book.add(offerOf(node, { services: [] }))).toBe(false);
    for (const found of [book.all(), book.page(undefined, 10)]) expect(found).toEqual([]);
    expect(book.get(node.nodeId)).toBeUndefined();
    expect(heard).toEqual([]);
  });

  it('gives out no expired offer, by any way', () => {
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

  it('is bounded: what expires first goes first', () => {
    const { book } = bookAt(3);
    const nodes = [50, 10, 40].map((millis) => ({ identity: newIdentity(), millis }));
    for (const { identity, millis } of nodes) book.add(offerOf(identity, expiring(millis)));
    expect(book.add(offerOf(newIdentity(), expiring(5)))).toBe(false);
    const newcomer = newIdentity();
    expect(book.add(offerOf(newcomer, expiring(30)))).toBe(true);
    expect(book.size).toBe(3);
    expect(book.get(nodes[1]?.identity.nodeId ?? newcomer.nodeId)).toBeUndefined();
    expect(book.all().map((offer) => offer.expires - start)).toEqual([50, 40, 30]);
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
