/** What others do to a channel while it is settled: a watchtower settles it, or its payer closes it. */
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { withFaults } from './faulty-wallet.ts';
import { worlds } from './in-world.ts';

const inWorld = worlds();

describe('a receipt that somebody else settled', () => {
  it('between planning and sending is not counted again, and names get what the rest brings', async () => {
    await inWorld('overtaken', 2, async (world) => {
      await world.receive(0, 1_000_000n, 500_000n);
      await world.receive(1, 2_000_000n, 2_000_000n);
      const warnings: string[] = [];
      let overtaken = false;
      const engine = world.engine({
        log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
        wallet: withFaults(world.wallet, async (step) => {
          if (step !== 'after prepare' || overtaken) return;
          overtaken = true;
          await world.settleForPayee(1);
        }),
      });
      expect((await engine.settleAll()).map(({ amount }) => amount)).toEqual([1_000_000n]);
      expect(await world.settledOnChain()).toBe(3_000_000n);
      expect(await world.earnings()).toEqual({ name: 200_000n, till: 2_800_000n });
      expect(warnings).toEqual([]);
      await world.receive(0, 3_000_000n);
      await engine.settleAll();
      expect(await world.earnings()).toEqual({ name: 500_000n, till: 4_500_000n });
      expect(world.store.shares.size).toBe(0);
      await engine.close();
    });
  });
});

describe('a channel that its payer closed', () => {
  it('between planning and sending is given up with one warning, and holds up nobody else', async () => {
    await inWorld('vanished', 3, async (world) => {
      for (let i = 0; i < 3; i += 1) await world.receive(i, 1_000_000n * BigInt(i + 1), 100n);
      const warnings: { readonly fields: object; readonly message: string }[] = [];
      const lost: ChannelState[] = [];
      let closed = false;
      const engine = world.engine({
        log: { ...silentLog, warn: (fields, message) => void warnings.push({ fields, message }) },
        onClosed: (channel) => {
          lost.push(channel);
          world.store.forget(channel.id);
        },
        wallet: withFaults(world.wallet, async (step) => {
          if (step !== 'after prepare' || closed) return;
          closed = true;
          await world.closeTogether(1);
        }),
      });
      expect((await engine.settleAll()).map(({ amount }) => amount)).toEqual([4_000_000n]);
      expect(await world.settledOnChain()).toBe(4_000_000n);
      expect(lost.map(({ id }) => id)).toEqual([world.payers[1]?.channel.id]);
      expect(warnings).toEqual([
        {
          fields: expect.objectContaining({ lostCredits: '2' }),
          message: expect.stringContaining('that much is lost'),
        },
      ]);
      expect(engine.unsettled()).toBe(0n);
      expect(await engine.settleAll()).toEqual([]);
      expect(warnings).toHaveLength(1);
      expect(world.store.shares.size).toBe(0);
      await engine.close();
    });
  });

  it('long ago is given up at the next look at the till', async () => {
    await inWorld('gone for good', 1, async (world) => {
      await world.receive(0, 500n);
      await world.closeTogether(0);
      const engine = world.engine();
      expect(engine.unsettled()).toBe(500n);
      expect(await engine.settleAll()).toEqual([]);
      expect(engine.unsettled()).toBe(0n);
      await engine.close();
    });
  });

  it('is forgotten once that is final, settled or not, and what its wallet left unpaid is not', async () => {
    await inWorld('closed and final', 2, async (world) => {
      await world.receive(0, 500n);
      const engine = world.engine();
      await engine.settleAll();
      const [{ channel } = { channel: undefined }] = world.payers;
      if (channel === undefined) throw new Error('the world has no payers');
      world.store.lose(channel.payer, 77n);
      await world.closeTogether(0);
      await engine.settleAll();
      expect(world.store.entry(channel.id)).toBeUndefined();
      expect(world.store.arrearsOf(channel.payer)).toBe(77n);
      expect(Array.from(world.store.entries())).toHaveLength(1);
      await engine.close();
    });
  });

  it('is not given up because a read of the till is old', async () => {
    await inWorld('lagging', 1, async (world) => {
      const till = await world.ledger.till(world.wallet.address);
      if (till === undefined) throw new Error('no till');
      const before = { ...till, channels: [] };
      await world.receive(0, 500n);
      let lagging = true;
      const engine = world.engine({
        reader: new Proxy(world.ledger, {
          get(target, property): unknown {
            if (property === 'till' && lagging) return async () => before;
            const value: unknown = Reflect.get(target, property, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        }),
      });
      expect(await engine.settleAll()).toEqual([]);
      expect(engine.unsettled()).toBe(500n);
      lagging = false;
      expect(await engine.settleAll()).toHaveLength(1);
      await engine.close();
    });
  });
});
