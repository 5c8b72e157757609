import { beforeEach, describe, expect, it } from 'vitest';
import { RelaymintError, type ErrorCode } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { systemClock } from '../../core/ports.ts';
import { pricePerMiB } from '../../core/units.ts';
import { SiteHosts } from '../../app/roles/hosts.ts';
import { hostsFor } from '../../app/roles/publisher.ts';
import { createOfferBook, type OfferBook } from '../../node/discovery/index.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';
import { newIdentity, offerOf } from '../node/link/nodes.ts';

const NAME = 'news.web3';

describe('the hosts that a gateway asks for a site', () => {
  let book: OfferBook;
  let hosts: SiteHosts;
  beforeEach(() => {
    book = createOfferBook({ clock: systemClock });
    hosts = new SiteHosts(book);
  });

  const offer = (identity: NodeIdentity, keeps: readonly string[], price = 10_000n, sequence = 1n): NodeId => {
    const services = ['content', 'publish'].map((name) => ({ name, price: pricePerMiB(price) }));
    book.add(offerOf(identity, { services, keeps, sequence }));
    return identity.nodeId;
  };
  const host = (keeps: readonly string[], price?: bigint): NodeId => offer(newIdentity(), keeps, price);
  const fails = (id: NodeId, name = NAME, code: ErrorCode = 'CONTENT_REFUSED'): void => {
    hosts.failed(id, name, new RelaymintError(code, 'It did not deliver.'));
  };
  const manyNames = Array.from({ length: 300 }, (_, i) => `site-${i}.web3`);

  it('are those that say they keep it, and not the cheap ones that do not', () => {
    const dear = host([NAME, 'shop.web3'], 30_000n);
    for (let i = 0; i < 5; i += 1) host(['shop.web3'], 1n);
    host([], 1n);
    book.add(offerOf(newIdentity(), { keeps: [NAME] }));
    expect(hosts.thatKeep(NAME)).toEqual([dear]);
    expect(hosts.thatKeep('nobodys.web3')).toEqual([]);
  });

  it('come in random order, cheaper ones earlier more often', () => {
    const cheap = host([NAME], 1n);
    const dear = host([NAME], 30_000n);
    const firsts = Array.from({ length: 400 }, () => hosts.thatKeep(NAME)[0]);
    const cheapest = firsts.filter((id) => id === cheap).length;
    expect(cheapest).toBeGreaterThan(200);
    expect(firsts).toContain(dear);
  });

  it('are those with more names than they can say only where they say so', () => {
    const full = host(manyNames);
    host([NAME]);
    expect(hosts.thatMayKeep('nobodys.web3')).toEqual([full]);
  });

  it('are not asked again when they refuse, until they sign another offer', () => {
    const liar = newIdentity();
    const id = offer(liar, [NAME, 'shop.web3']);
    fails(id);
    expect(hosts.thatKeep(NAME)).toEqual([]);
    expect(hosts.thatKeep('shop.web3')).toEqual([id]);
    offer(liar, [NAME], 10_000n, 2n);
    expect(hosts.thatKeep(NAME)).toEqual([id]);
  });

  it.each(['CONTENT_NOT_FOUND', 'CONTENT_CORRUPT'] as const)('are asked last after %s', (code) => {
    const [bad, good] = [host([NAME], 1n), host([NAME], 30_000n)];
    fails(bad, NAME, code);
    for (let i = 0; i < 20; i += 1) expect(hosts.thatKeep(NAME)).toEqual([good, bad]);
  });

  it('are asked last for every name when no circuit reaches them', () => {
    const [away, good] = [host([NAME, 'shop.web3'], 1n), host([NAME, 'shop.web3'], 30_000n)];
    hosts.unreached(away);
    for (let i = 0; i < 20; i += 1) {
      expect([hosts.thatKeep(NAME), hosts.thatKeep('shop.web3')]).toEqual([
        [good, away],
        [good, away],
      ]);
    }
  });

  it('are asked last for every name when they broke their word about several', () => {
    const [liar, good] = [host(['a.web3', 'b.web3', 'c.web3', NAME], 1n), host([NAME], 30_000n)];
    for (const name of ['a.web3', 'b.web3', 'c.web3']) fails(liar, name);
    for (let i = 0; i < 20; i += 1) expect(hosts.thatKeep(NAME)).toEqual([good, liar]);
  });

  it('broke no word about what they never said, and none when only the way to them failed', () => {
    const full = host([...manyNames, NAME], 1n);
    for (const name of ['a.web3', 'b.web3', 'c.web3', 'd.web3']) fails(full, name);
    const other = host([...manyNames, NAME], 1n);
    for (const name of manyNames.slice(0, 9)) fails(other, name, 'TIMEOUT');
    const firsts = Array.from({ length: 60 }, () => hosts.thatMayKeep('nobodys.web3')[0]);
    expect(new Set(firsts)).toEqual(new Set([full, other]));
    // But it is not asked for that name again.
    expect(hosts.thatMayKeep('a.web3')).toEqual([other]);
  });

  it('are remembered in bounded numbers', () => {
    const id = host(manyNames);
    for (const name of manyNames.slice(0, 100)) fails(id, name);
    expect(hosts.thatKeep(manyNames[99] ?? '')).toEqual([]);
    expect(hosts.thatKeep(manyNames[0] ?? '')).toEqual([id]);
  });

  it('get what is published to nobody in particular: first those that keep it, then others, not the cheapest each time', () => {
    const keeper = host([NAME], 30_000n);
    const others = [1n, 8_000n, 9_000n].map((price) => host([], price));
    const seconds = new Set<NodeId | undefined>();
    for (let i = 0; i < 400; i += 1) {
      const [first, second, ...rest] = hostsFor(book, NAME);
      expect(first).toBe(keeper);
      expect(rest).toHaveLength(2);
      seconds.add(second);
    }
    expect(seconds).toEqual(new Set(others));
  });
});
