import { SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, SALT, keypair, withAccounts } from './svm.ts';

/** Most of it is the search for the address. */
const CEILING = 6_000;

describe('commitName', () => {
  let chain: Chain;
  const committer = keypair('committer');
  const hashOf = (name: string): Uint8Array => program.commitmentHash(committer.publicKey, SALT, name);
  const commit = (name = 'fresh.web3'): TransactionInstruction =>
    program.commitName(chain.programId, { committer: committer.publicKey, hash: hashOf(name) });
  beforeAll(() => {
    chain = Chain.bare();
    chain.pass(1_800_000_000n);
    chain.fund(committer.publicKey);
  });

  it('records who committed to what and when', () => {
    const { computeUnits } = chain.ok([commit('first-a.web3')], committer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const hash = hashOf('first-a.web3');
    const data = chain.data(program.commitmentAddress(chain.programId, committer.publicKey, hash));
    expect(program.decodeCommitment(data)).toMatchObject({
      committer: committer.publicKey,
      hash,
      committedAt: chain.now(),
    });
  });

  it('says nothing of the name: another salt, another owner and another name give other hashes of equal length', () => {
    const other = keypair('other').publicKey;
    const hashes = [
      hashOf('a.web3'),
      hashOf('b.web3'),
      program.commitmentHash(committer.publicKey, new Uint8Array(32), 'a.web3'),
      program.commitmentHash(other, SALT, 'a.web3'),
    ];
    expect(new Set(hashes.map(String)).size).toBe(hashes.length);
    expect(hashes.every((hash) => hash.length === 32)).toBe(true);
    expect(() => program.commitmentHash(other, new Uint8Array(31), 'a.web3')).toThrow(RangeError);
  });

  it('refuses a second one, and lets others commit to the same hash beside it', () => {
    chain.ok([commit('same.web3')], committer);
    expect(chain.refusal([commit('same.web3')], committer)).toBe('AlreadyExists');
    const copier = keypair('copier');
    chain.fund(copier.publicKey);
    const copy = program.commitName(chain.programId, { committer: copier.publicKey, hash: hashOf('same.web3') });
    chain.ok([copy], copier);
  });

  it('works although somebody sent lamports to the address before', () => {
    const toPubkey = program.commitmentAddress(chain.programId, committer.publicKey, hashOf('gift.web3'));
    chain.ok(
      [SystemProgram.transfer({ fromPubkey: chain.admin.publicKey, toPubkey, lamports: 1_000_000 })],
      chain.admin,
    );
    chain.ok([commit('gift.web3')], committer);
    expect(program.decodeCommitment(chain.data(toPubkey)).committer).toEqual(committer.publicKey);
  });

  it("refuses another commitment's address", () => {
    const pubkey = program.commitmentAddress(chain.programId, committer.publicKey, hashOf('elsewhere.web3'));
    expect(chain.refusal([withAccounts(commit(), { 1: { pubkey } })], committer)).toBe('WrongAddress');
  });

  it('refuses a committer without the rent', () => {
    const poor = keypair('poor');
    const instruction = program.commitName(chain.programId, { committer: poor.publicKey, hash: hashOf('poor.web3') });
    expect(chain.refusal([instruction], chain.admin, poor)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  checkAccounts(() => ({ chain, instruction: commit(), signers: [committer] }), {
    signers: [0],
    writable: [0, 1],
    systemProgram: 2,
  });
});
