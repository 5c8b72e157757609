import type { TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { GRACE_SECONDS, YEAR_SECONDS } from '../../../ledger/term.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withData } from './svm.ts';

const CEILING = 1_100;
const NAME = 'news.web3';
const CID = new Uint8Array(36).fill(7);

describe('updateName', () => {
  let chain: Chain;
  const owner = keypair('owner');
  const manager = keypair('manager');
  const update = (change: Partial<program.UpdateNameArguments> = {}): TransactionInstruction =>
    program.updateName(chain.programId, { signer: owner.publicKey, name: NAME, seq: 0n, root: CID, ...change });
  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('owner');
    chain.fund(manager.publicKey);
    const root = new Uint8Array(63).fill(1);
    chain.registerName(owner, { name: NAME, root, manifest: root, royaltyBps: 100, manager: manager.publicKey });
  });

  it('changes what is given, leaves the rest, and raises the sequence', () => {
    const before = chain.name(NAME);
    const { computeUnits } = chain.ok([update()], owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.name(NAME)).toEqual({ ...before, seq: 1n, root: CID });
    const raw = chain.data(program.nameAddress(chain.programId, NAME));
    expect(raw.subarray(168 + 1 + CID.length, 232).every((byte) => byte === 0)).toBe(true);
  });

  it('changes everything at once', () => {
    const next = keypair('next manager').publicKey;
    const splits = [
      { account: keypair('x').publicKey, bps: 1 },
      { account: keypair('y').publicKey, bps: 9_999 },
    ];
    const change = { manifest: new Uint8Array(), royaltyBps: 10_000, manager: next, splits, referrerBps: 300 };
    chain.ok([update(change)], owner);
    expect(chain.name(NAME)).toMatchObject({
      seq: 1n,
      root: CID,
      manifest: new Uint8Array(),
      royaltyBps: 10_000,
      referrerBps: 300,
      manager: next,
      splits: splits.map((split) => ({ ...split, owed: 0n })),
    });
  });

  it('lets the manager change root and manifest', () => {
    chain.ok([update({ signer: manager.publicKey, manifest: CID })], manager);
    expect(chain.name(NAME)).toMatchObject({ root: CID, manifest: CID, seq: 1n });
  });

  it.each([
    ['royalty', { royaltyBps: 0 }],
    ["referrer's share", { referrerBps: 0 }],
    ['manager', { manager: manager.publicKey }],
    ['splits', { splits: [{ account: manager.publicKey, bps: 10_000 }] }],
  ])('does not let the manager change the %s', (_title, change) => {
    const instruction = update({ signer: manager.publicKey, ...change });
    expect(chain.refusal([instruction], manager)).toBe('ManagerForbidden');
  });

  it('refuses a stranger', () => {
    const stranger = chain.wallet('stranger');
    expect(chain.refusal([update({ signer: stranger.publicKey })], stranger)).toBe('NotNameOwner');
  });

  it('refuses an update made from an older record, and from a newer one', () => {
    chain.ok([update()], owner);
    expect(chain.refusal([update()], owner)).toBe('StaleSequence');
    expect(chain.refusal([update({ seq: 2n })], owner)).toBe('StaleSequence');
    expect(chain.refusal([update({ seq: 1n })], owner)).toBe('accepted');
  });

  it('lets the owner and the manager change it until its grace is over, and nobody afterwards', () => {
    chain.pass(YEAR_SECONDS + GRACE_SECONDS - 1n);
    chain.ok([update({ royaltyBps: 7 })], owner);
    chain.ok([update({ signer: manager.publicKey, seq: 1n })], manager);
    chain.pass(1n);
    expect(chain.refusal([update({ seq: 2n })], owner)).toBe('NameExpired');
    expect(chain.refusal([update({ signer: manager.publicKey, seq: 2n })], manager)).toBe('NameExpired');
  });

  it('never expires when it was registered before names had terms', () => {
    const key = program.nameAddress(chain.programId, NAME);
    const data = Buffer.from(chain.data(key));
    data.writeBigInt64LE(0n, program.NAME_FIELDS.find((field) => field.name === 'expiresAt')?.offset ?? -1);
    chain.put(key, chain.programId, data);
    chain.pass(100n * YEAR_SECONDS);
    expect(chain.refusal([update()], owner)).toBe('accepted');
  });

  it('refuses a royalty over the whole', () => {
    expect(chain.refusal([update({ royaltyBps: 10_001 })], owner)).toBe('InvalidRoyalty');
  });

  it("refuses a referrer's share over the whole", () => {
    chain.ok([update({ referrerBps: 10_000 })], owner);
    expect(chain.refusal([update({ referrerBps: 10_001, seq: 1n })], owner)).toBe('InvalidReferrerShare');
  });

  it('refuses splits that do not sum to the whole', () => {
    const splits = [{ account: owner.publicKey, bps: 9_999 }];
    expect(chain.refusal([update({ splits })], owner)).toBe('InvalidSplits');
  });

  it('refuses a CID over 63 bytes', () => {
    const data = Buffer.concat([update().data.subarray(0, 10), Uint8Array.of(64), new Uint8Array(64)]);
    expect(chain.refusal([withData(update(), data)], owner)).toBe('FieldTooLong');
  });

  it.each([0, 64])('refuses flags of %d', (flags) => {
    expect(() => update({ root: undefined })).toThrow(RangeError);
    const data = Buffer.from(update().data);
    data[9] = flags;
    expect(chain.refusal([withData(update(), data)], owner)).toBe('InvalidInstruction');
  });

  it("refuses new splits while the current ones' revenue waits, and takes them once it is distributed", () => {
    const payer = chain.wallet('payer', 1_000n);
    const till = chain.openTill(owner, 1);
    chain.openChannel(payer, till, 0, 900n);
    chain.ok([update({ royaltyBps: 10_000, splits: [{ account: manager.publicKey, bps: 10_000 }] })], owner);
    const earn = (total: bigint, gross: bigint): void => {
      const receipt = chain.receipt(payer, { till, slot: 0, amount: total });
      const shares = [{ name: NAME, gross: amount(gross), maxRoyaltyBps: 10_000 }];
      chain.ok(chain.settlement([receipt], { till, slots: [0], owner: owner.publicKey, shares }), owner);
    };
    const change = update({ seq: 1n, splits: [{ account: owner.publicKey, bps: 10_000 }] });
    const distribute = program.distributeName(chain.programId, {
      name: NAME,
      splits: [{ account: manager.publicKey }],
    });
    earn(8n, 8n);
    expect(chain.refusal([change], owner)).toBe('SplitsPending');
    // Divided, but the manager has no token account yet: still owed.
    chain.ok([distribute], owner);
    expect(chain.name(NAME)).toMatchObject({ accrued: 0n, splits: [{ owed: 8n }] });
    expect(chain.refusal([change], owner)).toBe('SplitsPending');
    chain.ok([chain.createTokenAccount(manager.publicKey), distribute, change], chain.admin, owner);
    expect(chain.credits(manager.publicKey)).toBe(8n);
    expect(chain.name(NAME).splits).toEqual([{ account: owner.publicKey, bps: 10_000, owed: 0n }]);
  });

  it('takes new splits when only what could not be divided is left', () => {
    const offset = program.NAME_FIELDS.find((field) => field.name === 'accrued')?.offset ?? -1;
    const key = program.nameAddress(chain.programId, NAME);
    const splits = [{ account: manager.publicKey, bps: 10_000 }];
    const withDust = (dust: bigint): void => {
      const data = Buffer.from(chain.data(key));
      data.writeBigUInt64LE(dust, offset);
      chain.put(key, chain.programId, data);
    };
    withDust(8n);
    expect(chain.refusal([update({ splits })], owner)).toBe('SplitsPending');
    withDust(7n);
    chain.ok([update({ splits })], owner);
    expect(chain.name(NAME)).toMatchObject({ accrued: 7n, splits: [{ account: manager.publicKey }] });
  });

  checkAccounts(() => ({ chain, instruction: update(), signers: [owner] }), { signers: [0], name: 1 });
});
