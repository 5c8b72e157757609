import { beforeEach, describe, expect, it } from 'vitest';
import { RelaymintError, type ErrorCode } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { systemClock } from '../../core/ports.ts';
import { pricePerMiB } from '../../core/units.ts';
import { SiteHosts } from '../../app/roles/hosts.ts';
import { hostsFor } from '../../app/roles/delivery.ts';
import { createOfferBook, type OfferBook } from '../../node/discovery/index.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';
import { newIdentity, offerOf } from '../node/link/nodes.ts';

const NAME = 'news.web3';
const MINUTES = 60_000;

describe('the hosts that a gateway asks for a site', () => {
  let book: OfferBook;
  let hosts: SiteHosts;
  let now: number;
  beforeEach(() => {
    book = createOfferBook({ clock: systemClock });
    now = 0;
    hosts = new SiteHosts(book, () => now);
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

  it('include those with more names than they can list only if they say so', () => {
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
    for (const name of manyNames.slice(0, 9)) fails(other, name, 'CIRCUIT_DESTROYED');
    const firsts = Array.from({ length: 60 }, () => hosts.thatMayKeep('nobodys.web3')[0]);
    expect(new Set(firsts)).toEqual(new Set([full, other]));
    // But it is not asked for that name again.
    expect(hosts.thatMayKeep('a.web3')).toEqual([other]);
  });

  describe.each(['TIMEOUT', 'STREAM_REFUSED', 'STREAM_RESET'] as const)('that are silent (%s)', (code) => {
    it('are asked last for that name, for a while', () => {
      const [silent, good] = [host([NAME, 'shop.web3'], 1n), host([NAME, 'shop.web3'], 30_000n)];
      fails(silent, NAME, code);
      for (let i = 0; i < 20; i += 1) expect(hosts.thatKeep(NAME)).toEqual([good, silent]);
      now += 11 * MINUTES;
      const firsts = Array.from({ length: 60 }, () => hosts.thatKeep(NAME)[0]);
      expect(firsts).toContain(silent);
    });

    it('are no worse for other names by one or two, and by more only until they deliver anything', () => {
      const [silent, good] = [host([NAME, 'shop.web3'], 1n), host([NAME, 'shop.web3'], 30_000n)];
      const firsts = (): Set<NodeId | undefined> =>
        new Set(Array.from({ length: 60 }, () => hosts.thatKeep('shop.web3')[0]));
      for (const name of ['a.web3', 'b.web3']) fails(silent, name, code);
      expect(firsts()).toContain(silent);
      // Whoever owns three names could bring this about.
      fails(silent, 'c.web3', code);
      expect(firsts()).toEqual(new Set([good]));
      hosts.delivered(silent, NAME);
      expect(firsts()).toContain(silent);
      for (const name of ['a.web3', 'b.web3', 'c.web3']) fails(silent, name, code);
      expect(firsts()).toEqual(new Set([good]));
      now += 11 * MINUTES;
      expect(firsts()).toContain(silent);
    });
  });

  it('count as there again once a circuit reaches them, and after a while', () => {
    const [away, good] = [host([NAME], 1n), host([NAME], 30_000n)];
    const firsts = (): Set<NodeId | undefined> => new Set(Array.from({ length: 60 }, () => hosts.thatKeep(NAME)[0]));
    hosts.unreached(away);
    expect(firsts()).toEqual(new Set([good]));
    hosts.reached(away);
    expect(firsts()).toContain(away);
    hosts.unreached(away);
    now += 11 * MINUTES;
    expect(firsts()).toContain(away);
  });

  describe('with more names than they can say', () => {
    const attackers = (): NodeId[] => Array.from({ length: 10 }, () => host(manyNames, 1n));

    it('are told of no name that another one says it keeps, even while that one does not deliver for this visitor', () => {
      attackers();
      const keeper = host([NAME]);
      expect(hosts.thatMayKeep(NAME)).toEqual([]);
      expect(hosts.thatMayKeep(NAME, new Set([keeper]))).toEqual([]);
    });

    it('are still asked if the claims of others are backed by nobody: a claim costs nothing', () => {
      attackers();
      const [refusing, away] = [host([NAME]), host([NAME])];
      fails(refusing);
      expect(hosts.thatMayKeep(NAME)).toEqual([]);
      hosts.unreached(away);
      expect(hosts.thatMayKeep(NAME)).toHaveLength(2);
      now += 11 * MINUTES;
      fails(away, NAME, 'TIMEOUT');
      // Whoever stands on the way can bring that about once.
      expect(hosts.thatMayKeep(NAME)).toEqual([]);
      fails(away, NAME, 'TIMEOUT');
      expect(hosts.thatMayKeep(NAME)).toHaveLength(2);
    });

    it('learn of a bounded share of the names that nobody says it keeps, each once', () => {
      const all = attackers();
      const learnt = new Map<NodeId, number>();
      // A list holds by chance one name in 65,536 that its host does not mean.
      const names = Array.from({ length: 400 }, (_, i) => `unheard-${i}.web3`).filter(
        (name) => hosts.thatKeep(name).length === 0,
      );
      expect(names.length).toBeGreaterThan(390);
      for (const name of names) {
        const asked = hosts.thatMayKeep(name);
        expect(asked).toHaveLength(2);
        for (const id of asked) learnt.set(id, (learnt.get(id) ?? 0) + 1);
        // Nobody more is asked for this visitor, whatever those did.
        expect(hosts.thatMayKeep(name, new Set(asked))).toEqual([]);
      }
      for (const id of all) expect((learnt.get(id) ?? 0) / names.length).toBeLessThan(0.35);
    });

    it('are not asked again for a name that they did not deliver, whatever else they sign, for an hour', () => {
      const liar = newIdentity();
      const id = offer(liar, manyNames);
      expect(hosts.thatMayKeep('unheard.web3')).toEqual([id]);
      fails(id, 'unheard.web3');
      offer(liar, manyNames, 10_000n, 2n);
      expect(hosts.thatMayKeep('unheard.web3')).toEqual([]);
      now += 61 * MINUTES;
      expect(hosts.thatMayKeep('unheard.web3')).toEqual([id]);
    });
  });

  it('are remembered in bounded numbers', () => {
    const id = host(manyNames);
    for (const name of manyNames.slice(0, 100)) fails(id, name);
    expect(hosts.thatKeep(manyNames[99] ?? '')).toEqual([]);
    expect(hosts.thatKeep(manyNames[0] ?? '')).toEqual([id]);
  });

  it('get what is published without naming a host: first those that keep it, then others, not always the cheapest', () => {
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
