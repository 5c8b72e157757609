/** Settling in transactions of 4,096 bytes, on clusters that take them, do not, or change their mind, on the real SVM. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { lamports } from '../../../core/units.ts';
import type { LedgerWallet } from '../../../ledger/contract.ts';
import type { Settlement } from '../../../ledger/settlement/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { isVersionOne } from '../../../ledger/solana/version-one.ts';
import { planSettlement } from '../../../app/node/settlement-plan.ts';
import { faultyFetch } from '../solana/faulty-fetch.ts';
import type { Call, Fault } from '../solana/faulty-fetch.ts';
import { Crash, withFaults } from './faulty-wallet.ts';
import { connect, payeeWallet, startLedger, World } from './world.ts';

const PAYERS = 64;
/** Receipts of these channels that fit 1,232 bytes, and so the transactions that all of them take. */
const LEGACY_BATCHES = 4;
/** A blockhash lasts 150 slots of 400 ms. */
const PAST_EXPIRY_SECONDS = 90;

let server: EmbeddedLedger;
let world: World;
/** What each payer has signed for; every test has all of them sign for more. */
let owed = 0n;

beforeAll(async () => {
  server = await startLedger();
  world = await World.create(server, 'version one', PAYERS, PAYERS);
}, 120_000);
afterAll(async () => {
  await world.close();
  await server.close();
});
beforeEach(async () => {
  server.takeTransactions(1);
  owed += 100_000n;
  for (let payer = 0; payer < PAYERS; payer += 1) await world.receive(payer, owed);
});

/** The payee's wallet on a connection of its own, which knows nothing of the cluster yet. */
function fresh(fault?: Fault): LedgerWallet {
  const ledger = connect(server, fault === undefined ? {} : { fetch: faultyFetch(fault), timeoutMillis: 1_000 });
  return payeeWallet(ledger, world.label);
}

async function settle(wallet: LedgerWallet): Promise<readonly Settlement[]> {
  await using engine = world.engine({ wallet });
  return await engine.settleAll();
}

/** Everything arrived, once, and nothing is recorded as under way. */
async function expectSettledOnce(settlements: readonly Settlement[]): Promise<void> {
  expect(await world.settledOnChain()).toBe(owed * BigInt(PAYERS));
  expect(settlements.reduce((sum, { receipts }) => sum + receipts, 0)).toBe(PAYERS);
  expect(settlements.reduce((sum, { amount }) => sum + amount, 0n)).toBe(100_000n * BigInt(PAYERS));
  expect(Array.from(world.store.settlements().keys())).toEqual(['totals']);
  expect(new Set(settlements.map(({ signature }) => signature)).size).toBe(settlements.length);
}

async function versionsOf(settlements: readonly Settlement[]): Promise<readonly unknown[]> {
  const ask = async (signature: string): Promise<unknown> => {
    const params = [signature, { maxSupportedTransactionVersion: 1, encoding: 'json' }];
    const response = await fetch(server.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getTransaction', params }),
    });
    const { result } = (await response.json()) as { readonly result: { readonly version: unknown } };
    return result.version;
  };
  return Promise.all(settlements.map(({ signature }) => ask(signature)));
}

/** Is this call the sending of a transaction of version 1? */
function sendsLarge({ method, params }: Call): boolean {
  return method === 'sendTransaction' && isVersionOne(Buffer.from(String(params[0]), 'base64'));
}

