/** A withdrawal that is interrupted: whatever the wallet got stands in the journal, once, and nothing stays on record. */
import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import {
  openSettlementJournal,
  type SettlementEngine,
  type SettlementJournal,
} from '../../../ledger/settlement/index.ts';
import { Crash, STEPS, unreachable, withFaults, type Step } from './faulty-wallet.ts';
import { worlds } from './in-world.ts';
import { altered, type World } from './world.ts';

const inWorld = worlds();

interface Ready {
  readonly world: World;
  readonly journal: SettlementJournal;
  /** In the wallet before anything is withdrawn. */
  readonly before: bigint;
  /** An engine whose wallet meets faults at these steps. */
  readonly engine: (at: (step: Step) => void | Promise<void>) => SettlementEngine;
}

/** A till that has earned, with nothing left to settle. */
async function withEarnings(label: string, work: (ready: Ready) => Promise<void>): Promise<void> {
  await inWorld(label, 1, async (world) => {
    const file = `${world.directory}.jsonl`;
    const journal = openSettlementJournal(file);
    const engine = (at: (step: Step) => void | Promise<void>): SettlementEngine =>
      world.engine({ wallet: withFaults(world.wallet, at), journal });
    try {
      await world.receive(0, 1_000_000n);
      await using settling = engine(() => {});
      await settling.settleAll();
      const { credits } = await world.ledger.balances(world.wallet.address);
      await work({ world, journal, before: credits, engine });
    } finally {
      await rm(file, { force: true });
    }
  });
}

async function gained({ world, before }: Ready): Promise<bigint> {
  const { credits } = await world.ledger.balances(world.wallet.address);
  return credits - before;
}

async function withdrawnBy({ journal }: Ready): Promise<readonly bigint[]> {
  const { entries } = await journal.read();
  return entries.filter(({ kind }) => kind === 'withdrawal').map((one) => one.amount);
}

describe('a crash', () => {
  it.each(STEPS)('%s leaves no withdrawal out and none twice', async (fatal) => {
    await withEarnings(`withdrawal crash ${fatal}`, async (ready) => {
      const dying = ready.engine((step) => {
        if (step === fatal) throw new Crash();
      });
      await expect(dying.withdraw()).rejects.toBeInstanceOf(Crash);
      await dying.close();
      await ready.world.reopen();
      await using after = ready.engine(() => {});
      await after.withdraw();
      expect(await gained(ready)).toBe(1_000_000n);
      expect(await withdrawnBy(ready)).toEqual([1_000_000n]);
      expect(Array.from(ready.world.store.settlements().keys())).toEqual(['totals']);
    });
  });

  it('after its line was written does not write it again', async () => {
    await withEarnings('withdrawal crash after the line', async (ready) => {
      const { world, journal } = ready;
      const dying = world.engine({
        store: altered(world.store, {
          saveSettlement: async (id, record) => {
            if (record === undefined) throw new Crash();
            await world.store.saveSettlement(id, record);
          },
        }),
        journal,
      });
      await expect(dying.withdraw()).rejects.toBeInstanceOf(Crash);
      await dying.close();
      expect(await withdrawnBy(ready)).toEqual([1_000_000n]);
      await world.reopen();
      await using after = ready.engine(() => {});
      expect(await after.withdraw()).toBeUndefined();
      expect(await withdrawnBy(ready)).toEqual([1_000_000n]);
      expect(Array.from(world.store.settlements().keys())).toEqual(['totals']);
    });
  });

  it('before sending, found only after the transaction expired, is withdrawn anew', async () => {
    await inWorld('withdrawal expired', 1, async (world, server) => {
      await world.receive(0, 1_000n);
      let died = false;
      const dying = world.engine({
        wallet: altered(world.wallet, {
          prepareWithdraw: async (earned) => {
            const prepared = await world.wallet.prepareWithdraw(earned);
            died = true;
            return prepared;
          },
          submit: async (transaction) => {
            if (died) throw new Crash();
            await world.wallet.submit(transaction);
          },
        }),
      });
      await expect(dying.withdraw()).rejects.toBeInstanceOf(Crash);
      await dying.close();
      await world.reopen();
      expect(world.store.settlements().size).toBe(2);
      await server.warp(300);
      await using after = world.engine();
      expect(await after.withdraw()).toMatchObject({ amount: 1_000n });
      expect(world.store.settlements().size).toBe(1);
    });
  });
});

