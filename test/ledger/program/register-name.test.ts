import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { COMMITMENT_LIFE_SECONDS, YEAR_SECONDS } from '../../../ledger/term.ts';
import { checkAccounts } from './checks.ts';
import { COMMIT_SECONDS, Chain, SALT, keypair, withAccounts, withData } from './svm.ts';
import type { NameFields } from './svm.ts';

/** Most of it is the search for the address: 1,500 a try, and how many depends on the name. */
const CEILING = 10_000;
const CID = Uint8Array.from({ length: 36 }, (_, index) => index + 1);
const YEAR_PRICE = 1_000n;
/** Committed to, and never registered: what is refused. */
const FRESH = 'fresh.web3';
/** Where an instruction's data have the name's length byte. */
const NAME_AT = 1 + 32;

describe('registerName', () => {
  let chain: Chain;
  const owner = keypair('owner');
  const register = (change: Partial<NameFields> = {}): TransactionInstruction =>
    chain.reveal(owner, { name: FRESH, root: CID, royaltyBps: 500, ...change });
  const take = (record: NameFields): ReturnType<Chain['registerName']> =>
    chain.registerName(owner, { root: CID, royaltyBps: 500, ...record });
  beforeAll(() => {
    chain = Chain.start(2n, YEAR_PRICE);
    chain.pass(1_800_000_000n);
    chain.wallet('owner', 1_000_000n);
    chain.commit(owner, FRESH);
    chain.pass(COMMIT_SECONDS);
  });

  it('records the name, its content, its term and who earns from it', () => {
    const manager = keypair('manager').publicKey;
    const splits = [
      { account: keypair('author').publicKey, bps: 6_667 },
      { account: keypair('editor').publicKey, bps: 3_333 },
    ];
    const manifest = CID.toReversed();
    const { computeUnits } = take({ name: 'news.web3', years: 2, manifest, manager, splits, referrerBps: 1_500 });
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.name('news.web3')).toMatchObject({
      name: 'news.web3',
      owner: owner.publicKey,
      manager,
      registeredAt: chain.now(),
      expiresAt: chain.now() + 2n * YEAR_SECONDS,
      seq: 0n,
      root: CID,
      manifest,
      royaltyBps: 500,
      royaltyCarry: 0,
      referrerBps: 1_500,
      referrerCarry: 0,
      splits: splits.map((split) => ({ ...split, owed: 0n })),
      accrued: 0n,
      lifetime: 0n,
    });
  });

  it("burns the price, which is the treasury's from then on", () => {
    const [before, held] = [chain.bank(), chain.credits(owner.publicKey)];
    take({ name: 'dear.web3', years: 10, maxPrice: amount(10n * YEAR_PRICE) });
    const after = chain.bank();
    expect(held - chain.credits(owner.publicKey)).toBe(10n * YEAR_PRICE);
    for (const total of ['fees', 'lifetimeFees', 'unminted', 'burned'] as const) {
      expect(after[total] - before[total]).toBe(10n * YEAR_PRICE);
    }
    expect(after.bought - after.redeemed).toBe(chain.supply() + after.openDeposits + after.unminted);
  });

  it('asks for no token account while names are free', () => {
    const free = Chain.start();
    free.fund(owner.publicKey);
    free.commit(owner, FRESH);
    free.pass(COMMIT_SECONDS);
    const absent = { pubkey: free.programId, isWritable: false };
    const instruction = withAccounts(free.reveal(owner, { name: FRESH, maxPrice: amount(0n) }), {
      4: absent,
      5: absent,
      6: absent,
    });
    free.ok([instruction], owner);
    expect(free.name(FRESH).owner).toEqual(owner.publicKey);
  });

  it('closes the commitment and gives its rent back', () => {
    const before = chain.lamportsOf(owner.publicKey);
    const commitment = chain.commit(owner, 'rent.web3');
    chain.pass(COMMIT_SECONDS);
    chain.ok([chain.reveal(owner, { name: 'rent.web3' })], owner);
    expect(chain.account(commitment)).toBeNull();
    const rent = chain.svm.minimumBalanceForRentExemption(BigInt(program.SIZES.name));
    const fees = 2n * 5_000n;
    expect(before - chain.lamportsOf(owner.publicKey)).toBe(rent + fees);
  });

  it('cannot be revealed twice with one commitment, not even when lamports are sent to it in between', () => {
    const commitment = chain.commit(owner, 'twice.web3');
    chain.pass(COMMIT_SECONDS);
    const revive = SystemProgram.transfer({
      fromPubkey: owner.publicKey,
      toPubkey: commitment,
      lamports: 5_000_000,
    });
    const other = chain.reveal(owner, { name: 'twice.web3' });
    chain.ok([chain.reveal(owner, { name: 'twice.web3' }), revive], owner);
    expect(chain.account(commitment)).toMatchObject({ owner: SystemProgram.programId, data: Buffer.alloc(0) });
    expect(chain.refusal([other], owner)).toBe('NoCommitment');
  });

  it('gives everything to the owner when nothing else is said', () => {
    take({ name: 'plain.sso', root: new Uint8Array() });
    expect(chain.name('plain.sso')).toMatchObject({
      manager: owner.publicKey,
      root: new Uint8Array(),
      manifest: new Uint8Array(),
      splits: [{ account: owner.publicKey, bps: 10_000, owed: 0n }],
    });
  });

  it('takes eight splits and the longest CIDs, in one packet', () => {
    const splits = Array.from({ length: 8 }, (_, index) => ({ account: keypair(`s${index}`).publicKey, bps: 1_250 }));
    const longest = new Uint8Array(63).fill(9);
    const name = `${'f'.repeat(53)}.web3`;
    take({ name, root: longest, manifest: longest, splits });
    expect(chain.name(name).splits).toHaveLength(8);
    expect(chain.name(name).manifest).toEqual(longest);
  });

  it('works although somebody sent lamports to the address before', () => {
    const toPubkey = program.nameAddress(chain.programId, 'gift.map');
    const fromPubkey = chain.admin.publicKey;
    chain.ok([SystemProgram.transfer({ fromPubkey, toPubkey, lamports: 1_000_000 })], chain.admin);
    take({ name: 'gift.map' });
    expect(chain.name('gift.map').owner).toEqual(owner.publicKey);
  });

  it('refuses a name that is taken, whoever asks', () => {
    take({ name: 'taken.web3' });
    const late = chain.wallet('late', 10_000n);
    for (const who of [late, owner]) {
      chain.commit(who, 'taken.web3');
      chain.pass(COMMIT_SECONDS);
      expect(chain.refusal([chain.reveal(who, { name: 'taken.web3' })], who)).toBe('NameTaken');
    }
  });

  describe('of a commitment', () => {
    it('asks for the one of this owner, this salt and this name', () => {
      const stranger = chain.wallet('stranger', 10_000n);
      const refusal = (instruction: TransactionInstruction, ...signers: (typeof owner)[]): string =>
        chain.refusal([instruction], ...signers);
      expect(refusal(chain.reveal(stranger, { name: FRESH }), stranger)).toBe('NoCommitment');
      expect(refusal(register({ salt: new Uint8Array(32) }), owner)).toBe('NoCommitment');
      expect(refusal(register({ name: 'other.web3' }), owner)).toBe('NoCommitment');
      const mine = register().keys[2]?.pubkey ?? PublicKey.default;
      for (const [instruction, who] of [
        [chain.reveal(stranger, { name: FRESH }), stranger],
        [register({ salt: new Uint8Array(32) }), owner],
        [register({ name: 'other.web3' }), owner],
      ] as const) {
        expect(refusal(withAccounts(instruction, { 2: { pubkey: mine } }), who)).toBe('NoCommitment');
      }
    });

    it('takes it from the first second on and until the last', () => {
      const refusalAfter = (name: string, seconds: bigint): string => {
        chain.commit(owner, name);
        chain.pass(seconds);
        return chain.refusal([chain.reveal(owner, { name })], owner);
      };
      expect(refusalAfter('young.web3', COMMIT_SECONDS - 1n)).toBe('CommitmentTooYoung');
      chain.pass(1n);
      expect(chain.refusal([chain.reveal(owner, { name: 'young.web3' })], owner)).toBe('accepted');
      expect(refusalAfter('late.web3', COMMITMENT_LIFE_SECONDS)).toBe('accepted');
      expect(refusalAfter('old.web3', COMMITMENT_LIFE_SECONDS + 1n)).toBe('CommitmentTooOld');
      // The one that the other tests use is a day older by now.
      const args = { signer: owner.publicKey, committer: owner.publicKey };
      const hash = program.commitmentHash(owner.publicKey, SALT, FRESH);
      chain.ok([program.dropCommitment(chain.programId, { ...args, hash })], owner);
      chain.commit(owner, FRESH);
      chain.pass(COMMIT_SECONDS);
    });

    it('does not help somebody who sees a reveal under way and wants to be first', () => {
      const name = 'wanted.web3';
      const thief = chain.wallet('thief', 10_000n);
      const hash = program.commitmentHash(owner.publicKey, SALT, name);
      // The thief copies the commitment as it goes by, before its owner's gets there.
      chain.ok([program.commitName(chain.programId, { committer: thief.publicKey, hash })], thief);
      chain.commit(owner, name);
      chain.pass(COMMIT_SECONDS);
      const copied = program.commitmentAddress(chain.programId, thief.publicKey, hash);
      const seen = chain.reveal(owner, { name });
      const own = chain.reveal(thief, { name });
      // With the copy; with the owner's own; with a commitment made now that the name is known.
      expect(chain.refusal([withAccounts(own, { 2: { pubkey: copied } })], thief)).toBe('NoCommitment');
      const theirs = seen.keys[2]?.pubkey ?? PublicKey.default;
      expect(chain.refusal([withAccounts(own, { 2: { pubkey: theirs } })], thief)).toBe('NoCommitment');
      chain.commit(thief, name);
      expect(chain.refusal([own], thief)).toBe('CommitmentTooYoung');
      chain.ok([seen], owner);
      chain.pass(COMMIT_SECONDS);
      expect(chain.refusal([own], thief)).toBe('NameTaken');
      expect(chain.name(name).owner).toEqual(owner.publicKey);
    });

    it("does not serve a copy of one's own reveal with somebody else's copy of the commitment", () => {
      const copier = chain.wallet('copier');
      const hash = program.commitmentHash(owner.publicKey, SALT, FRESH);
      chain.ok([program.commitName(chain.programId, { committer: copier.publicKey, hash })], copier);
      chain.pass(COMMIT_SECONDS);
      const pubkey = program.commitmentAddress(chain.programId, copier.publicKey, hash);
      expect(chain.refusal([withAccounts(register(), { 2: { pubkey } })], owner)).toBe('NoCommitment');
    });
  });

  it.each([0, 11, 255])('refuses %d years', (years) => {
    expect(chain.refusal([register({ years })], owner)).toBe('InvalidYears');
  });

  it('refuses to cost more than was agreed to', () => {
    expect(chain.refusal([register({ years: 2, maxPrice: amount(2n * YEAR_PRICE - 1n) })], owner)).toBe(
      'PriceAboveMaximum',
    );
  });

  it('refuses a wallet without the credits', () => {
    const poor = chain.wallet('poor', YEAR_PRICE - 2n);
    chain.commit(poor, 'poor.web3');
    chain.pass(COMMIT_SECONDS);
    expect(chain.refusal([chain.reveal(poor, { name: 'poor.web3' })], poor)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  // The longest label that every rule allows.
  const longest = `${'a'.repeat(53)}.web3`;
  it.each([longest, 'a.web3', '0.sso', 'a-b.image', 'a--b.video', 'ab.map', 'x-y-z.route', 'abc--d.web3'])(
    'allows %s',
    (name) => {
      take({ name });
      expect(chain.name(name).name).toBe(name);
    },
  );

  it.each([
    ['no ending', 'news'],
    ['no label', '.web3'],
    ['an unknown ending', 'news.com'],
    ['an ending cut short', 'news.web'],
    ['an ending with more behind it', 'news.web3x'],
    ['an ending of the right length', 'news.abcd'],
    ['an ending of three letters', 'news.abc'],
    ['an ending of five letters', 'news.abcde'],
    ['a second dot', 'a.b.web3'],
    ['a dot at the end', 'news.web3.'],
    ['upper case', 'News.web3'],
    ['an underscore', 'a_b.web3'],
    ['a letter outside ASCII', 'é.web3'],
    ['a space', 'a b.web3'],
    ['a hyphen in front', '-news.web3'],
    ['a hyphen behind', 'news-.web3'],
    ['the mark of encoded labels', 'xn--news.web3'],
    ['the mark of encoded labels and nothing else', 'ab--.web3'],
    ['hyphens that no longer fit a host label when doubled', `a${'-b'.repeat(8)}${'c'.repeat(36)}.web3`],
  ])('refuses a name with %s', (_title, name) => {
    expect(chain.refusal([register({ name })], owner)).toBe('InvalidName');
  });

  /** An instruction's data before the name and after it. */
  const aroundName = (): readonly [Uint8Array, Uint8Array] => {
    const { data } = register();
    return [data.subarray(0, NAME_AT), data.subarray(NAME_AT + 1 + FRESH.length)];
  };

  it('refuses a name that is too long, in the client and on chain', () => {
    const name = `${'a'.repeat(54)}.web3`;
    expect(() => register({ name })).toThrow(/1 to 58 bytes/);
    const [head, rest] = aroundName();
    const data = concatBytes(head, Uint8Array.of(name.length), utf8(name), rest);
    expect(chain.refusal([withData(register(), data)], owner)).toBe('InvalidName');
  });

  it('refuses an empty name, in the client and on chain', () => {
    expect(() => register({ name: '' })).toThrow(/1 to 58 bytes/);
    const [head, rest] = aroundName();
    expect(chain.refusal([withData(register(), concatBytes(head, Uint8Array.of(0), rest))], owner)).toBe('InvalidName');
  });

  it('refuses a CID over 63 bytes, in the client and on chain', () => {
    expect(() => register({ root: new Uint8Array(64) })).toThrow(RangeError);
    const whole = register().data;
    // Name, years and price stand before it.
    const head = whole.subarray(0, NAME_AT + 1 + FRESH.length + 1 + 8);
    const tail = whole.subarray(head.length + 1 + CID.length);
    const data = concatBytes(head, Uint8Array.of(64), new Uint8Array(64), tail);
    expect(chain.refusal([withData(register(), data)], owner)).toBe('FieldTooLong');
  });

  it('refuses a royalty over the whole', () => {
    expect(chain.refusal([register({ royaltyBps: 10_001 })], owner)).toBe('InvalidRoyalty');
  });

  it("refuses a referrer's share over the whole", () => {
    expect(chain.refusal([register({ referrerBps: 10_001 })], owner)).toBe('InvalidReferrerShare');
  });

  const account = keypair('split').publicKey;
  it.each([
    ['none', []],
    ['a sum below the whole', [{ account, bps: 9_999 }]],
    ['a sum above the whole', [{ account, bps: 10_001 }]],
    ['a share of 0', [{ account, bps: 10_000 }, { account: keypair('other').publicKey, bps: 0 }]], // prettier-ignore
    ['the same account twice', [{ account, bps: 5_000 }, { account, bps: 5_000 }]], // prettier-ignore
    ['an account of zeros', [{ account: PublicKey.default, bps: 10_000 }]],
  ])('refuses splits: %s', (_title, splits) => {
    expect(chain.refusal([register({ splits })], owner)).toBe('InvalidSplits');
  });

  it('refuses nine splits, in the client and on chain', () => {
    const splits = Array.from({ length: 9 }, () => ({ account, bps: 1 }));
    expect(() => register({ splits })).toThrow(RangeError);
    const data = Buffer.from(register().data);
    data[data.length - 35] = 9;
    expect(chain.refusal([withData(register(), data)], owner)).toBe('InvalidSplits');
  });

  it("refuses another name's address", () => {
    const pubkey = program.nameAddress(chain.programId, 'other.web3');
    expect(chain.refusal([withAccounts(register(), { 1: { pubkey } })], owner)).toBe('WrongAddress');
  });

  it('refuses an account of another program or kind where the name should be', () => {
    const name = 'squat.web3';
    chain.commit(owner, name);
    chain.pass(COMMIT_SECONDS);
    const address = program.nameAddress(chain.programId, name);
    chain.put(address, chain.admin.publicKey, new Uint8Array(program.SIZES.name));
    expect(chain.refusal([chain.reveal(owner, { name })], owner)).toBe('WrongOwner');
    chain.put(address, chain.programId, new Uint8Array(program.SIZES.name));
    expect(chain.refusal([chain.reveal(owner, { name })], owner)).toBe('WrongAccountType');
  });

  it('refuses an owner without the rent', () => {
    const poor = chain.wallet('no rent', 10_000n);
    chain.commit(poor, 'rentless.web3');
    chain.pass(COMMIT_SECONDS);
    const to = chain.admin.publicKey;
    const lamports = Number(chain.lamportsOf(poor.publicKey));
    const away = SystemProgram.transfer({ fromPubkey: poor.publicKey, toPubkey: to, lamports });
    chain.ok([away], chain.admin, poor);
    expect(chain.refusal([chain.reveal(poor, { name: 'rentless.web3' })], chain.admin, poor)).toMatch(
      /^INSUFFICIENT_FUNDS/,
    );
  });

  checkAccounts(() => ({ chain, instruction: register(), signers: [owner] }), {
    signers: [0],
    writable: [0, 1],
    commitment: 2,
    bank: 3,
    mint: 4,
    tokenAccount: 5,
    tokenProgram: 6,
    systemProgram: 7,
  });
});
