/** What a transaction bids for its place in a block, on the real program. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { channelId } from '../../../core/ids.ts';
import { amount, lamports } from '../../../core/units.ts';
import type { Lamports } from '../../../core/units.ts';
import type { SettleItem } from '../../../ledger/contract.ts';
import { delegateFromSeed, encodeReceipt } from '../../../ledger/receipt/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { EMBEDDED_PROGRAM_ID } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger } from '../../../ledger/solana/index.ts';
import type { SolanaWallet } from '../../../ledger/solana/index.ts';
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

test('three quarters of recent blocks would have let it in, for the units that it takes', async () => {
  // Of a hundred blocks, the dearest 25 are left to others.
  const prices = Array.from({ length: 100 }, (_, index) => (index < 75 ? 1_000_000 : 90_000_000));
  const wallet = await walletWhere(asking(...prices));
  const { feeLamports, computeUnits } = await wallet.buy(lamports(1000n));
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
