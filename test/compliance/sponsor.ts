/** What bounds what a node may pay and burn for one payer must do, and what does so where there is nothing to bound. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { channelId } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { Sponsor } from '../../node/meter/index.ts';
import { closed, limits } from './traits.ts';

export interface SponsorUnderTest {
  readonly sponsor: Sponsor;
  /** The payer's link ends. */
  readonly close: () => void;
}

export interface SponsorSetup {
  readonly setup: () => Promise<SponsorUnderTest>;
  readonly teardown: () => Promise<void>;
  /** Its payer may cost so much and no more. */
  readonly bounded: boolean;
}

const SOME = 1_000n;
const COST = amount(SOME);
/** A channel of ours. */
const OPENED = channelId(new Uint8Array(22).fill(9));

export function sponsorCompliance(name: string, { setup, teardown, bounded }: SponsorSetup): void {
  describe(`what a payer may cost: ${name}`, () => {
    let tested: SponsorUnderTest;
    beforeEach(async () => {
      tested = await setup();
    });
    afterEach(teardown);

    it('has room, and the same again once what was promised is settled, in whatever parts', () => {
      const { sponsor } = tested;
      const { room } = sponsor;
      expect(room).toBeGreaterThan(SOME);
      sponsor.promise(SOME);
      sponsor.promise(SOME);
      expect(sponsor.room).toBeLessThanOrEqual(room);
      for (const part of [1n, SOME, SOME - 1n]) sponsor.settle(part);
      expect(sponsor.room).toBe(room);
    });

    it('never has less room than none', () => {
      const { sponsor } = tested;
      const { room } = sponsor;
      sponsor.promise(2n * room);
      expect(sponsor.room).toBeGreaterThanOrEqual(0n);
      sponsor.settle(2n * room);
      expect(sponsor.room).toBe(room);
    });

    it('has no more room for what was lost, or kept', () => {
      const { sponsor } = tested;
      const { room } = sponsor;
      sponsor.promise(SOME);
      sponsor.lose(SOME);
      sponsor.settle(SOME);
      sponsor.keep(SOME);
      expect(sponsor.room).toBeLessThanOrEqual(room);
    });

    it('advances what opening a channel costs, and takes back what was not burned', async () => {
      const { sponsor } = tested;
      const { allowance } = sponsor;
      const advancing = sponsor.advance(COST);
      expect(sponsor.allowance).toBeLessThanOrEqual(allowance);
      (await advancing).giveBack();
      expect(sponsor.allowance).toBe(allowance);
    });

    it('allows no more for what went into a channel', async () => {
      const { sponsor } = tested;
      const { allowance } = sponsor;
      const advance = await sponsor.advance(COST);
      const left = sponsor.allowance;
      advance.wentInto(OPENED);
      expect(sponsor.allowance).toBe(left);
      expect(left).toBeLessThanOrEqual(allowance);
    });

    it('changes nothing for what is said of its promises after the link of its payer has ended', async () => {
      const { sponsor, close } = tested;
      const advance = await sponsor.advance(COST);
      sponsor.promise(SOME);
      close();
      const { room, allowance } = sponsor;
      sponsor.lose(SOME);
      sponsor.settle(SOME);
      sponsor.keep(SOME);
      advance.giveBack();
      expect([sponsor.room, sponsor.allowance]).toEqual([room, allowance]);
    });

    if (!bounded) return;

    it('counts what is promised, and what is advanced', async () => {
      const { sponsor } = tested;
      const { room, allowance } = sponsor;
      sponsor.promise(SOME);
      const advancing = sponsor.advance(COST);
      expect([room - sponsor.room, allowance - sponsor.allowance]).toEqual([SOME, SOME]);
      await advancing;
    });

    it('has room for nothing when the link of its payer has ended', () => {
      tested.close();
      expect([tested.sponsor.room, tested.sponsor.allowance]).toEqual([0n, 0n]);
    });

    closed(
      () => tested,
      (it) => it.close(),
      { advance: ({ sponsor }) => sponsor.advance(amount(1n)) },
      'ALLOWANCE_EXHAUSTED',
    );
    limits(
      () => tested,
      [
        [
          'more than it allows',
          'ALLOWANCE_EXHAUSTED',
          ({ sponsor }) => sponsor.advance(amount(sponsor.allowance + 1n)),
        ],
        [
          'the last of it twice',
          'ALLOWANCE_EXHAUSTED',
          async ({ sponsor }) => {
            const all = amount(sponsor.allowance);
            await Promise.all([sponsor.advance(all), sponsor.advance(all)]);
          },
        ],
      ],
    );
  });
}
