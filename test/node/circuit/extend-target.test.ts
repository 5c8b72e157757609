/** EXTEND as a port scanner would use it. */
import { describe, expect, it } from 'vitest';
import { isRelaymintError, RelaymintError } from '../../../core/errors.ts';
import {
  EXTEND_DIALS_PER_MINUTE,
  MAX_CREATES_PER_SECOND,
  MAX_CREATES_PER_SECOND_AND_LINK,
} from '../../../core/limits.ts';
import { systemClock, type Log } from '../../../core/ports.ts';
import { CreateRate, ExtendDials, extendFailure, extendTarget, type ExtendRules } from '../../../node/circuit/index.ts';
import { createOfferBook } from '../../../node/discovery/index.ts';
import { isPublicIp } from '../../../node/transport/index.ts';
import { newIdentity, offerOf } from '../link/nodes.ts';

const [{ nodeId: node }, { nodeId: peer }] = [newIdentity(), newIdentity()];
const NOTHING = new Uint8Array(0);
const PUBLIC = '/ip4/8.8.8.8/tcp/4001';
const ONION = `/onion3/${'a'.repeat(56)}:80`;

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'relay.example': ['8.8.4.4', '2606:4700::1111', '9.9.9.9'],
  'inside.example': ['192.168.1.1'],
  'both.example': ['8.8.8.8', '10.0.0.1'],
};

/** Rules of a relay whose book holds one offer of the node, or none. */
function rules(changes: Partial<ExtendRules> = {}): ExtendRules {
  return {
    offers: bookOf(undefined),
    introduce: () => {},
    mayDial: () => true,
    isLinked: () => false,
    allowPrivate: false,
    resolve: async (host) => NAMES[host] ?? Promise.reject(new Error('ENOTFOUND')),
    ...changes,
  };
}

function bookOf(addresses: readonly string[] | undefined): ExtendRules['offers'] {
  const offer = addresses === undefined ? undefined : offerOf(newIdentity(), { addresses });
  return { get: () => offer, dropPassing: () => {}, wasReached: () => false };
}

/** What an EXTEND to a node that signed for these addresses leads to; a code when it is refused. */
async function target(signed: readonly string[], changes: Partial<ExtendRules> = {}): Promise<unknown> {
  return extendTarget({ node, offer: NOTHING }, peer, rules({ offers: bookOf(signed), ...changes })).then(
    (addresses) => addresses,
    (error: unknown) => (isRelaymintError(error) ? error.code : error),
  );
}

describe('an IP address is public', () => {
  it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '2a00:1450::1'])('%s', (ip) => {
    expect(isPublicIp(ip)).toBe(true);
  });
});

describe('an IP address is not public', () => {
  it.each([
    '0.0.0.0',
    '10.255.255.1',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.9.9.9',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.168.0.1',
    '198.18.0.1',
    '198.51.100.7',
    '203.0.113.7',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    'fc00::1',
    'fd12::1',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    'fec0::1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:a00:1',
    '::127.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00:1::1',
    '2001::1',
    '2001:db8::1',
    '3fff::1',
    'localhost',
    'example.com',
    '',
    '0x7f.1',
    '2130706433',
  ])('%s', (ip) => {
    expect(isPublicIp(ip)).toBe(false);
  });
});

