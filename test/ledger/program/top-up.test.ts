import type { PublicKey } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { U64_MAX, amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair } from './svm.ts';

const CEILING = 2_600;

describe('topUp', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const funder = keypair('funder');
  const topUp = (change: Partial<program.TopUpArguments> = {}): ReturnType<typeof program.topUp> =>
    program.topUp(chain.programId, {
      funder: funder.publicKey,
      till,
      slot: 0,
      generation: 1,
      amount: amount(40n),
      ...change,
    });
  beforeAll(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    chain.wallet('funder', 1_000n);
    till = chain.openTill(chain.wallet('payee'), 2);
    chain.openChannel(payer, till, 0, 100n);
  });

  it("burns anybody's credits into the channel and changes nothing else in it", () => {
    const before = chain.slot(till, 0);
    const { computeUnits } = chain.ok([topUp()], chain.admin, funder);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.slot(till, 0)).toEqual({ ...before, deposit: 140n });
    expect(chain.credits(funder.publicKey)).toBe(960n);
    expect(chain.bank()).toMatchObject({ burned: 140n, openDeposits: 140n });
  });

  it('adds to the opening payment, which the channel holds', () => {
    const [before, bank, credits] = [chain.slot(till, 0), chain.bank(), chain.credits(funder.publicKey)];
    chain.ok([topUp({ amount: amount(0n), opening: amount(15n) })], funder);
    chain.ok([topUp({ amount: amount(2n), opening: amount(3n) })], funder);
    expect(chain.slot(till, 0)).toEqual({ ...before, deposit: before.deposit + 2n, opening: before.opening + 18n });
    expect(chain.bank()).toMatchObject({
      burned: bank.burned + 20n,
      openDeposits: bank.openDeposits + 20n,
      forgone: bank.forgone,
    });
    expect(chain.credits(funder.publicKey)).toBe(credits - 20n);
  });

  it('is allowed while the channel is closing, and does not stop that', () => {
    const close = { payer: payer.publicKey, till, slot: 0, generation: 1 };
    chain.ok([program.requestClose(chain.programId, close)], payer);
    const { closeAt } = chain.slot(till, 0);
    chain.ok([topUp({ amount: amount(1n) })], funder);
    expect(closeAt).toBeDefined();
    expect(chain.slot(till, 0).closeAt).toBe(closeAt);
  });

  it('refuses 0 of both', () => {
    expect(chain.refusal([topUp({ amount: amount(0n) })], funder)).toBe('ZeroAmount');
  });

  it('refuses a free slot', () => {
    expect(chain.refusal([topUp({ slot: 1 })], funder)).toBe('SlotNotOpen');
  });

  it('refuses a slot that does not exist', () => {
    expect(chain.refusal([topUp({ slot: 2 })], funder)).toBe('SlotOutOfRange');
  });

  it.each([0, 2])('refuses generation %d', (generation) => {
    expect(chain.refusal([topUp({ generation })], funder)).toBe('WrongGeneration');
  });

  it('refuses more than the funder has', () => {
    expect(chain.refusal([topUp({ amount: amount(5_000n) })], funder)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  it('refuses a deposit beyond 64 bits', () => {
    expect(chain.refusal([topUp({ amount: amount((1n << 64n) - 1n) })], funder)).toBe('Overflow');
  });

  it('refuses an opening payment beyond 64 bits, alone and with the deposit', () => {
    chain.ok([topUp({ amount: amount(0n), opening: amount(1n) })], funder);
    expect(chain.refusal([topUp({ amount: amount(0n), opening: amount(U64_MAX) })], funder)).toBe('Overflow');
    expect(chain.refusal([topUp({ amount: amount(1n), opening: amount(U64_MAX) })], funder)).toBe('Overflow');
  });

  checkAccounts(() => ({ chain, instruction: topUp({ amount: amount(1n) }), signers: [funder] }), {
    signers: [0],
    till: 1,
    bank: 2,
    mint: 3,
    tokenAccount: 4,
    tokenProgram: 5,
  });
});
