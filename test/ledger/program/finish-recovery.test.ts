import type { PublicKey } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
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

const CEILING = 1_500;
const transfer = (chain: Chain, to: PublicKey): ReturnType<typeof finishing> =>
  program.transferName(chain.programId, { owner: owner.publicKey, name: NAME, newOwner: to });

describe('finishRecovery', () => {
  let chain: Chain;
  beforeEach(() => {
    chain = lostWallet();
    chain.ok([setting(chain)], owner);
    chain.ok([beginning(chain)], guard);
  });

  it('makes the new owner owner and manager with the former split, and leaves tenure and the rest', () => {
    const before = chain.name(NAME);
    passDelay(chain);
    const { computeUnits } = chain.ok([finishing(chain)]);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    const { publicKey } = heir;
    const splits = [{ account: publicKey, bps: 10_000, owed: 0n }];
    const after = { owner: publicKey, manager: publicKey, splits, seq: 3n, recovery: undefined };
    expect(chain.name(NAME)).toEqual({ ...before, ...after });
    const raw = chain.data(program.nameAddress(chain.programId, NAME)).subarray(712);
    expect(raw.every((byte) => byte === 0)).toBe(true);
  });

  it('is refused a second too early, and a slot too early', () => {
    passDelay(chain, BigInt(DELAY) - 1n);
    chain.moveToSlot(chain.svm.getClock().slot + 10n);
    expect(chain.refusal([finishing(chain)])).toBe('RecoveryNotDue');
    chain.pass(1n);
    chain.moveToSlot(2n * BigInt(DELAY));
    expect(chain.refusal([finishing(chain)])).toBe('RecoveryNotDue');
    chain.moveToSlot(2n * BigInt(DELAY) + 1n);
    chain.ok([finishing(chain)]);
  });

  it('is refused in the first slot after the cluster stood still for as long as the delay', () => {
    chain.pass(BigInt(DELAY));
    expect(chain.refusal([finishing(chain)])).toBe('RecoveryNotDue');
    chain.ok([cancelling(chain)], owner);
  });

  it('is refused in the transaction that begins it', () => {
    chain.ok([cancelling(chain)], owner);
    expect(chain.refusal([beginning(chain), finishing(chain)], guard)).toBe('RecoveryNotDue');
  });

  it('is refused after it was cancelled, and twice', () => {
    passDelay(chain);
    chain.ok([cancelling(chain)], owner);
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
    chain.ok([beginning(chain)], guard);
    passDelay(chain);
    chain.ok([finishing(chain)]);
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
    expect(chain.refusal([beginning(chain)], guard)).toBe('NotRecoveryKey');
  });

  it('is refused after the name was given away while it was pending: no seller takes it back', () => {
    chain.ok([transfer(chain, stranger.publicKey)], owner);
    passDelay(chain);
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
    expect(chain.name(NAME)).toMatchObject({ owner: stranger.publicKey, transfers: 1 });
  });

  it('is refused of a name that lapsed, and of one that somebody registered anew', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS);
    chain.moveToSlot(1_000_000n);
    expect(chain.refusal([finishing(chain)])).toBe('NameExpired');
    chain.registerName(stranger, { name: NAME });
    expect(chain.refusal([finishing(chain)])).toBe('NoRecovery');
    expect(chain.name(NAME).owner).toEqual(stranger.publicKey);
  });

  it('ends what owner, manager and recovery key could do, also with what they signed before', () => {
    const seq = chain.name(NAME).seq;
    const update = (signer: PublicKey, at: bigint): ReturnType<typeof finishing> =>
      program.updateName(chain.programId, { signer, name: NAME, seq: at, root: new Uint8Array(36) });
    const before = update(owner.publicKey, seq);
    passDelay(chain);
    chain.ok([finishing(chain)]);
    expect(chain.refusal([before], owner)).toBe('NotNameOwner');
    expect(chain.refusal([update(manager.publicKey, seq + 1n)], manager)).toBe('NotNameOwner');
    expect(chain.refusal([transfer(chain, stranger.publicKey)], owner)).toBe('NotNameOwner');
    expect(chain.refusal([setting(chain)], owner)).toBe('NotNameOwner');
    chain.ok([update(heir.publicKey, seq + 1n)], heir);
  });

  it('counts as no transfer: the holder is the same, with another wallet', () => {
    chain.ok([transfer(chain, heir.publicKey)], owner);
    const { registeredAt, transfers } = chain.name(NAME);
    chain.ok([setting(chain, { owner: heir.publicKey })], heir);
    chain.ok([beginning(chain, { newOwner: owner.publicKey })], guard);
    passDelay(chain);
    chain.ok([finishing(chain)]);
    expect(chain.name(NAME)).toMatchObject({ registeredAt, transfers, owner: owner.publicKey });
    expect(transfers).toBe(1);
  });

  checkAccounts(
    () => {
      passDelay(chain);
      return { chain, instruction: finishing(chain), signers: [] };
    },
    { name: 0 },
  );
});

