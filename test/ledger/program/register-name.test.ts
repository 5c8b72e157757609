import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts, withData } from './svm.ts';

/** Most of it is the search for the address: 1,500 a try, and how many depends on the name. */
const CEILING = 9_000;
const CID = Uint8Array.from({ length: 36 }, (_, index) => index + 1);

describe('registerName', () => {
  let chain: Chain;
  const owner = keypair('owner');
  const register = (change: Partial<program.RegisterNameArguments> = {}): TransactionInstruction =>
    program.registerName(chain.programId, {
      owner: owner.publicKey,
      name: 'fresh.web3',
      root: CID,
      royaltyBps: 500,
      ...change,
    });
  beforeAll(() => {
    chain = Chain.bare();
    chain.pass(1_800_000_000n);
    chain.fund(owner.publicKey);
  });

  it('records the name, its content and who earns from it', () => {
    const manager = keypair('manager').publicKey;
    const splits = [
      { account: keypair('author').publicKey, bps: 6_667 },
      { account: keypair('editor').publicKey, bps: 3_333 },
    ];
    const manifest = CID.toReversed();
    const { computeUnits } = chain.ok([register({ name: 'news.web3', manifest, manager, splits })], owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.name('news.web3')).toMatchObject({
      name: 'news.web3',
      owner: owner.publicKey,
      manager,
      registeredAt: chain.svm.getClock().unixTimestamp,
      expiresAt: undefined,
      seq: 0n,
      root: CID,
      manifest,
      royaltyBps: 500,
      royaltyCarry: 0,
      splits: splits.map((split) => ({ ...split, owed: 0n })),
      accrued: 0n,
      lifetime: 0n,
    });
  });

  it('gives everything to the owner when nothing else is said', () => {
    chain.ok([register({ name: 'plain.sso', root: new Uint8Array() })], owner);
    expect(chain.name('plain.sso')).toMatchObject({
      manager: owner.publicKey,
      root: new Uint8Array(),
      manifest: new Uint8Array(),
      splits: [{ account: owner.publicKey, bps: 10_000, owed: 0n }],
    });
  });

  it('takes eight splits and the longest CIDs', () => {
    const splits = Array.from({ length: 8 }, (_, index) => ({ account: keypair(`s${index}`).publicKey, bps: 1_250 }));
    const longest = new Uint8Array(63).fill(9);
    chain.ok([register({ name: 'full.web3', root: longest, manifest: longest, splits })], owner);
    expect(chain.name('full.web3').splits).toHaveLength(8);
    expect(chain.name('full.web3').manifest).toEqual(longest);
  });

  it('works although somebody sent lamports to the address before', () => {
    const toPubkey = program.nameAddress(chain.programId, 'gift.map');
    const fromPubkey = chain.admin.publicKey;
    chain.ok([SystemProgram.transfer({ fromPubkey, toPubkey, lamports: 1_000_000 })], chain.admin);
    chain.ok([register({ name: 'gift.map' })], owner);
    expect(chain.name('gift.map').owner).toEqual(owner.publicKey);
  });

  it('refuses a name that is taken, whoever asks', () => {
    chain.ok([register({ name: 'taken.web3' })], owner);
    const late = keypair('late');
    chain.fund(late.publicKey);
    expect(chain.refusal([register({ name: 'taken.web3', owner: late.publicKey })], late)).toBe('NameTaken');
  });

  // The longest label that every rule allows.
  const longest = `${'a'.repeat(53)}.web3`;
  it.each([longest, 'a.web3', '0.sso', 'a-b.image', 'a--b.video', 'ab.map', 'x-y-z.route', 'abc--d.web3'])(
    'allows %s',
    (name) => {
      chain.ok([register({ name })], owner);
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

  it('refuses a name that is too long, in the client and on chain', () => {
    const name = `${'a'.repeat(54)}.web3`;
    expect(() => register({ name })).toThrow(/1 to 58 bytes/);
    const rest = register().data.subarray(2 + 'fresh.web3'.length);
    const data = concatBytes(Uint8Array.of(10, name.length), utf8(name), rest);
    expect(chain.refusal([withData(register(), data)], owner)).toBe('InvalidName');
  });

  it('refuses an empty name, in the client and on chain', () => {
    expect(() => register({ name: '' })).toThrow(/1 to 58 bytes/);
    const rest = register().data.subarray(2 + 'fresh.web3'.length);
    expect(chain.refusal([withData(register(), concatBytes(Uint8Array.of(10, 0), rest))], owner)).toBe('InvalidName');
  });

  it('refuses a CID over 63 bytes, in the client and on chain', () => {
    expect(() => register({ root: new Uint8Array(64) })).toThrow(RangeError);
    const head = concatBytes(Uint8Array.of(10, 10), utf8('fresh.web3'));
    const tail = register().data.subarray(head.length + 1 + CID.length);
    const data = concatBytes(head, Uint8Array.of(64), new Uint8Array(64), tail);
    expect(chain.refusal([withData(register(), data)], owner)).toBe('FieldTooLong');
  });

  it('refuses a royalty over the whole', () => {
    expect(chain.refusal([register({ royaltyBps: 10_001 })], owner)).toBe('InvalidRoyalty');
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

  it('refuses an owner without the rent', () => {
    const poor = keypair('poor');
    expect(chain.refusal([register({ owner: poor.publicKey })], chain.admin, poor)).toMatch(/^INSUFFICIENT_FUNDS/);
  });

  checkAccounts(() => ({ chain, instruction: register(), signers: [owner] }), {
    signers: [0],
    writable: [0, 1],
    systemProgram: 2,
  });
});