describe('an EXTEND', () => {
  it.each([
    ['loopback', '/ip4/127.0.0.1/tcp/22'],
    ['the private network', '/ip4/10.255.255.1/tcp/80'],
    ['the cloud metadata service', '/ip4/169.254.169.254/tcp/80'],
    ['IPv4 inside IPv6', '/ip6/::ffff:10.0.0.1/tcp/80'],
    ['a name of this machine', '/dns/localhost/tcp/22'],
    ['a name of the private network', '/dns/inside.example/tcp/22'],
    ['a name with a private address among its public ones', '/dns4/both.example/tcp/22'],
    ['a name that is none', '/dns/nothing.example/tcp/22'],
    ['memory', '/memory/inside'],
    ['nonsense', '/ip4/8.8.8.8/udp/53'],
  ])('does not lead to %s, even if the next hop signed for it', async (_what, address) => {
    expect(await target([address])).toBe('POLICY_REFUSED');
    expect(await target([PUBLIC, address])).toEqual([PUBLIC]);
  });

  it('leads nowhere when our own book does not know the node', async () => {
    expect(await target([], { offers: bookOf(undefined) })).toBe('POLICY_REFUSED');
    expect(await target([])).toBe('POLICY_REFUSED');
  });

  it('leads to two of the addresses that our own book has of the node', async () => {
    expect(await target([PUBLIC, '/ip4/10.0.0.1/tcp/1', ONION])).toEqual([PUBLIC, ONION]);
    const many = [1, 2, 3, 4].map((n) => `/ip4/8.8.8.${n}/tcp/4001`);
    expect(await target(many)).toEqual(many.slice(0, 2));
  });

  it('to a name is dialled at the addresses that were checked', async () => {
    expect(await target(['/dns/relay.example/tcp/4001'])).toEqual([
      '/ip4/8.8.4.4/tcp/4001',
      '/ip6/2606:4700::1111/tcp/4001',
    ]);
  });

  it('leads a node that hides to onion and I2P addresses, and through no exit', async () => {
    const hides = { resolve: undefined };
    const clear = [PUBLIC, '/dns/relay.example/tcp/4001', '/ip6/2606:4700::1111/tcp/6667'];
    expect(await target(clear, hides)).toBe('POLICY_REFUSED');
    expect(await target([...clear, ONION], hides)).toEqual([ONION]);
  });

  it('asks for two names at most, whether they lead anywhere or not', async () => {
    const asked: string[] = [];
    const resolve = async (host: string): Promise<readonly string[]> => {
      asked.push(host);
      throw new Error('ENOTFOUND');
    };
    const names = ['a', 'b', 'c', 'd'].map((name) => `/dns4/${name}.attacker.example/tcp/4001`);
    expect(await target(names, { resolve })).toBe('POLICY_REFUSED');
    expect(asked).toEqual(['a.attacker.example', 'b.attacker.example']);
    expect(await target([...names, PUBLIC], { resolve })).toEqual([PUBLIC]);
  });

  it('that leads nowhere leaves no node in the book that only it brought', async () => {
    const book = createOfferBook({ clock: systemClock });
    const known = offerOf(newIdentity());
    book.add(known);
    for (const offer of [known, offerOf(newIdentity())]) {
      const introduce = (): void => void book.add(offer, 'strangers', true);
      const extend = extendTarget({ node: offer.nodeId, offer: NOTHING }, peer, rules({ offers: book, introduce }));
      await expect(extend).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    }
    expect(book.all()).toEqual([known]);
  });

  it('is neither verified nor kept once its payer has used up its dials', async () => {
    let verified = 0;
    const changes = { mayDial: () => false, introduce: () => void (verified += 1) };
    expect(await target([PUBLIC], changes)).toBe('LIMIT_EXCEEDED');
    expect(verified).toBe(0);
  });

  it('goes on over an open link, whatever its addresses', async () => {
    expect(await target(['/ip4/10.0.0.1/tcp/1'], { isLinked: (peer) => peer === node })).toEqual([]);
  });

  it('leads into private networks if the operator allows it', async () => {
    const inside = ['/ip4/10.0.0.1/tcp/1', '/memory/inside'];
    expect(await target(inside, { allowPrivate: true })).toEqual(inside);
  });

  it('that leads nowhere always gets the same answer, and our log the cause', () => {
    const causes: unknown[] = [];
    const keep = (fields: object): void => void causes.push((fields as { code: string }).code);
    const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
    const errors = [
      'POLICY_REFUSED',
      'CONNECTION_REFUSED',
      'CONNECTION_LOST',
      'TIMEOUT',
      'INSUFFICIENT_FUNDS',
    ] as const;
    const answers = errors.map((code) => extendFailure(node, new RelaymintError(code, code), log));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(causes).toEqual(errors);
  });
});

describe('dials', () => {
  it('are limited for each payer, whatever links it comes over, and others have theirs', () => {
    let now = 0;
    const dials = new ExtendDials(() => now);
    const taken = (payer: string, reached = false): number =>
      Array.from({ length: 1000 }, () => dials.take(payer, reached)).filter(Boolean).length;
    expect([taken('one'), taken('other')]).toEqual([EXTEND_DIALS_PER_MINUTE, EXTEND_DIALS_PER_MINUTE]);
    expect(taken('one')).toBe(0);
    expect(taken('one', true)).toBe(EXTEND_DIALS_PER_MINUTE);
    now += 30_000;
    expect(taken('one')).toBe(EXTEND_DIALS_PER_MINUTE / 2);
    // So many others make nobody forget what it has had.
    for (let i = 0; i < 1000; i += 1) dials.take(String(i), false);
    expect(taken('one')).toBe(0);
  });
});

describe('CREATEs', () => {
  const taken = (rate: { take(): boolean }, tries: number): number =>
    Array.from({ length: tries }, () => rate.take()).filter(Boolean).length;

  it('are limited per second, on one link and on all together', () => {
    let now = 0;
    const rate = new CreateRate(() => now);
    const [flood, quiet] = [rate.forLink(), rate.forLink()];
    expect(taken(flood, 10_000)).toBe(MAX_CREATES_PER_SECOND_AND_LINK);
    expect(taken(quiet, 1)).toBe(1);
    now += 500;
    expect(taken(flood, 10_000)).toBe(MAX_CREATES_PER_SECOND_AND_LINK / 2);
    const crowd = (): number => Array.from({ length: 1024 }, () => taken(rate.forLink(), 2)).reduce((a, b) => a + b);
    // What is left of one second and the whole of the next may come at once.
    expect(crowd()).toBeLessThanOrEqual(2 * MAX_CREATES_PER_SECOND);
    expect(crowd()).toBe(0);
    now += 10_000;
    expect(crowd()).toBe(MAX_CREATES_PER_SECOND);
  });
});
