/** A post that is read pays its author: books and chain, to the base unit. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Author, type Said } from '../../app/roles/authoring.ts';
import { publish } from '../../app/roles/publisher.ts';
import { host as hostRole, site as siteRole, type Role, type SiteValues } from '../../app/roles/index.ts';
import { controlHandlers, type RunningNode } from '../../app/node/index.ts';
import type { NodeStats } from '../../app/control/index.ts';
import { sharesBefore, sharesSince } from '../../app/market/shares.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import type { Entry } from '../../sites/feed/index.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
const FORUM = 'forum.web3';
const role: Role<SiteValues> = {
  ...siteRole,
  summary: '',
  description: '',
  example: '',
  start: () => Promise.resolve({ describe: () => '', [Symbol.asyncDispose]: () => Promise.resolve() }),
};

/** Terms, and how much each says. */
const AUTHORS = [
  { name: 'ann.sso', royaltyBps: 5_000, referrerBps: 1_000, length: 12_000 },
  { name: 'ben.sso', royaltyBps: 2_500, referrerBps: 0, length: 6_000 },
  { name: 'cleo.sso', royaltyBps: 3_333, referrerBps: 3_333, length: 3_000 },
  { name: 'dan.sso', royaltyBps: 5_000, referrerBps: 0, length: 9_000 },
] as const;

let testnet: Testnet;

async function as<T>(who: string, work: (node: RunningNode) => Promise<T>): Promise<T> {
  await using opened = await testnet.open(role, who);
  return await work(opened.node);
}

function says(who: string, author: string, saying: Pick<Entry, 'kind' | 'target'>, words?: string): Promise<Said> {
  return as(who, async (node) => {
    await using mouth = await Author.open(node, { name: FORUM, author, hosts: [], relays: 0, signal });
    const said = words === undefined ? {} : { mediaType: 'text/plain', content: Buffer.from(words) };
    return await mouth.say({ topic: '/talk', ...saying, ...said });
  });
}

function nodes(): readonly RunningNode[] {
  return [testnet.gateway, ...testnet.relays, ...testnet.hosts].map(({ node }) => node);
}

async function stats(): Promise<NodeStats[]> {
  return await Promise.all(
    nodes().map((node) => controlHandlers({ node, addresses: [], figures: () => ({}), stop: () => {} }).audit()),
  );
}

/** All that was read is paid for and settled. */
async function settled(names: readonly string[]): Promise<void> {
  await Promise.all(nodes().map((node) => node.circuits.close()));
  for (;;) {
    for (const { metering } of nodes()) metering.flush();
    for (const { settlement } of nodes()) await settlement.settleAll();
    const records = await testnet.gateway.node.ledger.findNames(names);
    if (records.every(({ lifetime }) => lifetime > 0n)) return;
  }
}

beforeAll(async () => {
  testnet = await createTestnet({ relays: 1, hosts: 0 });
  cleanup.add(() => testnet[Symbol.asyncDispose]());
  // Dearer than its content.
  const dear = await testnet.open(hostRole, 'host-1', { postPrice: '0.05' });
  (testnet.hosts as unknown[]).push(dear);
  const folder = path.join(await temporaryFolder(cleanup), 'site');
  await mkdir(folder);
  await writeFile(path.join(folder, 'index.html'), '<!doctype html><title>Forum</title>');
  const terms = parseManifestFile(JSON.stringify({ creator: 'The town', comments: 'anybody' }), {
    file: 'manifest.json',
    name: FORUM,
  });
  const where = { hosts: [], replicas: 1, relays: 0, signal };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  const settings = { directory: folder, name: FORUM, terms, royaltyBps: 2_000, years: 1 };
  await as('forum', (node) => publish(node, { ...settings, ...where, ...silent }));
  for (const { name, royaltyBps, referrerBps } of AUTHORS) {
    const root = new Uint8Array();
    await as(name, (node) => node.wallet.registerName({ name, root, royaltyBps, referrerBps }));
  }
});
afterAll(() => cleanup.run());

