/** Every strategy of cheating, played against honest nodes while honest strangers use them: no promise is broken. */
import { describe, expect, it } from 'vitest';
import { MAX_ROW_MILLIS, STRATEGIES, broken, play } from './index.ts';

/** Change it to play everything with other keys, another leader, another order. */
const SEED = process.env['RELAYMINT_ADVERSARY_SEED'] ?? 'relaymint';

describe(`the adversary, seed "${SEED}"`, () => {
  it.each(STRATEGIES.map((strategy) => [strategy.name, strategy] as const))(
    '%s',
    async (_name, strategy) => {
      const row = await play(strategy, SEED);
      // The row itself is there to be read when it fails.
      expect({ ...row, broken: broken(row) }).toEqual({ ...row, broken: [] });
    },
    MAX_ROW_MILLIS,
  );

  it('has a name for each, and every role', () => {
    expect(new Set(STRATEGIES.map(({ name }) => name)).size).toBe(STRATEGIES.length);
    expect(new Set(STRATEGIES.map(({ role }) => role))).toEqual(
      new Set(['payer', 'payee', 'relay', 'initiator', 'host']),
    );
    expect(STRATEGIES.length).toBeGreaterThan(20);
  });
});

describe('a row', () => {
  const kept = {
    name: 'x',
    role: 'payer',
    honestLoss: 1n,
    bound: 1n,
    attackerGain: 0n,
    linksLost: 0,
    strangersHarmed: 0,
  } as const;

  it.each([[{ honestLoss: 2n }], [{ attackerGain: 1n }], [{ linksLost: 1 }], [{ strangersHarmed: 1 }]])(
    'that breaks a promise says so: %o',
    (change) => {
      expect(broken(kept)).toEqual([]);
      expect(broken({ ...kept, ...change })).toHaveLength(1);
    },
  );
});
