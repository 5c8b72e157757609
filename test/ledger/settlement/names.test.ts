/** Names that nobody registered cost a payee next to nothing, and names that somebody did get what they earned. */
import { describe, expect, it } from 'vitest';
import { MAX_EARNING_NAMES, MAX_NAMES_LOOKED_UP } from '../../../core/limits.ts';
import type { UnixMillis } from '../../../core/units.ts';
import type { LedgerReader } from '../../../ledger/contract.ts';
import { worlds } from './in-world.ts';
import type { World } from './world.ts';

const HOUR_MILLIS = 3_600_000;

const inWorld = worlds();

/** Names earned this much each, as a host's visitors may make its books say. */
async function invent(world: World, count: number, each: bigint): Promise<void> {
  const shares = Array.from({ length: count }, (_, i): [string, bigint] => [`invented-${i}.web3`, -(each << 20n)]);
  await world.store.book([], [], new Map(shares));
}

/** The reader, with `at` called before each question about names. */
function asking(world: World, at: (names: readonly string[]) => void | Promise<void>): LedgerReader {
  const findNames: LedgerReader['findNames'] = async (names) => {
    await at(names);
    return world.ledger.findNames(names);
  };
  return new Proxy(world.ledger, {
    get(target, property): unknown {
      if (property === 'findNames') return findNames;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('invented names', () => {
  it('cost one question a settlement, and are forgotten when they stay unknown', async () => {
    await inWorld('invented', 2, async (world) => {
      const invented = MAX_NAMES_LOOKED_UP + 10;
      await invent(world, invented, 1_000n);
      await world.receive(0, 3_000_000n, 1_000_000n);
      const questions: (readonly string[])[] = [];
      let now = Date.now();
      const engine = world.engine({
        reader: asking(world, (names) => void questions.push(names)),
        clock: { now: () => now as UnixMillis },
      });
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: 200_000n, till: 2_800_000n });
      expect(questions[0]?.[0]).toBe(world.name);
      await world.receive(1, 1_000n);
      await engine.settleAll();
      expect(questions.map((names) => names.length)).toEqual([MAX_NAMES_LOOKED_UP, 11]);
      expect(world.store.shares.size).toBe(invented);
      now += HOUR_MILLIS;
      for (const total of [2_000n, 3_000n]) {
        await world.receive(1, total);
        await engine.settleAll();
      }
      expect(new Set(questions.slice(2).flat()).size).toBe(invented);
      expect(world.store.shares.size).toBe(0);
      await engine.close();
      await world.reopen();
      expect(world.store.shares.size).toBe(0);
    });
  });

  it('are not remembered without bound', async () => {
    await inWorld('bounded', 2, async (world) => {
      await invent(world, MAX_EARNING_NAMES + 5, 1n);
      expect(world.store.shares.size).toBe(MAX_EARNING_NAMES);
      await invent(world, 1, 1n);
      expect(world.store.shares.get('invented-0.web3')).toBe(2n << 20n);
    });
  });

  it('do not delay a closing channel, and its name is paid as soon as the ledger says that it is one', async () => {
    await inWorld('delayed', 2, async (world) => {
      let answer = (): void => {};
      const answered = new Promise<void>((resolve) => {
        answer = resolve;
      });
      await world.receive(0, 3_000_000n, 1_000_000n);
      await world.requestClose(0);
      const engine = world.engine({ reader: asking(world, async () => answered) });
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: 0n, till: 3_000_000n });
      await world.receive(1, 2_000_000n);
      const others = engine.settleAll();
      answer();
      expect(await others).toHaveLength(1);
      expect(await world.earnings()).toEqual({ name: 200_000n, till: 4_800_000n });
      // From now on the name is known, and goes with a closing channel too.
      await world.receive(1, 3_000_000n, 500_000n);
      await world.requestClose(1);
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: 300_000n, till: 5_700_000n });
      await engine.close();
    });
  });

  it('delay nothing for ever when the ledger has no answer', async () => {
    await inWorld('unanswered', 2, async (world) => {
      let answer = (): void => {};
      const answered = new Promise<void>((resolve) => {
        answer = resolve;
      });
      await world.receive(0, 3_000_000n, 1_000_000n);
      const engine = world.engine({ reader: asking(world, async () => answered), policy: { pollMillis: 5 } });
      expect(await engine.settleAll()).toHaveLength(1);
      expect(await world.earnings()).toEqual({ name: 0n, till: 3_000_000n });
      expect(world.store.shares.get(world.name)).toBe(1_000_000n << 20n);
      answer();
      await engine.close();
    });
  });
});
