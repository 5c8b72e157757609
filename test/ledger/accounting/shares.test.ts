/** What names earned, by the sites that showed them: the visitor says which, and may say anything. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { earnersKey, earnersOf } from '../../../core/attribution.ts';
import { MAX_EARNING_NAMES, MAX_EARNING_REFERRALS, MAX_REFERRERS_PER_NAME } from '../../../core/limits.ts';
import { decodeWide } from '../../../ledger/accounting/entry.ts';
import { KEY } from '../../../ledger/accounting/keys.ts';
import { NameShares, type Shares } from '../../../ledger/accounting/shares.ts';
import type { Change } from '../../../ledger/books/index.ts';

const NAME = 'pic.image';
const key = (referrer: string, name = NAME): string => earnersKey({ name, referrer });

function total(shares: Shares, name: string): bigint {
  const own = Array.from(shares).filter(([each]) => earnersOf(each).name === name);
  return own.reduce((sum, [, numerator]) => sum + numerator, 0n);
}

/** Books, and what is on disk of them. */
class Books {
  readonly shares = new NameShares();
  readonly disk = new Map<string, bigint>();

  write(changes: readonly Change[]): void {
    for (const [at, value] of changes) {
      if (value === undefined) this.disk.delete(at.slice(KEY.share.length));
      else this.disk.set(at.slice(KEY.share.length), decodeWide(value));
    }
  }
}

describe('referrers in the books', () => {
  it('are apart from what the name earned alone', () => {
    const shares = new NameShares();
    shares.add(NAME, 5n);
    shares.add(key('news.web3'), 7n);
    shares.add(key('news.web3'), 1n);
    shares.add(key('blog.web3'), 9n);
    expect(shares.all).toEqual(
      new Map([
        [NAME, 5n],
        [key('news.web3'), 8n],
        [key('blog.web3'), 9n],
      ]),
    );
    shares.pay(key('news.web3'), 8n);
    shares.drop(NAME);
    expect(shares.all).toEqual(new Map());
  });

  it('never take a name its earnings: of ten thousand invented ones the least are made the name its own', () => {
    const shares = new NameShares();
    shares.add(key('honest.web3'), 50n);
    for (let index = 0; index < 10_000; index += 1) shares.add(key(`invented-${index}.web3`), 2n);
    shares.add(key('late.web3'), 40n);
    expect(total(shares.all, NAME)).toBe(50n + 2n * 10_000n + 40n);
    expect(shares.all.get(key('honest.web3'))).toBe(50n);
    expect(shares.all.get(key('late.web3'))).toBe(40n);
    expect(shares.all.size).toBe(MAX_REFERRERS_PER_NAME + 1);
  });

  it('never take the room of a name', () => {
    const shares = new NameShares();
    for (let index = 0; shares.all.size < MAX_EARNING_REFERRALS; index += 1) {
      shares.add(key(`r${index}.web3`, `n${index % 1_000}.image`), 3n);
    }
    shares.add(key('one-more.web3', 'n1.image'), 1n);
    shares.add(key('one-more.web3', 'n2.image'), 4n);
    shares.add(key('one-more.web3', 'new.image'), 4n);
    expect(shares.all.get('n1.image')).toBe(1n);
    expect(shares.all.get('n2.image')).toBe(3n);
    expect(shares.all.get(key('one-more.web3', 'n2.image'))).toBe(4n);
    expect(shares.all.get('new.image')).toBe(4n);
    for (let index = 0; index < MAX_EARNING_NAMES; index += 1) shares.add(`m${index}.web3`, 1n);
    const names = new Set(Array.from(shares.all.keys(), (each) => earnersOf(each).name));
    expect(names.size).toBe(MAX_EARNING_NAMES);
    // A name that is there only with referrers has its place all the same.
    shares.withoutReferrer(key('r3.web3', 'n3.image'));
    expect(shares.all.get('n3.image')).toBe(3n);
  });

  it('pay nobody twice: what became the name its own while it was being paid is taken off that', () => {
    const shares = new NameShares();
    shares.add(key('news.web3'), 9n);
    shares.add(NAME, 5n);
    shares.withoutReferrer(key('news.web3'));
    shares.add(key('news.web3'), 2n);
    shares.pay(key('news.web3'), 9n);
    expect(shares.all).toEqual(new Map([[NAME, 7n]]));
    shares.pay(NAME, 100n);
    expect(shares.all).toEqual(new Map());
  });

  it('lose and make nothing, and are on disk what they are in memory, whatever happens', () => {
    const names = ['a.image', 'b.image'];
    const step = fc.record({
      name: fc.constantFrom(...names),
      referrer: fc.option(fc.nat(3 * MAX_REFERRERS_PER_NAME), { nil: undefined }),
      numerator: fc.bigInt({ min: 1n, max: 100n }),
      kind: fc.constantFrom('add', 'add', 'add', 'pay', 'without'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const books = new Books();
        const due = new Map(names.map((name) => [name, 0n]));
        for (const { name, referrer, numerator, kind } of steps) {
          const at = referrer === undefined ? name : key(`r${referrer}.web3`, name);
          const left = due.get(name) ?? 0n;
          if (kind === 'add') {
            books.write(books.shares.add(at, numerator));
            due.set(name, left + numerator);
          } else if (kind === 'pay') {
            const paid = books.shares.all.get(at) ?? 0n;
            books.write(books.shares.pay(at, paid));
            due.set(name, left - paid);
          } else if (referrer !== undefined) {
            books.write(books.shares.withoutReferrer(at));
          }
          for (const each of names) expect(total(books.shares.all, each)).toBe(due.get(each));
          expect(books.disk).toEqual(books.shares.all);
        }
      }),
      { numRuns: 60 },
    );
  });
});
