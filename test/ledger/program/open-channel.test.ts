import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { U64_MAX, amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import type { Attempt } from './checks.ts';
import { Chain, keypair } from './svm.ts';

const CEILING = 2_700;

describe('openChannel', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const delegate = keypair('delegate').publicKey;
  const args = (change: Partial<program.OpenChannelArguments> = {}): program.OpenChannelArguments => ({
    payer: payer.publicKey,
    till,
    slot: 3,
    delegate,
    deposit: amount(250n),
    ...change,
  });
  const open = (change: Partial<program.OpenChannelArguments> = {}): TransactionInstruction[] =>
    chain.opening(args(change));
  beforeAll(() => {
    chain = Chain.start();
    chain.wallet('payer', 10_000n);
    till = chain.openTill(chain.wallet('payee'), 4);
  });

  it('burns the deposit into the slot', () => {
    const { computeUnits } = chain.ok(open({ slot: 0 }), chain.admin, payer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.slot(till, 0)).toMatchObject({
      open: true,
      payer: payer.publicKey,
      delegate,
      deposit: 250n,
      settled: 0n,
      up: 0n,
      down: 0n,
      generation: 1,
      closeAt: undefined,
      closeSlot: 0n,
      opening: 0n,
      rent: chain.rent(program.SIZES.claim),
    });
    expect(chain.credits(payer.publicKey)).toBe(9_750n);
    expect(chain.supply()).toBe(9_750n);
    expect(chain.bank()).toMatchObject({ burned: 250n, openDeposits: 250n, unminted: 0n, minted: 0n });
  });

  it('refuses a slot in use', () => {
    chain.ok(open({ slot: 1 }), payer);
    expect(chain.refusal(open({ slot: 1 }), payer)).toBe('SlotInUse');
  });

  it.each([4, 65_535])('refuses slot %d of a till of four', (slot) => {
    expect(chain.refusal(open({ slot }), payer)).toBe('SlotOutOfRange');
  });

  it('refuses a deposit of 0', () => {
    expect(chain.refusal(open({ deposit: amount(0n) }), payer)).toBe('ZeroAmount');
  });

  it('refuses a delegate key of zeros', () => {
    expect(chain.refusal(open({ delegate: PublicKey.default }), payer)).toBe('InvalidDelegate');
  });

  it('refuses more than the payer has, and keeps the slot free', () => {
    expect(chain.refusal(open({ deposit: amount(10_001n) }), payer)).toMatch(/^INSUFFICIENT_FUNDS/);
    expect(chain.refusal(open({ deposit: amount(9_000n), opening: amount(1_001n) }), payer)).toMatch(
      /^INSUFFICIENT_FUNDS/,
    );
    expect(chain.slot(till, 3).open).toBe(false);
  });

  it('refuses a deposit and an opening payment that together exceed 64 bits', () => {
    expect(chain.refusal(open({ deposit: amount(1n), opening: amount(U64_MAX) }), payer)).toBe('Overflow');
  });

  describe('the terms of the till', () => {
    let strict: PublicKey;
    beforeAll(() => {
      const terms = { minDeposit: amount(100n), opening: amount(40n) };
      strict = chain.openTill(chain.wallet('strict payee'), 2, terms);
    });

    it('are met by exactly the least of both; the channel holds both', () => {
      const before = chain.bank();
      const credits = chain.credits(payer.publicKey);
      chain.ok(open({ till: strict, slot: 0, deposit: amount(100n), opening: amount(40n) }), payer);
      expect(chain.slot(strict, 0)).toMatchObject({ deposit: 100n, opening: 40n, settled: 0n });
      expect(chain.credits(payer.publicKey)).toBe(credits - 140n);
      expect(chain.bank()).toMatchObject({
        burned: before.burned + 140n,
        openDeposits: before.openDeposits + 140n,
        forgone: before.forgone,
      });
    });

    it('refuse a deposit that is one unit too small, whatever is paid for the opening', () => {
      const small = open({ till: strict, slot: 1, deposit: amount(99n), opening: amount(500n) });
      expect(chain.refusal(small, payer)).toBe('DepositBelowTerms');
    });

    it('refuse an opening payment that is one unit too small, whatever is deposited', () => {
      const small = open({ till: strict, slot: 1, deposit: amount(500n), opening: amount(39n) });
      expect(chain.refusal(small, payer)).toBe('OpeningBelowTerms');
    });
  });

  describe('the rent of the slot', () => {
    const bank = (): PublicKey => program.bankAddress(chain.programId);
    const transfer = (value: bigint): TransactionInstruction =>
      SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: bank(), lamports: value });
    let rent: bigint;
    beforeEach(() => {
      chain = Chain.start();
      chain.wallet('payer', 10_000n);
      till = chain.openTill(chain.wallet('payee'), 4);
      rent = chain.rent(program.SIZES.claim);
    });

    it('is put down by the opener and held by the bank', () => {
      const [held, before] = [chain.lamportsOf(payer.publicKey), chain.lamportsOf(bank())];
      chain.ok(open(), chain.admin, payer);
      expect(held - chain.lamportsOf(payer.publicKey)).toBe(rent);
      expect(chain.lamportsOf(bank()) - before).toBe(rent);
      expect(chain.bank().slotRents).toBe(rent);
    });

    it.each([0n, 1n])('refuses an opener that pays nothing, or one lamport too little: %d', (short) => {
      const less = short === 0n ? [] : [transfer(rent - 1n)];
      expect(chain.refusal([...less, program.openChannel(chain.programId, args())], payer)).toBe('SlotRentMissing');
      expect(chain.slot(till, 3).open).toBe(false);
    });

    it("does not take the reserve, the bank's own rent or another opener's rent for it", () => {
      chain.ok(open({ slot: 0 }), payer);
      expect(chain.bank().reserve).toBeGreaterThan(0n);
      expect(chain.refusal([program.openChannel(chain.programId, args())], payer)).toBe('SlotRentMissing');
      // One payment for two slots is one slot's.
      const two = [...open({ slot: 1 }), program.openChannel(chain.programId, args({ slot: 2 }))];
      expect(chain.refusal(two, payer)).toBe('SlotRentMissing');
    });

    it('is what the till says, whatever the cluster asks by now', () => {
      chain.raiseRent(3n);
      expect(chain.rent(program.SIZES.claim)).toBe(3n * rent);
      // A gift makes the bank whole again: the runtime asks that of who sends it lamports, and the till is not sent any.
      chain.ok([transfer(chain.rent(program.SIZES.bank))], payer);
      chain.ok([transfer(rent), program.openChannel(chain.programId, args())], payer);
      expect(chain.slot(till, 3).rent).toBe(rent);
    });
  });

  const attempt = (): Attempt => {
    // Before, and not in the same transaction: what one instruction may write is writable for all of them.
    chain.ok([chain.slotRent(payer.publicKey)], payer);
    return { chain, instruction: program.openChannel(chain.programId, args()), signers: [payer] };
  };
  checkAccounts(attempt, {
    signers: [0],
    till: 1,
    bank: 2,
    mint: 3,
    tokenAccount: 4,
    tokenProgram: 5,
  });
});
