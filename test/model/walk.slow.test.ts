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
/** Seeds that are always walked: between them they lose links and ends in every way, each after 20 events. */
const EXAMPLES: [number, number][] = [
  [4, 20],
  [12, 20],
  [20, 20],
  [8, 20],
];
/** Of the widest window, in frames. */
const BURNED_FIRST = 4;
const ACCIDENT = /^lose$|Dies?$|Forgets?$/;
/** The books do not burn: only a wallet does. */
function within(events: readonly Event[]): Event[] {
  const end = events.findIndex(({ burned }) => burned > 0);
  return events.slice(0, end < 0 ? undefined : end);
}

/** This receipt, the first since the last sync, is not synced any more before the payee dies. */
function lostWithPayee(events: readonly Event[], i: number): boolean {
  const [before, event] = [events[i - 1], events[i]];
  if (event?.name !== 'receiveReceipt' || (before !== undefined && before.unsynced > before.counted)) return false;
  const next = events.slice(i + 1).find(({ name }) => name === 'sync' || ACCIDENT.test(name));
  return next !== undefined && /^(payee|both)/.test(next.name);
}

/** Does a walk in the code and compares after each event. Returns the events done. */
async function follow(seed: number, defines: readonly string[], burned: number = FULL): Promise<string[]> {
  const lines = await walk('pair', seed, STEPS, [`FULL=${FULL}`, ...defines]);
  await using replay = await Replay.open(burned);
  const done: string[] = [];
  const events = within(lines.map(parseEvent));
  for (const [i, { unsynced: _unsynced, burned: _burned, name, ...figures }] of events.entries()) {
    if (lostWithPayee(events, i)) await replay.keepDisk();
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
        { numRuns: 40, examples: EXAMPLES },
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
      const accidents = ['lose', 'payerDies', 'payerForgets', 'payeeDies', 'bothDie', 'bothForget'];
      expect(['giveBack', 'takeBack', ...accidents].filter((name) => !done.has(name))).toEqual([]);
    });

    it('burn more and widen the window in the code as in the model, whatever is lost', async () => {
      const done = new Map<string, number>();
      await fc.assert(
        fc.asyncProperty(SEED, CALM, async (seed, calm) => {
          const defines = ['WIDENS', `START=${BURNED_FIRST}`, `ACCIDENTS=${ACCIDENTS}`, `CALM=${calm}`];
          for (const name of await follow(seed, defines, BURNED_FIRST)) done.set(name, (done.get(name) ?? 0) + 1);
        }),
        { numRuns: 40, examples: EXAMPLES },
      );
      const widening = ['burn', 'tell', 'receiveLook', 'look', 'takeWindow'];
      expect(widening.filter((name) => (done.get(name) ?? 0) <= 10)).toEqual([]);
    });

    it('differ from walks of a model with another rule', async () => {
      // A payer that signs for half of its window instead of a quarter.
      await expect(follow(1, ['ACCIDENTS=0', 'SHARE=2'])).rejects.toThrow(/expected|the code|METER|sendUp/);
    });
  },
);
