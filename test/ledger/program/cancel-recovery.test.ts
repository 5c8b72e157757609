import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { GRACE_SECONDS, YEAR_SECONDS } from '../../../ledger/term.ts';
import { checkAccounts } from './checks.ts';
import {
  DELAY,
  NAME,
  beginning,
  cancelling,
  finishing,
  guard,
  heir,
  lostWallet,
  manager,
  owner,
  passDelay,
  setting,
  stranger,
} from './lost-wallet.ts';
import type { Chain } from './svm.ts';

const CEILING = 1_100;

describe('cancelRecovery', () => {
  let chain: Chain;
  beforeEach(() => {
    chain = lostWallet();
    chain.ok([setting(chain)], owner);
    chain.ok([beginning(chain)], guard);
  });

  it.each([
    ['the owner', owner],
    ['the recovery key', guard],
  ])('by %s ends what was begun and keeps the key', (_title, signer) => {
    const before = chain.name(NAME);
    const { computeUnits } = chain.ok([cancelling(chain, signer)], signer);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const recovery = { key: guard.publicKey, delay: DELAY, pending: undefined };
    expect(chain.name(NAME)).toEqual({ ...before, seq: 3n, recovery });
    passDelay(chain);
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
  });

  it('leaves no part of the delay to what is begun next', () => {
    passDelay(chain, BigInt(DELAY) - 1n);
    chain.ok([cancelling(chain)], owner);
    chain.ok([beginning(chain)], guard);
    passDelay(chain, BigInt(DELAY) - 1n);
    expect(chain.refusal([finishing(chain)])).toBe('RecoveryNotDue');
    passDelay(chain, 1n);
    chain.ok([finishing(chain)]);
  });

  it('is possible after the delay, as long as nobody finished it', () => {
    passDelay(chain);
    chain.ok([cancelling(chain)], owner);
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
  });

  it('refuses the manager, a stranger, and who is to get the name', () => {
    expect(chain.refusal([cancelling(chain, manager)], manager)).toBe('ManagerForbidden');
    for (const signer of [stranger, heir]) {
      expect(chain.refusal([cancelling(chain, signer)], signer)).toBe('NotNameOwner');
    }
  });

  it('refuses the former owner once it is finished', () => {
    passDelay(chain);
    chain.ok([finishing(chain)]);
    for (const signer of [owner, guard]) {
      expect(chain.refusal([cancelling(chain, signer)], signer)).toBe('NotNameOwner');
    }
    expect(chain.refusal([cancelling(chain, heir)], heir)).toBe('NoRecovery');
  });

  it('refuses it twice, and where nothing was begun', () => {
    chain.ok([cancelling(chain)], owner);
    expect(chain.refusal([cancelling(chain)], owner)).toBe('NoRecovery');
    expect(chain.refusal([cancelling(chain, guard)], guard)).toBe('NoRecovery');
  });

  it('refuses it of a name that lapsed', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS);
    expect(chain.refusal([cancelling(chain)], owner)).toBe('NameExpired');
  });

  it('is not made void by an update that was signed before it', () => {
    const args = { signer: owner.publicKey, name: NAME, seq: 2n, royaltyBps: 1 };
    chain.ok([program.updateName(chain.programId, args), cancelling(chain)], owner);
    expect(chain.name(NAME)).toMatchObject({ seq: 4n, royaltyBps: 1 });
  });

  checkAccounts(() => ({ chain, instruction: cancelling(chain), signers: [owner] }), { signers: [0], name: 1 });
});
