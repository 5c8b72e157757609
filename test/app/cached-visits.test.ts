/** What a visitor has paid for is not paid for again; a gateway that others reach keeps for them what its owner asks nothing for. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { gateway } from '../../app/roles/index.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { visit } from './visitor.ts';

const NAME = 'seen.web3';
const FILM = randomBytes(3_000_000);
/** Bytes that circuits carry to stay as they are. */
const UPKEEP = 100_000;

/** Bytes that a node has paid others to carry. */
function paidFor({ node }: TestnetNode): number {
  const pairs = node.book.peers().filter(({ role }) => role === 'payer');
  return pairs.reduce((sum, { up, down }) => sum + Number(up) + Number(down), 0);
}

describe('pages that were seen before', () => {
  const stack = new AsyncDisposableStack();
  let testnet: Testnet;
  beforeAll(async () => {
    const site = stack.use(await temporaryFolder()).path;
    await writeFile(path.join(site, 'index.html'), 'a page');
    await writeFile(path.join(site, 'film.bin'), FILM);
    testnet = stack.use(await createTestnet({ relays: 1 }));
    await testnet.publish(site, NAME);
  });
  afterAll(() => stack.disposeAsync());

  const look = async (at: TestnetNode): Promise<readonly unknown[]> => {
    const url = String(at.ready['gateway']);
    const [page, film] = [await visit(url, NAME), await visit(url, NAME, '/film.bin')];
    return [page.status, page.body.toString(), film.status, film.body.equals(FILM)];
  };

  it('cost nothing, also after a restart and while no host is there', async () => {
    const mine = { port: '0', relays: '1' };
    const first = await testnet.open(gateway, 'mine', mine);
    expect(await look(first)).toEqual([200, 'a page', 200, true]);
    const paid = paidFor(first);
    expect(paid).toBeGreaterThan(FILM.length);
    expect(await look(first)).toEqual([200, 'a page', 200, true]);
    expect(paidFor(first)).toBeLessThan(paid + UPKEEP);
    await first[Symbol.asyncDispose]();

    const again = await testnet.open(gateway, 'mine', mine);
    for (const host of testnet.hosts) await host[Symbol.asyncDispose]();
    expect(await look(again)).toEqual([200, 'a page', 200, true]);
    expect(paidFor(again)).toBeLessThan(paid + UPKEEP);
    await again[Symbol.asyncDispose]();
  });
});

describe('a gateway that others reach', () => {
  const OWNED = 'owned.web3';
  const FREE = 'free.web3';
  const stack = new AsyncDisposableStack();
  let testnet: Testnet;
  beforeAll(async () => {
    const site = stack.use(await temporaryFolder()).path;
    await writeFile(path.join(site, 'index.html'), 'a page');
    await writeFile(path.join(site, 'film.bin'), FILM);
    testnet = stack.use(await createTestnet({ relays: 1 }));
    await testnet.publish(site, OWNED, { royalty: '20%' });
    await testnet.publish(site, FREE, { royalty: '0%' });
  });
  afterAll(() => stack.disposeAsync());

  /** What a look at a film, and then at a page, cost. */
  const costOf = async (open: TestnetNode, name: string): Promise<number> => {
    const before = paidFor(open);
    const url = String(open.ready['gateway']);
    const { body } = await visit(url, name, '/film.bin');
    const page = await visit(url, name);
    if (!body.equals(FILM) || page.body.toString() !== 'a page') throw new Error(`${name} did not come`);
    return paidFor(open) - before;
  };

  it('pays for each of its visitors where a view earns its owner something, and once where it does not', async () => {
    const open = await testnet.open(gateway, 'open', { port: '0', relays: '1', host: ['www.example.org'] });
    expect(await costOf(open, OWNED)).toBeGreaterThan(FILM.length);
    expect(await costOf(open, OWNED)).toBeGreaterThan(FILM.length);
    expect(await costOf(open, FREE)).toBeGreaterThan(FILM.length);
    expect(await costOf(open, FREE)).toBeLessThan(UPKEEP);
    await open[Symbol.asyncDispose]();
  });

  it('sends nobody for nothing what it sells, though it has it', async () => {
    const shop = await testnet.open(gateway, 'shop', { port: '0', relays: '1', sell: '0.01', free: [FREE] });
    const url = String(shop.ready['gateway']);
    expect(await costOf(shop, FREE)).toBeGreaterThan(FILM.length);
    expect(await costOf(shop, FREE)).toBeLessThan(UPKEEP);
    expect((await visit(url, OWNED)).status).toBe(402);
    await shop[Symbol.asyncDispose]();
    const all = await testnet.open(gateway, 'shop', { port: '0', relays: '1', sell: '0.01' });
    const sold = String(all.ready['gateway']);
    expect([(await visit(sold, FREE)).status, (await visit(sold, FREE)).status]).toEqual([402, 402]);
    await all[Symbol.asyncDispose]();
  });
});
