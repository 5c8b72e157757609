/** How long settlements are and what they ask for, in both formats, as the wallet signs them. */
import { getCompiledTransactionMessageDecoder, getTransactionDecoder } from '@solana/kit';
import { ComputeBudgetProgram, PublicKey, Transaction } from '@solana/web3.js';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { channelId } from '../../../core/ids.ts';
import { amount, lamports } from '../../../core/units.ts';
import type { ContentShare, SettleItem } from '../../../ledger/contract.ts';
import { delegateFromSeed, encodeReceipt } from '../../../ledger/receipt/index.ts';
import type { Receipt } from '../../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../../ledger/solana/index.ts';
import { settleUnits } from '../../../ledger/solana/settle-size.ts';
import { isVersionOne } from '../../../ledger/solana/version-one.ts';
import { startLedger } from '../settlement/world.ts';
import { faultyFetch } from './faulty-fetch.ts';

const MOST_BYTES = 4096;
const MOST_RECEIPTS = 64;
const MOST_LOADED = 64 * 1024 * 1024;
const signer = delegateFromSeed(new Uint8Array(32).fill(9));

let server: EmbeddedLedger;
let ledger: SolanaLedger;
let wallet: SolanaWallet;
beforeAll(async () => {
  server = await startLedger();
  // Blocks are full, so that every transaction holds a bid.
  const dear = faultyFetch(({ method, answer }) =>
    method === 'getRecentPrioritizationFees' ? answer([{ slot: 1, prioritizationFee: 1_000_000 }]) : undefined,
  );
  ledger = openSolanaLedger({ fetch: dear, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  wallet = ledger.wallet(generateWalletKey());
  await wallet.airdrop(lamports(1_000_000_000n));
  await wallet.learnTransactionSize();
});
afterAll(async () => {
  ledger.close();
  await server.close();
});

function itemsOf(receipts: readonly Receipt[]): readonly SettleItem[] {
  return receipts.map((receipt, slot) => {
    const message = encodeReceipt(receipt);
    return { slot, delegate: signer.address, message, signature: signer.sign(message) };
  });
}

/** `others`: so many of them were shown by a site of another name each, the rest by the first of these. */
function sharesOf(count: number, others = 0): readonly ContentShare[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `size-${index}.web3`,
    ...(others === 0 ? {} : { referrer: `shows-${Math.min(index, others - 1)}.web3` }),
    gross: amount(1n),
    maxRoyaltyBps: 10_000,
  }));
}

const anyShares = fc
  .tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 8 }))
  .map(([count, others]) => sharesOf(count, others));

/** Bytes of the signed transaction; Infinity when it is refused as too long. */
async function length(receipts: readonly Receipt[], shares: readonly ContentShare[]): Promise<number> {
  try {
    return (await wallet.prepareSettle(itemsOf(receipts), shares)).wire.length;
  } catch (error) {
    if (isRelaymintError(error, 'LIMIT_EXCEEDED')) return Infinity;
    throw error;
  }
}

/** Counters of every length from so many bits on: as many small ones as great ones. */
function receiptOf(fewestBits: number): fc.Arbitrary<Receipt> {
  const counter = fc
    .integer({ min: fewestBits, max: 63 })
    .chain((bits) => fc.bigInt({ min: 1n << BigInt(bits - 1), max: (1n << BigInt(bits)) - 1n }));
  const channel = channelId(new Uint8Array(22));
  return fc
    .record({ total: counter, up: counter, down: counter })
    .map(({ total, up, down }) => ({ channel, amount: amount(total), up, down }));
}