describe('a thread that is read', () => {
  it('pays each author by its own terms for the bytes of its posts, and the page what each offers', async () => {
    const { ledger } = testnet.gateway.node;
    const sequences = new Map<string, number>();
    for (const { name, length } of AUTHORS) {
      const { sequence } = await says(name, name, { kind: 'post' }, name.charAt(0).repeat(length));
      sequences.set(name, sequence);
    }
    const hidden = { author: 'dan.sso', sequence: Number(sequences.get('dan.sso')) };
    await says('forum', FORUM, { kind: 'hide', target: hidden });

    const names = [FORUM, ...AUTHORS.map(({ name }) => name)];
    const before = await sharesBefore(ledger, names, await stats());
    const { status, body } = await visit(testnet.url, FORUM, '/.well-known/relaymint/posts?path=/talk');
    expect(status).toBe(200);
    const { posts } = JSON.parse(String(body)) as { posts: readonly Record<string, unknown>[] };
    const records = await ledger.findNames(names);
    const paid = AUTHORS.filter(({ name }) => name !== 'dan.sso');
    expect(posts.map(({ author, state }) => ({ author, state }))).toEqual(
      paid.map(({ name, royaltyBps }) => {
        const owner = records.find((record) => record.name === name)?.owner;
        return { author: { name, owner, splits: [{ account: owner, bps: 10_000 }], royaltyBps }, state: 'shown' };
      }),
    );

    await settled(paid.map(({ name }) => name));
    const { shares, faults } = await sharesSince(ledger, names, await stats(), before);
    expect(faults).toEqual([]);
    const read = shares.filter(({ name }) => name !== FORUM);
    expect(
      read.map(({ name, referrer }) => ({ name, referrer })).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ).toEqual(paid.map(({ name }) => ({ name, referrer: FORUM })));
    const paidFor = new Map(read.map(({ name, paid: gross }) => [name, Number(gross)]));
    // Twice as long, twice as much, but for what signs and names a post.
    const [ann = 0, ben = 0, cleo = 0] = paid.map(({ name }) => paidFor.get(name));
    expect(ann / ben).toBeCloseTo(12_250 / 6_250, 1);
    expect(ben / cleo).toBeCloseTo(6_250 / 3_250, 1);
    for (const { name, accrued, referrerAccrued, referrerBps, paid: gross, termsBps } of read) {
      const royalty = Number(accrued) + Number(referrerAccrued);
      expect([name, Number(accrued) > 0, Number(referrerAccrued) > 0]).toEqual([name, true, referrerBps > 0]);
      expect(Math.abs(royalty - (Number(gross) * termsBps) / 10_000)).toBeLessThan(2);
    }
    const [forum] = await ledger.findNames([FORUM]);
    const grown = (forum?.lifetime ?? 0n) - (before.records.get(FORUM)?.lifetime ?? 0n);
    const own = shares.filter(({ name }) => name === FORUM).reduce((sum, { accrued }) => sum + BigInt(accrued), 0n);
    expect(grown - own).toBe(read.reduce((sum, { referrerAccrued }) => sum + BigInt(referrerAccrued), 0n));
  });
});

describe('a host that asks more for posts', () => {
  it('is not reached by an author who pays less', async () => {
    await using opened = await testnet.open(role, 'ann.sso', { maxPrice: '0.04' });
    await using mouth = await Author.open(opened.node, {
      name: FORUM,
      author: 'ann.sso',
      hosts: [],
      relays: 0,
      signal,
    });
    const saying = { kind: 'post' as const, topic: '/talk', mediaType: 'text/plain', content: Buffer.from('cheap') };
    await expect(mouth.say(saying)).rejects.toMatchObject({ details: { limit: expect.anything() as unknown } });
  });
});
