import { PublicKey } from '@solana/web3.js';
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

describe('beginRecovery', () => {
  let chain: Chain;
  beforeEach(() => {
    chain = lostWallet();
    chain.ok([setting(chain)], owner);
  });

  it('shows to whom the name goes and when, and leaves the rest', () => {
    const before = chain.name(NAME);
    const { slot } = chain.svm.getClock();
    const { computeUnits } = chain.ok([beginning(chain)], guard);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const [at, until] = [chain.now() + BigInt(DELAY), slot + 2n * BigInt(DELAY)];
    const recovery = { key: guard.publicKey, delay: DELAY, pending: { to: heir.publicKey, at, slot: until } };
    expect(chain.name(NAME)).toEqual({ ...before, seq: 2n, recovery });
  });

  it('may name the recovery key itself', () => {
    chain.ok([beginning(chain, { newOwner: guard.publicKey })], guard);
    passDelay(chain);
    chain.ok([finishing(chain)]);
    expect(chain.name(NAME)).toMatchObject({ owner: guard.publicKey, manager: guard.publicKey });
  });

  it('refuses everybody else: stranger, manager, owner, and who is to get it', () => {
    for (const signer of [stranger, manager, owner, heir]) {
      expect(chain.refusal([beginning(chain, { key: signer.publicKey })], signer)).toBe('NotRecoveryKey');
    }
  });

  it('refuses the key that was set before the present one', () => {
    chain.ok([setting(chain, { key: stranger.publicKey })], owner);
    expect(chain.refusal([beginning(chain)], guard)).toBe('NotRecoveryKey');
  });

  it('refuses a seller who kept the recovery key, after the name was given away', () => {
    const transfer = { owner: owner.publicKey, name: NAME, newOwner: heir.publicKey };
    chain.ok([program.transferName(chain.programId, transfer)], owner);
    expect(chain.name(NAME).recovery).toBeUndefined();
    expect(chain.refusal([beginning(chain, { newOwner: stranger.publicKey })], guard)).toBe('NotRecoveryKey');
    expect(chain.refusal([setting(chain)], owner)).toBe('NotNameOwner');
  });

  it('refuses it of a name that was bought and sold back meanwhile', () => {
    for (const [from, to] of [
      [owner, heir],
      [heir, owner],
    ] as const) {
      const args = { owner: from.publicKey, name: NAME, newOwner: to.publicKey };
      chain.ok([program.transferName(chain.programId, args)], from);
    }
    expect(chain.refusal([beginning(chain)], guard)).toBe('NotRecoveryKey');
  });

  it('refuses it of a name that lapsed, and of one that was registered anew', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS);
    expect(chain.refusal([beginning(chain)], guard)).toBe('NameExpired');
    chain.registerName(stranger, { name: NAME });
    expect(chain.name(NAME).recovery).toBeUndefined();
    expect(chain.refusal([beginning(chain)], guard)).toBe('NotRecoveryKey');
  });

  it('outlives a renewal, which anybody may pay for', () => {
    const renewal = { payer: stranger.publicKey, name: NAME, years: 1, maxPrice: chain.bank().nameYearPrice };
    chain.ok([program.renewName(chain.programId, renewal)], stranger);
    chain.ok([beginning(chain)], guard);
    expect(chain.name(NAME).recovery?.pending?.to).toEqual(heir.publicKey);
  });

  it('is begun once: another new owner waits for as long again', () => {
    chain.ok([beginning(chain)], guard);
    expect(chain.refusal([beginning(chain, { newOwner: stranger.publicKey })], guard)).toBe('RecoveryPending');
    passDelay(chain, BigInt(DELAY) - 1n);
    chain.ok([cancelling(chain, guard), beginning(chain, { newOwner: stranger.publicKey })], guard);
    passDelay(chain, 1n);
    expect(chain.refusal([finishing(chain)])).toBe('RecoveryNotDue');
  });

  it('refuses a new owner of zeros', () => {
    expect(chain.refusal([beginning(chain, { newOwner: PublicKey.default })], guard)).toBe('InvalidOwner');
  });

  it('refuses a delay that no clock can show', () => {
    const clock = chain.svm.getClock();
    // No name is held then; the record is made to last for ever.
    const address = program.nameAddress(chain.programId, NAME);
    const data = chain.data(address);
    data.writeBigInt64LE(0n, 152);
    chain.put(address, chain.programId, data);
    clock.unixTimestamp = (1n << 63n) - BigInt(DELAY);
    chain.svm.setClock(clock);
    expect(chain.refusal([beginning(chain)], guard)).toBe('Overflow');
    clock.unixTimestamp = 0n;
    clock.slot = (1n << 64n) - 2n * BigInt(DELAY);
    chain.svm.setClock(clock);
    expect(chain.refusal([beginning(chain)], guard)).toBe('Overflow');
  });

  checkAccounts(() => ({ chain, instruction: beginning(chain), signers: [guard] }), { signers: [0], name: 1 });
});