describe('the splits of a name that is recovered', () => {
  const splitsAfter = (shares: readonly program.SplitShare[]): readonly program.NameSplit[] => {
    const chain = lostWallet();
    const args = { signer: owner.publicKey, name: NAME, seq: 0n, splits: shares };
    chain.ok([program.updateName(chain.programId, args)], owner);
    chain.ok([setting(chain)], owner);
    chain.ok([beginning(chain)], guard);
    passDelay(chain);
    chain.ok([finishing(chain)]);
    return chain.name(NAME).splits;
  };
  const bps = 2_500;
  const others = { account: stranger.publicKey, bps };

  it("are others' as before, and the former owner's are the new one's", () => {
    const own = { account: owner.publicKey, bps: 7_500 };
    const owed = amount(0n);
    expect(splitsAfter([others, own])).toEqual([
      { ...others, owed },
      { ...own, account: heir.publicKey, owed },
    ]);
  });

  it('stay where the new owner has one of its own: no account comes twice', () => {
    const all = [others, { account: heir.publicKey, bps }, { account: owner.publicKey, bps: 5_000 }];
    expect(splitsAfter(all).map(({ account }) => account)).toEqual(all.map(({ account }) => account));
    const reversed = all.toReversed();
    expect(splitsAfter(reversed).map(({ account }) => account)).toEqual(reversed.map(({ account }) => account));
  });

  it('stay where the former owner has none', () => {
    const all = [others, { account: guard.publicKey, bps: 7_500 }];
    expect(splitsAfter(all).map(({ account }) => account)).toEqual(all.map(({ account }) => account));
  });

  it('keep what is owed, for the wallet that there is now', () => {
    const chain = lostWallet();
    const payer = chain.wallet('payer', 1_000n);
    chain.ok([setting(chain)], owner);
    const update = { signer: owner.publicKey, name: NAME, seq: 1n, royaltyBps: 10_000 };
    chain.ok([program.updateName(chain.programId, update)], owner);
    const till = chain.openTill(stranger, 1);
    chain.openChannel(payer, till, 0, 500n);
    const receipt = chain.receipt(payer, { till, slot: 0, amount: 400n });
    const shares = [{ name: NAME, gross: amount(400n), maxRoyaltyBps: 10_000 }];
    chain.ok(chain.settlement([receipt], { till, slots: [0], owner: stranger.publicKey, shares }), stranger);
    const nobody = [{ account: owner.publicKey, tokenAccount: null }];
    chain.ok([program.distributeName(chain.programId, { name: NAME, splits: nobody })]);
    chain.ok([beginning(chain)], guard);
    passDelay(chain);
    chain.ok([finishing(chain), chain.createTokenAccount(heir.publicKey)]);
    const splits = [{ account: heir.publicKey }];
    chain.ok([program.distributeName(chain.programId, { name: NAME, splits })]);
    expect(chain.credits(heir.publicKey)).toBe(400n);
  });
});
