import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts, tokenAccount } from './checks.ts';
import { Chain, keypair, withAccounts } from './svm.ts';

const CEILING = 2_100;

describe('collectFees', () => {
  let chain: Chain;
  let till: PublicKey;
  const payer = keypair('payer');
  const treasury = keypair('treasury').publicKey;
  const collect = (): TransactionInstruction => program.collectFees(chain.programId, { treasury });
  const earn = (total: bigint): void => {
    const receipt = chain.receipt(payer, { till, slot: 0, amount: total });
    chain.ok(chain.settlement([receipt], { till, slots: [0] }));
  };
  beforeEach(() => {
    chain = Chain.start();
    const { publicKey: admin } = chain.admin;
    chain.ok([program.configure(chain.programId, { admin, feeBps: 500, treasury })], chain.admin);
    chain.ok([chain.createTokenAccount(treasury)], chain.admin);
    chain.wallet('payer', 10_000n);
    till = chain.openTill(chain.wallet('payee'), 1);
    chain.openChannel(payer, till, 0, 5_000n);
  });

  it('mints what was taken to the treasury, whoever sends it', () => {
    earn(1_000n);
    expect(chain.bank()).toMatchObject({ fees: 50n, unminted: 1_000n });
    const stranger = chain.wallet('stranger');
    const { computeUnits } = chain.ok([collect()], stranger);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.credits(treasury)).toBe(50n);
    expect(chain.bank()).toMatchObject({ fees: 0n, lifetimeFees: 50n, unminted: 950n, minted: 50n });
  });

  it('does nothing when nothing was taken', () => {
    const before = chain.bank();
    chain.ok([collect()]);
    expect(chain.bank()).toEqual(before);
    expect(chain.credits(treasury)).toBe(0n);
  });

  it('keeps the part of a base unit that was carried', () => {
    earn(1_019n);
    expect(chain.bank()).toMatchObject({ fees: 50n, feeCarry: 9_500 });
    chain.ok([collect()]);
    expect(chain.bank()).toMatchObject({ fees: 0n, feeCarry: 9_500 });
    earn(1_020n);
    expect(chain.bank()).toMatchObject({ fees: 1n, feeCarry: 0, lifetimeFees: 51n });
  });

  it("goes to any token account of the treasury's, and after a change to the new treasury's", () => {
    earn(1_000n);
    const second = tokenAccount(chain, { owner: treasury });
    const { publicKey: admin } = chain.admin;
    const heir = chain.wallet('heir').publicKey;
    chain.ok([program.collectFees(chain.programId, { treasury, destination: second })]);
    earn(2_000n);
    chain.ok([program.configure(chain.programId, { admin, treasury: heir })], chain.admin);
    expect(chain.refusal([collect()])).toBe('WrongTokenAccount');
    chain.ok([program.collectFees(chain.programId, { treasury: heir })]);
    expect(chain.credits(heir)).toBe(50n);
  });

  it('loses nothing when the token account is missing', () => {
    earn(1_000n);
    const missing = withAccounts(collect(), { 2: { pubkey: keypair('no account').publicKey } });
    expect(chain.refusal([missing])).toBe('WrongTokenAccount');
    expect(chain.bank().fees).toBe(50n);
  });

  checkAccounts(() => ({ chain, instruction: collect(), signers: [] }), {
    bank: 0,
    mint: 1,
    tokenAccount: 2,
    tokenOwner: treasury,
    tokenProgram: 3,
  });
});
