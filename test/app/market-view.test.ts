/** The marketplace's page, with names on it that somebody made to spoil it. */
import { fileURLToPath } from 'node:url';
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lamports } from '../../core/units.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger } from '../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../ledger/solana/index.ts';
import { createMarketView } from '../../app/roles/market-view.ts';
import type { RunningNode } from '../../app/node/node.ts';
import { marketViewSchema } from '../../sites/gateway/market.ts';
import { channelState } from '../ledger/accounting/pair.ts';

const PROGRAM = fileURLToPath(new URL('../../ledger/program/relaymint.so', import.meta.url));
const ROOT = CID.parse('bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi');

let server: EmbeddedLedger;
let ledger: SolanaLedger;
let honest: SolanaWallet;
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
  server = await startEmbeddedLedger({ programPath: PROGRAM, programId: EMBEDDED_PROGRAM_ID });
  ledger = openSolanaLedger({ fetch: listening, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  honest = await owner();
  const vandal = await owner();
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
    wallet: honest,
    discovery: { book: { all: () => [] } },
    links: { get: () => undefined, links: () => [], onLink: () => () => {} },
    keys: { identity: { nodeId: 'gateway' } },
    book: { peers: () => [] },
    store: { entries: () => [].values() },
  } as unknown as RunningNode;
}

describe('the marketplace page', () => {
  it('leaves out names that point to nonsense, says how many, and shows the others', async () => {
    const view = marketViewSchema.parse(await createMarketView(gateway(), undefined)());
    expect(view.names.map(({ name, root }) => [name, root])).toEqual([
      ['empty.web3', ''],
      ['good.web3', ROOT.toString()],
    ]);
    expect(view.namesLeftOut).toBe(3);
    expect(view.balances).toEqual([
      { owner: honest.address, role: 'visitor', credits: (await ledger.balances(honest.address)).credits.toString() },
    ]);
  });

  it('says over what the accounts of its own node are paid', async () => {
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

  it('is read from the chain once in a few seconds, with few questions, and never from all tills', async () => {
    const read = createMarketView(gateway(), undefined);
    await read();
    const first = asked.length;
    expect(first).toBeLessThan(10);
    expect(asked.filter((method) => method === 'getProgramAccounts')).toHaveLength(1);
    await Promise.all(Array.from({ length: 20 }, read));
    expect(asked.filter((method) => method === 'getProgramAccounts')).toHaveLength(1);
    expect(asked.length - first).toBeLessThan(5);
  });

  it('comes back when the ledger does', async () => {
    let down = true;
    const node = gateway();
    const flaky = new Proxy(ledger, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key === 'names' && down) return () => Promise.reject(new Error('down'));
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const read = createMarketView({ ...node, ledger: flaky }, undefined);
    await expect(read()).rejects.toThrow('down');
    down = false;
    expect((await read()).names).toHaveLength(2);
  });
});
