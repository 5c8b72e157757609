/** Plays one strategy on a fresh stage. */
import { Seed } from './seed.ts';
import { Scene, World } from './world.ts';
import type { Row, Strategy } from './strategy.ts';

/** The honest nodes of every play notice a debtor quickly, so that a row takes no longer than it must. */
const TIMING = { unpaidMillis: 400, grantIdleMillis: 100, buildMillis: 5_000 } as const;

/** No row takes so long: what hangs is a broken promise too. */
export const MAX_ROW_MILLIS = 30_000;

export async function play(strategy: Strategy, seed: string): Promise<Row> {
  const { name, role } = strategy;
  const world = new World(new Seed(`${seed} ${name}`));
  // Links in memory hold no process, and the nodes' own clocks should not.
  const awake = setInterval(() => {}, MAX_ROW_MILLIS);
  try {
    const scene = await Scene.open(world, { relay: { timing: TIMING }, host: { timing: TIMING } });
    const measure = await strategy.play({ scene });
    const outcome = await measure();
    return { name, role, ...outcome, linksLost: scene.linksLost, strangersHarmed: scene.strangersHarmed };
  } finally {
    await world.close();
    clearInterval(awake);
  }
}
