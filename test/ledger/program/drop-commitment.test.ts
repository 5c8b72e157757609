import type { TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { COMMITMENT_LIFE_SECONDS } from '../../../ledger/term.ts';
import { checkAccounts } from './checks.ts';
import { Chain, SALT, keypair, withAccounts } from './svm.ts';

const CEILING = 1_200;
const NAME = 'given-up.web3';

describe('dropCommitment', () => {
  let chain: Chain;
  const committer = keypair('committer');
  const stranger = keypair('stranger');
  const drop = (signer = committer): TransactionInstruction =>
    program.dropCommitment(chain.programId, {
      signer: signer.publicKey,
      committer: committer.publicKey,
      hash: program.commitmentHash(committer.publicKey, SALT, NAME),
    });
  beforeEach(() => {
    chain = Chain.bare();
    chain.pass(1_800_000_000n);
    chain.fund(committer.publicKey);
    chain.fund(stranger.publicKey);
  });

  it('gives the rent back to the committer, at any time', () => {
    const before = chain.lamportsOf(committer.publicKey);
    const address = chain.commit(committer, NAME);
    const { computeUnits } = chain.ok([drop()], committer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.account(address)).toBeNull();
    expect(before - chain.lamportsOf(committer.publicKey)).toBe(2n * 5_000n);
    // The place is free again.
    chain.commit(committer, NAME);
  });

  it("lets a stranger clear away what nobody can use any more, at the committer's gain", () => {
    chain.commit(committer, NAME);
    const before = chain.lamportsOf(committer.publicKey);
    chain.pass(COMMITMENT_LIFE_SECONDS);
    expect(chain.refusal([drop(stranger)], stranger)).toBe('NotCommitter');
    chain.pass(1n);
    chain.ok([drop(stranger)], stranger);
    const rent = chain.svm.minimumBalanceForRentExemption(BigInt(program.SIZES.commitment));
    expect(chain.lamportsOf(committer.publicKey) - before).toBe(rent);
  });

  it('refuses to pay the rent to anybody else', () => {
    chain.commit(committer, NAME);
    chain.pass(COMMITMENT_LIFE_SECONDS + 1n);
    const instruction = withAccounts(drop(stranger), { 2: { pubkey: stranger.publicKey } });
    expect(chain.refusal([instruction], stranger)).toBe('WrongAddress');
  });

  describe('checks its accounts', () => {
    beforeEach(() => {
      chain.commit(committer, NAME);
    });
    checkAccounts(() => ({ chain, instruction: drop(), signers: [committer] }), {
      signers: [0],
      writable: [2],
      commitment: 1,
    });
  });
});
