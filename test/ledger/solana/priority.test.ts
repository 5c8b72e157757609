/** What a transaction bids for its place in a block, on the real program. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { channelId } from '../../../core/ids.ts';
import { amount, lamports } from '../../../core/units.ts';
import type { Lamports } from '../../../core/units.ts';
import type { SettleItem, TransactionResult } from '../../../ledger/contract.ts';
import { delegateFromSeed, encodeReceipt } from '../../../ledger/receipt/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { EMBEDDED_PROGRAM_ID } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger } from '../../../ledger/solana/index.ts';
import type { SolanaWallet } from '../../../ledger/solana/index.ts';
import { mostBidFor } from '../../../ledger/solana/priority.ts';
import { isVersionOne } from '../../../ledger/solana/version-one.ts';
import { startLedger } from '../settlement/world.ts';
import { faultyFetch } from './faulty-fetch.ts';
import type { Fault } from './faulty-fetch.ts';

const BASE_FEE = 5000n;
const SOL = lamports(1_000_000_000n);

let server: EmbeddedLedger;

beforeAll(async () => {
  server = await startLedger();
});
afterAll(async () => {
  await server.close();
});

/** A wallet on a cluster of which `fault` tells the recent fees. */
async function walletWhere(fault: Fault, maxPriorityFee?: Lamports): Promise<SolanaWallet> {
  const ledger = openSolanaLedger({
    url: server.url,
    programId: EMBEDDED_PROGRAM_ID,
    fetch: faultyFetch(fault),
    ...(maxPriorityFee === undefined ? {} : { maxPriorityFee }),
  });
  const wallet = ledger.wallet(generateWalletKey());
  await wallet.airdrop(SOL);
  return wallet;
}

/** Receipts that are as good as any until they are settled. */
function receiptsOf(count: number): readonly SettleItem[] {
  const signer = delegateFromSeed(createHash('sha256').update('bids').digest());
  return Array.from({ length: count }, (_, slot) => {
    const channel = channelId(new Uint8Array(22).fill(slot));
    const message = encodeReceipt({ channel, amount: amount(500n), up: 1n, down: 1n });
    return { slot, delegate: signer.address, message, signature: signer.sign(message) };
  });
}

/** Recent blocks asked these micro-lamports for a compute unit. */
function asking(...prices: readonly number[]): Fault {
  return ({ method, answer }) =>
    method === 'getRecentPrioritizationFees'
      ? answer(prices.map((prioritizationFee, index) => ({ slot: index + 1, prioritizationFee })))
      : undefined;
}

test('nothing is bid where nobody has to', async () => {
  const wallet = await walletWhere(() => undefined);
  expect((await wallet.buy(lamports(1000n))).feeLamports).toBe(BASE_FEE);
});

test('a bid would have got it into three quarters of recent blocks, for the units that it takes', async () => {
  // Of a hundred blocks, the dearest 25 are left to others.
  const prices = Array.from({ length: 100 }, (_, index) => (index < 75 ? 1_000_000 : 90_000_000));
  const wallet = await walletWhere(asking(...prices));
  const { feeLamports, computeUnits } = await wallet.buy(lamports(10_000_000n));
  const bid = feeLamports - BASE_FEE;
  // One lamport a unit; the limit is the trial's figure, margins, and what tells equal transactions apart.
  expect(bid).toBeGreaterThanOrEqual(computeUnits);
  expect(bid).toBeLessThanOrEqual(BigInt(Math.ceil(computeUnits * 1.2) + 1_000 + 0x10000));
});

test('the cap is never passed', async () => {
  const wallet = await walletWhere(asking(4_000_000_000), lamports(7_000n));
  const { feeLamports } = await wallet.buy(lamports(1000n));
  expect(feeLamports).toBeGreaterThan(BASE_FEE);
  expect(feeLamports).toBeLessThanOrEqual(BASE_FEE + 7_000n);
  expect((await wallet.settleFees()).bid.first).toBeLessThanOrEqual(7_000n);
});

test.each([
  [undefined, 300n, 300n],
  [undefined, 3_000_000n, 3_000_000n],
  [undefined, undefined, 100_000n],
  [7_000n, 3_000_000n, 7_000n],
  [7_000n, 300n, 300n],
  [0n, 3_000_000n, 0n],
] as const)(
  'a settlement bids no more than the ledger was told (%s) and than it is told (%s), however dear blocks are: %s',
  async (cap, told, most) => {
    const ledger = openSolanaLedger({
      url: server.url,
      programId: EMBEDDED_PROGRAM_ID,
      fetch: faultyFetch(asking(4_000_000_000)),
      ...(cap === undefined ? {} : { maxPriorityFee: lamports(cap) }),
    });
    const wallet = ledger.wallet(generateWalletKey());
    await wallet.airdrop(SOL);
    for (const count of [1, 64]) {
      const items = receiptsOf(count);
      const prepared = await wallet.prepareSettle(
        items,
        [],
        wallet.address,
        told === undefined ? undefined : lamports(told),
      );
      expect(isVersionOne(prepared.wire)).toBe(count > 1);
      const bid = (await ledger.feeOf(prepared)) - BASE_FEE;
      expect(bid).toBeLessThanOrEqual(most);
      expect(bid).toBeGreaterThanOrEqual((most * 9n) / 10n);
    }
    ledger.close();
  },
);

