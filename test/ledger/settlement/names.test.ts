/** Names that nobody registered cost a payee next to nothing, and names that somebody did get what they earned. */
import { describe, expect, it } from 'vitest';
import { earnersKey } from '../../../core/attribution.ts';
import { MAX_EARNING_NAMES, MAX_NAMES_LOOKED_UP } from '../../../core/limits.ts';
import type { UnixMillis } from '../../../core/units.ts';
import type { LedgerReader } from '../../../ledger/contract.ts';
import { worlds } from './in-world.ts';
import { altered, type World } from './world.ts';

const HOUR_MILLIS = 3_600_000;

const inWorld = worlds();

/** Names earned this much each, as a host's visitors may make its books say. */
async function invent(world: World, count: number, each: bigint): Promise<void> {
  const shares = Array.from({ length: count }, (_, i): [string, bigint] => [`invented-${i}.web3`, each << 20n]);
  await earn(world, new Map(shares));
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

/** What the visitors' payments made the books say; they are those of the newest receipt of the first payer. */
async function earn(world: World, earned: ReadonlyMap<string, bigint>): Promise<void> {
  const [payer] = world.payers;
  if (payer === undefined) throw new RangeError('there is no payer');
  if (world.store.entry(payer.channel.id)?.latest === undefined) await world.receive(0, 0n);
  const latest = world.store.entry(payer.channel.id)?.latest;
  if (latest === undefined) throw new RangeError('there is no receipt');
  world.store.hold(latest, 0n, earned, () => {});
  await world.store.flushed();
}

/** The first payer pays this much each time that such a site shows the name. */
async function shown(world: World, referrers: readonly string[], each: bigint): Promise<void> {
  const channel = world.payers[0]?.channel;
  let total = channel === undefined ? 0n : (world.store.entry(channel.id)?.latest?.amount ?? 0n);
  for (const referrer of referrers) await world.receive(0, (total += each), each, referrer);
}

describe('referrers', () => {
  it('are paid what the name offers them, each once, and the name the rest', async () => {
    await inWorld('referrers', 1, async (world) => {
      await Promise.all(['shows-one.web3', 'shows-two.web3'].map((name) => world.registerOther(name)));
      await world.offerReferrers(1_000);
      await shown(world, ['shows-one.web3', 'shows-two.web3', 'shows-one.web3'], 1_000_000n);
      const engine = world.engine();
      expect(await engine.settleAll()).toHaveLength(1);
      expect(await world.earnings()).toEqual({ name: 540_000n, till: 2_400_000n });
      expect((await world.ledger.name('shows-one.web3'))?.accrued).toBe(40_000n);
      expect((await world.ledger.name('shows-two.web3'))?.accrued).toBe(20_000n);
      expect(world.store.shares.size).toBe(0);
      await engine.close();
    });
  });

  it('that nobody registered keep nothing from the name, not even for a while, and cost one question', async () => {
    await inWorld('invented-referrers', 1, async (world) => {
      await world.offerReferrers(5_000);
      const invented = Array.from({ length: 20 }, (_, index) => `invented-${index}.web3`);
      await shown(world, invented, 100_000n);
      const questions: (readonly string[])[] = [];
      const engine = world.engine({ reader: asking(world, (names) => void questions.push(names)) });
      expect(await engine.settleAll()).toHaveLength(1);
      expect(await world.earnings()).toEqual({ name: 400_000n, till: 1_600_000n });
      expect(questions).toHaveLength(1);
      expect(world.store.shares.size).toBe(0);
      // The next visitor invents the same: it is asked for again, and the name is paid with the same settlement.
      await shown(world, invented, 100_000n);
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: 800_000n, till: 3_200_000n });
      expect(questions).toHaveLength(2);
      await engine.close();
    });
  });

  it('do not delay a name whose referrer is a name in the books that nobody registered', async () => {
    await inWorld('unknown-both', 1, async (world) => {
      await invent(world, 1, 500n);
      await shown(world, ['nobody-else.web3'], 100_000n);
      const engine = world.engine();
      await engine.settleAll();
      await shown(world, ['invented-0.web3'], 100_000n);
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: 40_000n, till: 160_000n });
      expect(Array.from(world.store.shares.keys())).toEqual(['invented-0.web3']);
      await engine.close();
    });
  });

  it('are not paid twice when one becomes nobody while its settlement is under way', async () => {
    await inWorld('folded', 1, async (world) => {
      await world.registerOther('folded-shows.web3');
      await world.offerReferrers(10_000);
      await shown(world, ['folded-shows.web3'], 1_000_000n);
      const key = earnersKey({ name: world.name, referrer: 'folded-shows.web3' });
      const { wallet } = world;
      // The transaction is signed, and the books make room.
      const engine = world.engine({
        wallet: altered(wallet, {
          prepareSettle: async (...args) => {
            const prepared = await wallet.prepareSettle(...args);
            world.store.dropReferrer(key);
            return prepared;
          },
        }),
      });
      await engine.settleAll();
      expect((await world.ledger.name('folded-shows.web3'))?.accrued).toBe(200_000n);
      expect(await world.earnings()).toEqual({ name: 0n, till: 800_000n });
      expect(world.store.shares).toEqual(new Map());
      await engine.close();
    });
  });
});

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

  it('are waited for while no channel closes, so that their part is not settled without them', async () => {
    await inWorld('awaited', 2, async (world) => {
      let answer = (): void => {};
      const answered = new Promise<void>((resolve) => {
        answer = resolve;
      });
      await world.receive(0, 3_000_000n, 1_000_000n);
      let looks = 0;
      const till: LedgerReader['till'] = async (...given) => {
        looks += 1;
        // Several checks later the ledger is still asked.
        if (looks === 5) answer();
        return world.ledger.till(...given);
      };
      const reader = altered(
        asking(world, async () => answered),
        { till },
      );
      const engine = world.engine({ reader, policy: { pollMillis: 5 } });
      expect(await engine.settleAll()).toHaveLength(1);
      expect(looks).toBeGreaterThanOrEqual(5);
      expect(await world.earnings()).toEqual({ name: 200_000n, till: 2_800_000n });
      await engine.close();
    });
  });

  it('are not waited for any more as soon as a channel closes', async () => {
    await inWorld('closes-meanwhile', 2, async (world) => {
      await world.receive(0, 3_000_000n, 1_000_000n);
      let looks = 0;
      const till: LedgerReader['till'] = async (...given) => {
        looks += 1;
        if (looks === 3) await world.requestClose(0);
        return world.ledger.till(...given);
      };
      let answer = (): void => {};
      const answered = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const reader = altered(
        asking(world, async () => answered),
        { till },
      );
      const engine = world.engine({ reader, policy: { pollMillis: 5, learningMillis: 3_600_000 } });
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: 0n, till: 3_000_000n });
      answer();
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
      const engine = world.engine({
        reader: asking(world, async () => answered),
        policy: { pollMillis: 5, learningMillis: 20 },
      });
      expect(await engine.settleAll()).toHaveLength(1);
      expect(await world.earnings()).toEqual({ name: 0n, till: 3_000_000n });
      expect(world.store.shares.get(world.name)).toBe(1_000_000n << 20n);
      answer();
      await engine.close();
    });
  });
});