describe('on a cluster that takes version 1', () => {
  it('64 receipts of unrelated payers are settled in one transaction for one fee', async () => {
    const settlements = await settle(fresh());
    expect(settlements).toMatchObject([{ receipts: PAYERS, feeLamports: 5_000n }]);
    expect(await versionsOf(settlements)).toEqual([1]);
    expect(settlements[0]?.computeUnits).toBeGreaterThan(0);
    await expectSettledOnce(settlements);
  });

  it('is asked once, and not at all for what fits the older format', async () => {
    const asked: string[] = [];
    const wallet = fresh(({ method }) => void asked.push(method));
    await using engine = world.engine({ wallet });
    await engine.settleAll();
    owed += 100_000n;
    for (let payer = 0; payer < PAYERS; payer += 1) await world.receive(payer, owed);
    await expectSettledOnce(await engine.settleAll());
    expect(asked.filter((method) => method === 'simulateTransaction')).toHaveLength(1);

    const few: string[] = [];
    owed += 100_000n;
    await world.receive(0, owed);
    const [only] = await settle(fresh(({ method }) => void few.push(method)));
    expect(few).not.toContain('simulateTransaction');
    expect(await versionsOf(only === undefined ? [] : [only])).toEqual(['legacy']);
    for (let payer = 1; payer < PAYERS; payer += 1) await world.receive(payer, owed);
    await settle(fresh());
  });

  it('a dry run says what is then settled, to the lamport', async () => {
    const wallet = fresh();
    await using engine = world.engine({ wallet });
    const { batches } = await planSettlement({ ledger: world.ledger, wallet, settlement: engine });
    expect(batches).toMatchObject([{ value: String(100_000n * BigInt(PAYERS)), feeLamports: '5000' }]);
    expect(batches[0]?.receipts).toHaveLength(PAYERS);
    const settlements = await engine.settleAll();
    expect(settlements.map(({ receipts, feeLamports }) => [receipts, String(feeLamports)])).toEqual(
      batches.map(({ receipts, feeLamports }) => [receipts.length, feeLamports]),
    );
    await expectSettledOnce(settlements);
  });
});

describe('on a cluster that does not', () => {
  it('the same receipts are settled in legacy transactions, and a dry run says so', async () => {
    server.takeTransactions(0);
    const wallet = fresh();
    await using engine = world.engine({ wallet });
    const { batches } = await planSettlement({ ledger: world.ledger, wallet, settlement: engine });
    expect(batches).toHaveLength(LEGACY_BATCHES);
    const settlements = await engine.settleAll();
    expect(settlements.map(({ receipts }) => receipts)).toEqual(batches.map(({ receipts }) => receipts.length));
    expect(await versionsOf(settlements)).toEqual(Array(LEGACY_BATCHES).fill('legacy'));
    await expectSettledOnce(settlements);
  });

  it('a wallet without lamports learns nothing, and asks again once it has some', async () => {
    const ledger = connect(server);
    const poor = payeeWallet(ledger, 'poor');
    const receipts = Array.from(world.store.entries()).flatMap(({ latest }) => latest ?? []);
    await poor.learnTransactionSize();
    expect(poor.receiptsThatFit(receipts, [])).toBeLessThan(PAYERS);
    await poor.airdrop(lamports(1_000_000_000n));
    await poor.learnTransactionSize();
    expect(poor.receiptsThatFit(receipts, [])).toBe(PAYERS);
    await settle(fresh());
  });

  it('is asked again after an hour, and uses them once the cluster has learned them', async () => {
    server.takeTransactions(0);
    let now = Date.now();
    const ledger = connect(server, { clock: { now: () => now as never } });
    const wallet = payeeWallet(ledger, world.label);
    await wallet.learnTransactionSize();
    server.takeTransactions(1);
    const receipts = Array.from(world.store.entries()).flatMap(({ latest }) => latest ?? []);
    await wallet.learnTransactionSize();
    expect(wallet.receiptsThatFit(receipts, [])).toBeLessThan(PAYERS);
    now += 60 * 60 * 1000;
    await wallet.learnTransactionSize();
    expect(wallet.receiptsThatFit(receipts, [])).toBe(PAYERS);
    await settle(wallet);
  });
});

