/** A till's terms, slot rents, closing by the payee and claims, by the ledger contract on the real program. */
import { createCloseAccountInstruction } from '@solana/spl-token';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { delegateFromSeed } from '../../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, programFile } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet, WalletKey } from '../../../ledger/solana/index.ts';
import { creditAccountAddress } from '../../../ledger/solana/program/index.ts';
import { amount, lamports } from '../../../core/units.ts';

const SOL = 1_000_000_000n;
const FEE = 5_000n;
const TERMS = { minDeposit: amount(100n), opening: amount(40n) };
const signer = delegateFromSeed(new Uint8Array(32).fill(1)).address;

let server: EmbeddedLedger;
let ledger: SolanaLedger;

beforeAll(async () => {
  server = await startEmbeddedLedger({
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 1n, challengeSeconds: 600n },
    seed: 'terms',
  });
  ledger = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
});

afterAll(async () => {
  ledger.close();
  await server.close();
});

async function wallet(credits = 0n, key: WalletKey = generateWalletKey()): Promise<SolanaWallet> {
  const opened = ledger.wallet(key);
  await opened.airdrop(lamports(10n * SOL));
  if (credits > 0n) await opened.buy(lamports(credits));
  return opened;
}

async function payeeWith(slots: number, terms = TERMS): Promise<SolanaWallet> {
  const payee = await wallet();
  await payee.openTill(slots, terms);
  return payee;
}

test('a till shows its terms, and its owner changes them', async () => {
  const payee = await payeeWith(1);
  expect(await ledger.till(payee.address)).toMatchObject(TERMS);
  await payee.setTillTerms({ minDeposit: amount(7n), opening: amount(8n) });
  expect(await ledger.till(payee.address)).toMatchObject({ minDeposit: 7n, opening: 8n });
  const nobody = await wallet();
  await expect(nobody.setTillTerms(TERMS)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
});

test('an opener burns exactly what the till asks unless it says more, and puts down the slot rent until the close', async () => {
  const payee = await payeeWith(2);
  const payer = await wallet(10_000n);
  const { slotRent } = (await ledger.till(payee.address)) ?? { slotRent: 0n };
  const before = await ledger.balances(payer.address);
  const channel = await payer.openChannel(payee.address, signer, amount(1_000n));
  expect(channel).toMatchObject({ deposit: 1_000n, opening: 40n });
  const during = await ledger.balances(payer.address);
  expect(before.credits - during.credits).toBe(1_040n);
  expect(before.lamports - during.lamports).toBe(slotRent + FEE);

  await payer.topUp(channel, amount(0n), amount(5n));
  await payer.topUp(channel, amount(10n));
  expect(await ledger.channel(channel.till, channel.slot)).toMatchObject({ deposit: 1_010n, opening: 45n });
  // Where both sign, all of it comes back.
  const { forgone } = await ledger.bank();
  await payer.closeChannel(channel, payee);
  const after = await ledger.balances(payer.address);
  expect(after.credits).toBe(before.credits);
  expect((await ledger.bank()).forgone).toBe(forgone);
  // Two fees for the top-ups, two signatures for the close.
  expect(before.lamports - after.lamports).toBe(5n * FEE);
});

test('an opener is told before anything is sent: below the terms, or above what it would pay', async () => {
  const payee = await payeeWith(1);
  const payer = await wallet(10_000n);
  const before = await ledger.balances(payer.address);
  const open = (funds: Parameters<SolanaWallet['openChannel']>[2]): Promise<unknown> =>
    payer.openChannel(payee.address, signer, funds);
  await expect(open(amount(99n))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(open({ deposit: amount(100n), opening: amount(39n) })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await expect(open({ deposit: amount(100n), maxOpening: amount(39n) })).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
    details: { asked: '40', most: '39' },
  });
  await expect(open({ deposit: amount(9_961n) })).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  expect(await ledger.balances(payer.address)).toEqual(before);
  await open({ deposit: amount(100n), maxOpening: amount(40n) });
});

test('a payee that closes a channel pays only its fee; the payer has the rest at once', async () => {
  const payee = await payeeWith(1);
  const payer = await wallet(10_000n);
  const before = await ledger.balances(payer.address);
  const channel = await payer.openChannel(payee.address, signer, amount(1_000n));
  const held = (await ledger.balances(payee.address)).lamports;
  const { feeLamports } = await payee.closeByPayee(channel);
  expect(held - (await ledger.balances(payee.address)).lamports).toBe(feeLamports);
  expect(await ledger.channel(channel.till, channel.slot)).toBeUndefined();
  expect(await ledger.claim(payer.address)).toBeUndefined();
  expect(await ledger.balances(payer.address)).toEqual({
    credits: before.credits - 40n,
    lamports: before.lamports - FEE,
  });
});

test('what a payer without a credit account gets waits for it, for as long as it likes, and anybody may pay it out', async () => {
  const payee = await payeeWith(1);
  const key = generateWalletKey();
  const payer = await wallet(1_040n, key);
  const channel = await payer.openChannel(payee.address, signer, amount(1_000n));
  const tokens = creditAccountAddress(ledger.program, key.publicKey);
  await ledger.submitter.run([createCloseAccountInstruction(tokens, key.publicKey, key.publicKey)], [key]);
  await payee.closeByPayee(channel);
  const { slotRent } = (await ledger.till(payee.address)) ?? { slotRent: 0n };
  expect(await ledger.claim(payer.address)).toEqual({ payer: payer.address, amount: 1_000n, lamports: slotRent });
  // A slot that was freed rests for a moment.
  await server.warp(10);
  await payee.closeTill();
  const stranger = await wallet();
  await stranger.payClaim(payer.address);
  expect((await ledger.balances(payer.address)).credits).toBe(1_000n);
  expect(await ledger.claim(payer.address)).toBeUndefined();
  await expect(payer.payClaim()).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
});
