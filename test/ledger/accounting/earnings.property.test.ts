/** What names are owed of what a payer pays, over any shares, prices and receipts. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attribution, earnersKey, earnersOf, type Attribution } from '../../../core/attribution.ts';
import { MAX_ATTRIBUTED_NAMES, MAX_UNPAID_REFERRALS } from '../../../core/limits.ts';
import { ALL_BPS, basisPoints, pricePerMiB } from '../../../core/units.ts';
import { Earnings } from '../../../ledger/accounting/earnings.ts';
import { allFor } from './pair.ts';

const NAMES = Array.from({ length: 2 * MAX_ATTRIBUTED_NAMES }, (_, index) => `n${index}.web3`);
const WHOLE = BigInt(ALL_BPS);

/** Different names, with shares that are at most all together, and often exactly that. */
const LIST: fc.Arbitrary<Attribution> = fc
  .tuple(
    fc.subarray(NAMES, { minLength: 1, maxLength: MAX_ATTRIBUTED_NAMES }),
    fc.array(fc.nat(ALL_BPS), { minLength: MAX_ATTRIBUTED_NAMES, maxLength: MAX_ATTRIBUTED_NAMES }),
    fc.array(fc.option(fc.constantFrom(...NAMES), { nil: undefined }), {
      minLength: MAX_ATTRIBUTED_NAMES,
      maxLength: MAX_ATTRIBUTED_NAMES,
    }),
    fc.boolean(),
  )
  .map(([names, cuts, referrers, isAll]) => {
    const ends = cuts.slice(0, names.length).toSorted((a, b) => a - b);
    if (isAll) ends[ends.length - 1] = ALL_BPS;
    return attribution(
      names.map((name, index) => ({
        name,
        referrer: referrers[index],
        share: basisPoints((ends[index] ?? 0) - (ends[index - 1] ?? 0)),
      })),
    );
  });

type Step =
  | { readonly kind: 'frames'; readonly list: number; readonly bytes: number; readonly price: bigint }
  /** Pays so many ten-thousandths of what is due, or they are lost with a link. */
  | { readonly kind: 'receipt' | 'loss'; readonly part: number };

const PART = fc.oneof(fc.nat(10_000), fc.constant(1));
const FRAMES: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('frames' as const),
  // One that is not there: what is sent counts for nobody.
  list: fc.nat(4),
  bytes: fc.integer({ min: 1, max: 62_000 }),
  price: fc.oneof(fc.bigInt({ min: 0n, max: 3n }), fc.bigInt({ min: 0n, max: 1n << 40n })),
});
const RECEIPT: fc.Arbitrary<Step> = fc.record({ kind: fc.constant('receipt' as const), part: PART });
const LOSS: fc.Arbitrary<Step> = fc.record({ kind: fc.constant('loss' as const), part: PART });
const LISTS = fc.array(LIST, { minLength: 1, maxLength: 4 });

function steps(...rare: readonly fc.Arbitrary<Step>[]): fc.Arbitrary<Step[]> {
  const weighted = rare.map((arbitrary) => ({ weight: 1, arbitrary }));
  return fc.array(fc.oneof({ weight: 3, arbitrary: FRAMES }, ...weighted), { maxLength: 60 });
}

class Account {
  due = 0n;
  paid = 0n;
  readonly given = new Map<string, bigint>();
  /** By name and referrer: numerators x basis points. */
  readonly exact = new Map<string, bigint>();
  readonly #earnings = new Earnings();

  carry(list: Attribution | undefined, bytes: number, price: bigint): void {
    this.due += BigInt(bytes) * price;
    if (list === undefined) return;
    this.#earnings.add(list, bytes, pricePerMiB(price));
    for (const share of list) add(this.exact, earnersKey(share), BigInt(bytes) * price * BigInt(share.share));
  }