describe('as many receipts as are said to fit', () => {
  it('do, bid included, whatever their counters and names', async () => {
    const anyBatch = fc.array(receiptOf(1), { minLength: 1, maxLength: MOST_RECEIPTS });
    await fc.assert(
      fc.asyncProperty(anyBatch, anyShares, async (receipts, shares) => {
        const most = wallet.receiptsThatFit(receipts, shares);
        expect(most).toBeGreaterThanOrEqual(1);
        expect(await length(receipts.slice(0, most), shares)).toBeLessThanOrEqual(MOST_BYTES);
      }),
      { numRuns: 60 },
    );
  });

  it('are as many as there is room for: one more does not fit', async () => {
    const full = fc.array(receiptOf(57), { minLength: MOST_RECEIPTS, maxLength: MOST_RECEIPTS });
    await fc.assert(
      fc.asyncProperty(full, anyShares, async (receipts, shares) => {
        fc.pre(shares.length > 0);
        const most = wallet.receiptsThatFit(receipts, shares);
        expect(most).toBeLessThan(MOST_RECEIPTS);
        expect(await length(receipts.slice(0, most), shares)).toBeLessThanOrEqual(MOST_BYTES);
        expect(await length(receipts.slice(0, most + 1), shares)).toBe(Infinity);
      }),
      { numRuns: 20 },
    );
  });

  it('are 64 of the greatest counters there are', async () => {
    const receipts = Array.from({ length: MOST_RECEIPTS }, () => greatest());
    expect(wallet.receiptsThatFit(receipts, [])).toBe(MOST_RECEIPTS);
    expect(await length(receipts, [])).toBeLessThanOrEqual(MOST_BYTES);
  });

  it('are refused with a remedy when they do not', async () => {
    const receipts = Array.from({ length: MOST_RECEIPTS }, () => greatest());
    await expect(wallet.prepareSettle(itemsOf(receipts), sharesOf(8))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringContaining('4096'),
      remedy: expect.stringContaining('fewer'),
    });
  });
});

describe('what a settlement asks for', () => {
  const small = { channel: channelId(new Uint8Array(22)), amount: amount(1n), up: 1n, down: 1n };

  it('is no more compute than it needs and a hundredth of the accounts it might load, in version 1', async () => {
    const { wire } = await wallet.prepareSettle(itemsOf(Array.from({ length: 40 }, () => small)), sharesOf(2));
    expect(isVersionOne(wire)).toBe(true);
    const message = getCompiledTransactionMessageDecoder().decode(getTransactionDecoder().decode(wire).messageBytes);
    if (message.version !== 1) throw new Error('not of version 1');
    const values = message.configValues.map(({ value }) => Number(value));
    const [bid = 0, units = 0, loaded = 0] = values;
    expect(units).toBe(settleUnits(40, sharesOf(2)));
    expect(loaded).toBeGreaterThan(0);
    expect(loaded).toBeLessThanOrEqual(MOST_LOADED / 100);
    // One lamport a unit is asked, and as much is bid as is allowed when nobody says what is at stake.
    expect(bid).toBe(Math.min(units, 100_000));
  });

  it('is the same in the older format', async () => {
    const { wire } = await wallet.prepareSettle(itemsOf([small, small]), sharesOf(1));
    const asked = Transaction.from(wire).instructions.filter(({ programId }) =>
      programId.equals(ComputeBudgetProgram.programId),
    );
    const bytesOf = (tag: number): Buffer | undefined => asked.map(({ data }) => data).find((data) => data[0] === tag);
    expect(bytesOf(2)?.readUInt32LE(1)).toBe(settleUnits(2, sharesOf(1)));
    const loaded = bytesOf(4)?.readUInt32LE(1) ?? Infinity;
    expect(loaded).toBeLessThanOrEqual(MOST_LOADED / 100);
    expect(loaded).toBeGreaterThan(0);
  });

  it('grows with the accounts: a full till is loaded whole', async () => {
    const before = await loadedOf();
    await wallet.openTill(1_024);
    expect((await loadedOf()) - before).toBeGreaterThanOrEqual(96 * 1024);
  });

  it('is what the network allows at most where a node does not say how large accounts are', async () => {
    const silent = faultyFetch(({ method, params, rewritten }) =>
      method === 'getMultipleAccounts' && JSON.stringify(params).includes('dataSlice')
        ? rewritten((result: { value: readonly ({ space?: number } | null)[] }) => {
            for (const account of result.value) delete account?.space;
            return result;
          })
        : undefined,
    );
    const there = openSolanaLedger({ fetch: silent, url: server.url, programId: EMBEDDED_PROGRAM_ID });
    const other = there.wallet(generateWalletKey());
    expect(loadedIn((await other.prepareSettle(itemsOf([small]), [])).wire)).toBe(MOST_LOADED);
    there.close();
  });

  async function loadedOf(): Promise<number> {
    return loadedIn((await wallet.prepareSettle(itemsOf([small]), [])).wire);
  }
});

function loadedIn(wire: Uint8Array): number {
  const budget = new PublicKey(ComputeBudgetProgram.programId);
  const found = Transaction.from(wire).instructions.find(
    ({ programId, data }) => programId.equals(budget) && data[0] === 4,
  );
  if (found === undefined) throw new Error('it does not say how much it loads');
  return found.data.readUInt32LE(1);
}

function greatest(): Receipt {
  const most = (1n << 64n) - 1n;
  return { channel: channelId(new Uint8Array(22)), amount: amount(most), up: most, down: most };
}
