/** What a wallet does with names, on the real program in the embedded SVM. */
import { AccountLayout, AuthorityType, TOKEN_PROGRAM_ID, createSetAuthorityInstruction } from '@solana/spl-token';
import { PublicKey, Transaction, sendAndConfirmTransaction } from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NamePurchase, NameRegistration, RegistrationStep, TransactionResult } from '../../../ledger/contract.ts';
import { delegateFromSeed, encodeReceipt } from '../../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, walletKeyFromSeed, programFile } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet, WalletKey } from '../../../ledger/solana/index.ts';
import { nameSalt } from '../../../ledger/solana/name-salt.ts';
import { creditAccountAddress } from '../../../ledger/solana/program/index.ts';
import { COMMITMENT_LIFE_SECONDS, GRACE_SECONDS, YEAR_SECONDS, namePrice, nameStatus } from '../../../ledger/term.ts';
import { amount, lamports, unixMillis, unixSeconds } from '../../../core/units.ts';
import { openConnection } from './connection.ts';

const SOL = 1_000_000_000n;
const CID = Uint8Array.of(1, 0x55, 0x12, 0x20, ...new Uint8Array(32).fill(7));
const YEAR_PRICE = amount(1_000_000n);
const COMMIT_SECONDS = 1;

let server: EmbeddedLedger;
let ledger: SolanaLedger;

beforeAll(async () => {
  server = await startEmbeddedLedger({
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 2n, nameYearPrice: YEAR_PRICE, commitSeconds: COMMIT_SECONDS },
    seed: 'name tests',
    // Chain time stands still unless a test lets it pass.
    clock: { now: () => unixMillis(1_800_000_000_000) },
  });
  ledger = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
});

afterAll(async () => {
  ledger.close();
  await server.close();
});

interface Opened {
  readonly key: WalletKey;
  readonly wallet: SolanaWallet;
  readonly transactions: readonly TransactionResult[];
}

function open(key: WalletKey): Opened {
  const transactions: TransactionResult[] = [];
  return { key, wallet: ledger.wallet(key, (result) => transactions.push(result)), transactions };
}

/** A wallet with SOL and credits. */
async function rich(credits = 100_000_000_000n): Promise<Opened> {
  const key = generateWalletKey();
  const funded = ledger.wallet(key);
  await funded.airdrop(lamports(100n * SOL));
  if (credits > 0n) await funded.buy(lamports(credits / 2n));
  return open(key);
}

const record = (name: string, change: Partial<NameRegistration> = {}): NameRegistration => ({
  name,
  root: CID,
  royaltyBps: 500,
  ...change,
});

/** Registers; chain time passes while it waits. */
async function register(
  { wallet }: Opened,
  wanted: NameRegistration,
  onStep?: (step: RegistrationStep) => void,
): Promise<NamePurchase> {
  const passing: Promise<void>[] = [];
  const bought = await wallet.registerName(wanted, {
    onStep: (step) => {
      onStep?.(step);
      if (step.step === 'wait') passing.push(server.warp(step.seconds));
    },
  });
  await Promise.all(passing);
  return bought;
}

