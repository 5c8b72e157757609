import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { BITS, BothWays, netFrame } from './both-ways.ts';
import type { End } from './both-ways.ts';

type Who = 'leader' | 'follower';
type Step =
  | { kind: 'up' | 'down'; who: Who; bytes: number; times: number }
  | { kind: 'deliver'; who: Who; times: number }
  | { kind: 'sync' | 'rest' | 'flush'; who: Who }
  | { kind: 'loseLink'; leaderDies: boolean; followerDies: boolean };

const PRICE = fc.oneof(
  fc.bigInt({ min: 0n, max: 40n }),
  fc.bigInt({ min: 100n, max: 100_000n }),
  fc.constant(1n << 39n),
);
const WHO = fc.constantFrom<Who>('leader', 'follower');
const traffic: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('up' as const, 'down' as const),
      who: WHO,
      bytes: fc.integer({ min: 20, max: 16_500 }),
      times: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('deliver' as const), who: WHO, times: fc.integer({ min: 1, max: 120 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('sync' as const, 'rest' as const, 'flush' as const), who: WHO }),
  },
);
const lost: fc.Arbitrary<Step> = fc.constant({ kind: 'loseLink', leaderDies: false, followerDies: false });
const accident: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('loseLink' as const),
  leaderDies: fc.boolean(),
  followerDies: fc.boolean(),
});

function steps(rare: fc.Arbitrary<Step>, weight: number): fc.Arbitrary<Step[]> {
  return fc.array(fc.oneof({ weight: 12, arbitrary: traffic }, { weight, arbitrary: rare }), { maxLength: 100 });
}

function run(both: BothWays, step: Step): void {
  switch (step.kind) {
    case 'up':
    case 'down':
      // Only a payer whose credit is gone, or whose frame alone is too dear, is kept from sending.
      return tolerate(['WINDOW_EXHAUSTED'], () => {
        for (let i = 0; i < step.times; i += 1) {
          if (step.kind === 'up') both.sendUp(both[step.who], step.bytes);
          else both.sendDown(both[step.who], step.bytes);
        }
      });
    case 'deliver':
      for (let i = 0; i < step.times; i += 1) both.deliver(both[step.who]);
      return;
    case 'sync':
      return both[step.who].sync();
    case 'rest':
      return both[step.who].rest();
    case 'flush':
      return both[step.who].spending.flush();
    case 'loseLink':
      return both.loseLink(step);
  }
}

function neverOverpaid(end: End): void {
  const paid = ((end.given?.amount ?? 0n) + end.netted) << BITS;
  expect(paid <= (end.died ? end.sent + (end.forgotten << BITS) : end.used)).toBe(true);
}

function agreeAtRest(both: BothWays): void {
  both.rest();
  for (const end of both.ends) {
    expect(end.cuts).toBe(0);
    expect(end.faults).toEqual([]);
    expect(end.waiting).toEqual([]);
    expect(both.other(end).spending.counts()).toEqual(end.earning.counts());
    expect(end.earning.counts().signed).toBe(end.earning.counts().due);
  }
  expect(both.leader.earning.netted).toBe(both.follower.earning.netted);
}

describe('neighbours that pay each other', () => {
  it('net to the base unit on any traffic: signed and netted are what is due, on both accounts and at both ends', () => {
    let netted = 0n;
    fc.assert(
      fc.property(PRICE, PRICE, fc.array(traffic, { maxLength: 80 }), (leaderPrice, followerPrice, path) => {
        const both = new BothWays(leaderPrice, followerPrice);
        for (const step of path) {
          run(both, step);
          for (const end of both.ends) {
            neverOverpaid(end);
            expect(end.exposure <= end.window << BITS).toBe(true);
          }
        }
        agreeAtRest(both);
        for (const end of both.ends) {
          expect(end.earning.counts().due + end.netted).toBe(end.served >> BITS);
          netted += end.netted;
        }
      }),
      { numRuns: 400 },
    );
    expect(netted).toBeGreaterThan(0n);
  });

  it('lose nothing but frames on their way when links break: what stays unsigned is the same on both accounts', () => {
    let openAtLoss = 0;
    fc.assert(
      fc.property(PRICE, PRICE, steps(lost, 4), (leaderPrice, followerPrice, path) => {
        const both = new BothWays(leaderPrice, followerPrice);
        for (const step of path) {
          if (step.kind === 'loseLink') {
            // What is signed or netted for frames that are lost is paid all the same; a NET may be lost.
            both.deliverPaid();
            if (both.ends.some(({ out }) => out.some((message) => 'net' in message))) openAtLoss += 1;
          }
          run(both, step);
          for (const end of both.ends) neverOverpaid(end);
        }
        agreeAtRest(both);
        const [ours, theirs] = both.ends.map((end) => (end.counted >> BITS) - (end.accepted?.amount ?? 0n));
        // Each link may leave a fraction of a base unit behind.
        const difference = (ours ?? 0n) - (theirs ?? 0n);
        expect(difference <= both.links && difference >= -both.links).toBe(true);
      }),
      { numRuns: 500 },
    );
    expect(openAtLoss).toBeGreaterThan(0);
  });

  it('survive either end dying at any moment: never cut, never overpaid, never more than a window unpaid at once', () => {
    fc.assert(
      fc.property(PRICE, PRICE, steps(accident, 1), (leaderPrice, followerPrice, path) => {
        const both = new BothWays(leaderPrice, followerPrice);
        const writtenOff = new Map<End, bigint>();
        for (const step of path) {
          run(both, step);
          for (const end of both.ends) {
            neverOverpaid(end);
            if (step.kind === 'loseLink') writtenOff.set(end, end.exposure > 0n ? end.exposure : 0n);
            expect(end.exposure <= (writtenOff.get(end) ?? 0n) + (end.window << BITS)).toBe(true);
          }
        }
        agreeAtRest(both);
      }),
      { numRuns: 600 },
    );
  });

  it('a leader that proposes all it can, signs nothing and vanishes again and again gains one window in its life', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 100n, max: 100_000n }),
        fc.array(fc.array(traffic, { maxLength: 30 }), { maxLength: 12 }),
        (price, links) => {
          const both = new BothWays(price, price);
          const { leader, follower } = both;
          const first = follower.window;
          let ended = 0n;
          for (const path of links) {
            for (const step of path) {
              tolerate(['METER_DISAGREEMENT', 'PROTOCOL_VIOLATION'], () => {
                run(both, step);
                leader.out = leader.out.filter((message) => !('receipt' in message));
                const most = follower.earning.unsigned;
                if (step.kind === 'sync' && most > 0n)
                  follower.receive({ net: netFrame(follower.earning.netted + most) });
              });
              const paid = (follower.accepted?.amount ?? 0n) + follower.netted;
              // Less than a base unit is left at the end of each link, and is nothing.
              const bound = (first + ended) << BITS;
              expect(follower.served - (paid << BITS) <= bound).toBe(true);
            }
            ended += 1n;
            // It forgets everything, what it gave included.
            leader.given = follower.accepted;
            leader.exposed = 0n;
            both.loseLink({ leaderDies: true });
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

function tolerate(codes: readonly string[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isRelaymintError(error) || !codes.includes(error.code)) throw error;
  }
}
