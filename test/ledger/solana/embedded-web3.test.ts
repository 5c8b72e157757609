/** An ordinary web3.js Connection, and spl-token's own helpers, against the embedded ledger. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createAssociatedTokenAccount,
  createMint,
  burn,
  getAccount,
  getMint,
  getOrCreateAssociatedTokenAccount,
  mintTo,
  transfer,
} from '@solana/spl-token';
import {
  AddressLookupTableProgram,
  ComputeBudgetProgram,
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  SendTransactionError,
  SystemProgram,
  Transaction,
  TransactionMessage,
  VersionedTransaction,
  type AccountInfo,
  sendAndConfirmTransaction,
} from '@solana/web3.js';
import { startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { openConnection } from './connection.ts';

let ledger: EmbeddedLedger;
let connection: ReturnType<typeof openConnection>;
let payer: Keypair;

async function funded(sol = 10): Promise<Keypair> {
  const key = Keypair.generate();
  const signature = await connection.requestAirdrop(key.publicKey, sol * LAMPORTS_PER_SOL);
  await connection.confirmTransaction({ signature, ...(await connection.getLatestBlockhash()) });
  return key;
}

/** A transfer of more than the payer has. */
function beyondItsMeans(): Transaction {
  return new Transaction().add(
    SystemProgram.transfer({
      fromPubkey: payer.publicKey,
      toPubkey: Keypair.generate().publicKey,
      lamports: 1000 * LAMPORTS_PER_SOL,
    }),
  );
}

beforeAll(async () => {
  ledger = await startEmbeddedLedger();
  connection = openConnection(ledger);
  payer = await funded();
});

afterAll(async () => {
  await connection[Symbol.asyncDispose]();
  await ledger.close();
});

describe('the cluster', () => {
  test('tells its time, version and genesis', async () => {
    const version = await connection.getVersion();
    expect(version['solana-core']).toMatch(/^\d+\.\d+\.\d+$/);
    expect(await connection.getGenesisHash()).toBe(ledger.genesisHash);
    const slot = await connection.getSlot();
    expect(slot).toBeGreaterThan(0);
    const time = await connection.getBlockTime(slot);
    expect(Math.abs((time ?? 0) - Date.now() / 1000)).toBeLessThan(60);
    const epoch = await connection.getEpochInfo();
    expect(epoch.absoluteSlot).toBeGreaterThanOrEqual(slot);
    expect(await connection.getMinimumBalanceForRentExemption(165)).toBe(2_039_280);
    expect(await connection.getRecentPrioritizationFees()).toHaveLength(1);
    expect((await connection.getSupply()).value.total).toBeGreaterThan(0);
    expect(await connection.getFirstAvailableBlock()).toBe(1);
    expect(await connection.getSlotLeader()).toBe('11111111111111111111111111111112');
  });

  test('blockhashes are valid for 150 slots and no longer', async () => {
    await using own = await startEmbeddedLedger();
    await using rpc = openConnection(own);
    const latest = await rpc.getLatestBlockhash();
    const height = await rpc.getBlockHeight();
    expect(latest.lastValidBlockHeight - height).toBeLessThanOrEqual(150);
    expect(latest.lastValidBlockHeight - height).toBeGreaterThan(140);
    expect((await rpc.isBlockhashValid(latest.blockhash)).value).toBe(true);
    await own.warp(61);
    expect(await rpc.getBlockHeight()).toBeGreaterThan(latest.lastValidBlockHeight);
    expect((await rpc.isBlockhashValid(latest.blockhash)).value).toBe(false);
    expect((await rpc.isBlockhashValid(Keypair.generate().publicKey.toBase58())).value).toBe(false);
  });
});