/** What each step of a channel's life bid where blocks are as dear as can be; a base unit is worth a lamport here. */
async function bidsOf(deposit: bigint, maxPriorityFee?: Lamports): Promise<Readonly<Record<string, bigint>>> {
  const ledger = openSolanaLedger({
    url: server.url,
    programId: EMBEDDED_PROGRAM_ID,
    fetch: faultyFetch(asking(4_000_000_000)),
    ...(maxPriorityFee === undefined ? {} : { maxPriorityFee }),
  });
  const bids: Record<string, bigint> = {};
  let step = '';
  const note = ({ feeLamports }: TransactionResult): void => {
    // Both sign where a channel is closed together.
    bids[step] = feeLamports - (step === 'close' ? 2n : 1n) * BASE_FEE;
  };
  const [payer, payee] = [ledger.wallet(generateWalletKey(), note), ledger.wallet(generateWalletKey(), note)];
  for (const wallet of [payer, payee]) await wallet.airdrop(SOL);
  step = 'set up';
  await payee.openTill(2);
  step = 'buy';
  await payer.buy(lamports(3n * deposit));
  step = 'open';
  const channel = await payer.openChannel(payee.address, payer.address, amount(deposit));
  const other = await payer.openChannel(payee.address, payer.address, amount(deposit));
  step = 'top up';
  await payer.topUp(channel, amount(deposit / 2n));
  step = 'send';
  await payer.send(payee.address, amount(deposit / 4n));
  step = 'request';
  await payer.requestClose(channel);
  step = 'close';
  await payer.closeChannel(channel, payee);
  step = 'evict';
  await payee.closeByPayee(other);
  step = 'redeem';
  await payer.redeem(amount(deposit / 2n));
  ledger.close();
  return bids;
}

/** The network rounds up, and the price of a unit is a whole number. */
function atMost(most: bigint): { asymmetricMatch: (bid: unknown) => boolean } {
  return { asymmetricMatch: (bid) => typeof bid === 'bigint' && bid <= most && bid * 10n >= most * 9n };
}

test('what moves money bids a tenth of it at most, and little where that is little', async () => {
  expect(await bidsOf(400_000n)).toEqual({
    'set up': atMost(100_000n),
    buy: atMost(100_000n),
    open: atMost(40_000n),
    'top up': atMost(20_000n),
    send: atMost(10_000n),
    request: atMost(40_000n),
    close: atMost(40_000n),
    evict: atMost(10_000n),
    redeem: atMost(20_000n),
  });
});

test('what moves next to nothing may bid twice the base fee', async () => {
  const { 'set up': _, ...bids } = await bidsOf(1_000n);
  expect(Object.values(bids)).toEqual(Object.values(bids).map(() => atMost(10_000n)));
});

test('only to close a channel more than 0.0001 SOL is bid, and never more than was allowed', async () => {
  expect(await bidsOf(60_000_000n)).toMatchObject({
    buy: atMost(100_000n),
    open: atMost(100_000n),
    'top up': atMost(100_000n),
    request: atMost(6_000_000n),
    close: atMost(6_000_000n),
    evict: atMost(10_000n),
    redeem: atMost(100_000n),
  });
  const { 'set up': _, ...capped } = await bidsOf(60_000_000n, lamports(7_000n));
  expect(Object.values(capped)).toEqual(Object.values(capped).map(() => atMost(7_000n)));
});

test.each([
  [{}, 10_000n],
  [{ units: 2_000_000n }, 20_000n],
  [{ units: 2_000_000n, lamports: 300_000n }, 50_000n],
  [{ units: 2n ** 64n }, 100_000n],
  [{ units: 2n ** 64n, closing: true }, 50_000_000n],
  [{ units: 1n, closing: true }, 10_000n],
] as const)('of %o, ten units to the lamport, %s may be bid', (stake, most) => {
  expect(mostBidFor(stake, 10n)).toBe(most);
});

test('a cap of zero does not even ask', async () => {
  const asked: string[] = [];
  const fault: Fault = ({ method }) => void asked.push(method);
  const wallet = await walletWhere(fault, lamports(0n));
  expect((await wallet.buy(lamports(1000n))).feeLamports).toBe(BASE_FEE);
  expect(asked).toContain('sendTransaction');
  expect(asked).not.toContain('getRecentPrioritizationFees');
});

test('a node that does not know the question costs nothing', async () => {
  const wallet = await walletWhere(({ method, refuse }) =>
    method === 'getRecentPrioritizationFees' ? refuse(-32601, 'Method not found') : undefined,
  );
  expect((await wallet.buy(lamports(1000n))).feeLamports).toBe(BASE_FEE);
});

test('a settlement bids too, and what it said it would cost is enough', async () => {
  const fault = asking(300_000);
  const [payee, payer] = await Promise.all([walletWhere(fault), walletWhere(fault)]);
  await payer.buy(lamports(100_000n));
  await payee.openTill(5);
  const signer = delegateFromSeed(createHash('sha256').update('priority').digest());
  const channels = [];
  for (let i = 0; i < 5; i += 1) channels.push(await payer.openChannel(payee.address, signer.address, amount(1000n)));
  const items = channels.map(({ id, slot }) => {
    const message = encodeReceipt({ channel: id, amount: amount(500n), up: 1n, down: 1n });
    return { slot, delegate: signer.address, message, signature: signer.sign(message) };
  });
  const { fee, bid } = await payee.settleFees();
  const [first, further] = [fee.first + bid.first, fee.further + bid.further];
  for (const batch of [items.slice(0, 1), items.slice(1)]) {
    const prepared = await payee.prepareSettle(batch, []);
    await payee.submit(prepared);
    const status = await payee.confirm(prepared);
    if (status.state !== 'confirmed') throw new Error(`the settlement ${status.state}`);
    expect(status.result.feeLamports).toBeGreaterThan(BASE_FEE);
    expect(status.result.feeLamports).toBeLessThanOrEqual(first + further * BigInt(batch.length - 1));
  }
});
