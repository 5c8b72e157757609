/** What the visitor's page says of money, held against the node's books and its budget, to the base unit. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { MAX_COST_CONTENTS } from '../../core/limits.ts';
import { systemClock } from '../../core/ports.ts';
import { amount } from '../../core/units.ts';
import { gateway } from '../../app/roles/index.ts';
import { VisitorCosts, dueOf } from '../../app/roles/visitor-costs.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import type { SiteSpending } from '../../ledger/budget/index.ts';
import type { SpendingParties, SpendingSite, SpendingView } from '../../sites/gateway/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { visit } from './visitor.ts';

const FILM = randomBytes(3_000_000);
const sumOf = (values: readonly (string | bigint)[]): bigint =>
  values.reduce<bigint>((sum, value) => sum + BigInt(value), 0n);
const partiesOf = (parties: SpendingParties): bigint => sumOf(Object.values(parties) as string[]);

/** As the page asks. */
async function spending(url: string, order?: object): Promise<SpendingView> {
  const { host, port } = new URL(url);
  const own = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' };
  const method = order === undefined ? 'GET' : 'POST';
  const asked = request({ host: '127.0.0.1', port, path: '/api/spending', method, headers: own, agent: false });
  asked.end(order === undefined ? undefined : JSON.stringify(order));
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const said = await text(answer);
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${said}`);
  return JSON.parse(said) as SpendingView;
}

describe('two sites that were visited', () => {
  const stack = new AsyncDisposableStack();
  let testnet: Testnet;
  let node: TestnetNode;
  let url: string;
  let view: SpendingView;
  const site = (name: string): SpendingSite | undefined => view.sites.find((row) => row.name === name);

  beforeAll(async () => {
    const folder = stack.use(await temporaryFolder()).path;
    await writeFile(path.join(folder, 'index.html'), 'a page');
    await writeFile(path.join(folder, 'film.bin'), FILM);
    await writeFile(path.join(folder, 'other.bin'), randomBytes(3_000_000));
    testnet = stack.use(await createTestnet({ relays: 2 }));
    await testnet.publish(folder, 'news.web3', { royalty: '20%' });
    await testnet.publish(folder, 'shop.web3', { royalty: '0%' });
    node = testnet.gateway;
    url = testnet.url;
    for (const name of ['news.web3', 'shop.web3']) {
      await visit(url, name, '/');
      await visit(url, name, '/film.bin');
    }
    await visit(url, 'news.web3', '/film.bin');
    view = await spending(url);
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  it('cost what the books say, with what is of no one site', () => {
    expect(view.sites.map(({ name }) => name).toSorted()).toEqual(['news.web3', 'shop.web3']);
    expect(BigInt(view.spent)).toBe(sumOf(view.sites.map(({ cost }) => cost)));
    const worth = (bytes: bigint): bigint => (bytes * 30_000n) / 1_048_576n;
    const carried = sumOf(view.sites.map(({ bytes }) => BigInt(bytes)));
    const pairs = node.node.book.peers().filter(({ role }) => role === 'payer');
    const counted = sumOf(pairs.map(({ up, down }) => up + down));
    const isNear = (one: bigint, other: bigint): boolean => one - other <= 2n && other - one <= 2n;
    // Each circuit is rounded up by less than a unit: there is one for each, or two.
    expect(isNear(BigInt(view.spent), worth(carried))).toBe(true);
    expect(isNear(dueOf(node.node), worth(counted))).toBe(true);
    // What circuits carried after the reading is upkeep.
    expect(BigInt(view.spent) + BigInt(view.upkeep)).toBeLessThanOrEqual(dueOf(node.node) + 2n);
    expect(BigInt(view.upkeep)).toBeLessThanOrEqual(worth(counted - carried) + 4n);
    expect(counted - carried).toBeLessThan(20_000n);
  });

  it('cost what their budgets say, which "relaymint stats" shows', () => {
    const rows = node.node.budget.view().sites.map(({ who, spent }) => [who, spent.toString()]);
    expect(new Map(view.sites.map(({ name, cost }) => [name, cost]))).toEqual(new Map(rows as [string, string][]));
    expect(view.sites.map(({ budget }) => budget.spent)).toEqual(view.sites.map(({ cost }) => cost));
  });

  it('are divided among the parties without a base unit more or less', async () => {
    expect(view.sites.map(({ parties }) => partiesOf(parties))).toEqual(view.sites.map(({ cost }) => BigInt(cost)));
    const contents = view.sites.flatMap((row) => row.contents);
    expect(contents.map(({ parties }) => partiesOf(parties))).toEqual(contents.map(({ cost }) => BigInt(cost)));
    expect(view.feeBps).toBe((await node.node.ledger.bank()).feeBps);
  });

  it('pay relays by their offers, and owners by their terms', () => {
    const news = site('news.web3');
    const shop = site('shop.web3');
    expect(news?.contents).toMatchObject([{ name: 'news.web3', terms: { royaltyBps: 2000, referrerBps: 0 } }]);
    expect([news?.parties.embedded, news?.parties.page, shop?.parties.owner]).toEqual(['0', '0', '0']);
    const { owner = '0', host = '0', relays = '0', fee = '0' } = news?.parties ?? {};
    // Two relays and a host ask 0.01 credits each; the host gives a fifth.
    const near = (value: string, wanted: bigint): boolean => {
      const off = BigInt(value) - wanted;
      return (off < 0n ? -off : off) * 100n <= wanted * BigInt(1 + (view.feeBps ?? 0));
    };
    const third = BigInt(news?.cost ?? '0') / 3n;
    expect([near(owner, third / 5n), near(host, (third * 4n) / 5n), near(relays, third * 2n)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(BigInt(fee) * 10_000n).toBeGreaterThanOrEqual(
      BigInt(news?.cost ?? '0') * BigInt(view.feeBps ?? 0) - 40_000n,
    );
  });

  it('are shown again for nothing, and what was carried is in the picture of the last ten minutes', () => {
    expect(site('news.web3')?.cached).toBeGreaterThanOrEqual(FILM.length);
    const carried = view.sites.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(carried).toBeGreaterThan(2 * FILM.length);
    expect(view.throughput.bytes.reduce((sum, value) => sum + value, 0)).toBe(carried);
    expect(view.throughput.bytes).toHaveLength(60);
  });

  it('can be stopped, nothing is shown or paid then, and started again', async () => {
    const before = site('news.web3')?.cost;
    await spending(url, { do: 'stop', name: 'news.web3' });
    // The film is kept, and so is the page.
    for (const file of ['/', '/film.bin', '/other.bin']) {
      const { status, body } = await visit(url, 'news.web3', file);
      expect([status, body.toString().includes('news.web3 was stopped')]).toEqual([403, true]);
    }
    expect((await visit(url, 'shop.web3', '/')).status).toBe(200);
    view = await spending(url);
    expect([site('news.web3')?.cost, site('news.web3')?.budget.stopped]).toEqual([before, true]);
    await spending(url, { do: 'start', name: 'news.web3' });
    expect((await visit(url, 'news.web3', '/other.bin')).status).toBe(200);
  });

  /** How a download ends whose visitor reads no further until the site is stopped. */
  async function cutByStop(): Promise<string | undefined> {
    const { port } = new URL(url);
    const headers = { host: `shop-web3.localhost:${port}` };
    const asked = request({ host: '127.0.0.1', port, path: '/other.bin', headers, agent: false }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    await once(answer, 'readable');
    await spending(url, { do: 'stop', name: 'shop.web3' });
    const [failure] = (await once(answer.resume(), 'error')) as [NodeJS.ErrnoException];
    return failure.code;
  }

  it('end a download that is under way with the stop', async () => {
    expect(await cutByStop()).toBe('ECONNRESET');
    const paid = dueOf(node.node);
    expect((await visit(url, 'shop.web3', '/other.bin')).status).toBe(403);
    expect(dueOf(node.node) - paid).toBeLessThan(4_000n);
    await spending(url, { do: 'start', name: 'shop.web3' });
    expect((await visit(url, 'shop.web3', '/other.bin')).body).toHaveLength(3_000_000);
  });
});

it('a site that has used up its limit says so, goes on once it is raised, and keeps that over a restart', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder()).path;
  await writeFile(path.join(folder, 'film.bin'), FILM);
  const testnet = stack.use(await createTestnet({ relays: 1 }));
  await testnet.publish(folder, 'dear.web3');
  const mine = { port: '0', relays: '1', spendLimitSite: '0.05', cache: 'off' };
  const first = await testnet.open(gateway, 'mine', mine);
  const url = String(first.ready['gateway']);
  // Its head had left already.
  await expect(visit(url, 'dear.web3', '/film.bin')).rejects.toThrow('aborted');
  const refused = await visit(url, 'dear.web3', '/film.bin');
  expect(refused.status).toBe(402);
  expect(refused.body.toString()).toContain('/#dear.web3');
  await spending(url, { do: 'limit', name: 'dear.web3', limit: '90000000' });
  expect((await visit(url, 'dear.web3', '/film.bin')).body.equals(FILM)).toBe(true);
  await first[Symbol.asyncDispose]();
  const again = await testnet.open(gateway, 'mine', mine);
  const view = await spending(String(again.ready['gateway']));
  expect(view.sites).toMatchObject([
    { name: 'dear.web3', cost: '0', bytes: 0, contents: [], budget: { limit: '90000000', hasOwnLimit: true } },
  ]);
  expect(view.sites.map(({ budget }) => BigInt(budget.spent) > 0n)).toEqual([true]);
}, 60_000);

describe('figures', () => {
  const budgetOf = (who: string): SiteSpending => ({
    who,
    spent: amount(0n),
    limit: amount(1n),
    hasOwnLimit: false,
    isStopped: false,
    freesAt: undefined,
  });
  const none = async (): Promise<void> => undefined;
  const figures = (
    changes: { fee?: number | undefined; royaltyBps?: number; referrerBps?: number; now?: () => number } = {},
  ): VisitorCosts =>
    new VisitorCosts({
      budget: { site: budgetOf, sites: () => [], stopSite: none, startSite: none, limitSite: none },
      due: () => 0n,
      terms: () => ({ royaltyBps: changes.royaltyBps ?? 5000, referrerBps: changes.referrerBps ?? 2500 }),
      feeBps: async () => ('fee' in changes ? changes.fee : 100),
      clock: systemClock,
      ...(changes.now && { monotonic: changes.now }),
    });
  const charge = (
    payer: string,
    name: string,
    cost: bigint,
    host: bigint,
    relayed = cost - host,
  ): Parameters<VisitorCosts['charge']>[0] => ({
    payer,
    name,
    bytes: 1000,
    cost: amount(cost),
    host: amount(host),
    relayed: amount(relayed),
  });

  it('of what a page embeds: its owner gets the royalty, without what the page gets of it', async () => {
    const costs = figures();
    costs.charge(charge('news.web3', 'art.image', 40_000n, 10_000n, 90_000n));
    costs.charge(charge('news.web3', 'news.web3', 20_000n, 10_000n));
    const { sites } = await costs.view();
    expect(sites).toHaveLength(1);
    // The bank takes a hundredth of 90,000 and of 10,000; the royalty is half of 9,900, a quarter of it the page's.
    const art = { relays: '29100', host: '4950', owner: '0', embedded: '3713', page: '1237', fee: '1000' };
    const own = { relays: '9900', host: '4950', owner: '4950', embedded: '0', page: '0', fee: '200' };
    expect(sites[0]?.contents).toMatchObject([
      { name: 'art.image', cost: '40000', parties: art },
      { name: 'news.web3', cost: '20000', parties: own },
    ]);
    expect(partiesOf(sites[0]?.parties ?? art)).toBe(60_000n);
  });

  it('never say that a relay gets less than nothing, and reckon no fee that is not known', async () => {
    const costs = figures();
    costs.charge(charge('a.web3', 'a.web3', 10_000n, 9_999n, 90_000_000n));
    expect((await costs.view()).sites).toMatchObject([{ parties: { relays: '0', fee: '101' } }]);
    const unknown = figures({ fee: undefined });
    unknown.charge(charge('a.web3', 'a.web3', 10_000n, 5_000n));
    expect(await unknown.view()).toMatchObject({ feeBps: null, sites: [{ parties: { relays: '5000', fee: '0' } }] });
  });

  it('never say that a host gets more than was paid, nor that somebody gets less than nothing', async () => {
    const costs = figures({ fee: 0 });
    // Both were rounded up.
    costs.charge(charge('a.web3', 'a.web3', 3n, 4n, 0n));
    const parties = (await costs.view()).sites.map((site) => site.parties);
    expect(parties.flatMap((one) => Object.values<string>({ ...one })).filter((part) => BigInt(part) < 0n)).toEqual([]);
    expect(parties.map(partiesOf)).toEqual([3n]);
  });

  it('are kept for so many, and what is forgotten still counts', async () => {
    const costs = figures();
    for (let n = 0; n < MAX_COST_CONTENTS + 10; n += 1) costs.charge(charge('a.web3', `n${n}.web3`, 3n, 1n));
    const { spent, forgotten, sites } = await costs.view();
    expect([spent, forgotten]).toEqual([String(3 * (MAX_COST_CONTENTS + 10)), { contents: 10, cost: '30' }]);
    expect(sites[0]?.contents).toHaveLength(MAX_COST_CONTENTS);
  });

  it('of ten minutes move on by themselves, in steps of ten seconds', async () => {
    let now = 5_000;
    const costs = figures({ now: () => now });
    const seen = async (): Promise<readonly number[]> => {
      const { throughput } = await costs.view();
      return throughput.bytes.flatMap((value, index) => (value === 0 ? [] : [index, value]));
    };
    costs.charge(charge('a.web3', 'a.web3', 1n, 1n));
    now = 9_999;
    costs.charge(charge('a.web3', 'a.web3', 1n, 1n));
    expect(await seen()).toEqual([59, 2000]);
    now = 10_000;
    costs.charge(charge('a.web3', 'a.web3', 1n, 1n));
    expect(await seen()).toEqual([58, 2000, 59, 1000]);
    now = 599_999;
    expect(await seen()).toEqual([0, 2000, 1, 1000]);
    now = 600_000;
    expect(await seen()).toEqual([0, 1000]);
    now = 9_999_999;
    expect(await seen()).toEqual([]);
  });
});
