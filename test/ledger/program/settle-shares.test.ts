import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { concatBytes } from '../../../core/codec.ts';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts, withData } from './svm.ts';

/** Compute units: a batch of one receipt and one share, each further receipt, each further share. */
const CEILING = 14_000;
const CEILING_RECEIPT = 9_900;
const CEILING_SHARE = 520;

/** Places of name and referrer, gross, cap. */
const SHARE_BYTES = 12;

const owner = keypair('till owner');
const payer = keypair('payer');

describe('content shares of a settlement', () => {
  let chain: Chain;
  let till: PublicKey;
  const registerName = (name: string, royaltyBps: number): void => {
    chain.registerName(owner, { name, royaltyBps });
  };
  const shared = (
    total: bigint,
    shares: readonly (readonly [name: string, gross: bigint, maxRoyaltyBps?: number])[],
  ): TransactionInstruction[] =>
    chain.settlement([chain.receipt(payer, { till, slot: 0, amount: total })], {
      till,
      slots: [0],
      owner: owner.publicKey,
      shares: shares.map(([name, gross, maxRoyaltyBps = 10_000]) => ({ name, gross: amount(gross), maxRoyaltyBps })),
    });

  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('till owner');
    chain.wallet('payer', 8_000n);
    till = chain.openTill(owner, 5);
    for (const slot of [0, 1, 2, 3, 4]) chain.openChannel(payer, till, slot, 1_000n);
    registerName('news.web3', 2_500);
    registerName('maps.map', 10_000);
    registerName('free.web3', 0);
  });

  it('cost little', () => {
    const { computeUnits } = chain.ok(shared(20n, [['news.web3', 10n]]), owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
  });

  it('fit three times, with five receipts, into one transaction that the owner pays', () => {
    const names = ['news.web3', 'maps.map', 'free.web3'];
    const slots = [0, 1, 2, 3, 4];
    const receipts = slots.map((slot) => chain.receipt(payer, { till, slot, amount: 1_000n }));
    const shares = names.map((name) => ({ name, gross: amount(1_000n), maxRoyaltyBps: 10_000 }));
    const { computeUnits } = chain.ok(
      chain.settlement(receipts, { till, slots, owner: owner.publicKey, shares }),
      owner,
    );
    expect(computeUnits).toBeLessThanOrEqual(CEILING + 4 * CEILING_RECEIPT + 2 * CEILING_SHARE);
    expect(chain.till(till).earned).toBe(3_750n);
  });

  it('give each name its royalty and the seller the rest', () => {
    const shares = [
      ['news.web3', 400n],
      ['maps.map', 100n],
      ['free.web3', 50n],
    ] as const;
    chain.ok(shared(700n, shares), owner);
    expect(chain.name('news.web3')).toMatchObject({ accrued: 100n, lifetime: 100n, royaltyCarry: 0 });
    expect(chain.name('maps.map')).toMatchObject({ accrued: 100n, lifetime: 100n });
    expect(chain.name('free.web3')).toMatchObject({ accrued: 0n, lifetime: 0n });
    expect(chain.till(till)).toMatchObject({ earned: 500n, lifetimeEarned: 500n });
    expect(chain.bank()).toMatchObject({ unminted: 700n, openDeposits: 4_300n });
  });

  it('go to at most eight names', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((label) => `${label}.web3`);
    for (const name of names) registerName(name, 5_000);
    const shares = names.map((name) => [name, 10n] as const);
    chain.ok(shared(80n, shares), owner);
    expect(names.map((name) => chain.name(name).accrued)).toEqual(names.map(() => 5n));
    expect(chain.till(till).earned).toBe(40n);
  });

  it('give a name at most what the seller agreed to, though its owner raised the royalty after the content was served', () => {
    const name = 'news.web3';
    const royaltyBps = 10_000;
    chain.ok(
      [program.updateName(chain.programId, { signer: owner.publicKey, name, seq: chain.name(name).seq, royaltyBps })],
      owner,
    );
    expect(chain.name(name).royaltyBps).toBe(royaltyBps);
    chain.ok(shared(400n, [[name, 400n, 2_500]]), owner);
    expect(chain.name(name)).toMatchObject({ accrued: 100n, lifetime: 100n, royaltyCarry: 0 });
    expect(chain.till(till).earned).toBe(300n);
  });

  it('give a name its own royalty when that is no more than the seller agreed to', () => {
    chain.ok(shared(800n, [['news.web3', 400n, 2_500]]), owner);
    expect(chain.name('news.web3').accrued).toBe(100n);
    chain.ok(shared(1_000n, [['news.web3', 200n, 9_999]]), owner);
    expect(chain.name('news.web3').accrued).toBe(150n);
  });

  it('give a name nothing when the seller agreed to nothing', () => {
    chain.ok(shared(400n, [['maps.map', 400n, 0]]), owner);
    expect(chain.name('maps.map')).toMatchObject({ accrued: 0n, lifetime: 0n });
    expect(chain.till(till).earned).toBe(400n);
  });

  it.each([10_001, 65_535])('are refused when the agreed royalty is %d basis points', (maxRoyaltyBps) => {
    expect(chain.refusal(shared(100n, [['news.web3', 100n, maxRoyaltyBps]]), owner)).toBe('InvalidRoyalty');
  });

  it('carry the odd part of a base unit to the next share', () => {
    for (const [total, accrued, carry] of [
      [1n, 0n, 2_500],
      [2n, 0n, 5_000],
      [3n, 0n, 7_500],
      [4n, 1n, 0],
      [7n, 1n, 7_500],
    ] as const) {
      const gross = total === 7n ? 3n : 1n;
      chain.ok(shared(total, [['news.web3', gross]]), owner);
      expect(chain.name('news.web3')).toMatchObject({ accrued, royaltyCarry: carry });
    }
    expect(chain.till(till).earned).toBe(6n);
  });

  it('change nothing when the batch is sent again', () => {
    chain.ok(shared(100n, [['news.web3', 100n]]), owner);
    const before = chain.name('news.web3');
    expect(chain.refusal(shared(100n, [['news.web3', 100n]]), owner)).toBe('ShareExceedsBatch');
    expect(chain.refusal(shared(100n, [['news.web3', 1n]]), owner)).toBe('ShareExceedsBatch');
    expect(chain.name('news.web3')).toEqual(before);
  });

  it('are refused when they sum to more than the batch earned', () => {
    const shares = [
      ['news.web3', 60n],
      ['maps.map', 41n],
    ] as const;
    expect(chain.refusal(shared(100n, shares), owner)).toBe('ShareExceedsBatch');
  });

  it('are refused when their sum leaves 64 bits', () => {
    const shares = [
      ['news.web3', 1n],
      ['maps.map', (1n << 64n) - 1n],
    ] as const;
    expect(chain.refusal(shared(100n, shares), owner)).toBe('Overflow');
  });

  it('are refused when one is 0', () => {
    expect(chain.refusal(shared(100n, [['news.web3', 0n]]), owner)).toBe('ZeroShare');
  });

  it('may come twice of one name, whose account is there once', () => {
    const shares = [
      ['news.web3', 20n],
      ['news.web3', 60n],
    ] as const;
    const [instruction, ...others] = shared(100n, shares);
    expect(others).toEqual([]);
    expect(instruction?.keys).toHaveLength(4);
    chain.ok(shared(100n, shares), owner);
    expect(chain.name('news.web3')).toMatchObject({ accrued: 20n, lifetime: 20n });
  });

  it("are refused when a name's account is there twice", () => {
    const [instruction] = shared(100n, [
      ['news.web3', 1n],
      ['maps.map', 1n],
    ]);
    if (instruction === undefined) throw new TypeError('no batch');
    const twice = withAccounts(instruction, { 4: { pubkey: program.nameAddress(chain.programId, 'news.web3') } });
    expect(chain.refusal([twice], owner)).toBe('DuplicateName');
  });

  it('are refused when there are more than eight', () => {
    const [instruction] = shared(100n, [['news.web3', 1n]]);
    if (instruction === undefined) throw new TypeError('no batch');
    const one = instruction.data.subarray(-SHARE_BYTES);
    const count = Uint8Array.of(9);
    const data = concatBytes(instruction.data.subarray(0, -SHARE_BYTES - 1), count, ...Array<Uint8Array>(9).fill(one));
    expect(chain.refusal([withData(instruction, data)], owner)).toBe('InvalidBatch');
  });

  it("are refused without the till owner's signature: a payer must not choose who earns", () => {
    const [instruction] = shared(100n, [['news.web3', 100n]]);
    if (instruction === undefined) throw new TypeError('no batch');
    const asPayer = withAccounts(instruction, { 2: { pubkey: payer.publicKey } });
    expect(chain.refusal([asPayer], payer)).toBe('NotTillOwner');
    const unsigned = withAccounts(instruction, { 2: { isSigner: false } });
    expect(chain.refusal([unsigned], payer)).toBe('NotSigner');
  });

  it('are refused for a name that is not registered', () => {
    expect(chain.refusal(shared(100n, [['nobody.web3', 1n]]), owner)).toBe('WrongOwner');
  });

  checkAccounts(
    () => {
      const [instruction] = shared(10n, [['news.web3', 1n]]);
      if (instruction === undefined) throw new TypeError('no batch');
      return { chain, instruction, signers: [owner] };
    },
    { signers: [2], till: 0, bank: 1, name: 3, open: true },
  );
});
