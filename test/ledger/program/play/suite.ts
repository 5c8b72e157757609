/** The plays as tests: one a seed, and one that looks whether they went everywhere. */
import { describe, expect, it } from 'vitest';
import { Coverage, SITUATIONS } from './coverage.ts';
import { IDL } from './idl.ts';
import { play } from './play.ts';

/** Of each seed. */
const INSTRUCTIONS = 50_000;
/** How often each instruction succeeds at least in two plays; initialize does so once in each. */
const OFTEN = 200;
/** Errors that no play can meet, each with its reason. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  ReserveTooLow: 'it must never happen',
  ForeignSignatureData:
    'the precompile is always given its data in its own instruction; settle-verified.test.ts spoils that',
};

export interface Seed {
  readonly seed: number;
  readonly firstSlot: bigint;
  /** Why these slots. */
  readonly title: string;
}

export function describePlays(seeds: readonly Seed[]): void {
  describe('the program does what the model says', () => {
    const all = new Coverage();

    for (const { seed, firstSlot, title } of seeds) {
      it(`in each of ${INSTRUCTIONS} random instructions ${title} (seed ${seed})`, { timeout: 600_000 }, () => {
        const coverage = play({ seed, firstSlot, instructions: INSTRUCTIONS });
        expect(coverage.instructions).toBeGreaterThanOrEqual(INSTRUCTIONS);
        all.include(coverage);
      });
    }

    it('and the plays went everywhere', () => {
      const seldom = IDL.instructions
        .map(({ name }) => ({ name, times: all.succeeded.get(name) ?? 0 }))
        .filter(({ name, times }) => times < (name === 'initialize' ? seeds.length : OFTEN));
      expect(seldom).toEqual([]);
      const missed = IDL.errors.filter(({ name }) => !all.refused.has(name)).map(({ name }) => name);
      expect(missed.toSorted()).toEqual(Object.keys(UNREACHABLE).toSorted());
      expect(SITUATIONS.filter((situation) => !all.met.has(situation))).toEqual([]);
    });
  });
}
