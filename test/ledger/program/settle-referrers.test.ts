/** A name's royalty is divided with the name of the site that showed it, by the name's own terms. */
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import { settleUnits } from '../../../ledger/solana/settle-size.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import { checkAccounts } from './checks.ts';
import { Chain, keypair, withAccounts, withData } from './svm.ts';

type Share = readonly [name: string, gross: bigint, referrer?: string | undefined, maxRoyaltyBps?: number];

/** Compute units of one receipt with one share that has a referrer, and what each further share of two other names adds. */
const CEILING = 14_700;
const CEILING_SHARE = 1_440;
/** Places of name and referrer, gross, cap. */
const SHARE_BYTES = 12;

const owner = keypair('till owner');
const payer = keypair('payer');

describe("a referrer's part of a royalty", () => {
  let chain: Chain;
  let till: PublicKey;
  const register = (name: string, royaltyBps: number, referrerBps?: number): void => {
    chain.registerName(owner, { name, royaltyBps, referrerBps });
  };
  const shared = (total: bigint, shares: readonly Share[]): TransactionInstruction[] =>
    chain.settlement([chain.receipt(payer, { till, slot: 0, amount: total })], {
      till,
      slots: [0],
      owner: owner.publicKey,
      shares: shares.map(([name, gross, referrer, maxRoyaltyBps = 10_000]) => ({
        name,
        referrer,
        gross: amount(gross),
        maxRoyaltyBps,
      })),
    });
  const only = (instructions: readonly TransactionInstruction[]): TransactionInstruction => {
    const [first, ...others] = instructions;
    if (first === undefined || others.length > 0) throw new TypeError('one instruction is wanted');
    return first;
  };
  /** The same with another byte in the last share: 0 is the place of its name, 1 that of its referrer. */
  const pointing = (instruction: TransactionInstruction, at: 0 | 1, place: number): TransactionInstruction => {
    const data = Uint8Array.from(instruction.data);
    data[data.length - SHARE_BYTES + at] = place;
    return withData(instruction, data);
  };
  const accrued = (name: string): bigint => chain.name(name).accrued;

  beforeEach(() => {
    chain = Chain.start();
    chain.wallet('till owner');
    chain.wallet('payer', 300_000n);
    till = chain.openTill(owner, 1);
    chain.openChannel(payer, till, 0, 250_000n);
    register('pic.image', 5_000, 1_000);
    register('news.web3', 2_000, 10_000);
    register('blog.web3', 0);
  });

  it("is taken off the name's, and costs the seller nothing", () => {
    const { computeUnits } = chain.ok(shared(1_000n, [['pic.image', 800n, 'news.web3']]), owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING);
    expect(chain.name('pic.image')).toMatchObject({ accrued: 360n, lifetime: 360n, referrerCarry: 0 });
    expect(chain.name('news.web3')).toMatchObject({ accrued: 40n, lifetime: 40n, royaltyCarry: 0 });
    expect(chain.till(till)).toMatchObject({ earned: 600n, lifetimeEarned: 600n });
    expect(chain.bank()).toMatchObject({ unminted: 1_000n });
  });

  it('is nothing without a referrer, and of a name that offers none', () => {
    chain.ok(
      shared(1_000n, [
        ['pic.image', 400n],
        ['blog.web3', 400n, 'news.web3'],
      ]),
      owner,
    );
    expect([accrued('pic.image'), accrued('news.web3'), accrued('blog.web3')]).toEqual([200n, 0n, 0n]);
    expect(chain.name('pic.image').referrerCarry).toBe(0);
  });

  it('is counted on what the seller agreed to, not on what the name asks', () => {
    chain.ok(shared(1_000n, [['pic.image', 1_000n, 'news.web3', 1_000]]), owner);
    expect([accrued('pic.image'), accrued('news.web3')]).toEqual([90n, 10n]);
    expect(chain.till(till).earned).toBe(900n);
  });

  it('is counted on what the fee leaves', () => {
    chain.ok([program.configure(chain.programId, { admin: chain.admin.publicKey, feeBps: 1_000 })], chain.admin);
    chain.ok(shared(1_000n, [['pic.image', 1_000n, 'news.web3']]), owner);
    expect([accrued('pic.image'), accrued('news.web3')]).toEqual([405n, 45n]);
    expect(chain.bank().fees).toBe(100n);
    expect(chain.till(till).earned).toBe(450n);
  });

  it('may be all of it', () => {
    chain.ok(shared(1_000n, [['news.web3', 1_000n, 'blog.web3']]), owner);
    expect([accrued('news.web3'), accrued('blog.web3')]).toEqual([0n, 200n]);
  });

  it('goes to each of several that showed one name, and each account is there once', () => {
    const shares = [
      ['pic.image', 200n, 'news.web3'],
      ['pic.image', 400n, 'blog.web3'],
      ['pic.image', 100n],
      ['news.web3', 300n, 'pic.image'],
    ] as const;
    expect(only(shared(1_000n, shares)).keys).toHaveLength(6);
    chain.ok(shared(1_000n, shares), owner);
    expect([accrued('pic.image'), accrued('news.web3'), accrued('blog.web3')]).toEqual([380n, 10n, 20n]);
    expect(chain.till(till).earned).toBe(590n);
  });

  it('is carried to the ten-thousandth from share to share, whoever showed it', () => {
    const expected = { royalty: 0n, referral: 0n };
    let total = 0n;
    for (const [gross, referrer] of [
      [1n, 'news.web3'],
      [3n, 'blog.web3'],
      [7n, 'news.web3'],
      [2n, 'blog.web3'],
      [19n, 'news.web3'],
      [101n, 'blog.web3'],
    ] as const) {
      total += gross;
      chain.ok(shared(total, [['pic.image', gross, referrer]]), owner);
      expected.royalty = (total * 5_000n) / 10_000n;
      expected.referral = (expected.royalty * 1_000n) / 10_000n;
      expect(accrued('news.web3') + accrued('blog.web3')).toBe(expected.referral);
      expect(accrued('pic.image')).toBe(expected.royalty - expected.referral);
      expect(chain.name('pic.image').referrerCarry).toBe(Number((expected.royalty * 1_000n) % 10_000n));
    }
  });

  it('goes to a referrer whose name has expired as well: settling needs no clock', () => {
    chain.pass(12n * 365n * 86_400n);
    chain.ok(shared(1_000n, [['pic.image', 1_000n, 'news.web3']]), owner);
    expect([accrued('pic.image'), accrued('news.web3')]).toEqual([450n, 50n]);
  });

  it.each([16, 15, 9])('of eight shares that mention %d names is within what the client asks for', (count) => {
    const names = Array.from({ length: count }, (_, index) => `n${index}.web3`);
    for (const name of names) register(name, 5_000, 5_000);
    const shares = Array.from(
      { length: 8 },
      (_, index) => [`n${index}.web3`, 100n, `n${Math.min(8 + index, count - 1)}.web3`] as const,
    );
    const instruction = only(shared(800n, shares));
    expect(instruction.keys).toHaveLength(3 + count);
    const { computeUnits } = chain.ok([instruction], owner);
    expect(computeUnits).toBeLessThanOrEqual(CEILING + 7 * CEILING_SHARE);
    const asked = settleUnits(
      1,
      shares.map(([name, , referrer]) => ({ name, referrer })),
    );
    expect(computeUnits).toBeLessThanOrEqual(asked);
    expect(names.reduce((sum, name) => sum + accrued(name), 0n)).toBe(400n);
  });

  it('is refused to the name itself', () => {
    const instruction = only(shared(100n, [['pic.image', 100n, 'news.web3']]));
    expect(chain.refusal([pointing(instruction, 1, 0)], owner)).toBe('SelfReferral');
  });

  it.each([
    ['name', 0, 2],
    ['name', 0, 0xff],
    ['referrer', 1, 2],
    ['referrer', 1, 0xfe],
  ] as const)('is refused when the account of its %s is not there (%d, %d)', (_title, at, place) => {
    const instruction = only(shared(100n, [['pic.image', 100n, 'news.web3']]));
    expect(chain.refusal([pointing(instruction, at, place)], owner)).toBe('WrongAccountCount');
  });

  it('is refused beside a name that no share mentions', () => {
    const instruction = only(shared(100n, [['pic.image', 100n, 'news.web3']]));
    expect(chain.refusal([pointing(instruction, 1, 0xff)], owner)).toBe('WrongAccountCount');
    const none = only(chain.settlement([chain.receipt(payer, { till, slot: 0, amount: 100n })], { till, slots: [0] }));
    const name = { pubkey: program.nameAddress(chain.programId, 'pic.image'), isSigner: false, isWritable: true };
    expect(chain.refusal([Object.assign(withAccounts(none, {}), { keys: [...none.keys, name] })], owner)).toBe(
      'WrongAccountCount',
    );
  });

  it('is refused beside more than sixteen names', () => {
    const instruction = only(shared(100n, [['pic.image', 100n, 'news.web3']]));
    const more = Array.from({ length: 15 }, () => instruction.keys.at(-1));
    const crowd = Object.assign(withAccounts(instruction, {}), { keys: [...instruction.keys, ...more] });
    expect(instruction.keys.length + more.length).toBe(3 + 17);
    // Seventeen of them are not looked at, not even whether two are the same.
    expect(chain.refusal([crowd], owner)).toBe('WrongAccountCount');
  });

  it('is refused to a referrer that is not registered', () => {
    expect(chain.refusal(shared(100n, [['pic.image', 100n, 'nobody.web3']]), owner)).toBe('WrongOwner');
  });

  it('is refused when the accounts of name and referrer are the same', () => {
    const instruction = only(shared(100n, [['pic.image', 100n, 'news.web3']]));
    const same = withAccounts(instruction, { 4: { pubkey: program.nameAddress(chain.programId, 'pic.image') } });
    expect(chain.refusal([same], owner)).toBe('DuplicateName');
  });

  it('loses and makes nothing over any sequence of payments: what the seller does not keep is owners and referrers', () => {
    const names = ['pic.image', 'news.web3', 'blog.web3'] as const;
    const terms = fc.tuple(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: 10_000 }));
    const share = fc.record({
      name: fc.constantFrom(...names),
      referrer: fc.option(fc.constantFrom(...names), { nil: undefined }),
      gross: fc.bigInt({ min: 1n, max: 60n }),
      cap: fc.integer({ min: 0, max: 10_000 }),
    });
    const payment = fc.record({
      shares: fc.array(share, { minLength: 1, maxLength: 8 }),
      kept: fc.bigInt({ min: 0n, max: 20n }),
      /** Now and then the terms change before it. */
      change: fc.option(fc.tuple(fc.constantFrom(...names), terms), { nil: undefined, freq: 3 }),
    });
    let total = 0n;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000 }), fc.array(payment, { maxLength: 6 }), (feeBps, payments) => {
        chain.ok([program.configure(chain.programId, { admin: chain.admin.publicKey, feeBps })], chain.admin);
        for (const { shares, kept, change } of payments) {
          if (change !== undefined) update(...change);
          const before = figures();
          const gross = shares.reduce((sum, one) => sum + one.gross, 0n);
          total += gross + kept;
          const given = shares.map(({ name, referrer, gross: each, cap }): Share => [
            name,
            each,
            referrer === name ? undefined : referrer,
            cap,
          ]);
          chain.ok(shared(total, given), owner);
          const after = figures();
          expect(after.names - before.names + after.seller - before.seller + after.fees - before.fees).toBe(
            gross + kept,
          );
          const most = given.reduce((sum, [, each, , cap = 0]) => sum + each * BigInt(cap) + 9_999n, 0n) / 10_000n;
          expect(after.names - before.names).toBeLessThanOrEqual(most);
          for (const name of names) expect(chain.name(name).referrerCarry).toBeLessThan(10_000);
        }
        expect(chain.bank().unminted).toBe(total);
      }),
      { numRuns: 40 },
    );

    function update(name: string, [royaltyBps, referrerBps]: readonly [number, number]): void {
      const { seq } = chain.name(name);
      const change = { signer: owner.publicKey, name, seq, royaltyBps, referrerBps };
      chain.ok([program.updateName(chain.programId, change)], owner);
    }

    function figures(): { readonly names: bigint; readonly seller: bigint; readonly fees: bigint } {
      const earned = names.reduce((sum, name) => sum + accrued(name), 0n);
      return { names: earned, seller: chain.till(till).earned, fees: chain.bank().fees };
    }
  });

  // The name is looked at first, then its referrer.
  for (const name of [3, 4]) {
    describe(`with another account in place ${name}`, () => {
      checkAccounts(
        () => ({
          chain,
          instruction: only(shared(10n, [['pic.image', 1n, 'news.web3']])),
          signers: [owner],
        }),
        { name, open: true },
      );
    });
  }
});