describe('registering', () => {
  test('commits, waits by the chain, reveals; says what it cost and until when', async () => {
    const opened = await rich();
    const { wallet, transactions } = opened;
    const steps: RegistrationStep[] = [];
    const [before, { unminted }] = [await ledger.balances(wallet.address), await ledger.bank()];
    const bought = await register(opened, record('news.web3', { years: 3 }), (step) => steps.push(step));
    expect(steps[0]).toEqual({ step: 'commit' });
    expect(steps.at(-1)).toEqual({ step: 'reveal' });
    expect(steps[1]).toEqual({ step: 'wait', seconds: COMMIT_SECONDS });
    expect(transactions).toHaveLength(2);
    const after = await ledger.balances(wallet.address);
    expect(bought).toMatchObject({ paid: 3n * YEAR_PRICE, signature: transactions[1]?.signature });
    expect(before.credits - after.credits).toBe(3n * YEAR_PRICE);
    const bank = await ledger.bank();
    expect(bank.unminted - unminted).toBe(3n * YEAR_PRICE);
    expect(bank.bought - bank.redeemed).toBe(bank.supply + bank.openDeposits + bank.unminted);
    const found = await ledger.name('news.web3');
    expect(found).toMatchObject({ owner: wallet.address, status: 'held', seq: 0n, expiresAt: bought.expiresAt });
    expect(bought.expiresAt - (found?.registeredAt ?? 0n)).toBe(3n * YEAR_SECONDS);
  });

  test('goes on where a process before it stopped, which kept nothing', async () => {
    const first = await rich();
    const commitment = await first.wallet.commitName('resumed.web3');
    expect(commitment.revealFrom - commitment.committedAt).toBe(BigInt(COMMIT_SECONDS));
    expect(await first.wallet.commitName('resumed.web3')).toEqual(commitment);
    expect(first.transactions).toHaveLength(1);
    const second = open(first.key);
    await server.warp(COMMIT_SECONDS);
    await second.wallet.registerName(record('resumed.web3'));
    expect(second.transactions).toHaveLength(1);
    expect(await ledger.name('resumed.web3')).toMatchObject({ owner: first.wallet.address });
  });

  test('can be stopped while it waits, and goes on later', async () => {
    const opened = await rich();
    const { wallet, transactions } = opened;
    const stop = new AbortController();
    const stopped = wallet.registerName(record('patient.web3'), {
      signal: stop.signal,
      onStep: ({ step }) => step === 'wait' && stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    expect(transactions).toHaveLength(1);
    await register(opened, record('patient.web3'));
    expect(transactions).toHaveLength(2);
  });

  test('replaces a commitment that became too old, and gets the rent of the old one back', async () => {
    const opened = await rich();
    const { wallet, transactions } = opened;
    await wallet.commitName('late.web3');
    const { lamports: before } = await ledger.balances(wallet.address);
    await server.warp(Number(COMMITMENT_LIFE_SECONDS));
    await wallet.commitName('late.web3');
    expect(transactions).toHaveLength(2);
    expect(before - (await ledger.balances(wallet.address)).lamports).toBe(5_000n);
    await register(opened, record('late.web3'));
  });

  test('two processes of one wallet at once register it once', async () => {
    const one = await rich();
    const two = open(one.key);
    const both = await Promise.allSettled([one, two].map((each) => register(each, record('race.web3'))));
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await ledger.name('race.web3')).toMatchObject({ owner: one.wallet.address, seq: 0n });
  });

  test('says that a name is taken, too expensive or beyond the wallet before it sends anything', async () => {
    const [owner, other, poor] = [await rich(), await rich(), await rich(YEAR_PRICE)];
    await register(owner, record('mine.web3'));
    await expect(owner.wallet.commitName('mine.web3')).rejects.toThrow(/this wallet already/);
    await expect(other.wallet.registerName(record('mine.web3'))).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    await expect(poor.wallet.registerName(record('dear.web3', { years: 2 }))).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
      details: { has: String(YEAR_PRICE), needs: String(2n * YEAR_PRICE) },
    });
    const cheap = record('dear.web3', { maxPrice: amount(YEAR_PRICE - 1n) });
    await expect(other.wallet.registerName(cheap)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect([...other.transactions, ...poor.transactions]).toEqual([]);
  });
});