describe('a ledger that does not answer', () => {
  it.each(STEPS)('%s is asked again, and the withdrawal is in the journal once', async (where) => {
    await withEarnings(`withdrawal silent ${where}`, async (ready) => {
      let left = 3;
      await using engine = ready.engine((step) => {
        if (step !== where || left === 0) return;
        left -= 1;
        throw unreachable();
      });
      expect(await engine.withdraw()).toMatchObject({ amount: 1_000_000n });
      expect(left).toBe(0);
      expect(await gained(ready)).toBe(1_000_000n);
      expect(await withdrawnBy(ready)).toEqual([1_000_000n]);
    });
  });
});

it('that the ledger refuses is said, and leaves nothing on record', async () => {
  await withEarnings('withdrawal refused', async (ready) => {
    const { world, journal } = ready;
    const stranger = world.payers[0]?.wallet;
    const engine = world.engine({
      // Signed by a wallet without a till: the program refuses it.
      wallet: altered(world.wallet, {
        prepareWithdraw: async (earned) => (stranger ?? world.wallet).prepareWithdraw(earned),
      }),
      journal,
    });
    await expect(engine.withdraw()).rejects.toMatchObject({
      code: 'LEDGER_REJECTED',
      message: expect.stringContaining('The ledger refused the withdrawal: ') as string,
    });
    expect(Array.from(world.store.settlements().keys())).toEqual(['totals']);
    expect(await withdrawnBy(ready)).toEqual([]);
    await engine.close();
  });
});

it('that another process was faster than mints nothing, and leaves no line', async () => {
  await withEarnings('withdrawal overtaken', async (ready) => {
    const { world } = ready;
    let isFirst = true;
    await using engine = ready.engine(async (step) => {
      if (step !== 'before submit' || !isFirst) return;
      isFirst = false;
      await world.wallet.withdraw();
    });
    expect(await engine.withdraw()).toMatchObject({ amount: 0n });
    expect(await gained(ready)).toBe(1_000_000n);
    expect(await withdrawnBy(ready)).toEqual([]);
    expect(Array.from(world.store.settlements().keys())).toEqual(['totals']);
  });
});

it('is over as soon as its engine is stopped, though the ledger never answers', async () => {
  await withEarnings('withdrawal stopped', async (ready) => {
    let asked = (): void => {};
    const submitting = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const engine = ready.engine(async (step) => {
      if (step !== 'before submit') return;
      asked();
      await new Promise<never>(() => {});
    });
    const withdrawing = engine.withdraw().catch((error: unknown) => error);
    await submitting;
    await engine.close();
    expect(await withdrawing).toMatchObject({ code: 'CLOSED' });
    expect(ready.world.store.settlements().size).toBe(2);
    await using after = ready.engine(() => {});
    await after.withdraw();
    expect(await withdrawnBy(ready)).toEqual([1_000_000n]);
  });
});

it('that a full disk did not take on record is not sent by the next attempt', async () => {
  await withEarnings('withdrawal on a full disk', async (ready) => {
    const { world } = ready;
    const full = (): Promise<never> =>
      Promise.reject(new RelaymintError('STORAGE_FULL', 'The disk is full.', { remedy: 'Make room.' }));
    const sent: unknown[] = [];
    const engine = world.engine({
      wallet: altered(world.wallet, { submit: async (transaction) => void sent.push(transaction) }),
      store: altered(world.store, {
        saveSettlement: async (id, record) => {
          await world.store.saveSettlement(id, record);
          await full();
        },
        flushed: full,
      }),
    });
    await expect(engine.withdraw()).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await expect(engine.settleAll()).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await engine.close();
    expect(sent).toEqual([]);
  });
});
