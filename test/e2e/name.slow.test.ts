/** `relaymint name`, as typed, against a ledger of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { amount, lamports } from '../../core/units.ts';
import { delegateFromSeed, encodeReceipt } from '../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { openSolanaLedger, walletKeyFromSeed, writeKeyFile, programFile } from '../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../ledger/solana/index.ts';
import { GRACE_SECONDS, YEAR_SECONDS } from '../../ledger/term.ts';
import { relaymint } from './marketplace.ts';

const SOL = 1_000_000_000n;
const YEAR_PRICE = amount(2_000_000n);
const CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';

let folder: string;
let server: EmbeddedLedger;
let ledger: SolanaLedger;
const wallets = new Map<string, SolanaWallet>();

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-name-'));
  server = await startEmbeddedLedger({
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 1n, nameYearPrice: amount(YEAR_PRICE) },
  });
  ledger = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  for (const label of ['owner', 'other']) {
    const key = walletKeyFromSeed('name commands', label);
    const wallet = ledger.wallet(key);
    await writeKeyFile(keyFile(label), key);
    await wallet.airdrop(lamports(20n * SOL));
    await wallet.buy(lamports(10n * SOL));
    wallets.set(label, wallet);
  }
});

afterAll(async () => {
  ledger.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function keyFile(label: string): string {
  return path.join(folder, label, 'wallet.json');
}

function walletOf(label: string): SolanaWallet {
  const wallet = wallets.get(label);
  if (wallet === undefined) throw new RangeError(label);
  return wallet;
}

/** One command by one wallet. Its text as people read it. */
async function name(label: string, ...args: readonly string[]): Promise<{ code: number | null; text: string }> {
  const signing = args[0] === 'show' ? [] : ['--wallet', keyFile(label)];
  const { code, stdout, stderr } = await relaymint('name', ...args, ...signing, '--ledger', server.url);
  return { code, text: stdout + stderr };
}

/** The same for scripts. */
async function value(label: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { text } = await name(label, ...args, '--json', '--log-level', 'silent');
  return JSON.parse(text.split('\n')[0] ?? '') as Record<string, unknown>;
}

/** Gives `name` revenue: a receipt of the owner to itself, all of it the name's. */
async function earn(text: string, gross: bigint): Promise<void> {
  const wallet = walletOf('owner');
  if ((await ledger.till(wallet.address)) === undefined) await wallet.openTill(4);
  const signer = delegateFromSeed(new Uint8Array(32).fill(9));
  const channel = await wallet.openChannel(wallet.address, signer.address, amount(gross));
  const message = encodeReceipt({ channel: channel.id, amount: amount(gross), up: 1n, down: 1n });
  const item = { slot: channel.slot, delegate: signer.address, message, signature: signer.sign(message) };
  const prepared = await wallet.prepareSettle([item], [{ name: text, gross: amount(gross), maxRoyaltyBps: 10_000 }]);
  await wallet.submit(prepared);
  expect(await wallet.confirm(prepared)).toMatchObject({ state: 'confirmed' });
}

const MINUTES = 60_000;

