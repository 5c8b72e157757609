import type { PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import * as program from '../../../ledger/solana/program/index.ts';
import { GRACE_SECONDS, YEAR_SECONDS } from '../../../ledger/term.ts';
import { checkAccounts } from './checks.ts';
import {
  DELAY,
  NAME,
  beginning,
  finishing,
  firstLayout,
  guard,
  heir,
  lostWallet,
  makeOld,
  manager,
  owner,
  passDelay,
  setting,
  stranger,
} from './lost-wallet.ts';
import { keypair } from './svm.ts';
import type { Chain } from './svm.ts';

const CEILING = 1_300;
const address = (chain: Chain): PublicKey => program.nameAddress(chain.programId, NAME);

describe('setRecovery', () => {
  let chain: Chain;
  beforeEach(() => {
    chain = lostWallet();
  });

  it('sets key and delay, and leaves the rest', () => {
    const before = chain.name(NAME);
    const { computeUnits } = chain.ok([setting(chain)], owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const recovery = { key: guard.publicKey, delay: DELAY, pending: undefined };
    expect(chain.name(NAME)).toEqual({ ...before, seq: 1n, recovery });
  });

  it('takes the key away', () => {
    chain.ok([setting(chain)], owner);
    chain.ok([setting(chain, { key: undefined, delay: 0 })], owner);
    expect(chain.name(NAME).recovery).toBeUndefined();
    expect(chain.refusal([beginning(chain)], guard)).toBe('NotRecoveryKey');
    const raw = chain.data(address(chain)).subarray(712);
    expect(raw.every((byte) => byte === 0)).toBe(true);
  });

  it('ends what the key before it began', () => {
    chain.ok([setting(chain)], owner);
    chain.ok([beginning(chain)], guard);
    chain.ok([setting(chain, { key: stranger.publicKey })], owner);
    passDelay(chain);
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
    expect(chain.refusal([beginning(chain)], guard)).toBe('NotRecoveryKey');
  });

  it('refuses the manager, who would own the name a day later', () => {
    const own = setting(chain, { owner: manager.publicKey, key: keypair('of the manager').publicKey });
    expect(chain.refusal([own], manager)).toBe('ManagerForbidden');
  });

  it('refuses a stranger, and the recovery key itself', () => {
    chain.ok([setting(chain)], owner);
    for (const signer of [stranger, guard]) {
      const own = setting(chain, { owner: signer.publicKey, key: heir.publicKey });
      expect(chain.refusal([own], signer)).toBe('NotNameOwner');
    }
  });

  it.each([
    ['no delay', 0],
    ['a second less than a day', DELAY - 1],
    ['a second more than 90 days', program.RECOVERY_DELAYS.most + 1],
    ['as long as there are numbers for', 0xffff_ffff],
  ])('refuses a delay of %s', (_title, delay) => {
    expect(chain.refusal([setting(chain, { delay })], owner)).toBe('InvalidRecovery');
    expect(chain.name(NAME).recovery).toBeUndefined();
  });

  it('takes the shortest and the longest delay', () => {
    for (const delay of [program.RECOVERY_DELAYS.least, program.RECOVERY_DELAYS.most]) {
      chain.ok([setting(chain, { delay })], owner);
      expect(chain.name(NAME).recovery?.delay).toBe(delay);
    }
  });

  it('refuses the owner as its own recovery key, and a delay of no key', () => {
    expect(chain.refusal([setting(chain, { key: owner.publicKey })], owner)).toBe('InvalidRecovery');
    expect(chain.refusal([setting(chain, { key: undefined })], owner)).toBe('InvalidRecovery');
  });

  it('can be done until the grace is over', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS - 1n);
    chain.ok([setting(chain)], owner);
    chain.pass(1n);
    expect(chain.refusal([setting(chain)], owner)).toBe('NameExpired');
  });

  checkAccounts(() => ({ chain, instruction: setting(chain), signers: [owner] }), {
    signers: [0],
    name: 1,
    systemProgram: 2,
    writable: [0],
  });
});

describe('a name of before there was recovery', () => {
  let chain: Chain;
  beforeEach(() => {
    chain = lostWallet();
    makeOld(chain);
  });
  const size = (): number => chain.data(address(chain)).length;

  it('grows when it gets a key, and its owner pays the rent of that', () => {
    const before = chain.name(NAME);
    const held = chain.lamportsOf(address(chain));
    const purse = chain.lamportsOf(owner.publicKey);
    chain.ok([setting(chain)], chain.admin, owner);
    expect(size()).toBe(program.SIZES.name);
    expect(chain.lamportsOf(address(chain))).toBe(chain.rent(program.SIZES.name));
    expect(purse - chain.lamportsOf(owner.publicKey)).toBe(chain.rent(program.SIZES.name) - held);
    const recovery = { key: guard.publicKey, delay: DELAY, pending: undefined };
    expect(chain.name(NAME)).toEqual({ ...before, seq: 1n, recovery });
  });

  it('does not grow twice', () => {
    chain.ok([setting(chain)], owner);
    const purse = chain.lamportsOf(owner.publicKey);
    chain.ok([setting(chain)], chain.admin, owner);
    expect([size(), chain.lamportsOf(owner.publicKey)]).toEqual([program.SIZES.name, purse]);
  });

  it('is recovered like any other', () => {
    chain.ok([setting(chain)], owner);
    chain.ok([beginning(chain)], guard);
    passDelay(chain);
    chain.ok([finishing(chain)]);
    expect(chain.name(NAME).owner).toEqual(heir.publicKey);
  });

  it('obeys everything else as it is, and stays as small', () => {
    chain.ok([setting(chain, { key: undefined, delay: 0 })], owner);
    const args = { owner: owner.publicKey, name: NAME, newOwner: heir.publicKey };
    chain.ok([program.transferName(chain.programId, args)], owner);
    const update = { signer: heir.publicKey, name: NAME, seq: 2n, royaltyBps: 9 };
    chain.ok([program.updateName(chain.programId, update)], heir);
    chain.pass(YEAR_SECONDS + GRACE_SECONDS);
    chain.registerName(stranger, { name: NAME });
    expect(chain.name(NAME)).toMatchObject({ owner: stranger.publicKey, transfers: 1, recovery: undefined });
    expect(size()).toBe(program.FIRST_NAME.size);
  });

  it('has no key: not one of zeros, nor what follows it in memory', () => {
    for (const signer of [stranger, guard, owner]) {
      expect(chain.refusal([beginning(chain, { key: signer.publicKey })], signer)).toBe('NotRecoveryKey');
    }
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
    expect(
      chain.refusal([program.cancelRecovery(chain.programId, { signer: owner.publicKey, name: NAME })], owner),
    ).toBe('NoRecovery');
  });

  it('has the size of its version, or is none', () => {
    const small = firstLayout(chain);
    const wrong = [
      Buffer.concat([small, Buffer.alloc(program.SIZES.name - small.length)]),
      Buffer.concat([program.DISCRIMINATORS.name, small.subarray(8)]),
    ];
    for (const data of wrong) {
      chain.put(address(chain), chain.programId, data, chain.rent(data.length));
      expect(chain.refusal([setting(chain)], owner)).toBe('WrongAccountType');
      expect(chain.refusal([beginning(chain)], guard)).toBe('WrongAccountType');
    }
  });
});
