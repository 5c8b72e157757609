import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { pricePerMiB } from '../../../core/units.ts';
import { Pair } from './pair.ts';

const NUMERATOR_BITS = 20n;
const FRAME = fc.integer({ min: 20, max: 16_500 });
const PRICE = fc.oneof(
  fc.bigInt({ min: 0n, max: 40n }),
  fc.bigInt({ min: 100n, max: 100_000n }),
  fc.constant(1n << 39n),
);

type Step =
  | { kind: 'up' | 'down'; bytes: number; extra: bigint; times: number }
  | { kind: 'deliverUp' | 'deliverDown'; times: number }
  | { kind: 'sync' | 'flush' | 'loseLink' | 'payerDies' | 'payeeDies' | 'bothDie' };

const traffic: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('up' as const, 'down' as const),
      bytes: FRAME,
      // A circuit may pay more than the offer.
      extra: fc.oneof({ weight: 5, arbitrary: fc.constant(0n) }, fc.bigInt({ min: 0n, max: 3n })),
      times: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('deliverUp' as const, 'deliverDown' as const),
      times: fc.integer({ min: 1, max: 120 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('sync' as const, 'flush' as const) }) },
);
const ACCIDENTS: ReadonlySet<string> = new Set(['loseLink', 'payerDies', 'payeeDies', 'bothDie']);
const accident: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('loseLink' as const, 'payerDies' as const, 'payeeDies' as const, 'bothDie' as const),
});

/** What the payee did and has no durable receipt for, as a numerator. */
function exposure(pair: Pair): bigint {
  return pair.served - ((pair.held?.amount ?? 0n) << NUMERATOR_BITS);
}

function run(pair: Pair, step: Step): void {
  switch (step.kind) {
    case 'up':
    case 'down':
      // Only a payer whose credit is gone, or whose frame alone is too dear, is kept from sending.
      return tolerate('WINDOW_EXHAUSTED', () => {
        for (let i = 0; i < step.times; i += 1) {
          const price = pricePerMiB(pair.price + step.extra);
          if (step.kind === 'up') pair.sendUp(step.bytes, price);
          else pair.sendDown(step.bytes, price);
        }
      });
    case 'deliverUp':
      for (let i = 0; i < step.times; i += 1) pair.deliverUp();
      return;
    case 'deliverDown':
      for (let i = 0; i < step.times; i += 1) pair.deliverDown();
      return;
    case 'sync':
      return pair.sync();
    case 'flush':
      return pair.spending.flush();
    case 'loseLink':
      return pair.loseLink();
    case 'payerDies':
      return pair.loseLink({ payerDies: true });
    case 'payeeDies':
      return pair.loseLink({ payeeDies: true });
    case 'bothDie':
      return pair.loseLink({ payerDies: true, payeeDies: true });
  }
}

/** `most`: what the payer knows that it used or, once it lost its memory, what an honest payee can claim. */
function neverOverpaid(pair: Pair, most: bigint): void {
  const given = pair.given?.amount ?? 0n;
  expect(given << NUMERATOR_BITS <= most).toBe(true);
}

describe('a neighbour pair', () => {
  it('agrees to the byte and the base unit on any traffic, without a cut, and is paid in full at rest', () => {
    fc.assert(
      fc.property(PRICE, fc.array(traffic, { maxLength: 60 }), (price, steps) => {
        const pair = new Pair(price);
        for (const step of steps) {
          run(pair, step);
          neverOverpaid(pair, pair.used);
          expect(exposure(pair) <= pair.window << NUMERATOR_BITS).toBe(true);
        }
        pair.settleDown();
        pair.spending.flush();
        pair.settleDown();
        expect(pair.cuts).toBe(0);
        expect(pair.faults).toEqual([]);
        expect(pair.heldFrames).toBe(0);
        expect(pair.spending.counts()).toEqual(pair.earning.counts());
        expect(pair.earning.counts().due).toBe(pair.served >> NUMERATOR_BITS);
        expect(pair.earning.counts().signed).toBe(pair.earning.counts().due);
      }),
      { numRuns: 300 },
    );
  });

  it('survives lost links and either side dying: never cut, never overpaid, never more than a window unpaid at once', () => {
    fc.assert(
      fc.property(
        PRICE,
        fc.array(fc.oneof({ weight: 12, arbitrary: traffic }, { weight: 1, arbitrary: accident }), { maxLength: 80 }),
        (price, steps) => {
          const pair = new Pair(price);
          let writtenOff = 0n;
          let died = false;
          for (const step of steps) {
            died ||= step.kind === 'payerDies' || step.kind === 'bothDie';
            run(pair, step);
            neverOverpaid(pair, died ? pair.sent : pair.used);
            // What an earlier link left unpaid stays unpaid; each accident adds at most the window of its link.
            if (ACCIDENTS.has(step.kind)) writtenOff = exposure(pair) > 0n ? exposure(pair) : 0n;
            expect(exposure(pair) <= writtenOff + (pair.window << NUMERATOR_BITS)).toBe(true);
          }
          pair.settleDown();
          pair.spending.flush();
          pair.settleDown();
          expect(pair.cuts).toBe(0);
          expect(pair.faults).toEqual([]);
          expect(pair.spending.counts()).toEqual(pair.earning.counts());
          expect(pair.earning.counts().signed).toBe(pair.earning.counts().due);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('loses at most one window to a payer that keeps vanishing, over its whole life', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 100n, max: 100_000n }),
        fc.array(fc.tuple(fc.boolean(), fc.array(traffic, { maxLength: 30 })), { maxLength: 12 }),
        (price, links) => {
          const pair = new Pair(price);
          const first = pair.window;
          let ended = 0n;
          for (const [withhold, steps] of links) {
            pair.withhold = withhold;
            for (const step of steps) {
              // A payer that withheld receipts contradicts the payee's count when it sends one after all.
              tolerate('METER_DISAGREEMENT', () => run(pair, step));
              const paid = pair.accepted?.amount ?? 0n;
              // Less than a base unit is left at the end of each link, and is nothing.
              const bound = (first + ended) << NUMERATOR_BITS;
              expect(pair.served - (paid << NUMERATOR_BITS) <= bound).toBe(true);
            }
            ended += 1n;
            // The payer forgets everything, what it gave included: it goes on from what the payee shows.
            pair.given = pair.accepted;
            pair.exposed = 0n;
            pair.loseLink({ payerDies: true });
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

function tolerate(code: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isRelaymintError(error) || error.code !== code) throw error;
  }
}
