/** Random transactions, as long as one likes, from one seed. */
import type { Label } from '../model/calls.ts';
import { GRACE } from '../model/names.ts';
import { purseOf } from '../model/wallets.ts';
import type { World } from '../model/world.ts';
import { Book } from './book.ts';
import type { Coverage } from './coverage.ts';
import { Duel, Mismatch } from './duel.ts';
import type { Turn } from './duel.ts';
import { nextTransaction } from './moves.ts';
import { occasion } from './occasions.ts';
import { Random } from './random.ts';
import { shrink } from './shrink.ts';
import { ACTORS, ADMIN, CLUSTER_TAG, HEIR, PAUPER, Stage, TREASURER, WHALE } from './stage.ts';
import { SPONSOR } from './wire.ts';
import { inWords } from './words.ts';

/** Everything is compared after so many transactions, and at the end. */
const COMPARE_ALL = 100;
const START = 1_750_000_000n;
const DAY = 86_400n;
/** Once in so many times, up to so many seconds pass. */
const WAITS: readonly (readonly [number, bigint])[] = [
  [800, 500n * DAY],
  [400, 35n * DAY],
  [150, DAY],
  [20, 400n],
  [2, 25n],
];

export interface Plan {
  readonly seed: number;
  /** Of ours, that the machine carries out or refuses. */
  readonly instructions: number;
  /** Where the cluster's slots begin. */
  readonly firstSlot: bigint;
}

/** @throws Error that tells seed, step, the transaction in words and what differs, and a shorter way there. */
export function play({ seed, instructions, firstSlot }: Plan): Coverage {
  const random = new Random(seed);
  const book = new Book();
  const prepare = (duel: Duel): void => begin(duel, firstSlot);
  const duel = new Duel(book);
  const { coverage } = duel;
  const turns: Turn[] = [];
  prepare(duel);
  const stage = new Stage(random, book, duel.world);
  try {
    while (coverage.instructions < instructions) {
      stage.isLate = coverage.instructions > 0.9 * instructions;
      const special = random.once(15) ? occasion(stage) : undefined;
      const time = special?.at ?? duel.world.time + wait(duel.world, random);
      const slot = special?.slot ?? duel.world.slot + BigInt(random.number(3));
      duel.setClock(time, slot);
      const steps = special?.steps ?? nextTransaction(stage);
      if (steps.length === 0) continue;
      // Known before it fails.
      turns.push({ time, slot, steps, flaw: undefined });
      turns[turns.length - 1] = duel.play(steps, random);
      if (turns.length % COMPARE_ALL === 0) duel.compareAll();
    }
    duel.compareAll();
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    const last = turns.slice(-1).map(inWords);
    const shorter = shrink(book, prepare, turns);
    const way = shorter === undefined ? ['none was found'] : [...shorter.turns.map(inWords), shorter.message];
    const lines = [`seed ${seed}, step ${turns.length}:`, ...last, error.message, 'a shorter way there:', ...way];
    throw new Error(lines.join('\n'), { cause: error });
  }
  return coverage;
}

/** Everybody's lamports, the bank, and credits for most. */
function begin(duel: Duel, firstSlot: bigint): void {
  const wealth: readonly (readonly [Label, bigint])[] = [
    ...[...ACTORS, ADMIN, HEIR, TREASURER].map((label): [Label, bigint] => [label, 1n << 44n]),
    [WHALE, 1n << 63n],
    [PAUPER, 30_000_000n],
    [SPONSOR, 1n << 50n],
  ];
  for (const [label, lamports] of wealth) duel.fund(label, lamports);
  duel.setClock(START, firstSlot);
  const settings = { nameYearPrice: 7n, commitSeconds: 20, feeBps: 137, treasury: TREASURER };
  const fixed = { clusterTag: CLUSTER_TAG, unitsPerLamport: 2n, challengeSeconds: 20n };
  duel.play([{ instruction: 'initialize', accounts: { admin: ADMIN }, args: { ...fixed, ...settings } }]);
  for (const owner of [...ACTORS, WHALE, TREASURER]) duel.play([{ foreign: 'make purse', owner }]);
  for (const buyer of ACTORS) {
    const accounts = { buyer, destination: purseOf(buyer) };
    duel.play([{ instruction: 'buy', accounts, args: { lamports: 200_000n } }]);
  }
}

/** Mostly a few seconds; now and then a day, a month or a year, or to the days when a name has just been released. */
function wait(world: World, random: Random): bigint {
  const longest = WAITS.find(([times]) => random.once(times))?.[1] ?? 0n;
  const name = random.once(300) ? random.of(world.names.values()) : undefined;
  const toRelease = name === undefined ? 0n : name.expiresAt + GRACE + random.big(22n * DAY) - world.time;
  return toRelease > 0n ? toRelease : random.big(longest + 1n);
}
