import type { PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts, tokenAccount } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

const CEILING = 2_800;

describe('payClaim', () => {
  let chain: Chain;
  let till: PublicKey;
  let claim: PublicKey;
  const payer = keypair('payer');
  const owner = keypair('payee');
  const pay = (change: Partial<program.PayClaimArguments> = {}): ReturnType<typeof program.payClaim> =>
    program.payClaim(chain.programId, { payer: payer.publicKey, ...change });
  const evict = (slot: number, generation = 1): void => {
    const args = { owner: owner.publicKey, payer: payer.publicKey, slot, generation };
    chain.ok([program.closeByPayee(chain.programId, args)], owner);
  };
  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('payer', 1_000n);
    chain.wallet('payee');
    till = chain.openTill(owner, 3);
    for (const slot of [0, 1, 2]) chain.openChannel(payer, till, slot, 100n);
    evict(0);
    evict(1);
    claim = program.claimAddress(chain.programId, payer.publicKey);
  });

  it('mints the credits to the payer and gives it the lamports, whoever sends it', () => {
    const held = chain.lamportsOf(payer.publicKey);
    const bank = chain.bank();
    const { computeUnits } = chain.ok([pay()], chain.admin);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.credits(payer.publicKey)).toBe(900n);
    expect(chain.lamportsOf(payer.publicKey)).toBe(held + 2n * chain.rent(program.SIZES.claim));
    expect(chain.bank()).toEqual({ ...bank, openDeposits: 100n, minted: bank.minted + 200n });
    expect(chain.account(claim)).toBeNull();
  });

  it('pays once', () => {
    chain.ok([pay()], chain.admin);
    expect(chain.refusal([pay()])).toBe('WrongOwner');
  });

  it('pays what comes later as well, in the same transaction too', () => {
    const later = program.closeByPayee(chain.programId, {
      owner: owner.publicKey,
      payer: payer.publicKey,
      slot: 2,
      generation: 1,
    });
    chain.ok([pay(), later, pay()], chain.admin, owner);
    expect(chain.credits(payer.publicKey)).toBe(1_000n);
    expect(chain.account(claim)).toBeNull();
    expect(chain.bank()).toMatchObject({ openDeposits: 0n, slotRents: 0n });
  });

  it('pays a claim without credits its lamports', () => {
    chain.ok([pay()], chain.admin);
    chain.ok(chain.settlement([chain.receipt(payer, { till, slot: 2, amount: 100n })], { till, slots: [2] }));
    evict(2);
    const held = chain.lamportsOf(payer.publicKey);
    chain.ok([pay()], chain.admin);
    expect(chain.lamportsOf(payer.publicKey)).toBe(held + chain.rent(program.SIZES.claim));
    expect(chain.credits(payer.publicKey)).toBe(900n);
  });

  it('takes any token account of the payer', () => {
    const destination = tokenAccount(chain, { owner: payer.publicKey });
    chain.ok([pay({ destination })], chain.admin);
    expect(chain.credits(payer.publicKey)).toBe(700n);
    expect(chain.supply()).toBe(900n);
  });

  it('cannot be led to another wallet: neither the credits nor the lamports', () => {
    const thief = chain.wallet('thief');
    expect(chain.refusal([withAccounts(pay(), { 0: { pubkey: thief.publicKey } })])).toBe('WrongAddress');
    const destination = program.creditAccountAddress(chain.programId, thief.publicKey);
    expect(chain.refusal([pay({ destination })])).toBe('WrongTokenAccount');
  });

  checkAccounts(() => ({ chain, instruction: pay(), signers: [] }), {
    writable: [0],
    claim: 1,
    bank: 2,
    mint: 3,
    tokenAccount: 4,
    tokenProgram: 5,
  });
});
