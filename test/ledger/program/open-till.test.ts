import { SystemProgram } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { U64_MAX, amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

/** Seventy-four slots. Much of it is the search for the address: 1,500 a try, and how many depends on the owner. */
const CEILING = 11_500;

describe('openTill', () => {
  let chain: Chain;
  const owner = keypair('till owner');
  const open = (slots: number, who = owner): ReturnType<typeof program.openTill> =>
    program.openTill(chain.programId, { owner: who.publicKey, slots });
  beforeAll(() => {
    chain = Chain.start();
    chain.fund(owner.publicKey);
  });

  it.each([1, 74])('creates a till with %d free slots of generation 1', (slots) => {
    const seller = keypair(`seller of ${slots}`);
    chain.fund(seller.publicKey);
    const { computeUnits } = chain.ok([open(slots, seller)], seller);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const key = program.tillAddress(chain.programId, seller.publicKey);
    const till = chain.till(key);
    expect(till).toMatchObject({ owner: seller.publicKey, earned: 0n, lifetimeEarned: 0n });
    expect(till.slots).toHaveLength(slots);
    for (const slot of till.slots) {
      expect(slot).toMatchObject({ open: false, generation: 1, deposit: 0n, settled: 0n, closeAt: undefined });
    }
    const size = BigInt(program.tillSize(slots));
    expect(chain.lamportsOf(key)).toBe(chain.svm.minimumBalanceForRentExemption(size));
  });

  it('takes its terms, and says what openers put down: the rent of a claim', () => {
    const seller = chain.wallet('seller with terms');
    const terms = { minDeposit: amount(7n), opening: amount(U64_MAX) };
    const key = chain.openTill(seller, 1, terms);
    expect(chain.till(key)).toMatchObject({ ...terms, address: key, slotRent: chain.rent(program.SIZES.claim) });
    const other = chain.openTill(chain.wallet('seller without terms'), 1);
    expect(chain.till(other)).toMatchObject({ minDeposit: 0n, opening: 0n });
  });

  it("begins with the generation of the cluster's slot", () => {
    const seller = keypair('late seller');
    chain.fund(seller.publicKey);
    chain.moveToSlot(447_552_000n);
    const till = chain.openTill(seller, 3);
    chain.moveToSlot(1n);
    expect(chain.till(till).slots.map(({ generation }) => generation)).toEqual([447_552_000, 447_552_000, 447_552_000]);
  });

  it('begins with generation 1 at the very start of a cluster', () => {
    const seller = keypair('first seller');
    chain.fund(seller.publicKey);
    chain.moveToSlot(0n);
    const till = chain.openTill(seller, 1);
    chain.moveToSlot(1n);
    expect(chain.slot(till, 0).generation).toBe(1);
  });

  it('refuses when the slot no longer fits a generation', () => {
    chain.moveToSlot(1n << 32n);
    expect(chain.refusal([open(1)], owner)).toBe('Overflow');
    chain.moveToSlot(1n);
  });

  it('works although somebody sent lamports to the address before', () => {
    const seller = keypair('prefunded seller');
    chain.fund(seller.publicKey);
    const key = program.tillAddress(chain.programId, seller.publicKey);
    const lamports = 900_000;
    const gift = SystemProgram.transfer({ fromPubkey: chain.admin.publicKey, toPubkey: key, lamports });
    chain.ok([gift], chain.admin);
    chain.ok([open(2, seller)], seller);
    expect(chain.till(key).slots).toHaveLength(2);
  });

  it('refuses a second till of the same owner', () => {
    const seller = keypair('eager seller');
    chain.fund(seller.publicKey);
    chain.ok([open(1, seller)], seller);
    expect(chain.refusal([open(1, seller)], seller)).toBe('AlreadyExists');
  });

  it.each([0, 75, 65_535])('refuses %d slots', (slots) => {
    expect(chain.refusal([open(slots)], owner)).toBe('InvalidSlotCount');
  });

  it("refuses another owner's address", () => {
    const pubkey = program.tillAddress(chain.programId, keypair('neighbour').publicKey);
    expect(chain.refusal([withAccounts(open(1), { 1: { pubkey } })], owner)).toBe('WrongAddress');
  });

  it('refuses an owner without the rent', () => {
    const poor = keypair('poor');
    expect(chain.refusal([open(1, poor)], chain.admin, poor)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  checkAccounts(() => ({ chain, instruction: open(1), signers: [owner] }), {
    signers: [0],
    writable: [0, 1],
    systemProgram: 2,
  });
});