  pay(paid: bigint): void {
    for (const [name, numerator] of this.#earnings.take(paid, this.due)) add(this.given, name, numerator);
    this.due -= paid;
    this.paid += paid;
  }

  get gave(): bigint {
    return Array.from(this.given.values()).reduce((sum, numerator) => sum + numerator, 0n);
  }
}

function add(sums: Map<string, bigint>, name: string, numerator: bigint): void {
  sums.set(name, (sums.get(name) ?? 0n) + numerator);
}

function run(account: Account, lists: readonly Attribution[], step: Step): void {
  if (step.kind === 'frames') account.carry(lists[step.list], step.bytes, step.price);
  else if (step.kind === 'loss') account.due -= (account.due * BigInt(step.part)) / 10_000n;
  else account.pay((account.due * BigInt(step.part)) / 10_000n);
}

/** What nobody paid, and what a name did not earn. */
function tooMuch({ gave, paid, given, exact }: Account): readonly string[] {
  const over = Array.from(given).filter(([name, sum]) => sum * WHOLE > (exact.get(name) ?? 0n));
  return [...over.map(([name]) => name), ...(gave > paid ? [`${gave} of ${paid}`] : [])];
}

/** What a name earned, whoever showed it. */
function ofName(given: ReadonlyMap<string, bigint>, name: string): bigint {
  const own = Array.from(given).filter(([key]) => earnersOf(key).name === name);
  return own.reduce((sum, [, numerator]) => sum + numerator, 0n);
}

function shown(referrer: string): Attribution {
  return attribution([{ name: 'pic.image', referrer, share: ALL_BPS }]);
}

describe('what names are owed where a visitor invents referrers', () => {
  const invented = (count: number): string[] => Array.from({ length: count }, (_, index) => `invented-${index}.web3`);

  it('is all that they earned, in as many parts as there is room for; a referrer that brought more keeps its own', () => {
    const account = new Account();
    account.carry(shown('honest.web3'), 50_000, 3n);
    for (const referrer of invented(10_000)) account.carry(shown(referrer), 1, 3n);
    account.carry(shown('late.web3'), 40_000, 3n);
    account.pay(account.due);
    expect(ofName(account.given, 'pic.image')).toBe(3n * (50_000n + 10_000n + 40_000n));
    expect(account.given.get('pic.image honest.web3')).toBe(3n * 50_000n);
    expect(account.given.get('pic.image late.web3')).toBe(3n * 40_000n);
    expect(account.given.size).toBe(MAX_UNPAID_REFERRALS + 1);
  });

  it('leaves room for those that come after a receipt', () => {
    const account = new Account();
    for (let round = 0; round < 3; round += 1) {
      for (const referrer of invented(MAX_UNPAID_REFERRALS)) account.carry(shown(`${round}-${referrer}`), 7, 3n);
      account.pay(account.due / 3n);
      account.pay(account.due);
    }
    expect(account.given.get('pic.image 2-invented-1.web3')).toBeGreaterThan(0n);
    expect(ofName(account.given, 'pic.image')).toBe(account.paid);
  });
});

describe('what names are owed', () => {
  it('includes what a receipt paid that was less than a numerator for each of them', () => {
    const account = new Account();
    account.carry(attribution([{ name: 'a.web3', share: basisPoints(1) }]), 1, 1n);
    account.carry(allFor('b.web3'), 4, 1n);
    account.pay(1n);
    expect(account.given).toEqual(new Map());
    account.pay(4n);
    expect(account.given).toEqual(new Map([['b.web3', 4n]]));
  });

  it('is never more than was paid, nor than they earned, and all they earned once all is paid', () => {
    fc.assert(
      fc.property(LISTS, steps(RECEIPT), (lists, taken) => {
        const account = new Account();
        for (const step of taken) {
          run(account, lists, step);
          expect(tooMuch(account)).toEqual([]);
        }
        account.pay(account.due);
        expect(tooMuch(account)).toEqual([]);
        const earned = Array.from(account.exact, ([name, sum]) => [name, sum / WHOLE] as const);
        expect(account.given).toEqual(new Map(earned.filter(([, sum]) => sum > 0n)));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is never more where some of it is never paid', () => {
    fc.assert(
      fc.property(LISTS, steps(RECEIPT, LOSS), (lists, taken) => {
        const account = new Account();
        for (const step of taken) {
          run(account, lists, step);
          expect(tooMuch(account)).toEqual([]);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the part of a receipt that it pays of the whole, for a name for which all counts', () => {
    const frames = fc.tuple(fc.integer({ min: 1, max: 62_000 }), fc.bigInt({ min: 0n, max: 1n << 40n }), fc.boolean());
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 20 }), fc.array(fc.nat(10_000), { maxLength: 10 }), (sent, parts) => {
        const account = new Account();
        let [earned, owed, receipts] = [0n, 0n, 0n];
        for (const [bytes, price, counts] of sent) {
          account.carry(counts ? allFor('demo.web3') : undefined, bytes, price);
          if (counts) earned += BigInt(bytes) * price;
        }
        for (const part of [...parts, 10_000]) {
          const { due } = account;
          const paid = (due * BigInt(part)) / 10_000n;
          const whole = due > earned ? due : earned;
          const share = paid >= whole ? earned : (earned * paid) / whole;
          account.pay(paid);
          earned -= share;
          owed += share;
          receipts += 1n;
          // What rounding each receipt keeps is paid with the next.
          const more = (account.given.get('demo.web3') ?? 0n) - owed;
          expect(more >= 0n && more <= receipts ? [] : [more]).toEqual([]);
        }
        expect(account.given.get('demo.web3') ?? 0n).toBe(owed);
      }),
      { numRuns: 500 },
    );
  });

  it('is nothing of what was dropped', () => {
    const earnings = new Earnings();
    earnings.add(allFor('demo.web3'), 1_000, pricePerMiB(7n));
    earnings.drop();
    expect(earnings.take(7_000n, 7_000n)).toEqual(new Map());
  });
});
