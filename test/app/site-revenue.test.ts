/** What owners read of their revenue: from the chain alone, and checked against what the chain says in all. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../app/node/index.ts';
import { publish } from '../../app/roles/publisher.ts';
import { siteRevenue, type SiteRevenue } from '../../app/roles/site-revenue.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { revenueText } from '../../cli/commands/site-revenue.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { nameEarnings } from '../../ledger/solana/name-earnings.ts';
import { nameAddress } from '../../ledger/solana/program/index.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';
import { publisherRole } from './publisher.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
const LISTING = 'getSignaturesForAddress';
const PICTURE = { creator: 'Ana Lima', mediaType: 'image/webp', royalty: '30%', referrer: '20%' };
/** How one begins. */
const WEBP = Buffer.from('RIFF\0\0\0\0WEBPVP8 ', 'latin1');
let testnet: Testnet;
/** The newest transaction of a listing. */
let first: object | undefined;

async function published(name: string, file?: object): Promise<void> {
  const directory = path.join(await temporaryFolder(cleanup), name);
  await mkdir(directory);
  await writeFile(path.join(directory, 'a.webp'), Buffer.concat([WEBP, Buffer.alloc(300_000, name)]));
  const terms = file && parseManifestFile(JSON.stringify(file), { file: 'terms.json', name });
  await using opened = await testnet.open(publisherRole, `owner-of-${name}`);
  await publish(opened.node, {
    directory,
    name,
    terms,
    royaltyBps: 1_000,
    years: 1,
    hosts: [],
    replicas: 1,
    relays: 0,
    signal,
    onUpload: () => {},
    onImport: () => {},
    onRegistration: () => {},
  });
}

type Chain = Parameters<typeof nameEarnings>[0];

/** What reads the chain below the ledger's client. */
function chainHere(): Chain {
  return testnet.gateway.node.ledger;
}

