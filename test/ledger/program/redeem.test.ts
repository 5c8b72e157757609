import { beforeAll, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair } from './svm.ts';

const CEILING = 2_500;

describe('redeem', () => {
  let chain: Chain;
  const owner = keypair('owner');
  const redeem = (value: bigint): ReturnType<typeof program.redeem> =>
    program.redeem(chain.programId, { owner: owner.publicKey, amount: amount(value) });
  beforeAll(() => {
    chain = Chain.start();
    chain.wallet('owner', 1_000n);
  });

  it('burns credits and pays their lamports out of the reserve', () => {
    const held = chain.lamportsOf(owner.publicKey);
    const { computeUnits } = chain.ok([redeem(400n)], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.credits(owner.publicKey)).toBe(600n);
    expect(chain.lamportsOf(owner.publicKey)).toBe(held + 200n);
    expect(chain.bank()).toMatchObject({ bought: 1_000n, redeemed: 400n, reserve: 300n, burned: 0n });
    expect(chain.supply()).toBe(600n);
  });

  it('refuses 0', () => {
    expect(chain.refusal([redeem(0n)], owner)).toBe('ZeroAmount');
  });

  it('refuses a part of a lamport', () => {
    expect(chain.refusal([redeem(3n)], owner)).toBe('NotWholeLamports');
  });

  it('refuses more than the owner has', () => {
    expect(chain.refusal([redeem(602n)], owner)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  it('never pays out the rent that keeps the bank', () => {
    const fresh = Chain.start();
    fresh.wallet('owner', 1_000n);
    fresh.ok([program.redeem(fresh.programId, { owner: owner.publicKey, amount: amount(1_000n) })], owner);
    expect(fresh.lamportsOf(program.bankAddress(fresh.programId))).toBe(fresh.bank().rent);
    expect(fresh.bank().reserve).toBe(0n);
  });

  it.each([2n, 10n])('is not stopped by a rent of the cluster that rose %d times', (times) => {
    const dearer = Chain.start();
    dearer.wallet('owner', 1_000n);
    dearer.raiseRent(times);
    const all = program.redeem(dearer.programId, { owner: owner.publicKey, amount: amount(1_000n) });
    const held = dearer.lamportsOf(owner.publicKey);
    dearer.ok([all], dearer.admin, owner);
    expect(dearer.lamportsOf(owner.publicKey)).toBe(held + 500n);
  });

  it('never pays out what openers put down for their slots', () => {
    const shared = Chain.start();
    const payer = shared.wallet('payer', 1_000n);
    shared.wallet('owner', 1_000n);
    shared.openChannel(payer, shared.openTill(shared.wallet('payee')), 0, 1_000n);
    const key = program.bankAddress(shared.programId);
    const { slotRents } = shared.bank();
    expect(slotRents).toBe(shared.rent(program.SIZES.claim));
    // The reserve's lamports are gone, past all rules; those of the slot are there.
    shared.put(key, shared.programId, shared.data(key), shared.lamportsOf(key) - 1n);
    const all = program.redeem(shared.programId, { owner: owner.publicKey, amount: amount(1_000n) });
    expect(shared.refusal([all], owner)).toBe('ReserveTooLow');
  });

  describe('when the books are wrong', () => {
    /** The bank with another figure at `offset`, past all rules. */
    const falsified = (offset: number, value: bigint, lamports?: bigint): string => {
      const key = program.bankAddress(chain.programId);
      const [data, held] = [chain.data(key), chain.lamportsOf(key)];
      const wrong = Buffer.from(data);
      wrong.writeBigUInt64LE(value, offset);
      chain.put(key, chain.programId, wrong, lamports ?? held);
      const reason = chain.refusal([redeem(100n)], owner);
      chain.put(key, chain.programId, data, held);
      return reason;
    };
    const offsetOf = (name: string): number => program.BANK_FIELDS.find((field) => field.name === name)?.offset ?? -1;

    it('refuses more than the reserve holds', () => {
      expect(falsified(offsetOf('reserve'), 49n)).toBe('ReserveTooLow');
    });

    it('refuses what would leave other credits without backing', () => {
      expect(falsified(offsetOf('bought'), 1_001n)).toBe('ReserveTooLow');
    });

    it('refuses what would take the rent', () => {
      const { rent } = chain.bank();
      expect(falsified(offsetOf('reserve'), 300n, rent + 299n)).toBe('ReserveTooLow');
    });
  });

  checkAccounts(() => ({ chain, instruction: redeem(2n), signers: [owner] }), {
    signers: [0],
    writable: [0],
    bank: 1,
    mint: 2,
    tokenAccount: 3,
    tokenProgram: 4,
  });
});
