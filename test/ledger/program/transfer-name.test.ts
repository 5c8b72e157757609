import { PublicKey } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { GRACE_SECONDS, YEAR_SECONDS } from '../../../ledger/term.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair } from './svm.ts';

const CEILING = 1_000;
const NAME = 'news.web3';

describe('transferName', () => {
  let chain: Chain;
  const owner = keypair('owner');
  const manager = keypair('manager');
  const buyer = keypair('buyer');
  const transfer = (change: Partial<program.TransferNameArguments> = {}): TransactionInstruction =>
    program.transferName(chain.programId, {
      owner: owner.publicKey,
      name: NAME,
      newOwner: buyer.publicKey,
      ...change,
    });
  beforeEach(() => {
    chain = Chain.start();
    for (const { publicKey } of [owner, manager, buyer]) chain.fund(publicKey);
    chain.registerName(owner, { name: NAME, royaltyBps: 7, manager: manager.publicKey });
  });

  it('makes the new owner owner and manager, and leaves the rest', () => {
    const before = chain.name(NAME);
    const { computeUnits } = chain.ok([transfer()], owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const after = { owner: buyer.publicKey, manager: buyer.publicKey, seq: 1n, transfers: 1 };
    expect(chain.name(NAME)).toEqual({ ...before, ...after });
  });

  it('ends what the former owner and manager could do, also with what they signed before', () => {
    const args = { name: NAME, seq: 0n, root: new Uint8Array(36) };
    const signedBefore = program.updateName(chain.programId, { ...args, signer: owner.publicKey });
    chain.ok([transfer()], owner);
    expect(chain.refusal([transfer()], owner)).toBe('NotNameOwner');
    expect(chain.refusal([signedBefore], owner)).toBe('NotNameOwner');
    const update = program.updateName(chain.programId, { ...args, seq: 1n, signer: manager.publicKey });
    expect(chain.refusal([update], manager)).toBe('NotNameOwner');
    chain.ok([program.updateName(chain.programId, { ...args, seq: 1n, signer: buyer.publicKey })], buyer);
  });

  it('can be done until the grace is over', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS - 1n);
    chain.ok([transfer()], owner);
    chain.pass(1n);
    const back = transfer({ owner: buyer.publicKey, newOwner: owner.publicKey });
    expect(chain.refusal([back], buyer)).toBe('NameExpired');
  });

  it('refuses the manager', () => {
    expect(chain.refusal([transfer({ owner: manager.publicKey })], manager)).toBe('ManagerForbidden');
  });

  it('refuses a stranger', () => {
    expect(chain.refusal([transfer({ owner: buyer.publicKey })], buyer)).toBe('NotNameOwner');
  });

  it('refuses a new owner of zeros', () => {
    expect(chain.refusal([transfer({ newOwner: PublicKey.default })], owner)).toBe('InvalidOwner');
  });

  checkAccounts(() => ({ chain, instruction: transfer(), signers: [owner] }), { signers: [0], name: 1 });
});
