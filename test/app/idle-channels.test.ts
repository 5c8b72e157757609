/** A channel from which nothing was paid for a day, on the real program: closed by itself, and only that. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ChannelId } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import { openBookStore } from '../../ledger/accounting/index.ts';
import { signReceipt } from '../../ledger/receipt/index.ts';
import type { Channels } from '../../app/node/channels.ts';
import type { Advance } from '../../node/meter/index.ts';
import { DAY, PEER, channelStage, delegate } from './channel-stage.ts';

const stage = channelStage();

describe('a channel from which nothing was paid for a day', () => {
  async function idle(): Promise<{ ours: Channels; id: ChannelId }> {
    const ours = stage.channels();
    const { channel } = await ours.channelTo(stage.payee.address, PEER);
    ours.idle.watch();
    stage.now += DAY;
    return { ours, id: channel.id };
  }

  const closeAt = async (): Promise<unknown> => (await stage.ledger.channelsOf(stage.payer.address))[0]?.closeAt;

  /** What a sweep leaves on chain. */
  async function afterSweep({ idle: channels }: Channels): Promise<string[]> {
    await channels.sweep();
    return stage.onChain();
  }

  it('is closed by itself, and its deposit comes back', async () => {
    const before = (await stage.ledger.balances(stage.payer.address)).credits;
    const { ours } = await idle();
    await ours.idle.sweep();
    expect(await closeAt()).toBeDefined();
    expect(ours.known(stage.payee.address)).toBe(false);
    await expect.poll(() => afterSweep(ours), { timeout: 30_000 }).toEqual([]);
    expect((await stage.ledger.balances(stage.payer.address)).credits).toBe(before);
  });

  it.each([
    ['all', 7n, 0n],
    ['a part', 3n, 5_007n - 3n],
  ])('waits for its payee to return what was staked; %s of it makes good what was advanced', async (_t, back, left) => {
    const stranger = stage.payee.address;
    const cost = amount(5_007n);
    await stage.store.advance(stranger, cost);
    const sponsor = {
      advance: async (): Promise<Advance> => ({
        giveBack: () => {},
        wentInto: (id) => stage.store.openedFor(id, stranger, cost),
      }),
    };
    const ours = stage.channels({ reader: stage.asking({ opening: amount(7n) }) });
    const { channel } = await ours.channelTo(stage.payee.address, PEER, sponsor);
    expect(channel.opening).toBe(7n);
    ours.idle.watch();
    stage.now += DAY;
    await ours.idle.sweep();
    const over = Number(await closeAt()) * 1000;
    await expect
      .poll(
        async () => {
          await ours.idle.sweep();
          return Date.now() > over;
        },
        { timeout: 30_000 },
      )
      .toBe(true);
    await ours.idle.sweep();
    expect(await stage.onChain()).toEqual([channel.id]);
    // Neither is forgotten by a restart.
    await stage.store.close();
    stage.store = await openBookStore(path.join(stage.folder, 'books'));
    expect(stage.store.advancedTo(stranger)).toBe(cost);
    await stage.payee.returnOpenings([{ channel, returned: amount(back) }]);
    const next = stage.channels();
    next.idle.watch();
    // The chain's clock may be a little behind ours.
    await expect.poll(() => afterSweep(next), { timeout: 30_000 }).toEqual(back === 7n ? [] : [channel.id]);
    expect(stage.store.advancedTo(stranger)).toBe(left);
  });

  it('is closed although many payees have not returned what was staked for them yet', async () => {
    const ours = stage.channels({ opening: amount(7n), budget: await stage.budgetOf(100_000n) });
    const silent = await Promise.all(Array.from({ length: 8 }, () => stage.seller(1)));
    for (const one of silent) await ours.channelTo(one.address, PEER);
    ours.idle.watch();
    stage.now += DAY;
    await ours.idle.sweep();
    await ours.channelTo(stage.payee.address, PEER);
    ours.idle.watch();
    stage.now += DAY;
    await ours.idle.sweep();
    const asked = (await stage.ledger.channelsOf(stage.payer.address)).filter(({ closeAt }) => closeAt !== undefined);
    expect(asked.map(({ payee: whom }) => whom)).toContain(stage.payee.address);
    expect(asked).toHaveLength(9);
  });

  it('is finished by the next run, which does not wait another day for it', async () => {
    const { ours } = await idle();
    await ours.idle.sweep();
    const next = stage.channels();
    next.idle.watch();
    await expect.poll(() => afterSweep(next), { timeout: 30_000 }).toEqual([]);
  });

  it('is left alone while a link uses it, when it was asked for, and before its time', async () => {
    const { ours, id } = await idle();
    stage.live.add(id);
    await ours.idle.sweep();
    stage.live.delete(id);
    await ours.channelTo(stage.payee.address, PEER);
    await ours.idle.sweep();
    stage.now += DAY - 1;
    ours.idle.watch();
    await ours.idle.sweep();
    expect(await closeAt()).toBeUndefined();
    await stage.channels({ idleMillis: undefined }).idle.sweep();
    expect(await closeAt()).toBeUndefined();
    stage.now += 1;
    await ours.idle.sweep();
    expect(await closeAt()).toBeDefined();
  });

  it('that pays in between is not idle', async () => {
    const { ours, id } = await idle();
    stage.store.give(signReceipt({ channel: id, amount: amount(3n), up: 1n, down: 2n }, delegate));
    ours.idle.watch();
    await ours.idle.sweep();
    expect(await closeAt()).toBeUndefined();
    stage.now += DAY;
    await ours.idle.sweep();
    expect(await closeAt()).toBeDefined();
  });

  it('is no longer handed out once its close is asked for: later callers get another one', async () => {
    const { ours, id } = await idle();
    const [, { channel }] = await Promise.all([ours.idle.sweep(), ours.channelTo(stage.payee.address, PEER)]);
    const shown = await stage.ledger.channel(channel.till, channel.slot);
    expect(shown?.closeAt).toBeUndefined();
    expect(shown?.id === id).toBe((await stage.ledger.channelsOf(stage.payer.address)).length === 1);
  });
});
