/** The channels that a node pays from, on the real program: how one is found, opened and replaced, and what is read for that. */
import { describe, expect, it } from 'vitest';
import { amount } from '../../core/units.ts';
import { DEPOSIT, PEER, channelStage, delegate } from './channel-stage.ts';

const stage = channelStage();

describe('a channel to a payee', () => {
  it('is opened once, however many circuits want it at the same time', async () => {
    const ours = stage.channels();
    const found = await Promise.all(Array.from({ length: 8 }, () => ours.channelTo(stage.payee.address, PEER)));
    expect(new Set(found.map(({ channel }) => channel.id))).toEqual(new Set(await stage.onChain()));
    expect(await stage.onChain()).toHaveLength(1);
    expect(found[0]?.channel).toMatchObject({
      payee: stage.payee.address,
      delegate: delegate.address,
      deposit: DEPOSIT,
    });
    expect(stage.budget.view().spent).toBe(DEPOSIT);
  });

  it('is known again from the books, and read by its slot: no whole till, and never all tills', async () => {
    const { channel } = await stage.channels().channelTo(stage.payee.address, PEER);
    const again = stage.channels();
    expect(again.known(stage.payee.address)).toBe(true);
    expect(again.known(stage.payer.address)).toBe(false);
    expect(await again.openingCost(stage.payee.address)).toBe(0n);
    stage.asked = [];
    expect((await again.channelTo(stage.payee.address, PEER)).channel).toEqual(channel);
    expect(new Set(stage.asked)).toEqual(new Set(['getMultipleAccounts part']));
    expect(stage.asked.length).toBeLessThanOrEqual(2);
    await again.closeAll(AbortSignal.timeout(20_000));
    expect(stage.asked).not.toContain('getProgramAccounts');
  });

  it('opened by hand, or just before the books were lost, is found in the till and used', async () => {
    const byHand = await stage.payer.openChannel(stage.payee.address, delegate.address, amount(70n));
    const ours = stage.channels();
    expect((await ours.channelTo(stage.payee.address, PEER)).channel.id).toBe(byHand.id);
    expect(ours.known(stage.payee.address)).toBe(true);
    expect(stage.budget.view().spent).toBe(0n);
  });

  it('that is over is replaced', async () => {
    const ours = stage.channels();
    const { channel } = await ours.channelTo(stage.payee.address, PEER);
    await stage.payer.closeChannel(channel, stage.payee);
    const { channel: next } = await ours.channelTo(stage.payee.address, PEER);
    expect(next.id).not.toBe(channel.id);
    expect(await stage.onChain()).toEqual([next.id]);
  });

  it('without a till is refused with what to do', async () => {
    await expect(stage.channels().channelTo(stage.payer.address, PEER)).rejects.toMatchObject({
      code: 'CHANNEL_UNKNOWN',
    });
    await expect(stage.channels().openingCost(stage.payer.address)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  });
});