describe('a held name', () => {
  test('is renewed by anybody, ten years ahead at most', async () => {
    const [owner, friend] = [await rich(), await rich()];
    const { expiresAt } = await register(owner, record('kept.web3'));
    const renewed = await friend.wallet.renewName('kept.web3', 4);
    expect(renewed).toMatchObject({ paid: 4n * YEAR_PRICE, expiresAt: expiresAt + 4n * YEAR_SECONDS });
    await expect(friend.wallet.renewName('kept.web3', 6)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await expect(friend.wallet.renewName('kept.web3', 1, amount(1n))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(friend.wallet.renewName('nobody.web3', 1)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
  });

  test('is given away with its management', async () => {
    const [owner, next] = [await rich(), await rich(0n)];
    await register(owner, record('gift.web3', { manager: owner.wallet.address }));
    await owner.wallet.transferName('gift.web3', next.wallet.address);
    expect(await ledger.name('gift.web3')).toMatchObject({
      owner: next.wallet.address,
      manager: next.wallet.address,
      splits: [{ account: owner.wallet.address }],
      seq: 1n,
    });
    await expect(owner.wallet.updateName('gift.web3', { royaltyBps: 1 })).rejects.toMatchObject({
      details: { program: 'NotNameOwner' },
    });
    await next.wallet.updateName('gift.web3', { manager: owner.wallet.address });
    expect(await ledger.name('gift.web3')).toMatchObject({ manager: owner.wallet.address });
  });
});

describe('a name whose wallet is lost', () => {
  test('is recovered by the key that was set, after the delay, and says so to everybody meanwhile', async () => {
    const [owner, guard, next, anybody] = [await rich(), await rich(0n), await rich(0n), await rich(0n)];
    const name = 'lost.sso';
    await register(owner, record(name));
    const before = await ledger.name(name);
    const set = { key: guard.wallet.address, delay: 86_400 };
    await owner.wallet.setRecovery(name, set);
    expect(before?.recovery).toBeUndefined();
    expect((await ledger.name(name))?.recovery).toEqual({ ...set, pending: undefined });
    await expect(owner.wallet.beginRecovery(name, next.wallet.address)).rejects.toMatchObject({
      details: { program: 'NotRecoveryKey' },
    });
    await guard.wallet.beginRecovery(name, next.wallet.address);
    const at = (await ledger.now()) + 86_400n;
    expect((await ledger.names()).find((each) => each.name === name)?.recovery).toEqual({
      ...set,
      pending: { to: next.wallet.address, at },
    });
    await expect(anybody.wallet.finishRecovery(name)).rejects.toMatchObject({ details: { program: 'RecoveryNotDue' } });
    await server.warp(86_400);
    await anybody.wallet.finishRecovery(name);
    const { address } = next.wallet;
    expect(await ledger.name(name)).toEqual({
      ...before,
      owner: address,
      manager: address,
      splits: [{ account: address, bps: 10_000, owed: 0n }],
      seq: 3n,
      recovery: undefined,
    });
    await expect(owner.wallet.cancelRecovery(name)).rejects.toMatchObject({ details: { program: 'NotNameOwner' } });
    await next.wallet.setRecovery(name, set);
    await next.wallet.setRecovery(name, undefined);
    expect((await ledger.name(name))?.recovery).toBeUndefined();
  });

  test('stays its owner’s where the wallet was not lost', async () => {
    const [owner, guard] = [await rich(), await rich(0n)];
    await register(owner, record('found.web3'));
    await owner.wallet.setRecovery('found.web3', { key: guard.wallet.address, delay: 86_400 });
    await guard.wallet.beginRecovery('found.web3', guard.wallet.address);
    await owner.wallet.cancelRecovery('found.web3');
    await server.warp(86_400);
    await expect(guard.wallet.finishRecovery('found.web3')).rejects.toMatchObject({
      details: { program: 'NoRecovery' },
    });
    expect(await ledger.name('found.web3')).toMatchObject({ owner: owner.wallet.address, transfers: 0 });
    await expect(owner.wallet.setRecovery('nobody.web3', undefined)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
  });
});

describe('a name that nobody renewed', () => {
  test('is in grace, then released; its new owner pays the premium, and its former earners get theirs', async () => {
    const [former, next] = [await rich(), await rich(4_000n * YEAR_PRICE)];
    const author = generateWalletKey();
    const splits = [{ account: ledger.wallet(author).address, bps: 10_000 }];
    const { expiresAt } = await register(former, record('lapsed.web3', { royaltyBps: 10_000, splits }));
    await earn(former, 'lapsed.web3', 12_345n);

    await server.warp(Number(YEAR_SECONDS) + 60);
    expect(await ledger.name('lapsed.web3')).toMatchObject({ status: 'grace' });
    await expect(next.wallet.commitName('lapsed.web3')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    await server.warp(Number(GRACE_SECONDS) + 7_200);
    const released = await ledger.name('lapsed.web3');
    expect(released).toMatchObject({ status: 'expired', expiresAt, accrued: 12_345n });
    expect((await ledger.names()).find(({ name }) => name === 'lapsed.web3')).toMatchObject({ status: 'expired' });
    await expect(former.wallet.renewName('lapsed.web3', 1)).rejects.toMatchObject({ code: 'NAME_EXPIRED' });

    const before = await ledger.balances(next.wallet.address);
    const taken = await register(next, record('lapsed.web3'));
    const { credits } = await ledger.balances(next.wallet.address);
    expect(before.credits - credits).toBe(taken.paid);
    expect(taken.paid).toBeGreaterThan(900n * YEAR_PRICE);
    expect(await ledger.name('lapsed.web3')).toMatchObject({ owner: next.wallet.address, seq: 1n, status: 'held' });
    expect((await ledger.balances(splits[0]?.account ?? former.wallet.address)).credits).toBe(12_345n);
  });

  test('is taken although a former earner gave its token account away, and is paid all the same', async () => {
    const [former, next, stranger] = [await rich(), await rich(4_000n * YEAR_PRICE), generateWalletKey()];
    const splits = [{ account: former.wallet.address, bps: 10_000 }];
    await register(former, record('spoiled.web3', { royaltyBps: 10_000, splits }));
    await earn(former, 'spoiled.web3', 500n);
    const owner = former.key.publicKey;
    const given = createSetAuthorityInstruction(
      creditAccountAddress(new PublicKey(EMBEDDED_PROGRAM_ID), owner),
      owner,
      AuthorityType.AccountOwner,
      stranger.publicKey,
    );
    await using connection = openConnection(server);
    await sendAndConfirmTransaction(connection, new Transaction().add(given), [former.key]);
    await server.warp(Number(YEAR_SECONDS + GRACE_SECONDS) + 7_200);

    await register(next, record('spoiled.web3'));
    expect(await ledger.name('spoiled.web3')).toMatchObject({ owner: next.wallet.address });
    const { value } = await connection.getTokenAccountsByOwner(owner, { programId: TOKEN_PROGRAM_ID });
    expect(value.map(({ account }) => AccountLayout.decode(account.data).amount)).toEqual([500n]);
  });

  test('can be priced ahead', () => {
    const expiresAt = unixSeconds(1_000_000_000n);
    const at = (now: bigint): bigint =>
      namePrice({ yearPrice: amount(YEAR_PRICE), years: 1, expiresAt, now: unixSeconds(now) });
    const released = expiresAt + GRACE_SECONDS;
    expect(nameStatus(expiresAt, unixSeconds(expiresAt - 1n))).toBe('held');
    expect(nameStatus(expiresAt, expiresAt)).toBe('grace');
    expect(nameStatus(expiresAt, unixSeconds(released - 1n))).toBe('grace');
    expect(nameStatus(expiresAt, unixSeconds(released))).toBe('expired');
    expect(nameStatus(undefined, unixSeconds(released))).toBe('held');
    expect(at(released)).toBe(1025n * YEAR_PRICE);
    expect(at(released + 86_400n)).toBe(513n * YEAR_PRICE);
    expect(at(released + 21n * 86_400n)).toBe(YEAR_PRICE);
  });
});

describe('the salt of a commitment', () => {
  const key = walletKeyFromSeed('salt', 'a');
  const purpose = {
    programId: EMBEDDED_PROGRAM_ID,
    clusterTag: new Uint8Array(16).fill(3),
    name: 'news.web3',
    tenure: 0n,
  };

  test('never changes, so that an interrupted registration can go on after an upgrade', () => {
    expect(Buffer.from(nameSalt(key, purpose)).toString('hex')).toMatchInlineSnapshot(
      `"d0dd2b0fb041a89505a5c0fb6c407486da0cb2b1aee0e798985f62634d28be33"`,
    );
  });

  test('is another for every name, tenure, cluster, program and wallet', () => {
    const salts = [
      nameSalt(key, purpose),
      nameSalt(key, { ...purpose, name: 'news.map' }),
      nameSalt(key, { ...purpose, tenure: 1n }),
      nameSalt(key, { ...purpose, clusterTag: new Uint8Array(16) }),
      nameSalt(key, { ...purpose, programId: 'other' }),
      nameSalt(walletKeyFromSeed('salt', 'b'), purpose),
    ];
    expect(new Set(salts.map(String)).size).toBe(salts.length);
  });
});

/** Settles a receipt on a channel of the wallet to itself, all of it for the name. */
async function earn({ wallet }: Opened, name: string, gross: bigint): Promise<void> {
  await wallet.openTill(1);
  const signer = delegateFromSeed(new Uint8Array(32).fill(9));
  const channel = await wallet.openChannel(wallet.address, signer.address, amount(gross));
  const message = encodeReceipt({ channel: channel.id, amount: amount(gross), up: 1n, down: 1n });
  const item = { slot: channel.slot, delegate: signer.address, message, signature: signer.sign(message) };
  const prepared = await wallet.prepareSettle([item], [{ name, gross: amount(gross), maxRoyaltyBps: 10_000 }]);
  await wallet.submit(prepared);
  expect(await wallet.confirm(prepared)).toMatchObject({ state: 'confirmed' });
}