describe('relaymint name', { timeout: 5 * MINUTES }, () => {
  test('show: a free name and its price', async () => {
    expect(await name('owner', 'show', 'fresh.web3')).toEqual({
      code: 0,
      text: 'fresh.web3 is free: it costs 2 credits a year.\nRegister it with: relaymint name register fresh.web3\n',
    });
    expect(await value('owner', 'show', 'fresh.web3')).toEqual({
      name: 'fresh.web3',
      registered: false,
      yearPrice: '2000000',
      registrationPrice: '2000000',
    });
    expect((await name('owner', 'show', 'no name')).code).toBe(2);
  });

  test('register, show, list', async () => {
    const owner = walletOf('owner').address;
    const other = walletOf('other').address;
    const { code, text } = await name(
      ...(['owner', 'register', 'shop.web3', '--years', '2', '--royalty', '12.5%', '--referrer-share', '10%'] as const),
      ...(['--root', CID, '--split', `${owner}=75%`, '--split', `${other}=2500bps`] as const),
    );
    expect([code, text]).toEqual([
      0,
      expect.stringMatching(/^Registered shop\.web3 until \d{4}-\d\d-\d\d for 4 credits\./),
    ]);
    expect(text).toMatch(/credits +10000 +-> 9996/);
    expect(text).toMatch(/fee +0\.00001 SOL/);
    expect(text.match(/signature/g)).toHaveLength(2);

    const shown = await name('owner', 'show', 'shop.web3');
    expect(shown.text).toMatch(new RegExp(`owner +${owner}`));
    expect(shown.text).toMatch(/expires +\d{4}-\d\d-\d\d \(in (729|730) days\)/);
    expect(shown.text).toMatch(/renewal +2 credits a year/);
    expect(shown.text).toMatch(new RegExp(`root +${CID}`));
    expect(shown.text).toMatch(/royalty +12\.5%/);
    expect(shown.text).toMatch(/referrers +10% of the royalty/);
    expect(shown.text).toMatch(new RegExp(`${other} +25% +0\\n`));
    expect(await value('owner', 'show', 'shop.web3')).toMatchObject({
      registered: true,
      status: 'held',
      owner,
      root: CID,
      royaltyBps: 1250,
      referrerBps: 1000,
      splits: [
        { account: owner, bps: 7500, owed: '0' },
        { account: other, bps: 2500, owed: '0' },
      ],
    });
    expect((await name('owner', 'list')).text).toContain('shop.web3');
    expect((await name('other', 'list')).text).toBe('No names.\n');
    expect((await name('other', 'list', '--all')).text).toContain('shop.web3');
    const again = await name('other', 'register', 'shop.web3');
    expect([again.code, again.text]).toEqual([1, expect.stringContaining('[NAME_TAKEN]')]);
  });

  test('renew: anybody, within the price agreed to', async () => {
    const before = await ledger.name('shop.web3');
    const renewed = await value('other', 'renew', 'shop.web3', '--years', '3');
    expect(renewed).toMatchObject({ paid: '6000000', signature: expect.any(String), feeLamports: '5000' });
    const after = await ledger.name('shop.web3');
    expect((after?.expiresAt ?? 0n) - (before?.expiresAt ?? 0n)).toBe(3n * YEAR_SECONDS);
    const dear = await name('other', 'renew', 'shop.web3', '--max-price', '1');
    expect([dear.code, dear.text]).toEqual([1, expect.stringContaining('costs 2 credits now')]);
    expect((await name('other', 'renew', 'nobody.web3')).text).toContain('[NAME_UNKNOWN]');
  });

  test('update: what changed; splits only when the current ones are paid, or with --distribute', async () => {
    const owner = walletOf('owner').address;
    const updated = await name('owner', 'update', 'shop.web3', '--royalty', '10000bps', '--root', 'none');
    expect(updated.text).toContain('Updated shop.web3.');
    expect(updated.text).toMatch(/royalty +12\.5% -> 100%/);
    expect(updated.text).toMatch(new RegExp(`root +${CID} -> none`));
    await earn('shop.web3', 1_000_000n);
    const refused = await name('owner', 'update', 'shop.web3', '--split', `${owner}=100%`);
    expect([refused.code, refused.text]).toEqual([
      1,
      expect.stringContaining('What shop.web3 earned (1 credit) belongs'),
    ]);
    expect(refused.text).toContain('add --distribute');
    expect((await name('owner', 'update', 'shop.web3', '--split', `${owner}=99%`)).text).toContain('sum to 99%');
    expect((await name('owner', 'update', 'shop.web3')).text).toContain('There is nothing to change');
    const before = await ledger.balances(walletOf('other').address);
    const done = await name('owner', 'update', 'shop.web3', '--split', `${owner}=100%`, '--distribute');
    expect([done.code, done.text]).toEqual([0, expect.stringContaining(`-> ${owner}=100%`)]);
    expect((await ledger.balances(walletOf('other').address)).credits - before.credits).toBe(250_000n);
  });

  test('distribute: pays, and tells who cannot be paid yet', async () => {
    const stranger = walletKeyFromSeed('name commands', 'stranger');
    const account = ledger.wallet(stranger).address;
    await name('owner', 'update', 'shop.web3', '--split', `${account}=100%`);
    await earn('shop.web3', 500_000n);
    const first = await name('other', 'distribute', 'shop.web3');
    expect(first.text).toContain('Paid out 0 credits');
    expect(first.text).toContain('--create-accounts');
    expect((await name('other', 'show', 'shop.web3')).text).toMatch(/100% +0\.5\n/);
    expect(await value('other', 'distribute', 'shop.web3', '--create-accounts')).toMatchObject({ paid: '500000' });
    expect((await ledger.balances(account)).credits).toBe(500_000n);
  });

  test('recovery, recover: a lost wallet, and one that was not lost', async () => {
    const [owner, guard] = [walletOf('owner').address, walletOf('other').address];
    const none = await name('owner', 'recovery', 'shop.web3');
    expect([none.code, none.text]).toEqual([1, expect.stringContaining('Give --key')]);
    expect((await name('owner', 'recovery', 'shop.web3', '--key', guard, '--after', '23h')).code).toBe(2);
    const set = await name('owner', 'recovery', 'shop.web3', '--key', guard, '--after', '1d');
    expect([set.code, set.text]).toEqual([0, expect.stringContaining(`${guard} may recover shop.web3.`)]);
    const own = await name('owner', 'recover', 'shop.web3', '--to', guard);
    expect([own.code, own.text]).toEqual([1, expect.stringContaining('Sign with the wallet that the name shows')]);
    expect((await name('other', 'recover', 'shop.web3', '--to', guard, '--cancel')).code).toBe(2);
    const begun = await name('other', 'recover', 'shop.web3', '--to', guard);
    expect([begun.code, begun.text]).toEqual([0, expect.stringContaining('The recovery of shop.web3 has begun.')]);
    const shown = await name('owner', 'show', 'shop.web3');
    expect(shown.text).toContain(`!! shop.web3 is being recovered: it becomes ${guard}'s on 2`);
    const cancelled = await value('owner', 'recover', 'shop.web3', '--cancel');
    expect(cancelled['name']).not.toHaveProperty('recovery.pending');
    // Back to whom it is: this test is not the last.
    const again = await value('other', 'recover', 'shop.web3', '--to', owner);
    expect(again).toMatchObject({ name: { recovery: { key: guard, delaySeconds: 86_400, pending: { to: owner } } } });
    const early = await name('other', 'recover', 'shop.web3', '--finish');
    expect([early.code, early.text]).toEqual([
      1,
      expect.stringMatching(/Do it from \d{4}-\d\d-\d\d \d\d:\d\d UTC on\./),
    ]);
    await server.warp(86_400);
    const finished = await name('other', 'recover', 'shop.web3', '--finish');
    expect([finished.code, finished.text]).toEqual([0, expect.stringContaining('shop.web3 is recovered.')]);
    expect(await value('owner', 'show', 'shop.web3')).toMatchObject({ owner, manager: owner, transfers: 0 });
    expect((await name('owner', 'show', 'shop.web3')).text).not.toMatch(/recover/);
    const profile = ['profile', 'recover', 'shop.web3', '--finish', '--ledger', server.url] as const;
    expect((await relaymint(...profile)).code).toBe(2);
  });

  test('transfer: gives it away for good', async () => {
    const other = walletOf('other').address;
    const given = await name('owner', 'transfer', 'shop.web3', other);
    expect(given.text).toContain(`Gave shop.web3 to ${other}.`);
    expect(given.text).toMatch(new RegExp(`owner +\\S+ -> ${other}`));
    expect((await name('owner', 'update', 'shop.web3', '--royalty', '0')).code).toBe(1);
  });

  test('an expired name: grace, then its price with the premium', async () => {
    await name('owner', 'register', 'lapsed.web3');
    await server.warp(Number(YEAR_SECONDS) - 5 * 86_400);
    expect((await name('owner', 'list')).text).toContain('To renew soon: lapsed.web3');
    await server.warp(6 * 86_400);
    expect((await name('owner', 'show', 'lapsed.web3')).text).toMatch(/in grace, released in (28|29) days/);
    await server.warp(Number(GRACE_SECONDS));
    expect((await name('owner', 'show', 'lapsed.web3')).text).toContain('expired, anybody may register it');
    const { registrationPrice } = await value('owner', 'show', 'lapsed.web3');
    expect(BigInt(String(registrationPrice))).toBeGreaterThan(400n * YEAR_PRICE);
    expect((await name('owner', 'renew', 'lapsed.web3')).text).toContain('[NAME_EXPIRED]');
    const shy = await name('other', 'register', 'lapsed.web3', '--max-price', '2');
    expect([shy.code, shy.text]).toEqual([1, expect.stringContaining('more than the 2 allowed')]);
    const taken = await value('other', 'register', 'lapsed.web3');
    expect(taken).toMatchObject({ name: { owner: walletOf('other').address, status: 'held', seq: '1' } });
  });
});
