/** What is spent on channels, on the real program: within the budget, and for others within their allowance. */
import { describe, expect, it } from 'vitest';
import { amount, type Amount } from '../../core/units.ts';
import type { SolanaWallet } from '../../ledger/solana/index.ts';
import type { Advance } from '../../node/meter/index.ts';
import { allowanceExhausted } from '../../node/meter/sponsor.ts';
import { DEPOSIT, PEER, channelStage } from './channel-stage.ts';

const stage = channelStage();

describe('what is spent on channels', () => {
  it('stays within the budget, whichever peers lead us to others', async () => {
    const ours = stage.channels();
    const puppets = await Promise.all(Array.from({ length: 8 }, () => stage.seller(1)));
    const outcomes = await Promise.allSettled(puppets.map(({ address }) => ours.channelTo(address, PEER)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(6);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'BUDGET_EXHAUSTED', remedy: expect.stringContaining('--spend-limit') as string },
    });
    expect(await stage.onChain()).toHaveLength(6);
  });

  it('counts top-ups, also those of an earlier run', async () => {
    const { channel } = await stage.channels().channelTo(stage.payee.address, PEER);
    const ours = stage.channels();
    const once = await ours.topUp(channel);
    expect(once.deposit).toBe(2_000n);
    stage.budget = await stage.budgetOf(3_000n);
    const restarted = stage.channels({ budget: stage.budget });
    const twice = await restarted.topUp(once);
    expect(twice.deposit).toBe(3_000n);
    await expect(restarted.topUp(twice)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    expect((await stage.ledger.channel(channel.till, channel.slot))?.deposit).toBe(3_000n);
  });

  it('does not top up again for what did not say that it succeeded, nor while the ledger hides the channel', async () => {
    const { channel } = await stage.channels().channelTo(stage.payee.address, PEER);
    let answers = 1;
    const hiding = new Proxy(stage.ledger, {
      get(target, key) {
        if (key === 'channel' && answers-- <= 0) return () => Promise.reject(new Error('no answer'));
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const ours = stage.channels({ reader: hiding });
    expect((await ours.topUp(channel)).deposit).toBe(2_000n);
    await expect(ours.topUp(channel)).rejects.toThrow('no answer');
    expect((await stage.channels().topUp(channel)).deposit).toBe(2_000n);
    expect((await stage.ledger.channel(channel.till, channel.slot))?.deposit).toBe(2_000n);
    expect(stage.budget.view().spent).toBe(2_000n);
  });

  it('does not count what was certainly not burned', async () => {
    const poor = await stage.wallet(0n);
    await expect(stage.channels({ wallet: poor }).channelTo(stage.payee.address, PEER)).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
    expect(stage.budget.view().spent).toBe(0n);
  });

  it('counts what may have been burned', async () => {
    const silent = new Proxy(stage.payer, {
      get(target, key) {
        if (key === 'openChannel') return () => Promise.reject(Object.assign(new Error('no answer')));
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await expect(stage.channels({ wallet: silent }).channelTo(stage.payee.address, PEER)).rejects.toThrow('no answer');
    expect(stage.budget.view().spent).toBe(DEPOSIT);
  });

  it.each([
    ['opening payment', { opening: amount(11n) }, '--max-opening'],
    ['deposit', { minDeposit: amount(1_001n) }, '--deposit'],
  ])('has no %s above the limit, whatever a till asks', async (_what, terms, option) => {
    await expect(
      stage.channels({ reader: stage.asking(terms) }).channelTo(stage.payee.address, PEER),
    ).rejects.toMatchObject({
      code: 'PRICE_TOO_HIGH',
      remedy: expect.stringContaining(option) as string,
    });
    expect(await stage.onChain()).toEqual([]);
    expect(stage.budget.view().spent).toBe(0n);
  });

  it('for a wider window is as much as was burned before, within the limit, with the deposit that it takes', async () => {
    const ours = stage.channels({ opening: amount(4n), maxWidened: amount(130n) });
    const { channel } = await ours.channelTo(stage.payee.address, PEER);
    expect(channel).toMatchObject({ opening: 4n, deposit: DEPOSIT });
    const wider = await ours.widen(channel, amount(980n));
    // Eight windows stay in the deposit beyond what was paid.
    expect(wider).toMatchObject({ opening: 8n, deposit: 1_044n });
    expect(stage.budget.view().spent).toBe(DEPOSIT + 4n + 4n + 44n);
    if (wider === undefined) throw new Error('not widened');
    const still = await stage.channels().widen(wider, amount(0n));
    expect(still).toMatchObject({ opening: 10n, deposit: 1_044n });
    if (still === undefined) throw new Error('not widened');
    expect(await stage.channels().widen(still, amount(0n))).toBeUndefined();
    let may = 7n;
    const relaying = stage.channels({ maxWidened: amount(1_000n), mayWiden: () => may });
    expect(await relaying.widen(still, amount(0n))).toBeUndefined();
    stage.budget = await stage.budgetOf(1_060n);
    await expect(
      stage.channels({ budget: stage.budget, maxWidened: amount(20n) }).widen(still, amount(0n)),
    ).rejects.toMatchObject({
      code: 'BUDGET_EXHAUSTED',
    });
    expect((await stage.ledger.channel(channel.till, channel.slot))?.opening).toBe(10n);
    may = 10n;
    expect(await relaying.widen(still, amount(0n))).toMatchObject({ opening: 20n });
    expect(await relaying.widen({ ...still, opening: amount(20n) }, amount(0n))).toBeUndefined();
  });

  it('for wider windows of several at the same time is no more than may be burned for them all', async () => {
    const [one, other] = [stage.payee, await stage.seller()];
    stage.budget = await stage.budgetOf(10_000n);
    const ours = stage.channels({
      budget: stage.budget,
      opening: amount(8n),
      maxWidened: amount(1_000n),
      mayWiden: () => 10n,
    });
    const found = [await ours.channelTo(one.address, PEER), await ours.channelTo(other.address, PEER)];
    const widened = await Promise.all(found.map(({ channel }) => ours.widen(channel, amount(0n))));
    expect(widened.filter((channel) => channel !== undefined)).toHaveLength(1);
    const openings = (await stage.ledger.channelsOf(stage.payer.address)).map(({ opening }) => opening);
    expect(openings.toSorted((a, b) => Number(a - b))).toEqual([8n, 16n]);
  });

  it('for opening is told before: what is burned, and the fee at the price of credits', async () => {
    const [{ unitsPerLamport }, { fee, bid }] = await Promise.all([stage.ledger.bank(), stage.payer.settleFees()]);
    const first = fee.first + bid.first;
    const cost = (opening: Amount): Promise<Amount> =>
      stage.channels({ reader: stage.asking({ opening }) }).openingCost(stage.payee.address);
    expect(await cost(amount(0n))).toBe(first * unitsPerLamport);
    expect(await cost(amount(7n))).toBe(7n + first * unitsPerLamport);
    const ours = stage.channels();
    await ours.openingCost(stage.payee.address);
    stage.asked = [];
    await Promise.all(Array.from({ length: 50 }, () => ours.openingCost(stage.payee.address)));
    expect(stage.asked).toEqual([]);
    expect(await stage.onChain()).toEqual([]);
  });
});

describe('a channel that is opened for the circuit of somebody else', () => {
  /** What its payer may still have us burn. */
  class Payer {
    left: bigint;
    asked = 0;
    readonly channels: string[] = [];
    constructor(left: bigint) {
      this.left = left;
    }
    async advance(cost: Amount): Promise<Advance> {
      this.asked += 1;
      if (cost > this.left) throw allowanceExhausted(cost, this.left);
      this.left -= cost;
      return { giveBack: () => (this.left += cost), wentInto: (id) => this.channels.push(id) };
    }
  }

  /** Does something else in place of opening a channel. */
  function opening(open: () => Promise<never>): SolanaWallet {
    return new Proxy(stage.payer, {
      get(target, key) {
        if (key === 'openChannel') return open;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  it('takes what it costs off its allowance, and nothing is opened where that is too small', async () => {
    const ours = stage.channels({ reader: stage.asking({ opening: amount(7n) }) });
    const cost = await ours.openingCost(stage.payee.address);
    const poor = new Payer(cost - 1n);
    await expect(ours.channelTo(stage.payee.address, PEER, poor)).rejects.toMatchObject({
      code: 'ALLOWANCE_EXHAUSTED',
    });
    expect([await stage.onChain(), stage.budget.view().spent, poor.left]).toEqual([[], 0n, cost - 1n]);
    const enough = new Payer(cost);
    await ours.channelTo(stage.payee.address, PEER, enough);
    expect([(await stage.onChain()).length, enough.left]).toEqual([1, 0n]);
    expect(enough.channels).toEqual(await stage.onChain());
    // Once it is there it costs nobody anything.
    await ours.channelTo(stage.payee.address, PEER, poor);
    expect(poor.asked).toBe(1);
  });

  it('burns no more than its till asks, whatever the operator burns for its own circuits', async () => {
    const ours = stage.channels({ opening: amount(9n) });
    const sponsor = new Payer(await ours.openingCost(stage.payee.address));
    const { channel } = await ours.channelTo(stage.payee.address, PEER, sponsor);
    expect([channel.opening, sponsor.left]).toEqual([0n, 0n]);
    const own = await stage.seller();
    expect((await ours.channelTo(own.address, PEER)).channel.opening).toBe(9n);
  });

  it('takes it again for a channel that replaces one which its payee closed without the books knowing', async () => {
    const ours = stage.channels();
    const { channel } = await ours.channelTo(stage.payee.address, PEER);
    await stage.payer.closeChannel(channel, stage.payee);
    expect(ours.known(stage.payee.address)).toBe(true);
    await expect(ours.channelTo(stage.payee.address, PEER, new Payer(0n))).rejects.toMatchObject({
      code: 'ALLOWANCE_EXHAUSTED',
    });
    expect(await stage.onChain()).toEqual([]);
  });

  it('gives it back only when certainly nothing was burned', async () => {
    const sponsor = new Payer(1_000_000n);
    const poor = await stage.wallet(0n);
    await expect(stage.channels({ wallet: poor }).channelTo(stage.payee.address, PEER, sponsor)).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
    const broke = await stage.budgetOf(1n);
    await expect(stage.channels({ budget: broke }).channelTo(stage.payee.address, PEER, sponsor)).rejects.toMatchObject(
      {
        code: 'BUDGET_EXHAUSTED',
      },
    );
    expect([sponsor.asked, sponsor.left]).toEqual([2, 1_000_000n]);
    const silent = opening(() => Promise.reject(new Error('no answer')));
    const cost = await stage.channels().openingCost(stage.payee.address);
    await expect(stage.channels({ wallet: silent }).channelTo(stage.payee.address, PEER, sponsor)).rejects.toThrow(
      'no answer',
    );
    expect(sponsor.left).toBe(1_000_000n - cost);
  });

  it('is paid for by one of those that want it at the same time, even if another could not', async () => {
    const ours = stage.channels();
    const payers = [0n, 1_000_000n, 0n, 1_000_000n].map((left) => new Payer(left));
    const outcomes = await Promise.allSettled(payers.map((one) => ours.channelTo(stage.payee.address, PEER, one)));
    expect(outcomes.map(({ status }) => status).filter((_status, index) => index % 2 === 1)).toEqual([
      'fulfilled',
      'fulfilled',
    ]);
    expect(await stage.onChain()).toHaveLength(1);
    expect(payers.filter(({ left }) => left > 0n && left < 1_000_000n)).toHaveLength(1);
  });
});
