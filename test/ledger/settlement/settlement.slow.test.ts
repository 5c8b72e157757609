/** Settlement on the real program in the embedded SVM. */
import { EventEmitter, once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { lamports } from '../../../core/units.ts';
import type { SettlementOptions } from '../../../ledger/settlement/index.ts';
import { withFaults } from './faulty-wallet.ts';
import { bidding, narrow, spoiling, type World } from './world.ts';
import { worlds } from './in-world.ts';

const inWorld = worlds();

describe('settling', () => {
  it('puts receipts of unrelated payers and the names they read into few transactions, once', async () => {
    await inWorld('batches', 7, async (world) => {
      for (let i = 0; i < 7; i += 1) await world.receive(i, 1_000_000n + BigInt(i), 400_000n);
      const total = 7_000_021n;
      const engine = world.engine({ wallet: narrow(world.wallet, 5) });
      expect(engine.unsettled()).toBe(total);
      const settled = await engine.settleAll();
      expect(settled.map((one) => one.receipts)).toEqual([5, 2]);
      expect(await world.settledOnChain()).toBe(total);
      expect(engine.unsettled()).toBe(0n);
      const royalty = (2_800_000n * 2_000n) / 10_000n;
      expect(await world.earnings()).toEqual({ name: royalty, till: total - royalty });
      expect(world.store.shares.size).toBe(0);
      expect(await engine.settleAll()).toEqual([]);
      const totals = engine.totals();
      expect(totals).toMatchObject({ transactions: 2, receipts: 7, amount: total });
      // They are under way together, and booked as they come.
      expect(totals.signatures.toSorted()).toEqual(settled.map((one) => one.signature).toSorted());
      expect(totals.computeUnits).toBeGreaterThan(0);
      expect(totals.feeLamports).toBe(5_000n * 2n);
      expect(settled.reduce((sum, one) => sum + one.amount, 0n)).toBe(total);
      await engine.close();
      await world.reopen();
      const again = world.engine();
      expect(again.totals()).toEqual(totals);
      await again.close();
    });
  });

  it.each([
    [undefined, 5_000n],
    [3_000, 3_000n],
  ])('pays a name at most the agreed royalty, raised after it was served: %s', async (maxRoyaltyBps, paidBps) => {
    await inWorld(`raised to ${paidBps}`, 1, async (world) => {
      const engine = world.engine(maxRoyaltyBps === undefined ? {} : { policy: { maxRoyaltyBps } });
      await world.receive(0, 1_000_000n, 1_000_000n);
      await world.changeRoyalty(10_000);
      await engine.settleAll();
      const first = 100n * paidBps;
      expect(await world.earnings()).toEqual({ name: first, till: 1_000_000n - first });
      expect(world.store.shares.size).toBe(0);
      // Below it, the name gets what it asks.
      await world.changeRoyalty(2_500);
      await world.receive(0, 2_000_000n, 1_000_000n);
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: first + 250_000n, till: 1_750_000n - first });
      await engine.close();
    });
  });

  it('sends the next transaction while the last one is not final yet', async () => {
    await inWorld('together', 6, async (world) => {
      for (let i = 0; i < 6; i += 1) await world.receive(i, 1_000_000n);
      const events = new EventEmitter();
      let sent = 0;
      const both = once(events, 'both sent');
      const engine = world.engine({
        wallet: withFaults(narrow(world.wallet, 5), async (step) => {
          if (step === 'after submit') sent += 1;
          if (sent === 2) events.emit('both sent');
          if (step === 'before confirm') await both;
        }),
      });
      expect(await engine.settleAll()).toHaveLength(2);
      expect(engine.totals()).toMatchObject({ transactions: 2, receipts: 6, amount: 6_000_000n });
      await engine.close();
    });
  });

  it('settles only what came since, and withdraws what the till earned', async () => {
    await inWorld('again', 1, async (world) => {
      const engine = world.engine();
      await world.receive(0, 1_000_000n);
      await engine.settleAll();
      await world.receive(0, 1_700_000n, 100_000n);
      const before = await world.ledger.balances(world.wallet.address);
      const result = await engine.withdraw();
      expect(result?.signature).toBeTypeOf('string');
      expect(await world.settledOnChain()).toBe(1_700_000n);
      const after = await world.ledger.balances(world.wallet.address);
      expect(after.credits - before.credits).toBe(1_700_000n - 20_000n);
      expect(await engine.withdraw()).toBeUndefined();
      await engine.close();
    });
  });

  it('happens automatically once the fee is a small enough share of the value, and not before', async () => {
    await inWorld('share', 3, async (world) => {
      const seen = observe(world);
      const [first, further] = [10_000n, 2_000n];
      const wallet = bidding(world.wallet, {
        fee: { first: lamports(5_000n), further: lamports(500n) },
        bid: { first: lamports(first - 5_000n), further: lamports(further - 500n) },
      });
      const engine = world.engine({ ...seen.options, wallet, policy: { maxFeeShareBps: 100, pollMillis: 5 } });
      // One per cent of a receipt this large is the whole fee.
      const enough = first * 100n;
      await world.receive(0, further * 100n - 1n);
      await world.receive(1, enough - 1n);
      await seen.rounds(4);
      expect(await world.settledOnChain()).toBe(0n);
      const settled = seen.settled();
      await world.receive(1, enough);
      await settled;
      expect(await world.settledOnChain()).toBe(enough);
      // The other one did not pay for its own place, so it waits; no longer, once it does and somebody pays the rest.
      expect(engine.unsettled()).toBe(further * 100n - 1n);
      const both = seen.settled();
      await world.receive(0, further * 100n);
      await world.receive(2, enough);
      await both;
      expect(engine.unsettled()).toBe(0n);
      expect(engine.totals()).toMatchObject({ transactions: 2, receipts: 3 });
      await engine.close();
    });
  });

  it('takes any receipt along where only signatures cost', async () => {
    await inWorld('along', 2, async (world) => {
      const seen = observe(world);
      const engine = world.engine({ ...seen.options, policy: { maxFeeShareBps: 100, pollMillis: 5 } });
      const { fee, bid } = await world.wallet.settleFees();
      expect({ fee, bid }).toEqual({ fee: { first: 5_000n, further: 0n }, bid: { first: 0n, further: 0n } });
      const { first } = fee;
      const enough = first * 100n;
      await world.receive(0, 1n);
      await world.receive(1, enough - 2n);
      await seen.rounds(4);
      expect(await world.settledOnChain()).toBe(0n);
      const settled = seen.settled();
      await world.receive(1, enough - 1n);
      await settled;
      expect(await world.settledOnChain()).toBe(enough);
      expect(engine.totals()).toMatchObject({ transactions: 1, receipts: 2 });
      await engine.close();
    });
  });

  it('happens automatically when a payer asks to close, as soon as what is owed is worth its fee', async () => {
    await inWorld('closing', 1, async (world) => {
      const seen = observe(world);
      const settled = seen.settled();
      const engine = world.engine({ ...seen.options, policy: { pollMillis: 5 } });
      await world.receive(0, 5_000n);
      await world.requestClose(0);
      await settled;
      expect(await world.settledOnChain()).toBe(5_000n);
      await engine.close();
    });
  });

  it('checks at least four times in a challenge period, whatever the setting', async () => {
    await inWorld('short period', 1, async (world) => {
      const seen = observe(world);
      const reader = new Proxy(seen.options.reader, {
        get(target, property): unknown {
          if (property === 'bank') return async () => ({ ...(await world.ledger.bank()), challengeSeconds: 1n });
          return Reflect.get(target, property, target);
        },
      });
      const looks = seen.rounds(3);
      const engine = world.engine({ reader, policy: { pollMillis: 3_600_000 } });
      await expect(looks).resolves.toBeUndefined();
      await engine.close();
    });
  });

  it('tells what the till shows of each channel', async () => {
    await inWorld('told', 1, async (world) => {
      const told: boolean[] = [];
      await world.receive(0, 5n);
      const engine = world.engine({ onChannel: (channel) => told.push(channel.settled === 5n) });
      await engine.settleAll();
      expect(told).toContain(false);
      expect(told.at(-1)).toBe(true);
      await engine.close();
    });
  });

  it('settles old value once it is worth more than its fee', async () => {
    await inWorld('old', 1, async (world) => {
      const seen = observe(world);
      const engine = world.engine({ ...seen.options, policy: { pollMillis: 5, maxAgeMillis: 0 } });
      const { first } = (await world.wallet.settleFees()).fee;
      await world.receive(0, first - 1n);
      await seen.rounds(4);
      expect(await world.settledOnChain()).toBe(0n);
      const settled = seen.settled();
      await world.receive(0, BigInt(first));
      await settled;
      expect(engine.unsettled()).toBe(0n);
      await engine.close();
    });
  });

  it('settles a channel whose deposit is nearly used up', async () => {
    await inWorld('used up', 1, async (world) => {
      const seen = observe(world);
      const settled = seen.settled();
      const engine = world.engine({ ...seen.options, policy: { pollMillis: 5 } });
      await world.receive(0, 95_000_000n);
      await settled;
      expect(engine.unsettled()).toBe(0n);
      await engine.close();
    });
  });

  it('leaves out a name that the ledger does not know, and pays it nothing', async () => {
    await inWorld('unknown', 1, async (world) => {
      await world.receive(0, 1_000_000n, 100_000n);
      world.store.hold(requireLatest(world), 0n, new Map([['nobody.web3', 50_000n << 20n]]), () => {});
      const engine = world.engine();
      await engine.settleAll();
      expect(await world.settledOnChain()).toBe(1_000_000n);
      expect((await world.earnings()).name).toBe(20_000n);
      expect(Array.from(world.store.shares.keys())).toEqual(['nobody.web3']);
      await engine.close();
    });
  });

  it('does not let one receipt that the ledger refuses hold up the others', async () => {
    await inWorld('refused', 3, async (world) => {
      for (let i = 0; i < 3; i += 1) await world.receive(i, 1_000n * BigInt(i + 1), 100n);
      const spoiled = world.engine({ wallet: spoiling(world, 1) });
      await expect(spoiled.settleAll()).rejects.toMatchObject({
        code: 'LEDGER_REJECTED',
        details: { settled: 2, refused: 1 },
      });
      expect(await world.settledOnChain()).toBe(4_000n);
      // Whoever asks gets all of it tried again.
      await expect(spoiled.settleAll()).rejects.toMatchObject({ details: { settled: 0, refused: 1 } });
      await spoiled.close();
      const engine = world.engine();
      expect((await engine.settleAll()).map((one) => one.amount)).toEqual([2_000n]);
      await engine.close();
    });
  });
});