/** As a browser asks for an image in the page of another name. */
async function embedded(name: string, page: string): Promise<void> {
  const { port } = new URL(testnet.url);
  const hostOf = (one: string): string => `${one.replace('.', '-')}.localhost:${port}`;
  const headers = {
    host: hostOf(name),
    referer: `http://${hostOf(page)}/`,
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'no-cors',
    'sec-fetch-dest': 'image',
  };
  const asked = request({ host: '127.0.0.1', port, path: '/a.webp', headers, agent: false }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
}

function revenueOf(name: string, change: Partial<Pick<LedgerReader, 'nameEarnings'>> = {}): Promise<SiteRevenue> {
  const { ledger } = testnet.gateway.node;
  const reader = {
    name: (one: string) => ledger.name(one),
    now: () => ledger.now(),
    bank: () => ledger.bank(),
    nameEarnings: (...args: Parameters<LedgerReader['nameEarnings']>) => ledger.nameEarnings(...args),
    ...change,
  };
  return siteRevenue({ ledger: reader, name, signal, onProgress: () => {} });
}

/** All that was served is paid for and settled. */
async function settled(): Promise<void> {
  const nodes: RunningNode[] = [testnet.gateway, ...testnet.relays, ...testnet.hosts].map(({ node }) => node);
  await Promise.all(nodes.map((node) => node.circuits.close()));
  for (;;) {
    for (const { metering } of nodes) metering.flush();
    for (const { settlement } of nodes) await settlement.settleAll();
    const [picture, page] = await testnet.gateway.node.ledger.findNames(['pic.image', 'news.web3']);
    if ((picture?.lifetime ?? 0n) > 0n && (page?.lifetime ?? 0n) > 0n) return;
  }
}

beforeAll(async () => {
  testnet = await createTestnet({ relays: 1 });
  cleanup.add(() => testnet[Symbol.asyncDispose]());
  await published('pic.image', PICTURE);
  await published('news.web3');
  await published('quiet.web3');
  await visit(testnet.url, 'pic.image', '/a.webp');
  await visit(testnet.url, 'news.web3', '/a.webp');
  await embedded('pic.image', 'news.web3');
  await settled();
});
afterAll(() => cleanup.run());

describe('the revenue of a name', () => {
  it('is told by page and by seller, and comes to what its record says', async () => {
    const { hosts } = testnet;
    const picture = await revenueOf('pic.image');
    expect(picture).toMatchObject({ royaltyBps: 3_000, referrerBps: 2_000, unread: 0, adds: true });
    expect(new Set(picture.shownBy.map(({ referrer }) => referrer))).toEqual(new Set(['news.web3', null]));
    expect(picture.sellers.map(({ seller }) => seller)).toEqual([hosts[0]?.node.wallet.address]);
    expect(picture.showing).toEqual([]);
    const shown = picture.shownBy.find(({ referrer }) => referrer === 'news.web3');
    expect(Number(shown?.referred)).toBeGreaterThan(0);

    const page = await revenueOf('news.web3');
    expect(page).toMatchObject({ adds: true });
    expect(page.showing).toEqual([expect.objectContaining({ name: 'pic.image', earned: shown?.referred })]);
    const own = page.shownBy.reduce((sum, { earned }) => sum + BigInt(earned), 0n);
    expect(BigInt(page.lifetime)).toBe(own + BigInt(shown?.referred ?? 0));
  });

  it('is not believed where the node forgot a part of it, or keeps what happened to itself', async () => {
    const { ledger } = testnet.gateway.node;
    const all = await ledger.nameEarnings('pic.image');
    const forgets = await revenueOf('pic.image', {
      nameEarnings: () => Promise.resolve({ ...all, earnings: all.earnings.slice(1) }),
    });
    expect(forgets.adds).toBe(false);
    expect(revenueText(forgets)).toContain('DOES NOT ADD UP');
    const [first] = all.earnings;
    const silent = await revenueOf('pic.image', {
      nameEarnings: () => Promise.resolve({ ...all, unread: [String(first?.signature)] }),
    });
    expect(silent.adds).toBe(false);
    expect(revenueText(silent)).toContain('1 transaction');
  });

  it.each<[string, (method: string, answer: unknown) => unknown]>([
    [
      'says a settlement twice',
      (method, answer) => (method === LISTING ? [...(answer as object[]), ...(answer as object[])] : answer),
    ],
    [
      'repeats a page for ever',
      (method, answer) => {
        if (method !== LISTING) return answer;
        [first = first] = answer as object[];
        return Array.from({ length: 1_000 }, () => first);
      },
    ],
    ['has lost its logs', (method, answer) => (method === LISTING ? answer : { meta: { logMessages: [] } })],
    ['cuts its logs', (method, answer) => (method === LISTING ? answer : { meta: { logMessages: ['Log truncated'] } })],
  ])('is not made more by a node that %s', async (_what, change) => {
    const chain = chainHere();
    const lying = {
      program: chain.program,
      slices: (keys: Parameters<Chain['slices']>[0]) => chain.slices(keys),
      rpc: {
        call: async (method: string, ...rest: [readonly unknown[], z.ZodType]) =>
          change(method, await chain.rpc.call(method, ...rest)),
      },
    };
    const honest = await revenueOf('pic.image');
    const told = await revenueOf('pic.image', {
      nameEarnings: (name, options) => nameEarnings(lying as Chain, name, options),
    });
    expect(BigInt(told.total.earned)).toBeLessThanOrEqual(BigInt(honest.total.earned));
    expect(told.adds).toBe(told.total.earned === honest.lifetime && told.unread === 0);
  });

  it('names nobody else where the node passes another record off as the page that showed it', async () => {
    const chain = chainHere();
    const { program, rpc } = chain;
    const [friend] = await chain.slices([nameAddress(program, 'quiet.web3')]);
    const lying = { program, rpc, slices: (keys: readonly unknown[]) => Promise.resolve(keys.map(() => friend)) };
    const { earnings } = await nameEarnings(lying, 'pic.image');
    const named = earnings.map(({ referrer }) => referrer).filter((referrer) => referrer !== undefined);
    expect(named).toEqual([nameAddress(program, 'news.web3').toBase58()]);
  });

  it('of nobody is an error, and of a name that was shown to nobody is nothing', async () => {
    await expect(revenueOf('nobody.web3')).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
    const quiet = await revenueOf('quiet.web3');
    expect(quiet).toMatchObject({ lifetime: '0', adds: true, shownBy: [], sellers: [] });
    expect(revenueText(quiet)).toContain('Nothing was settled');
  });
});
