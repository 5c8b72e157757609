import { SystemProgram } from '@solana/web3.js';
import type { Keypair, PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

/** Seventy-four new slots. */
const CEILING = 4_200;
const OPENED = 100n;
const GROWN = 250n;

describe('growTill', () => {
  let chain: Chain;
  let till: PublicKey;
  let owner: Keypair;
  const payer = keypair('payer');
  const grow = (slots: number, who: Keypair = owner): ReturnType<typeof program.growTill> =>
    program.growTill(chain.programId, { owner: who.publicKey, slots });
  const rent = (slots: number): bigint => chain.svm.minimumBalanceForRentExemption(BigInt(program.tillSize(slots)));
  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    chain.moveToSlot(OPENED);
    owner = chain.wallet('till owner');
    till = chain.openTill(owner, 2);
    chain.moveToSlot(GROWN);
  });

  it('adds free slots of a new generation and touches nothing else', () => {
    chain.openChannel(payer, till, 1, 300n);
    chain.ok(
      chain.settlement([chain.receipt(payer, { till, slot: 1, amount: 120n, generation: 100 })], { till, slots: [1] }),
    );
    const before = chain.data(till);
    const { computeUnits } = chain.ok([grow(76)], chain.admin, owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const after = chain.till(till);
    expect(after).toMatchObject({ owner: owner.publicKey, earned: 120n, lifetimeEarned: 120n });
    expect(after.slots).toHaveLength(76);
    // All but the count of slots in the header. The terms stay, and what openers put down is that of today.
    expect(chain.data(till).subarray(16, before.length)).toEqual(before.subarray(16));
    const zeros = new Uint8Array(32);
    for (const slot of after.slots.slice(2)) {
      expect(slot).toMatchObject({ open: false, deposit: 0n, settled: 0n, up: 0n, down: 0n, closeAt: undefined });
      expect(slot.generation).toBe(Number(GROWN));
      expect([slot.payer.toBytes(), slot.delegate.toBytes()]).toEqual([zeros, zeros]);
    }
  });

  it('takes the rent of what is new from the owner', () => {
    const before = chain.lamportsOf(owner.publicKey);
    chain.ok([grow(40)], chain.admin, owner);
    expect(chain.lamportsOf(till)).toBe(rent(40));
    expect(before - chain.lamportsOf(owner.publicKey)).toBe(rent(40) - rent(2));
  });

  it('takes less when somebody sent lamports to the till before', () => {
    const gift = rent(10) - rent(2) + 7n;
    const toPubkey = till;
    chain.ok([SystemProgram.transfer({ fromPubkey: chain.admin.publicKey, toPubkey, lamports: gift })], chain.admin);
    const before = chain.lamportsOf(owner.publicKey);
    chain.ok([grow(10)], chain.admin, owner);
    expect(chain.lamportsOf(owner.publicKey)).toBe(before);
    expect(chain.lamportsOf(till)).toBe(rent(10) + 7n);
  });

  it('makes slots that channels are opened and settled in', () => {
    chain.ok([grow(50)], owner);
    chain.openChannel(payer, till, 49, 300n);
    const receipt = chain.receipt(payer, { till, slot: 49, amount: 100n, generation: Number(GROWN) });
    chain.ok(chain.settlement([receipt], { till, slots: [49] }));
    expect(chain.till(till).earned).toBe(100n);
  });

  it('reaches 1,024 slots in one transaction of several instructions, and no more', () => {
    const steps = Array.from({ length: 14 }, (_, index) => grow(Math.min(2 + 74 * (index + 1), 1_024)));
    chain.ok(steps, chain.admin, owner);
    expect(chain.till(till).slots).toHaveLength(1_024);
    chain.openChannel(payer, till, 1_023, 10n);
    expect(chain.refusal([grow(1_025)], owner)).toBe('InvalidSlotCount');
  });

  it('refuses to be sent twice, to shrink, and to add more than seventy-four', () => {
    chain.ok([grow(20)], owner);
    for (const slots of [20, 19, 0, 95, 65_535]) expect(chain.refusal([grow(slots)], owner)).toBe('InvalidSlotCount');
    expect(chain.till(till).slots).toHaveLength(20);
  });

  it("refuses anybody but the till's owner", () => {
    const stranger = chain.wallet('stranger');
    const foreign = withAccounts(grow(5, stranger), { 1: { pubkey: till } });
    expect(chain.refusal([foreign], stranger)).toBe('NotTillOwner');
  });

  it('refuses an owner without the rent', () => {
    const poor = keypair('poor');
    chain.fund(poor.publicKey, rent(1) + rent(0));
    const own = chain.openTill(poor, 1);
    expect(chain.refusal([grow(74, poor)], chain.admin, poor)).toMatch(/^INSUFFICIENT_FUNDS/);
    expect(chain.till(own).slots).toHaveLength(1);
  });

  it('refuses when the slot no longer fits a generation', () => {
    chain.moveToSlot(1n << 32n);
    expect(chain.refusal([grow(3)], owner)).toBe('Overflow');
  });

  checkAccounts(() => ({ chain, instruction: grow(5), signers: [owner] }), {
    signers: [0],
    writable: [0],
    till: 1,
    systemProgram: 2,
  });
});
