/** What was staked for a window comes back when the payee says so, and to nobody otherwise. */
import type { PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair } from './svm.ts';

const CEILING = 1_000;

describe('returnOpening', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const payee = keypair('payee');
  const place = { payer: payer.publicKey, slot: 0, generation: 1 };
  const back = (units: bigint, change: Partial<program.ReturnOpeningArguments> = {}) =>
    program.returnOpening(chain.programId, {
      owner: payee.publicKey,
      slot: 0,
      generation: 1,
      amount: amount(units),
      ...change,
    });
  const closeAlone = (): void => {
    chain.ok([program.requestClose(chain.programId, { ...place, till })], payer);
    chain.passChallenge();
    chain.ok([program.closeChannel(chain.programId, { ...place, till })], payer);
  };
  const settle = (total: bigint): void => {
    const receipt = chain.receipt(payer, { till, slot: 0, amount: total, generation: 1 });
    chain.ok(chain.settlement([receipt], { till, slots: [0] }));
  };

  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    chain.wallet('payee');
    till = chain.openTill(payee, 2);
    const funds = { deposit: amount(300n), opening: amount(80n) };
    chain.ok(chain.opening({ ...place, till, delegate: payer.publicKey, ...funds }), payer);
  });

  it('gives all of it back to a payer that paid for everything', () => {
    settle(120n);
    const { computeUnits } = chain.ok([back(80n)], payee);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.slot(till, 0)).toMatchObject({ deposit: 380n, opening: 0n, settled: 120n });
    expect(chain.bank()).toMatchObject({ burned: 380n, minted: 0n, openDeposits: 260n, forgone: 0n });
    closeAlone();
    expect(chain.credits(payer.publicKey)).toBe(880n);
    expect(chain.bank()).toMatchObject({ openDeposits: 0n, unminted: 120n, forgone: 0n });
  });

  it('keeps back what was left unpaid: the payee gets nothing of it either', () => {
    chain.ok([back(50n)], payee);
    closeAlone();
    expect(chain.credits(payer.publicKey)).toBe(970n);
    expect(chain.bank()).toMatchObject({ openDeposits: 0n, unminted: 0n, forgone: 30n });
  });

  it('leaves all of it to nobody if it is not sent: for a payer that closes alone, and one that its payee evicts', () => {
    closeAlone();
    expect(chain.credits(payer.publicKey)).toBe(920n);
    expect(chain.bank()).toMatchObject({ openDeposits: 0n, unminted: 0n, forgone: 80n });
    const funds = { deposit: amount(300n), opening: amount(80n) };
    chain.ok(chain.opening({ ...place, till, slot: 1, delegate: payer.publicKey, ...funds }), payer);
    const evict = { owner: payee.publicKey, payer: payer.publicKey, slot: 1, generation: 1 };
    chain.ok([program.closeByPayee(chain.programId, evict)], payee);
    chain.ok([program.payClaim(chain.programId, { payer: payer.publicKey })], chain.admin);
    expect(chain.credits(payer.publicKey)).toBe(840n);
    expect(chain.bank()).toMatchObject({ openDeposits: 0n, unminted: 0n, forgone: 160n });
  });

  it('comes back without it too where both sign the close', () => {
    const close = program.closeChannel(chain.programId, { ...place, till, tillOwner: payee.publicKey });
    chain.ok([close], chain.admin, payer, payee);
    expect(chain.credits(payer.publicKey)).toBe(1_000n);
    expect(chain.bank()).toMatchObject({ openDeposits: 0n, forgone: 0n });
  });

  describe('costs the payer the fee of a signature', () => {
    const OPENING = 20_000n;
    const RENT = program.RETURN_FEE;
    const owe = (opening: bigint): void => {
      chain.wallet('payer', 50_000n);
      const funds = { deposit: amount(300n), opening: amount(opening) };
      chain.ok(chain.opening({ ...place, till, slot: 1, delegate: payer.publicKey, ...funds }), payer);
    };
    const request = (): void => {
      chain.ok([program.requestClose(chain.programId, { ...place, till, slot: 1 })], chain.admin, payer);
    };
    /** What the payee got in lamports, and the payer at the close. */
    const gains = (units: bigint): { readonly payee: bigint; readonly payer: bigint } => {
      const before = [payee, payer].map(({ publicKey }) => chain.lamportsOf(publicKey));
      chain.ok([back(units, { slot: 1 })], chain.admin, payee);
      const both = { ...place, till, slot: 1, tillOwner: payee.publicKey };
      chain.ok([program.closeChannel(chain.programId, both)], chain.admin, payer, payee);
      const [payees = 0n, payers = 0n] = before;
      return { payee: chain.lamportsOf(payee.publicKey) - payees, payer: chain.lamportsOf(payer.publicKey) - payers };
    };

    it('once it asked to close and gets everything back', () => {
      const rent = chain.rent(program.SIZES.claim);
      owe(OPENING);
      request();
      expect(gains(OPENING)).toEqual({ payee: RENT, payer: rent - RENT });
      expect(chain.bank().slotRents).toBe(rent);
    });

    it.each([
      ['it did not ask to close', OPENING, OPENING, false],
      ['a part is kept back', OPENING, OPENING - 1n, true],
      ['it is worth less than twice the fee', OPENING - 1n, OPENING - 1n, true],
    ])('and nothing where %s', (_title, opening, returned, asked) => {
      owe(opening);
      if (asked) request();
      expect(gains(returned)).toEqual({ payee: 0n, payer: chain.rent(program.SIZES.claim) });
    });

    it('and no payee gains by paying into openings itself', () => {
      owe(OPENING);
      request();
      const credits = chain.credits(payer.publicKey);
      chain.ok([back(OPENING, { slot: 1 })], chain.admin, payee);
      chain.wallet('payee', OPENING);
      const more = {
        funder: payee.publicKey,
        till,
        slot: 1,
        generation: 1,
        amount: amount(0n),
        opening: amount(OPENING),
      };
      chain.ok([program.topUp(chain.programId, more)], chain.admin, payee);
      const before = chain.lamportsOf(payee.publicKey);
      chain.ok([back(OPENING, { slot: 1 })], chain.admin, payee);
      expect(chain.lamportsOf(payee.publicKey) - before).toBe(RENT);
      const both = { ...place, till, slot: 1, tillOwner: payee.publicKey };
      chain.ok([program.closeChannel(chain.programId, both)], chain.admin, payer, payee);
      // Each time it takes the fee it gives credits worth twice as much.
      expect(chain.credits(payer.publicKey) - credits).toBe(300n + 2n * OPENING);
    });
  });

  it('is never more than what is held, and not for an earlier channel of the slot', () => {
    expect(chain.refusal([back(81n)], payee)).toBe('OpeningExceeded');
    expect(chain.refusal([back(0n)], payee)).toBe('ZeroAmount');
    expect(chain.refusal([back(80n, { generation: 2 })], payee)).toBe('WrongGeneration');
    expect(chain.refusal([back(80n, { slot: 1 })], payee)).toBe('SlotNotOpen');
    expect(chain.refusal([back(80n, { slot: 2 })], payee)).toBe('SlotOutOfRange');
    chain.ok([back(50n)], payee);
    expect(chain.refusal([back(31n)], payee)).toBe('OpeningExceeded');
  });

  it('can only be sent by the payee: neither by the payer nor by the owner of another till', () => {
    const other = chain.wallet('other');
    chain.openTill(other, 1);
    for (const owner of [payer, other]) {
      const asked = back(80n, { owner: owner.publicKey });
      asked.keys[1] = { pubkey: till, isSigner: false, isWritable: true };
      expect(chain.refusal([asked], chain.admin, owner)).toBe('NotTillOwner');
    }
    expect(chain.slot(till, 0)).toMatchObject({ deposit: 300n, opening: 80n });
  });

  it('never lets a receipt take more than deposit and what was returned', () => {
    chain.ok([back(50n)], payee);
    const receipt = chain.receipt(payer, { till, slot: 0, amount: 351n, generation: 1 });
    expect(chain.refusal(chain.settlement([receipt], { till, slots: [0] }))).toBe('DepositExceeded');
  });

  describe('checks its accounts:', () => {
    checkAccounts(() => ({ chain, instruction: back(80n), signers: [payee] }), {
      signers: [0],
      writable: [0],
      till: 1,
      bank: 2,
    });
  });
});
