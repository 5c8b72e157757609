/** A settlement that is interrupted: by a crash, or by a ledger that does not answer. Nothing is lost and nothing doubled. */
import { EventEmitter, once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Crash, STEPS, unreachable, withFaults } from './faulty-wallet.ts';
import type { Step } from './faulty-wallet.ts';
import { narrow } from './world.ts';
import { worlds } from './in-world.ts';

const inWorld = worlds();

describe('a crash', () => {
  it.each(STEPS)('%s loses nothing and doubles nothing', async (fatal) => {
    await inWorld(`crash ${fatal}`, 2, async (world) => {
      await world.receive(0, 1_000_000n, 500_000n);
      await world.receive(1, 2_000_000n, 500_000n);
      const engine = world.engine({ wallet: withFaults(world.wallet, crashAt(fatal)) });
      await expect(engine.settleAll()).rejects.toBeInstanceOf(Crash);
      await engine.close();
      await world.reopen();
      const after = world.engine();
      await after.settleAll();
      await after.settleAll();
      expect(await world.settledOnChain()).toBe(3_000_000n);
      expect(await world.earnings()).toEqual({ name: 200_000n, till: 2_800_000n });
      expect(world.store.shares.size).toBe(0);
      expect(world.store.settlements().size).toBe(1);
      expect(after.totals()).toMatchObject({ transactions: 1, receipts: 2, amount: 3_000_000n });
      await after.close();
    });
  });

  it('between two transactions books the first and sends the second again', async () => {
    await inWorld('crash between', 6, async (world) => {
      for (let i = 0; i < 6; i += 1) await world.receive(i, 1_000n, 500n);
      let submitted = 0;
      const engine = world.engine({
        wallet: withFaults(narrow(world.wallet, 5), (step) => {
          if (step === 'before submit') submitted += 1;
          if (submitted === 2) throw new Crash();
        }),
      });
      await expect(engine.settleAll()).rejects.toBeInstanceOf(Crash);
      await engine.close();
      expect(await world.settledOnChain()).toBe(5_000n);
      await world.receive(0, 1_500n, 100n);
      await world.reopen();
      const after = world.engine();
      await after.settleAll();
      expect(await world.settledOnChain()).toBe(6_500n);
      expect((await world.earnings()).name).toBe((3_100n * 2_000n) / 10_000n);
      expect(after.totals().amount).toBe(6_500n);
      await after.close();
    });
  });

  it('before sending, found only after the transaction expired, is sent again', async () => {
    await inWorld('expired', 1, async (world, server) => {
      await world.receive(0, 1_000n, 500n);
      const engine = world.engine({ wallet: withFaults(world.wallet, crashAt('before submit')) });
      await expect(engine.settleAll()).rejects.toBeInstanceOf(Crash);
      await engine.close();
      await world.reopen();
      await server.warp(300);
      const after = world.engine();
      await after.settleAll();
      expect(await world.settledOnChain()).toBe(1_000n);
      expect((await world.earnings()).name).toBe(100n);
      expect(after.totals().transactions).toBe(1);
      await after.close();
    });
  });

  it('after sending, looked up when the ledger has forgotten the transaction, is still booked once', async () => {
    await inWorld('forgotten', 1, async (world) => {
      await world.receive(0, 1_000n, 500n);
      const engine = world.engine({ wallet: withFaults(world.wallet, crashAt('after submit')) });
      await expect(engine.settleAll()).rejects.toBeInstanceOf(Crash);
      await engine.close();
      await world.receive(0, 3_000n, 500n);
      await world.reopen();
      const forgetful = new Proxy(world.wallet, {
        get(target, property): unknown {
          if (property === 'status') return async () => ({ state: 'expired' });
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      const after = world.engine({ wallet: forgetful });
      await after.settleAll();
      expect(await world.settledOnChain()).toBe(3_000n);
      // Nobody can tell that the name was among what landed, so it is paid again rather than never.
      expect((await world.earnings()).name).toBe(300n);
      expect(after.totals()).toMatchObject({ transactions: 2, amount: 3_000n });
      await after.close();
    });
  });

  it('before sending, when a watchtower settled meanwhile, leaves the names their due', async () => {
    await inWorld('settled meanwhile', 1, async (world, server) => {
      await world.receive(0, 1_000n, 500n);
      const engine = world.engine({ wallet: withFaults(world.wallet, crashAt('before submit')) });
      await expect(engine.settleAll()).rejects.toBeInstanceOf(Crash);
      await engine.close();
      await world.settleForPayee(0);
      await server.warp(300);
      const after = world.engine();
      await after.settleAll();
      expect((await world.earnings()).name).toBe(0n);
      await world.receive(0, 2_000n);
      await after.settleAll();
      expect((await world.earnings()).name).toBe(100n);
      await after.close();
    });
  });
});

describe('a ledger that does not answer', () => {
  it.each(STEPS)('%s is asked again, and what it took is not sent twice', async (where) => {
    await inWorld(`silent ${where}`, 1, async (world) => {
      await world.receive(0, 1_000_000n, 500_000n);
      let left = 3;
      const engine = world.engine({
        wallet: withFaults(world.wallet, (step) => {
          if (step === where && left > 0) {
            left -= 1;
            throw unreachable();
          }
        }),
      });
      await engine.settleAll();
      expect(left).toBe(0);
      expect(await world.settledOnChain()).toBe(1_000_000n);
      expect(await world.earnings()).toEqual({ name: 100_000n, till: 900_000n });
      expect(engine.totals().transactions).toBe(1);
      await engine.close();
    });
  });

  it('for good is reported, and the settlement taken up later', async () => {
    await inWorld('gone', 1, async (world) => {
      await world.receive(0, 1_000n);
      let gone = true;
      const engine = world.engine({
        wallet: withFaults(world.wallet, (step) => {
          if (gone && step === 'after submit') throw unreachable();
        }),
        policy: { attempts: 3, retryMillis: 1 },
      });
      await expect(engine.settleAll()).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
      gone = false;
      expect((await engine.settleAll()).length).toBe(1);
      expect(engine.totals()).toMatchObject({ transactions: 1, amount: 1_000n });
      await engine.close();
      await expect(engine.settleAll()).rejects.toMatchObject({ code: 'CLOSED' });
    });
  });

  it('does not keep a caller waiting whose time is up before its turn has come', async () => {
    await inWorld('impatient', 1, async (world) => {
      await world.receive(0, 1_000n);
      const events = new EventEmitter();
      const reached = once(events, 'confirming');
      const engine = world.engine({
        wallet: withFaults(world.wallet, async (step) => {
          if (step !== 'before confirm') return;
          events.emit('confirming');
          await once(events, 'go on');
        }),
      });
      const first = engine.settleAll();
      await reached;
      await expect(engine.settleAll(AbortSignal.timeout(1))).rejects.toMatchObject({ code: 'TIMEOUT' });
      await expect(engine.withdraw(AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
      events.emit('go on');
      expect(await first).toHaveLength(1);
      expect(await engine.settleAll()).toEqual([]);
      await engine.close();
    });
  });

  it('fails with what was wrong, although the caller had left by then', async () => {
    await inWorld('a fault', 1, async (world) => {
      await world.receive(0, 1_000n);
      const caller = new AbortController();
      const fault = new TypeError('a fault of the wallet');
      const engine = world.engine({
        wallet: withFaults(world.wallet, (step) => {
          if (step !== 'before submit') return;
          caller.abort();
          throw fault;
        }),
      });
      await expect(engine.settleAll(caller.signal)).rejects.toBe(fault);
      await engine.close();
    });
  });

  it('does not keep close() waiting', async () => {
    await inWorld('closing engine', 1, async (world) => {
      await world.receive(0, 1_000n);
      let arrived = (): void => {};
      const reached = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const engine = world.engine({
        wallet: withFaults(world.wallet, (step) => {
          if (step !== 'before submit') return;
          arrived();
          throw unreachable();
        }),
        policy: { attempts: 30, retryMillis: 60_000 },
      });
      const [outcome] = await Promise.all([
        engine.settleAll().catch((error: unknown) => error),
        reached.then(() => engine.close()),
      ]);
      expect(outcome).toMatchObject({ code: 'CLOSED' });
    });
  });
});

function crashAt(fatal: Step): (step: Step) => void {
  return (step) => {
    if (step === fatal) throw new Crash(step);
  };
}