describe('transactions', () => {
  test('a transfer is confirmed, charged and remembered', async () => {
    const to = Keypair.generate().publicKey;
    const before = await connection.getBalance(payer.publicKey);
    const signature = await sendAndConfirmTransaction(
      connection,
      new Transaction().add(SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 1_000_000 })),
      [payer],
    );
    expect(await connection.getBalance(to)).toBe(1_000_000);
    expect(await connection.getBalance(payer.publicKey)).toBe(before - 1_005_000);
    const found = await connection.getTransaction(signature, {
      commitment: 'confirmed',
      maxSupportedTransactionVersion: 0,
    });
    expect(found?.meta?.fee).toBe(5000);
    expect(found?.meta?.err).toBeNull();
    expect(found?.meta?.preBalances[0]).toBe(before);
    expect(found?.meta?.postBalances[0]).toBe(before - 1_005_000);
    expect(found?.version).toBe('legacy');
    expect(found?.transaction.message.recentBlockhash).toBeTypeOf('string');
    const parsed = await connection.getParsedTransaction(signature, { maxSupportedTransactionVersion: 0 });
    expect(parsed?.transaction.message.accountKeys[0]?.signer).toBe(true);
    const history = await connection.getSignaturesForAddress(to);
    expect(history.map((entry) => entry.signature)).toEqual([signature]);
    const status = await connection.getSignatureStatus(signature);
    expect(status.value?.confirmationStatus).toBe('finalized');
  });

  test('two transactions share a blockhash; the same one twice is AlreadyProcessed', async () => {
    const { blockhash, lastValidBlockHeight } = await connection.getLatestBlockhash();
    const make = (lamports: number): Buffer => {
      const transaction = new Transaction({ feePayer: payer.publicKey, blockhash, lastValidBlockHeight });
      transaction.add(
        SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: Keypair.generate().publicKey, lamports }),
      );
      transaction.sign(payer);
      return transaction.serialize();
    };
    const first = make(1_000_001);
    await connection.sendRawTransaction(first);
    await connection.sendRawTransaction(make(1_000_002));
    const error: unknown = await connection.sendRawTransaction(first).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SendTransactionError);
    expect(String(error)).toContain('already been processed');
    // Without preflight a validator takes it and drops it.
    const balance = await connection.getBalance(payer.publicKey);
    await connection.sendRawTransaction(first, { skipPreflight: true });
    expect(await connection.getBalance(payer.publicKey)).toBe(balance);
  });

  test('a failure in preflight costs nothing and carries error and logs', async () => {
    const before = await connection.getBalance(payer.publicKey);
    const error: unknown = await sendAndConfirmTransaction(connection, beyondItsMeans(), [payer]).catch(
      (caught: unknown) => caught,
    );
    if (!(error instanceof SendTransactionError)) throw new Error('expected a SendTransactionError');
    expect(error.transactionError.message).toContain(
      'Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1',
    );
    expect(error.logs?.join()).toContain('insufficient lamports');
    expect(await connection.getBalance(payer.publicKey)).toBe(before);
  });

  test('a failure without preflight costs its fee and is on record', async () => {
    const before = await connection.getBalance(payer.publicKey);
    const signature = await connection.sendTransaction(beyondItsMeans(), [payer], { skipPreflight: true });
    const { value } = await connection.confirmTransaction({ signature, ...(await connection.getLatestBlockhash()) });
    expect(value.err).toEqual({ InstructionError: [0, { Custom: 1 }] });
    expect(await connection.getBalance(payer.publicKey)).toBe(before - 5000);
  });

  test('an expired blockhash, a foreign one and a wrong signature are refused', async () => {
    const transfer = SystemProgram.transfer({
      fromPubkey: payer.publicKey,
      toPubkey: Keypair.generate().publicKey,
      lamports: 1_000_000,
    });
    const foreign = new Transaction({
      feePayer: payer.publicKey,
      blockhash: Keypair.generate().publicKey.toBase58(),
      lastValidBlockHeight: 1,
    }).add(transfer);
    foreign.sign(payer);
    await expect(connection.sendRawTransaction(foreign.serialize())).rejects.toThrow('Blockhash not found');
    const spoiled = new Transaction({ feePayer: payer.publicKey, ...(await connection.getLatestBlockhash()) });
    spoiled.add(transfer).sign(payer);
    const raw = spoiled.serialize();
    raw[10] = (raw[10] ?? 0) ^ 1;
    await expect(connection.sendRawTransaction(raw)).rejects.toThrow('signature verification failure');
    await expect(connection.sendRawTransaction(raw, { skipPreflight: true })).rejects.toThrow(
      'signature verification failure',
    );
  });

  test('fees are told beforehand, priority fees included', async () => {
    const latest = await connection.getLatestBlockhash();
    const message = (priced: boolean): TransactionMessage =>
      new TransactionMessage({
        payerKey: payer.publicKey,
        recentBlockhash: latest.blockhash,
        instructions: [
          ...(priced
            ? [
                ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 1_000_000 }),
                ComputeBudgetProgram.setComputeUnitLimit({ units: 10_000 }),
              ]
            : []),
          SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: payer.publicKey, lamports: 1 }),
        ],
      });
    expect((await connection.getFeeForMessage(message(false).compileToLegacyMessage())).value).toBe(5000);
    expect((await connection.getFeeForMessage(message(true).compileToV0Message())).value).toBe(15_000);
  });

  test('simulation changes nothing and shows accounts', async () => {
    const to = Keypair.generate().publicKey;
    const message = new TransactionMessage({
      payerKey: payer.publicKey,
      recentBlockhash: PublicKey.default.toBase58(),
      instructions: [SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 2_000_000 })],
    }).compileToV0Message();
    const { value } = await connection.simulateTransaction(new VersionedTransaction(message), {
      replaceRecentBlockhash: true,
      accounts: { encoding: 'base64', addresses: [to.toBase58()] },
    });
    expect(value.err).toBeNull();
    expect(value.accounts?.[0]?.lamports).toBe(2_000_000);
    expect(value.unitsConsumed).toBe(150);
    expect(await connection.getBalance(to)).toBe(0);
  });

  test('lookup tables work as soon as a slot has passed', async () => {
    const slot = await connection.getSlot();
    const [create, table] = AddressLookupTableProgram.createLookupTable({
      authority: payer.publicKey,
      payer: payer.publicKey,
      recentSlot: slot,
    });
    const to = Keypair.generate().publicKey;
    const extend = AddressLookupTableProgram.extendLookupTable({
      lookupTable: table,
      authority: payer.publicKey,
      payer: payer.publicKey,
      addresses: [to],
    });
    await sendAndConfirmTransaction(connection, new Transaction().add(create, extend), [payer]);
    await ledger.warp(1);
    const { value } = await connection.getAddressLookupTable(table);
    if (value === null) throw new Error('no lookup table');
    const latest = await connection.getLatestBlockhash();
    const transaction = new VersionedTransaction(
      new TransactionMessage({
        payerKey: payer.publicKey,
        recentBlockhash: latest.blockhash,
        instructions: [SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 3_000_000 })],
      }).compileToV0Message([value]),
    );
    transaction.sign([payer]);
    const signature = await connection.sendTransaction(transaction);
    await connection.confirmTransaction({ signature, ...latest });
    expect(await connection.getBalance(to)).toBe(3_000_000);
    await expect(connection.getTransaction(signature, { commitment: 'confirmed' } as never)).rejects.toThrow(
      'Transaction version (0) is not supported',
    );
    const found = await connection.getTransaction(signature, { maxSupportedTransactionVersion: 0 });
    expect(found?.meta?.loadedAddresses?.writable.map(String)).toEqual([to.toBase58()]);
  });
});

