/** The marketplace's page, with names on it that somebody made to spoil it. */
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { lamports } from '../../core/units.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, programFile } from '../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../ledger/solana/index.ts';
import { createMarketView } from '../../app/roles/market-view.ts';
import type { WatchedNodes } from '../../app/roles/watched.ts';
import type { RunningNode } from '../../app/node/node.ts';
import { marketViewSchema, type MarketView } from '../../sites/gateway/market.ts';
import { channelState } from '../ledger/accounting/pair.ts';

const ROOT = CID.parse('bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi');

let server: EmbeddedLedger;
let ledger: SolanaLedger;
let honest: SolanaWallet;
let vandal: SolanaWallet;
/** JSON-RPC calls since a test began. */
let asked: string[] = [];

const listening: typeof fetch = async (input, init) => {
  const method = /\\"method\\":\\"(\w+)\\"/.exec(JSON.stringify(init?.body ?? ''))?.[1];
  if (method !== undefined) asked.push(method);
  return fetch(input, init);
};

async function owner(): Promise<SolanaWallet> {
  const wallet = ledger.wallet(generateWalletKey());
  await wallet.airdrop(lamports(10_000_000_000n));
  await wallet.buy(lamports(5_000_000_000n));
  return wallet;
}

beforeAll(async () => {
  server = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  ledger = openSolanaLedger({ fetch: listening, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  honest = await owner();
  vandal = await owner();
  await Promise.all([
    honest.registerName({ name: 'good.web3', root: ROOT.bytes, royaltyBps: 2000 }),
    honest.registerName({ name: 'empty.web3', root: new Uint8Array(), royaltyBps: 0 }),
    vandal.registerName({ name: '0.web3', root: Uint8Array.of(0xff, 1, 2, 3), royaltyBps: 0 }),
    vandal.registerName({ name: '1.web3', root: ROOT.bytes.subarray(0, 20), royaltyBps: 0 }),
    vandal.registerName({ name: '2.web3', root: new Uint8Array(63), royaltyBps: 0 }),
  ]);
}, 120_000);

afterAll(async () => {
  ledger.close();
  await server.close();
});

beforeEach(() => {
  asked = [];
});

/** The parts of a gateway that the view reads. */
function gateway(): RunningNode {
  return {
    ledger,
    settings: { label: 'gateway' },
    wallet: honest,
    discovery: { book: { all: () => [] } },
    links: { get: () => undefined, links: () => [], onLink: () => () => {} },
    keys: { identity: { nodeId: 'gateway' } },
    book: { peers: () => [] },
    store: { entries: () => [].values() },
  } as unknown as RunningNode;
}

/** Once the ledger has answered. */
async function answered(read: () => Promise<MarketView>): Promise<MarketView> {
  await expect.poll(async () => (await read()).ledger.at, { timeout: 30_000 }).not.toBeNull();
  return await read();
}

/** The ledger with some of its answers played. */
function instead(played: Partial<SolanaLedger>): SolanaLedger {
  return new Proxy(ledger, {
    get(target, key) {
      const value: unknown = Reflect.get(Object.hasOwn(played, key) ? played : target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Of a ledger that fails or hangs as `how` says. */
function troubled(how: () => Promise<never> | undefined): RunningNode {
  const ledgerIn = new Proxy(ledger, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => how() ?? (value.apply(target, given) as unknown);
    },
  });
  return { ...gateway(), ledger: ledgerIn };
}

describe('the marketplace page', () => {
  it('leaves out names that point to nonsense, says how many, and shows the others', async () => {
    const view = marketViewSchema.parse(await answered(createMarketView(gateway(), undefined)));
    expect(view.names.map(({ name, root }) => [name, root])).toEqual([
      ['empty.web3', ''],
      ['good.web3', ROOT.toString()],
    ]);
    expect(view.namesLeftOut).toBe(3);
    expect(view.balances).toEqual([
      {
        owner: honest.address,
        label: 'gateway',
        role: 'gateway',
        credits: (await ledger.balances(honest.address)).credits.toString(),
      },
    ]);
  });

  it('says which transport the accounts of its own node use', async () => {
    const channel = channelState();
    const account = { role: 'payer', channel, live: true, up: 0n, down: 0n, due: 0n, signed: 0n };
    const node = {
      ...gateway(),
      links: { get: () => undefined, links: () => [{ peer: 'relay', transport: 'tor' }], onLink: () => () => {} },
      book: { peers: () => [{ ...account, peer: 'relay' }] },
    } as unknown as RunningNode;
    const { pairs } = await createMarketView(node, undefined)();
    expect(pairs.map(({ payee, transport }) => [payee, transport])).toEqual([['relay', 'tor']]);
  });

  it('labels every node, wallet and end of a channel as the terminal does', async () => {
    const pair = {
      transport: 'tcp',
      live: true,
      counts: { up: '1', down: '2' },
      owed: '3',
      receipted: '3',
      settled: '0',
    };
    const publisher = vandal.address;
    const records = (await ledger.names()).filter(({ name }) => name === 'good.web3');
    const names = (): Promise<NameRecord[]> => Promise.resolve(records.map((one) => ({ ...one, owner: publisher })));
    const host = {
      role: 'host',
      label: 'host',
      nodeId: 'host-id',
      wallet: (await owner()).address,
      addresses: [],
      prices: { content: '10000' },
      pairs: [
        // By other node ids than they have at home: who sells nothing is another one on each link.
        { ...pair, side: 'earns', peer: 'some-id', payer: honest.address, channel: '1' },
        { ...pair, side: 'earns', peer: 'other-id', payer: publisher, channel: '2' },
      ],
      settlement: { transactions: 0, receipts: 0, computeUnits: 0, feeLamports: 0, signatures: [] },
      waiting: { value: '6', from: '500000', feeShareBps: 100 },
    };
    const others = { stats: () => Promise.resolve([host]) } as unknown as WatchedNodes;
    const node = { ...gateway(), ledger: instead({ names }) };
    const view = marketViewSchema.parse(await answered(createMarketView(node, others)));
    expect(view.nodes.map(({ id, label }) => [id, label])).toEqual([['host-id', 'host']]);
    expect(view.pairs.map(({ payer, payerLabel, payeeLabel }) => [payer, payerLabel, payeeLabel])).toEqual([
      ['some-id', 'gateway', 'host'],
      ['other-id', 'publisher of good.web3', 'host'],
    ]);
    expect(new Map(view.balances.map(({ owner: wallet, label, role }) => [wallet, [label, role]]))).toEqual(
      new Map([
        [honest.address, ['gateway', 'gateway']],
        [host.wallet, ['host', 'host']],
        [publisher, ['publisher of good.web3', 'publisher']],
      ]),
    );
    expect(view.waiting).toEqual([{ node: 'host-id', label: 'host', value: '6', from: '500000', feeShareBps: 100 }]);
  });

  it('is read from the chain once in a few seconds, with few questions, and never from all tills', async () => {
    const read = createMarketView(gateway(), undefined);
    await answered(read);
    const first = asked.length;
    expect(first).toBeLessThan(10);
    expect(asked.filter((method) => method === 'getProgramAccounts')).toHaveLength(1);
    await Promise.all(Array.from({ length: 20 }, read));
    expect(asked.filter((method) => method === 'getProgramAccounts')).toHaveLength(1);
    expect(asked.length - first).toBeLessThan(5);
  });

  it('shows at once what the node knows while the ledger never answers, and says that it has not', async () => {
    const account = { role: 'payer', peer: 'relay', live: true, up: 7n, down: 0n, due: 3n, signed: 2n };
    const hung = troubled(() => new Promise<never>(() => {}));
    const book = { peers: () => [{ ...account, channel: channelState() }] };
    const view = await createMarketView({ ...hung, book } as unknown as RunningNode, undefined)();
    expect(marketViewSchema.parse(view)).toMatchObject({
      pairs: [{ payer: 'gateway', payee: 'relay', owed: '3', paid: '2' }],
      names: [],
      balances: [],
      supply: null,
      ledger: { at: null, answers: false },
    });
  });

  it('says how old the figures of a hanging ledger are', async () => {
    let hangs = false;
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    try {
      const read = createMarketView(
        troubled(() => (hangs ? new Promise<never>(() => {}) : undefined)),
        undefined,
      );
      const before = await answered(read);
      expect(before.ledger).toEqual({ at: expect.any(Number) as number, answers: true });
      hangs = true;
      vi.advanceTimersByTime(60_000);
      const after = await read();
      expect(after.ledger).toEqual({ at: before.ledger.at, answers: false });
      expect(after.names).toEqual(before.names);
      expect(after.supply).toEqual(before.supply);
    } finally {
      vi.useRealTimers();
    }
  });

  it('comes back when the ledger does', async () => {
    let down = true;
    const read = createMarketView(
      troubled(() => (down ? Promise.reject(new Error('down')) : undefined)),
      undefined,
    );
    expect(await read()).toMatchObject({ names: [], supply: null, ledger: { at: null, answers: false } });
    down = false;
    expect((await answered(read)).names).toHaveLength(2);
  });
});