describe('a wallet that could not pay the fee', () => {
  it('settles as soon as it can, what closes before anything', async () => {
    await inWorld('empty once', 2, async (world) => {
      await world.receive(0, 3_000_000n);
      await world.receive(1, 2_000_000n);
      await world.requestClose(0);
      const poor = new EventEmitter();
      const refused = once(poor, 'a settlement failed; it is tried again');
      const seen = observe(world);
      const settled = seen.settled();
      let empty = true;
      const engine = world.engine({
        reader: seen.options.reader,
        log: { ...seen.options.log, warn: (_fields, message) => void poor.emit(message) },
        wallet: withFaults(world.wallet, (step) => {
          if (empty && step === 'before submit') throw new RelaymintError('INSUFFICIENT_FUNDS', 'No lamports.');
        }),
        policy: { pollMillis: 5, maxFeeShareBps: 10_000 },
      });
      await refused;
      await expect(engine.settleAll()).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
      expect(world.store.settlements().size).toBe(0);
      empty = false;
      await settled;
      expect(await world.settledOnChain()).toBe(5_000_000n);
      await engine.close();
    });
  });
});

describe('a receipt that the ledger refused', () => {
  it('does not keep the owner from what the till earned', async () => {
    await inWorld('refused withdrawal', 2, async (world) => {
      await world.receive(0, 5_000_000n);
      await world.receive(1, 3_000_000n);
      const engine = world.engine({ wallet: spoiling(world, 0) });
      const before = await world.ledger.balances(world.wallet.address);
      await expect(engine.withdraw()).rejects.toMatchObject({
        code: 'LEDGER_REJECTED',
        details: { refused: 1, signature: expect.any(String) },
      });
      const after = await world.ledger.balances(world.wallet.address);
      expect(after.credits - before.credits).toBe(3_000_000n);
      await engine.close();
    });
  });

  it('is tried again automatically once its channel closes', async () => {
    await inWorld('refused once', 1, async (world) => {
      await world.receive(0, 5_000_000n);
      let spoil = true;
      const seen = observe(world);
      const engine = world.engine({
        ...seen.options,
        wallet: spoiling(world, 0, () => spoil),
        policy: { pollMillis: 5 },
      });
      await expect(engine.settleAll()).rejects.toMatchObject({ code: 'LEDGER_REJECTED' });
      spoil = false;
      const settled = seen.settled();
      await world.requestClose(0);
      await settled;
      expect(await world.settledOnChain()).toBe(5_000_000n);
      await engine.close();
    });
  });
});

function requireLatest(world: World): NonNullable<ReturnType<typeof world.store.entry>>['latest'] & object {
  const [entry] = world.store.entries();
  if (entry?.latest === undefined) throw new Error('no receipt yet');
  return entry.latest;
}

/** Lets a test wait for what the engine does: its looks at the till, its settlements. */
function observe(world: World): {
  readonly options: Required<Pick<SettlementOptions, 'reader' | 'log'>>;
  rounds(count: number): Promise<void>;
  settled(): Promise<void>;
} {
  const events = new EventEmitter();
  const reader = new Proxy(world.ledger, {
    get(target, property): unknown {
      if (property === 'till') events.emit('look');
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const log = { ...silentLog, info: (_fields: object, message: string) => void events.emit(message) };
  return {
    options: { reader, log },
    async rounds(count) {
      for (let i = 0; i < count; i += 1) await once(events, 'look');
    },
    async settled() {
      await once(events, 'settled');
    },
  };
}