describe('tokens', () => {
  test("spl-token's helpers mint, move and burn", async () => {
    const mint = await createMint(connection, payer, payer.publicKey, null, 6);
    const own = await createAssociatedTokenAccount(connection, payer, mint, payer.publicKey);
    await mintTo(connection, payer, mint, own, payer, 10_000_000n);
    const other = Keypair.generate().publicKey;
    const theirs = await getOrCreateAssociatedTokenAccount(connection, payer, mint, other);
    const signature = await transfer(connection, payer, own, theirs.address, payer, 2_500_001n);
    await burn(connection, payer, own, mint, payer, 499_999n);
    expect((await getAccount(connection, own)).amount).toBe(7_000_000n);
    expect((await getMint(connection, mint)).supply).toBe(9_500_001n);
    expect((await connection.getTokenSupply(mint)).value.uiAmountString).toBe('9.500001');
    expect((await connection.getTokenAccountBalance(theirs.address)).value.amount).toBe('2500001');
    const listed = await connection.getParsedTokenAccountsByOwner(other, { mint });
    const account: unknown = listed.value[0]?.account.data.parsed;
    expect(account).toMatchObject({ type: 'account', info: { mint: mint.toBase58(), state: 'initialized' } });
    const largest = await connection.getTokenLargestAccounts(mint);
    expect(largest.value.map(({ amount }) => amount)).toEqual(['7000000', '2500001']);
    const parsed = await connection.getParsedAccountInfo(mint);
    expect(parsed.value?.data).toMatchObject({ program: 'spl-token', parsed: { type: 'mint' } });
    const moved = await connection.getTransaction(signature, { maxSupportedTransactionVersion: 0 });
    const change = moved?.meta?.postTokenBalances?.find(({ owner }) => owner === other.toBase58());
    expect(change?.uiTokenAmount.amount).toBe('2500001');
  });
});

describe('WebSocket', () => {
  test('a second port can be had for clients that cannot be told the first', async () => {
    await using own = await startEmbeddedLedger({ wsPort: 0 });
    expect(new URL(own.wsUrl).port).not.toBe(new URL(own.url).port);
    await using rpc = openConnection(own);
    let subscription = 0;
    const slot = await new Promise<number>((resolve) => {
      subscription = rpc.onSlotChange((info) => resolve(info.slot));
    });
    await rpc.removeSlotChangeListener(subscription);
    expect(slot).toBeGreaterThan(0);
  });

  test('an account subscription tells of changes', async () => {
    const to = Keypair.generate().publicKey;
    const subscriptions = { account: 0, slot: 0 };
    const heard = new Promise<number>((resolve) => {
      const hear = (account: AccountInfo<Buffer>): void => resolve(account.lamports);
      subscriptions.account = connection.onAccountChange(to, hear, { commitment: 'confirmed' });
    });
    // The subscription has been answered once a later request on the same socket has.
    const ready = new Promise<void>((resolve) => {
      subscriptions.slot = connection.onSlotChange(() => resolve());
    });
    await ready;
    await connection.requestAirdrop(to, 5_000_000);
    expect(await heard).toBe(5_000_000);
    await connection.removeAccountChangeListener(subscriptions.account);
    await connection.removeSlotChangeListener(subscriptions.slot);
  });
});
