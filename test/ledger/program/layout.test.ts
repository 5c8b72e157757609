import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { fromHex } from '../../../core/codec.ts';
import { isRelaymintError } from '../../../core/errors.ts';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { COMMIT_SECONDS, Chain, SALT, keypair } from './svm.ts';

type Fixture = 'bank' | 'till' | 'name' | 'commitment' | 'claim';

/** The version that the program writes today. */
const VERSION: Readonly<Record<Fixture, number>> = { bank: 3, till: 2, name: 2, commitment: 1, claim: 1 };

/** A layout as released: bytes that every later version must still read, or refuse by their version. */
function fixture(name: Fixture, version: number = VERSION[name]): Buffer {
  const text = readFileSync(new URL(`fixtures/${name}-v${version}.hex`, import.meta.url), 'utf8');
  return Buffer.from(fromHex(text.replaceAll(/\s/g, '')));
}

const payer = keypair('fixture payer');
const delegate = keypair('fixture delegate');
const owner = keypair('fixture owner');
const author = keypair('fixture author');

/** The accounts that the fixtures were taken from. */
function play(): Record<Fixture, Buffer> {
  const chain = Chain.start();
  chain.pass(1_700_000_000n - COMMIT_SECONDS - chain.now());
  chain.wallet('fixture payer', 5_000n);
  chain.wallet('fixture owner');
  const till = chain.openTill(owner, 3, { minDeposit: amount(222n), opening: amount(33n) });
  const root = Uint8Array.from({ length: 36 }, (_, index) => 200 + index);
  const name = 'fixture.web3';
  const splits = [
    { account: author.publicKey, bps: 7_500 },
    { account: owner.publicKey, bps: 2_500 },
  ];
  const record = { root, manifest: root.slice(0, 5), royaltyBps: 1_234, splits, manager: author.publicKey };
  const commitment = chain.data(chain.commit(owner, name));
  chain.pass(COMMIT_SECONDS);
  chain.ok([chain.reveal(owner, { name, years: 3, ...record })], owner);
  chain.ok([program.updateName(chain.programId, { signer: owner.publicKey, name, seq: 0n, royaltyBps: 4_321 })], owner);
  const funds = { deposit: amount(3_000n), opening: amount(44n) };
  const place = { payer: payer.publicKey, till, slot: 1, delegate: delegate.publicKey };
  chain.ok(chain.opening({ ...place, ...funds }), payer);
  chain.ok(chain.opening({ ...place, slot: 2, deposit: amount(555n), opening: amount(33n) }), payer);
  const settle = (total: bigint): void => {
    const receipt = chain.receipt(delegate, { till, slot: 1, amount: total, up: 11n, down: 2_222n });
    const shares = [{ name, gross: amount(777n), maxRoyaltyBps: 10_000 }];
    chain.ok(chain.settlement([receipt], { till, slots: [1], owner: owner.publicKey, shares }), owner);
  };
  settle(1_001n);
  const noAccounts = splits.map(({ account }) => ({ account, tokenAccount: null }));
  chain.ok([program.distributeName(chain.programId, { name, splits: noAccounts })], owner);
  settle(2_002n);
  chain.ok([program.withdraw(chain.programId, { owner: owner.publicKey, till })], owner);
  settle(2_900n);
  const close = { payer: payer.publicKey, till, slot: 1, generation: 1 };
  chain.ok([program.requestClose(chain.programId, close)], payer);
  const evict = { owner: owner.publicKey, payer: payer.publicKey, slot: 2, generation: 1 };
  chain.ok([program.closeByPayee(chain.programId, evict)], owner);
  chain.ok([program.redeem(chain.programId, { owner: payer.publicKey, amount: amount(100n) })], payer);
  const key = payer.publicKey;
  chain.ok([program.setRecovery(chain.programId, { owner: owner.publicKey, name, key, delay: 0x01_51_81 })], owner);
  chain.ok([program.beginRecovery(chain.programId, { key, name, newOwner: author.publicKey })], payer);
  return {
    bank: chain.data(program.bankAddress(chain.programId)),
    till: chain.data(till),
    name: chain.data(program.nameAddress(chain.programId, name)),
    commitment,
    claim: chain.data(program.claimAddress(chain.programId, payer.publicKey)),
  };
}

