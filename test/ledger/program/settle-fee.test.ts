import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { Chain, keypair } from './svm.ts';

const owner = keypair('till owner');
const payer = keypair('payer');

describe("the bank's fee", () => {
  let chain: Chain;
  let till: PublicKey;
  const feeOf = (feeBps: number): void => {
    chain.ok([program.configure(chain.programId, { admin: chain.admin.publicKey, feeBps })], chain.admin);
  };
  const registerName = (name: string, royaltyBps: number): void => {
    chain.registerName(owner, { name, royaltyBps });
  };
  const shared = (total: bigint, shares: readonly (readonly [string, bigint])[] = []): TransactionInstruction[] =>
    chain.settlement([chain.receipt(payer, { till, slot: 0, amount: total })], {
      till,
      slots: [0],
      owner: owner.publicKey,
      shares: shares.map(([name, gross]) => ({ name, gross: amount(gross), maxRoyaltyBps: 10_000 })),
    });
  /** Everything that a settlement moved is with the treasury, the names and the seller. */
  const expectDivided = (total: bigint, names: readonly string[]): void => {
    const accrued = names.reduce((sum, name) => sum + chain.name(name).accrued, 0n);
    expect(chain.bank().fees + accrued + chain.till(till).earned).toBe(total);
    expect(chain.bank().unminted).toBe(total);
  };

  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('till owner');
    chain.wallet('payer', 50_000n);
    till = chain.openTill(owner, 1);
    chain.openChannel(payer, till, 0, 40_000n);
    registerName('half.web3', 5_000);
    registerName('whole.map', 10_000);
    registerName('third.web3', 3_333);
  });

  it('goes to the treasury first, the rest to the till', () => {
    feeOf(250);
    chain.ok(shared(2_000n));
    expect(chain.bank()).toMatchObject({ fees: 50n, lifetimeFees: 50n, feeCarry: 0 });
    expect(chain.till(till)).toMatchObject({ earned: 1_950n, lifetimeEarned: 1_950n });
    expectDivided(2_000n, []);
  });

  it('is exact over many small settlements: fractions of a base unit are carried', () => {
    feeOf(333);
    for (const total of [1n, 2n, 31n, 60n, 61n, 90n, 91n, 1_000n, 1_001n]) {
      chain.ok(shared(total));
      expect(chain.bank()).toMatchObject({
        fees: (total * 333n) / 10_000n,
        feeCarry: Number((total * 333n) % 10_000n),
      });
      expectDivided(total, []);
    }
  });

  it('is taken once: a batch sent again costs nothing', () => {
    feeOf(1_000);
    chain.ok(shared(100n));
    const before = chain.bank();
    chain.ok(shared(100n));
    expect(chain.bank()).toEqual(before);
  });

  it('leaves the names their royalty on what it leaves', () => {
    feeOf(1_000);
    chain.ok(shared(1_000n, [['half.web3', 600n]]), owner);
    expect(chain.bank().fees).toBe(100n);
    expect(chain.name('half.web3')).toMatchObject({ accrued: 270n, lifetime: 270n });
    expect(chain.till(till).earned).toBe(630n);
    expectDivided(1_000n, ['half.web3']);
  });

  it('fits beside royalties that take everything', () => {
    feeOf(1_000);
    chain.ok(shared(1_000n, [['whole.map', 1_000n]]), owner);
    expect(chain.name('whole.map').accrued).toBe(900n);
    expect(chain.till(till).earned).toBe(0n);
    expectDivided(1_000n, ['whole.map']);
  });

  it.each([1, 7, 333, 999, 1_000])('divides every odd total at %d basis points, carries included', (feeBps) => {
    feeOf(feeBps);
    const names = ['half.web3', 'whole.map', 'third.web3'];
    let total = 0n;
    for (const step of [1n, 2n, 3n, 9n, 10n, 11n, 99n, 101n, 1_009n, 3n, 7_919n]) {
      total += step;
      // Everything attributed, most of it to the name that takes all of it.
      const rest = step / 3n;
      const shares = [
        ['whole.map', step - 2n * rest],
        ['half.web3', rest],
        ['third.web3', rest],
      ] as const;
      chain.ok(
        shared(
          total,
          shares.filter(([, gross]) => gross > 0n),
        ),
        owner,
      );
      expectDivided(total, names);
    }
    expect(chain.bank().fees).toBe((total * BigInt(feeBps)) / 10_000n);
  });

  it('applies to what is settled after a change, and can be ended', () => {
    feeOf(1_000);
    chain.ok(shared(100n));
    feeOf(0);
    chain.ok(shared(300n));
    expect(chain.bank()).toMatchObject({ fees: 10n, lifetimeFees: 10n });
    expect(chain.till(till).earned).toBe(290n);
  });
});
