/**
 * Chance that can be had again. The seed differs from run to run and stands in the title of the test that draws by it;
 * RELAYMINT_TEST_SEED=N draws the same once more.
 */
import { randomInt } from 'node:crypto';
import { Random } from './ledger/program/play/random.ts';

const SEEDS = 2 ** 31;

export const TEST_SEED: number = seedOf(process.env['RELAYMINT_TEST_SEED']);

/** What says in a title how to draw the same. */
export const SEED_TITLE: string = `RELAYMINT_TEST_SEED=${TEST_SEED}`;

export class Chance extends Random {
  constructor(seed: number = TEST_SEED) {
    super(seed);
  }

  /** `least` .. `below` - 1. */
  between(least: number, below: number): number {
    return least + this.number(below - least);
  }
}

function seedOf(text: string | undefined): number {
  if (text === undefined) return randomInt(SEEDS);
  if (/^\d{1,10}$/.test(text) && Number(text) < SEEDS) return Number(text);
  throw new Error(`RELAYMINT_TEST_SEED is a whole number below ${SEEDS}, not "${text}"`);
}