describe('the account layouts', () => {
  let played: Record<Fixture, Buffer>;
  beforeAll(() => {
    played = play();
  });

  it.each(Object.keys(VERSION) as Fixture[])('are still written to the byte: %s', (name) => {
    expect(played[name].toString('hex')).toBe(fixture(name).toString('hex'));
  });

  it('read as the bank they were written from', () => {
    expect(program.decodeBank(fixture('bank'))).toMatchObject({
      admin: keypair('admin').publicKey,
      unitsPerLamport: 2n,
      challengeSeconds: 3_600n,
      bought: 5_000n,
      redeemed: 100n,
      burned: 3_632n,
      openDeposits: 699n,
      forgone: 33n,
      address: program.bankAddress(keypair('program').publicKey),
      mint: program.mintAddress(keypair('program').publicKey),
      reserve: 2_450n,
    });
  });

  it('read as the till they were written from', () => {
    const till = program.decodeTill(fixture('till'));
    expect(till).toMatchObject({
      owner: owner.publicKey,
      address: program.tillAddress(keypair('program').publicKey, owner.publicKey),
      minDeposit: 222n,
      opening: 33n,
    });
    expect(till.slots[2]).toMatchObject({ open: false, generation: 2 });
    expect(till.slots[0]).toMatchObject({ slot: 0, open: false, generation: 1 });
    expect(till.slots[1]).toEqual({
      slot: 1,
      open: true,
      payer: payer.publicKey,
      delegate: delegate.publicKey,
      deposit: 3_000n,
      settled: 2_900n,
      up: 11n,
      down: 2_222n,
      generation: 1,
      closeAt: 1_700_003_600n,
      closeSlot: 7_201n,
      opening: 44n,
      rent: till.slotRent,
    });
  });

  it('read as the name they were written from', () => {
    const name = program.decodeName(fixture('name'));
    // 3 x 777 x 4321 / 10000: 1007 whole, 2251 ten-thousandths carried.
    expect(name).toMatchObject({
      name: 'fixture.web3',
      seq: 3n,
      royaltyBps: 4_321,
      lifetime: 1_007n,
      royaltyCarry: 2_251,
      // It is from before there were referrers.
      referrerBps: 0,
      referrerCarry: 0,
    });
    expect(name.splits[0]).toEqual({ account: author.publicKey, bps: 7_500, owed: 251n });
    expect(name.accrued + name.splits.reduce((sum, split) => sum + split.owed, 0n)).toBe(1_007n);
    expect(name.registeredAt).toBe(1_700_000_000n);
    expect(name.expiresAt).toBe(1_700_000_000n + 3n * 365n * 86_400n);
    expect(name.recovery).toEqual({
      key: payer.publicKey,
      delay: 86_401,
      pending: { to: author.publicKey, at: 1_700_086_401n, slot: 172_803n },
    });
    expect(name.transfers).toBe(0);
  });

  it('read as the name of before there was recovery', () => {
    const [first, present] = [program.decodeName(fixture('name', 1)), program.decodeName(fixture('name'))];
    expect(first).toEqual({ ...present, seq: 1n, recovery: undefined });
  });

  it('are told apart by version and size together', () => {
    const [first, present] = [fixture('name', 1), fixture('name')];
    const grown = Buffer.concat([first, Buffer.alloc(present.length - first.length)]);
    for (const wrong of [grown, present.subarray(0, first.length)]) {
      expect(() => program.decodeName(wrong)).toThrow(/another kind of account|another version/);
    }
  });

  it('read as the claim they were written from', () => {
    expect(program.decodeClaim(fixture('claim'))).toMatchObject({ payer: payer.publicKey, amount: 555n });
  });

  it.each([
    ['bank', 1, program.decodeBank],
    ['bank', 2, program.decodeBank],
    ['till', 1, program.decodeTill],
  ] as const)('of before are refused by their version, not misread: %s, version %i', (name, version, decode) => {
    expect(() => decode(fixture(name, version))).toThrow(/its layout is of another version/);
  });

  it('read as the commitment they were written from', () => {
    expect(program.decodeCommitment(fixture('commitment'))).toMatchObject({
      committer: owner.publicKey,
      hash: program.commitmentHash(owner.publicKey, SALT, 'fixture.web3'),
      committedAt: 1_700_000_000n - COMMIT_SECONDS,
    });
  });
});

describe('the decoders', () => {
  const cases = [
    ['bank', program.decodeBank],
    ['till', program.decodeTill],
    ['name', program.decodeName],
    ['commitment', program.decodeCommitment],
    ['claim', program.decodeClaim],
  ] as const;
  const code = (run: () => unknown): string => {
    try {
      run();
      return 'accepted';
    } catch (error) {
      return isRelaymintError(error) ? error.code : String(error);
    }
  };

  it.each(cases)('refuse a %s of any other length', (name, decode) => {
    const whole = fixture(name);
    for (let length = 0; length < whole.length; length += 1) {
      expect(code(() => decode(whole.subarray(0, length)))).toBe('INVALID_ENCODING');
    }
    expect(code(() => decode(Buffer.concat([whole, Buffer.alloc(1)])))).toBe('INVALID_ENCODING');
  });

  it.each(cases)('refuse a %s of another kind or version', (name, decode) => {
    for (let index = 0; index < 8; index += 1) {
      const changed = Buffer.from(fixture(name));
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      expect(code(() => decode(changed))).toBe('INVALID_ENCODING');
    }
  });

  it('refuse counts beyond their bounds without allocating for them', () => {
    const till = fixture('till');
    till.writeUInt32LE(0xffff_ffff, 12);
    expect(code(() => program.decodeTill(till))).toBe('INVALID_ENCODING');
    const name = fixture('name');
    name.writeUInt8(9, 300);
    expect(code(() => program.decodeName(name))).toBe('INVALID_ENCODING');
    for (const offset of [9, 168, 232]) {
      const long = fixture('name');
      long.writeUInt8(64, offset);
      expect(code(() => program.decodeName(long))).toBe('INVALID_ENCODING');
    }
  });

  it('hand out copies, not views of the account', () => {
    const data = fixture('name');
    const { root } = program.decodeName(data);
    data.fill(0);
    expect(root[0]).toBe(200);
  });
});
