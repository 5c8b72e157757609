/** What somebody gains by filling a till, by burning credits, and by an outage: the audit's cases, with the right values. */
import { createBurnInstruction } from '@solana/spl-token';
import type { Keypair } from '@solana/web3.js';
import { describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { CHALLENGE_SECONDS, Chain } from './svm.ts';

const SLOTS = 64;
const OPENING = amount(40_000n);
/** Openings, and evictions, that fit one transaction each. */
const BATCH = 8;

describe('a stranger that fills a till', () => {
  const chain = Chain.start(1n);
  const victim = chain.wallet('victim');
  const thief = chain.wallet('thief', 10_000_000n);
  const terms = { minDeposit: amount(1n), opening: OPENING };
  const till = chain.openTill(victim, SLOTS, terms);
  const inBatches = (make: (slot: number) => Parameters<Chain['ok']>[0], signer: Keypair): void => {
    for (let slot = 0; slot < SLOTS; slot += BATCH) {
      chain.ok(Array.from({ length: BATCH }, (_, index) => make(slot + index)).flat(), chain.admin, signer);
    }
  };

  it('locks at least what the slots cost their owner, and stakes the opening payment for each', () => {
    const [held, credits] = [chain.lamportsOf(thief.publicKey), chain.credits(thief.publicKey)];
    inBatches(
      (slot) =>
        chain.opening({
          payer: thief.publicKey,
          till,
          slot,
          delegate: thief.publicKey,
          deposit: amount(1n),
          opening: OPENING,
        }),
      thief,
    );
    const ofSlots = chain.rent(program.tillSize(SLOTS)) - chain.rent(program.tillSize(0));
    expect(held - chain.lamportsOf(thief.publicKey)).toBeGreaterThanOrEqual(ofSlots);
    expect(credits - chain.credits(thief.publicKey)).toBe(BigInt(SLOTS) * (OPENING + 1n));
    expect(chain.bank()).toMatchObject({ openDeposits: BigInt(SLOTS) * (OPENING + 1n), forgone: 0n });
  });

  it('is evicted by the owner, who gets back everything that the till cost', () => {
    const before = chain.lamportsOf(victim.publicKey) + chain.lamportsOf(till);
    const evict = { owner: victim.publicKey, payer: thief.publicKey, generation: 1 };
    inBatches((slot) => [program.closeByPayee(chain.programId, { ...evict, slot })], victim);
    chain.moveToSlot(10n);
    chain.ok([program.closeTill(chain.programId, { owner: victim.publicKey })], chain.admin, victim);
    expect(chain.lamportsOf(victim.publicKey)).toBe(before);
  });

  it('has its deposits and its lamports again, but nothing of the openings', () => {
    chain.ok([program.payClaim(chain.programId, { payer: thief.publicKey })], chain.admin);
    expect(chain.credits(thief.publicKey)).toBe(10_000_000n - BigInt(SLOTS) * OPENING);
    expect(chain.bank()).toMatchObject({ openDeposits: 0n, slotRents: 0n, unminted: 0n });
    const { bought, redeemed, forgone } = chain.bank();
    expect(forgone).toBe(BigInt(SLOTS) * OPENING);
    expect(bought - redeemed).toBe(chain.supply() + forgone);
  });
});

it('a holder that burns credits itself takes nothing from anybody, and all others are paid', () => {
  const chain = Chain.start();
  const holder = chain.wallet('holder', 1_000_000n);
  const other = chain.wallet('other', 1_000_000n);
  const tokens = program.creditAccountAddress(chain.programId, holder.publicKey);
  const mint = program.mintAddress(chain.programId);
  chain.ok([createBurnInstruction(tokens, mint, holder.publicKey, 400_000n)], holder);
  const { bought, redeemed, openDeposits, unminted, forgone } = chain.bank();
  expect(bought - redeemed - chain.supply() - openDeposits - unminted - forgone).toBe(400_000n);
  for (const [who, value] of [
    [holder, 600_000n],
    [other, 1_000_000n],
  ] as const) {
    const held = chain.lamportsOf(who.publicKey);
    chain.ok([program.redeem(chain.programId, { owner: who.publicKey, amount: amount(value) })], chain.admin, who);
    expect(chain.lamportsOf(who.publicKey)).toBe(held + value / 2n);
  }
  expect(chain.supply()).toBe(0n);
});

it('an outage as long as the challenge leaves the payee the time that it had: the next block cannot close', () => {
  const chain = Chain.start();
  const till = chain.openTill(chain.wallet('owner'), 1);
  const payer = chain.wallet('payer', 1_000_000n);
  chain.openChannel(payer, till, 0, 1_000_000n);
  const place = { payer: payer.publicKey, till, slot: 0, generation: 1 };
  chain.ok([program.requestClose(chain.programId, place)], payer);
  chain.pass(CHALLENGE_SECONDS);
  chain.moveToSlot(chain.svm.getClock().slot + 1n);
  const close = program.closeChannel(chain.programId, place);
  expect(chain.refusal([close], payer)).toBe('ChallengePending');
  const receipt = chain.receipt(payer, { till, slot: 0, amount: 1_000_000n });
  chain.ok(chain.settlement([receipt], { till, slots: [0] }));
  expect(chain.till(till).earned).toBe(1_000_000n);
});
