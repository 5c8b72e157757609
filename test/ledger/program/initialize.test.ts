import { TOKEN_PROGRAM_ID, unpackMint } from '@solana/spl-token';
import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import { LOADER, withUpgradeAuthority } from '../../../ledger/solana/deployment/loader.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import type { Attempt } from './checks.ts';
import { CHALLENGE_SECONDS, CLUSTER_TAG, Chain, UNITS_PER_LAMPORT, keypair, withAccounts } from './svm.ts';

/** Most of it is the search for three addresses: 1,500 a try, and how many depends on the program id. */
const CEILING = 17_000;

function initialize(chain: Chain, change: Partial<program.InitializeArguments> = {}): TransactionInstruction {
  return program.initialize(chain.programId, {
    admin: chain.admin.publicKey,
    clusterTag: CLUSTER_TAG,
    unitsPerLamport: UNITS_PER_LAMPORT,
    challengeSeconds: CHALLENGE_SECONDS,
    ...change,
  });
}

describe('initialize', () => {
  it('creates the bank and a mint that only the bank can mint and nobody can freeze', () => {
    const chain = Chain.bare();
    const { computeUnits } = chain.ok([initialize(chain)], chain.admin);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.bank()).toMatchObject({
      admin: chain.admin.publicKey,
      clusterTag: CLUSTER_TAG,
      unitsPerLamport: UNITS_PER_LAMPORT,
      challengeSeconds: CHALLENGE_SECONDS,
      bought: 0n,
      redeemed: 0n,
      burned: 0n,
      minted: 0n,
      openDeposits: 0n,
      unminted: 0n,
      reserve: 0n,
      forgone: 0n,
      slotRents: 0n,
      address: program.bankAddress(chain.programId),
      mint: program.mintAddress(chain.programId),
      treasury: chain.admin.publicKey,
      fees: 0n,
      nameYearPrice: 0n,
      feeBps: 0,
      feeCarry: 0,
      commitSeconds: 60,
      lifetimeFees: 0n,
    });
    const mint = program.mintAddress(chain.programId);
    expect(unpackMint(mint, chain.account(mint))).toMatchObject({
      decimals: program.CREDIT_DECIMALS,
      mintAuthority: program.bankAddress(chain.programId),
      freezeAuthority: null,
      supply: 0n,
      isInitialized: true,
    });
  });

  it('holds the rent of both accounts, for the bank that of a cluster ten times as expensive', () => {
    const chain = Chain.start();
    const held = (size: number): bigint => chain.svm.minimumBalanceForRentExemption(BigInt(size));
    expect(chain.lamportsOf(program.bankAddress(chain.programId))).toBe(10n * held(program.SIZES.bank));
    expect(chain.bank().rent).toBe(10n * held(program.SIZES.bank));
    expect(chain.lamportsOf(program.mintAddress(chain.programId))).toBe(held(82));
  });

  it.each([1n, 10_000_000_000n])('works although somebody sent %d lamports to the addresses before', (lamports) => {
    const chain = Chain.bare();
    const pay = (toPubkey: typeof SystemProgram.programId): TransactionInstruction =>
      SystemProgram.transfer({ fromPubkey: chain.admin.publicKey, toPubkey, lamports });
    // One lamport alone cannot stand on a cluster; it is put there past the rules.
    for (const key of [program.bankAddress(chain.programId), program.mintAddress(chain.programId)]) {
      if (lamports === 1n) chain.put(key, SystemProgram.programId, new Uint8Array(), 1n);
      else chain.ok([pay(key)], chain.admin);
    }
    chain.initialize();
    expect(chain.bank().reserve).toBe(0n);
    const mint = chain.account(program.mintAddress(chain.programId));
    expect(mint?.owner).toEqual(TOKEN_PROGRAM_ID);
  });

  it('succeeds only once', () => {
    const chain = Chain.start();
    expect(chain.refusal([initialize(chain)])).toBe('AlreadyExists');
  });

  describe('its settings', () => {
    let chain: Chain;
    beforeAll(() => {
      chain = Chain.bare();
    });

    it.each([
      ['a price of 0', { unitsPerLamport: 0n }],
      ['no challenge period', { challengeSeconds: 0n }],
      ['a challenge period over 90 days', { challengeSeconds: program.MAX_CHALLENGE_SECONDS + 1n }],
      ['commitments that may be revealed at once', { commitSeconds: 0 }],
      ['commitments that must wait over an hour', { commitSeconds: program.MAX_COMMIT_SECONDS + 1 }],
      ['a price of names over the limit', { nameYearPrice: amount(program.MAX_NAME_YEAR_PRICE + 1n) }],
      ['a fee over a tenth', { feeBps: program.MAX_FEE_BPS + 1 }],
      ['no treasury', { treasury: PublicKey.default }],
    ])('refuses %s', (_title, change) => {
      expect(chain.refusal([initialize(chain, change)])).toBe('InvalidConfiguration');
    });

    it('refuses an admin that does not pay', () => {
      const poor = keypair('poor');
      const instruction = withAccounts(initialize(chain, { admin: poor.publicKey }), { 0: { isWritable: false } });
      chain.setUpgradeAuthority(poor.publicKey);
      expect(chain.refusal([instruction], chain.admin, poor)).toBe('NotWritable');
      chain.setUpgradeAuthority(chain.admin.publicKey);
    });

    it('refuses another address for the bank', () => {
      const instruction = withAccounts(initialize(chain), { 1: { pubkey: keypair('elsewhere').publicKey } });
      expect(chain.refusal([instruction])).toBe('WrongAddress');
    });

    const admin = keypair('second admin');
    const attempt = (): Attempt => {
      chain.setUpgradeAuthority(admin.publicKey);
      return { chain, instruction: initialize(chain, { admin: admin.publicKey }), signers: [admin] };
    };
    checkAccounts(attempt, { signers: [0], writable: [1], tokenProgram: 3, systemProgram: 4 });
  });

  describe('who may do it', () => {
    let chain: Chain;
    const stranger = keypair('stranger');
    const dataOf = (): PublicKey => program.programDataAddress(chain.programId);
    const changed = (change: (data: Buffer) => void): string => {
      const data = chain.data(dataOf());
      change(data);
      chain.put(dataOf(), LOADER, data, 1_000_000_000n);
      return chain.refusal([initialize(chain)]);
    };
    beforeEach(() => {
      chain = Chain.bare();
      chain.fund(stranger.publicKey);
    });

    it('is the upgrade authority of the program, and no stranger', () => {
      expect(chain.refusal([initialize(chain, { admin: stranger.publicKey })], stranger)).toBe('NotUpgradeAuthority');
      expect(chain.account(program.bankAddress(chain.programId))).toBeNull();
    });

    it('is nobody once the program is final, although the key is still in its data', () => {
      expect(changed((data) => data.writeUInt8(0, 12))).toBe('NotUpgradeAuthority');
    });

    it("refuses another account in place of the program's data, an upgradable program of the stranger's too", () => {
      const own = keypair('data of another program').publicKey;
      chain.put(own, LOADER, withUpgradeAuthority(chain.data(dataOf()), stranger.publicKey));
      const instruction = withAccounts(initialize(chain, { admin: stranger.publicKey }), { 5: { pubkey: own } });
      expect(chain.refusal([instruction], stranger)).toBe('WrongAddress');
    });

    it("refuses data that are not the loader's, of another kind, or too short", () => {
      const whole = chain.data(dataOf());
      chain.put(dataOf(), SystemProgram.programId, whole);
      expect(chain.refusal([initialize(chain)])).toBe('WrongOwner');
      expect(changed((data) => data.writeUInt32LE(1, 0))).toBe('WrongAccountType');
      chain.put(dataOf(), LOADER, whole.subarray(0, 44));
      expect(chain.refusal([initialize(chain)])).toBe('WrongAccountType');
    });
  });

  it('takes every setting up to its limit', () => {
    const chain = Chain.bare();
    const treasury = keypair('treasury').publicKey;
    const settings = {
      nameYearPrice: amount(program.MAX_NAME_YEAR_PRICE),
      commitSeconds: program.MAX_COMMIT_SECONDS,
      feeBps: program.MAX_FEE_BPS,
      treasury,
    };
    chain.ok([initialize(chain, settings)], chain.admin);
    expect(chain.bank()).toMatchObject(settings);
  });

  it('takes the shortest and the longest challenge period', () => {
    for (const challengeSeconds of [1n, program.MAX_CHALLENGE_SECONDS]) {
      const chain = Chain.bare();
      chain.ok([initialize(chain, { challengeSeconds })], chain.admin);
      expect(chain.bank().challengeSeconds).toBe(challengeSeconds);
    }
  });

  it('refuses a cluster tag of another length before anything is sent', () => {
    expect(() => initialize(Chain.bare(), { clusterTag: new Uint8Array(15) })).toThrow(RangeError);
  });
});
