/** Random walks of `pair.pml`, done event by event in the code: model and code cannot drift apart. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FULL, parseEvent, Replay } from './replay.ts';
import type { Event } from './replay.ts';
import { missing, walk } from './spin.ts';

const STEPS = 9_000;
const SEED = fc.integer({ min: 1, max: 2 ** 31 - 1 });
/** Links that a walk loses, and events on each before that. */
const ACCIDENTS = 12;
const CALM = fc.integer({ min: 0, max: 60 });
/** Seeds that lose a link, a payer and a payee after 20 events. */
const EXAMPLES: [number, number][] = [
  [4, 20],
  [12, 20],
  [20, 20],
  [8, 20],
];
/** The narrowest window of which the largest frame costs a quarter at most (`LEAST` of the model). */
const LEAST = 4;

/** The code is not asked for what a test cannot do to a real disk, or what only a wallet does. */
function within(events: readonly Event[]): Event[] {
  const end = events.findIndex((event, i) => {
    const before = events[i - 1];
    // A payee that dies with a receipt on its way to the disk: whether that arrived cannot be chosen.
    const racing = before !== undefined && before.unsynced > before.counted && /^(payee|both)/.test(event.name);
    return racing || event.name.endsWith('Forgets') || event.name.endsWith('Forget') || burns(event);
  });
  return events.slice(0, end < 0 ? undefined : end);
}

/** The window had become too narrow: the model's payer burned more, on chain. */
function burns({ name, counted, payeeWindow, payerWindow }: Event): boolean {
  return /lose|Die/.test(name) && counted === 0 && payeeWindow <= payerWindow && payerWindow < LEAST;
}

/** Does a walk in the code and compares after each event. Returns the events done. */
async function follow(seed: number, defines: readonly string[]): Promise<string[]> {
  const lines = await walk('pair', seed, STEPS, [`FULL=${FULL}`, ...defines]);
  await using replay = await Replay.open();
  const done: string[] = [];
  for (const { unsynced: _unsynced, name, ...figures } of within(lines.map(parseEvent))) {
    await replay.apply(name);
    expect({ name, ...replay.figures(figures.granted) }).toEqual({ name, ...figures });
    done.push(name);
  }
  return done;
}

describe.skipIf(missing !== undefined)(
  `walks of the model${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('count, sign, hold and resume in the code as in the model, at every event', async () => {
      const done = new Map<string, number>();
      await fc.assert(
        fc.asyncProperty(SEED, CALM, async (seed, calm) => {
          for (const name of await follow(seed, [`ACCIDENTS=${ACCIDENTS}`, `CALM=${calm}`]))
            done.set(name, (done.get(name) ?? 0) + 1);
        }),
        { numRuns: 60, examples: EXAMPLES },
      );
      const often = [
        'sendUp',
        'receiveUp',
        'sendDown',
        'receiveDown',
        'receiveReceipt',
        'grant',
        'receiveGrant',
        'sync',
        'flush',
      ];
      expect(often.filter((name) => (done.get(name) ?? 0) <= 100)).toEqual([]);
      expect(['giveBack', 'takeBack', 'lose', 'payerDies', 'payeeDies'].filter((name) => !done.has(name))).toEqual([]);
    });

    it('are told from walks of a model with another rule', async () => {
      // A payer that signs for half of its window instead of a quarter.
      await expect(follow(1, ['ACCIDENTS=0', 'SHARE=2'])).rejects.toThrow(/expected|the code|METER|sendUp/);
    });
  },
);