describe('on a cluster that stops taking version 1', () => {
  it('between signing and sending, what was recorded is dropped and settled in legacy transactions, once', async () => {
    const wallet = withFaults(fresh(), (step) => {
      if (step === 'after prepare') server.takeTransactions(0);
    });
    const settlements = await settle(wallet);
    expect(await versionsOf(settlements)).toEqual(Array(LEGACY_BATCHES).fill('legacy'));
    await expectSettledOnce(settlements);
  });

  it('while the process is down, the record of the last run comes to nothing and its receipts are settled', async () => {
    const dies = withFaults(fresh(), (step) => {
      if (step === 'before submit') throw new Crash();
    });
    await expect(settle(dies)).rejects.toBeInstanceOf(Crash);
    expect(world.store.settlements().size).toBeGreaterThan(0);
    server.takeTransactions(0);
    await server.warp(PAST_EXPIRY_SECONDS);
    await world.reopen();
    const settlements = await settle(fresh());
    expect(settlements).toHaveLength(LEGACY_BATCHES);
    await expectSettledOnce(settlements);
  });

  const words: readonly (readonly [string, Fault])[] = [
    [
      'too large',
      (call) => refusing(call, -32602, 'base64 encoded too large: 5468 bytes (max: encoded/raw 1644/1232)'),
    ],
    ['unreadable', (call) => refusing(call, -32602, 'failed to deserialize VersionedTransaction: invalid value: 129')],
    [
      'not supported',
      (call) => refusing(call, -32002, 'Transaction simulation failed: Transaction version is unsupported'),
    ],
    ['words nobody has heard', (call) => refusing(call, -32099, 'nope')],
  ];
  function refusing(call: Call, code: number, message: string): Response | undefined {
    return sendsLarge(call) ? call.refuse(code, message) : undefined;
  }

  it.each(words)('and whose node calls it %s, legacy transactions settle everything', async (_title, fault) => {
    const settlements = await settle(fresh(fault));
    expect(await versionsOf(settlements)).toEqual(Array(LEGACY_BATCHES).fill('legacy'));
    await expectSettledOnce(settlements);
  });

  it('behind a proxy that refuses them as too long: legacy transactions take over once version 1 cannot get in any more', async () => {
    const wallet = fresh((call) => {
      if (!sendsLarge(call)) return undefined;
      void server.warp(PAST_EXPIRY_SECONDS);
      return new Response('too long', { status: 413 });
    });
    // What a node did not take it may have passed on all the same: the record is followed until it cannot get in any more.
    await expect(settle(wallet)).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    const settlements = await settle(wallet);
    expect(settlements).toHaveLength(LEGACY_BATCHES);
    await expectSettledOnce(settlements);
  });

  it('and whose node takes it and says nothing more, legacy transactions do once it has expired', async () => {
    const wallet = fresh((call) => {
      if (!sendsLarge(call)) return undefined;
      void server.warp(PAST_EXPIRY_SECONDS);
      return call.answer('1'.repeat(64));
    });
    const settlements = await settle(wallet);
    expect(settlements).toHaveLength(LEGACY_BATCHES);
    await expectSettledOnce(settlements);
  });

  it('and whose node took one although its answer was lost, nothing is settled twice', async () => {
    let first = true;
    const wallet = fresh(async (call) => {
      if (!sendsLarge(call) || !first) return call.forward();
      first = false;
      await call.forward();
      server.takeTransactions(0);
      throw new TypeError('the connection failed');
    });
    const settlements = await settle(wallet);
    expect(settlements).toMatchObject([{ receipts: PAYERS, feeLamports: 5_000n }]);
    await expectSettledOnce(settlements);
  });

  it('and whose node says no to one that it passed on, nothing is settled twice', async () => {
    const wallet = fresh(async (call) => {
      if (!sendsLarge(call)) return call.forward();
      await call.forward();
      server.takeTransactions(0);
      return call.refuse(-32602, 'failed to deserialize');
    });
    const settlements = await settle(wallet);
    expect(settlements).toMatchObject([{ receipts: PAYERS }]);
    await expectSettledOnce(settlements);
  });

  it('the operator is told once, with the reason', async () => {
    const told: unknown[] = [];
    const warn = (fields: object, message: string): void => void told.push({ ...fields, message });
    const ledger = connect(server, { log: { ...silentLog, warn } });
    const wallet = withFaults(payeeWallet(ledger, world.label), (step) => {
      if (step === 'after prepare') server.takeTransactions(0);
    });
    await settle(wallet);
    expect(told).toEqual([
      { reason: expect.stringContaining('too large'), message: expect.stringContaining('for an hour') },
    ]);
  });
});
