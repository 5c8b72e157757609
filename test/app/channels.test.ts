/** The channels that a node pays from, on the real program: what others can make it spend, and what it reads for that. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ChannelId } from '../../core/ids.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { amount, lamports, type Amount } from '../../core/units.ts';
import { openBookStore, type BookStore } from '../../ledger/accounting/index.ts';
import { openBudget, type Budget } from '../../ledger/budget/index.ts';
import type { TillState } from '../../ledger/contract.ts';
import { delegateFromSeed, signReceipt } from '../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, programFile } from '../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../ledger/solana/index.ts';
import { Channels, type ChannelsOptions } from '../../app/node/channels.ts';
import type { Advance } from '../../node/meter/index.ts';
import { allowanceExhausted } from '../../node/meter/sponsor.ts';
import { newIdentity } from '../node/link/nodes.ts';

const DEPOSIT = amount(1_000n);
const DAY = 24 * 60 * 60_000;
const { nodeId: PEER } = newIdentity();

let server: EmbeddedLedger;
let ledger: SolanaLedger;
let payee: SolanaWallet;
let folder: string;
let payer: SolanaWallet;
let store: BookStore;
let budget: Budget;
let live: Set<ChannelId>;
let now: number;
let asked: string[] = [];

const delegate = delegateFromSeed(new Uint8Array(32).fill(5));

const listening: typeof fetch = async (input, init) => {
  const body = JSON.stringify(init?.body ?? '');
  const method = /\\"method\\":\\"(\w+)\\"/.exec(body)?.[1];
  if (method !== undefined) asked.push(body.includes('dataSlice') ? `${method} part` : method);
  return fetch(input, init);
};

async function wallet(credits = 100_000n): Promise<SolanaWallet> {
  const made = ledger.wallet(generateWalletKey());
  await made.airdrop(lamports(1_000_000_000n));
  if (credits > 0n) await made.buy(lamports(credits));
  return made;
}

async function seller(slots = 4): Promise<SolanaWallet> {
  const made = await wallet();
  await made.openTill(slots);
  return made;
}

beforeAll(async () => {
  server = await startEmbeddedLedger({
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 1n, challengeSeconds: 1n },
  });
  ledger = openSolanaLedger({ fetch: listening, url: server.url, programId: EMBEDDED_PROGRAM_ID });
}, 60_000);

afterAll(async () => {
  ledger.close();
  await server.close();
});

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-channels-'));
  [payee, payer] = await Promise.all([seller(), wallet()]);
  store = await openBookStore(path.join(folder, 'books'));
  budget = await budgetOf(3_000n);
  live = new Set();
  now = 0;
  asked = [];
});

afterEach(async () => {
  await budget[Symbol.asyncDispose]();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function budgetOf(perPeer: bigint): Promise<Budget> {
  const limits = { perPeer: amount(perPeer), perSite: amount(0n), total: amount(2n * perPeer) };
  return openBudget({ file: path.join(folder, 'budget'), limits, clock: systemClock, log: silentLog });
}

function channels(changes: Partial<ChannelsOptions> = {}): Channels {
  return new Channels({
    reader: ledger,
    wallet: payer,
    delegate,
    store,
    budget,
    deposit: DEPOSIT,
    opening: amount(0n),
    maxOpening: amount(10n),
    maxWidened: amount(10n),
    live: () => live,
    update: (channel) => store.update(channel),
    idleMillis: DAY,
    now: () => now,
    log: silentLog,
    ...changes,
  });
}

const onChain = async (): Promise<string[]> => (await ledger.channelsOf(payer.address)).map(({ id }) => id);

/** What a till that asks for this much looks like to its payers. */
function asking(terms: Partial<TillState>): ChannelsOptions['reader'] {
  return new Proxy(ledger, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key === 'till') {
        return async (owner: SolanaWallet['address']) => {
          const till = await target.till(owner);
          return till === undefined ? undefined : { ...till, ...terms };
        };
      }
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('a channel to a payee', () => {
  it('is opened once, however many circuits want it at the same time', async () => {
    const ours = channels();
    const found = await Promise.all(Array.from({ length: 8 }, () => ours.channelTo(payee.address, PEER)));
    expect(new Set(found.map(({ channel }) => channel.id))).toEqual(new Set(await onChain()));
    expect(await onChain()).toHaveLength(1);
    expect(found[0]?.channel).toMatchObject({ payee: payee.address, delegate: delegate.address, deposit: DEPOSIT });
    expect(budget.view().spent).toBe(DEPOSIT);
  });

  it('is known again from the books, and read by its slot: no whole till, and never all tills', async () => {
    const { channel } = await channels().channelTo(payee.address, PEER);
    const again = channels();
    expect(again.known(payee.address)).toBe(true);
    expect(again.known(payer.address)).toBe(false);
    expect(await again.openingCost(payee.address)).toBe(0n);
    asked = [];
    expect((await again.channelTo(payee.address, PEER)).channel).toEqual(channel);
    expect(new Set(asked)).toEqual(new Set(['getMultipleAccounts part']));
    expect(asked.length).toBeLessThanOrEqual(2);
    await again.closeAll(AbortSignal.timeout(20_000));
    expect(asked).not.toContain('getProgramAccounts');
  });

  it('opened by hand, or just before the books were lost, is found in the till and used', async () => {
    const byHand = await payer.openChannel(payee.address, delegate.address, amount(70n));
    const ours = channels();
    expect((await ours.channelTo(payee.address, PEER)).channel.id).toBe(byHand.id);
    expect(ours.known(payee.address)).toBe(true);
    expect(budget.view().spent).toBe(0n);
  });

  it('that is over is replaced', async () => {
    const ours = channels();
    const { channel } = await ours.channelTo(payee.address, PEER);
    await payer.closeChannel(channel, payee);
    const { channel: next } = await ours.channelTo(payee.address, PEER);
    expect(next.id).not.toBe(channel.id);
    expect(await onChain()).toEqual([next.id]);
  });

  it('without a till is refused with what to do', async () => {
    await expect(channels().channelTo(payer.address, PEER)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    await expect(channels().openingCost(payer.address)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  });
});

describe('what is spent on channels', () => {
  it('stays within the budget, whichever peers lead us to others', async () => {
    const ours = channels();
    const puppets = await Promise.all(Array.from({ length: 8 }, () => seller(1)));
    const outcomes = await Promise.allSettled(puppets.map(({ address }) => ours.channelTo(address, PEER)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(6);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'BUDGET_EXHAUSTED', remedy: expect.stringContaining('--spend-limit') as string },
    });
    expect(await onChain()).toHaveLength(6);
  });

  it('counts top-ups, also those of an earlier run', async () => {
    const { channel } = await channels().channelTo(payee.address, PEER);
    const ours = channels();
    const once = await ours.topUp(channel);
    expect(once.deposit).toBe(2_000n);
    budget = await budgetOf(3_000n);
    const restarted = channels({ budget });
    const twice = await restarted.topUp(once);
    expect(twice.deposit).toBe(3_000n);
    await expect(restarted.topUp(twice)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    expect((await ledger.channel(channel.till, channel.slot))?.deposit).toBe(3_000n);
  });

  it('does not top up again for what did not say that it succeeded, nor while the ledger hides the channel', async () => {
    const { channel } = await channels().channelTo(payee.address, PEER);
    let answers = 1;
    const hiding = new Proxy(ledger, {
      get(target, key) {
        if (key === 'channel' && answers-- <= 0) return () => Promise.reject(new Error('no answer'));
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const ours = channels({ reader: hiding });
    expect((await ours.topUp(channel)).deposit).toBe(2_000n);
    await expect(ours.topUp(channel)).rejects.toThrow('no answer');
    expect((await channels().topUp(channel)).deposit).toBe(2_000n);
    expect((await ledger.channel(channel.till, channel.slot))?.deposit).toBe(2_000n);
    expect(budget.view().spent).toBe(2_000n);
  });

  it('does not count what was certainly not burned', async () => {
    const poor = await wallet(0n);
    await expect(channels({ wallet: poor }).channelTo(payee.address, PEER)).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
    expect(budget.view().spent).toBe(0n);
  });

  it('counts what may have been burned', async () => {
    const silent = new Proxy(payer, {
      get(target, key) {
        if (key === 'openChannel') return () => Promise.reject(Object.assign(new Error('no answer')));
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await expect(channels({ wallet: silent }).channelTo(payee.address, PEER)).rejects.toThrow('no answer');
    expect(budget.view().spent).toBe(DEPOSIT);
  });

  it.each([
    ['opening payment', { opening: amount(11n) }, '--max-opening'],
    ['deposit', { minDeposit: amount(1_001n) }, '--deposit'],
  ])('is no %s above what is allowed, whatever a till asks', async (_what, terms, option) => {
    await expect(channels({ reader: asking(terms) }).channelTo(payee.address, PEER)).rejects.toMatchObject({
      code: 'PRICE_TOO_HIGH',
      remedy: expect.stringContaining(option) as string,
    });
    expect(await onChain()).toEqual([]);
    expect(budget.view().spent).toBe(0n);
  });

  it('for a wider window is as much as was burned before, within the limit, with the deposit that it takes', async () => {
    const ours = channels({ opening: amount(4n), maxWidened: amount(130n) });
    const { channel } = await ours.channelTo(payee.address, PEER);
    expect(channel).toMatchObject({ opening: 4n, deposit: DEPOSIT });
    const wider = await ours.widen(channel, amount(980n));
    // Eight windows stay in the deposit beyond what was paid.
    expect(wider).toMatchObject({ opening: 8n, deposit: 1_044n });
    expect(budget.view().spent).toBe(DEPOSIT + 4n + 4n + 44n);
    if (wider === undefined) throw new Error('not widened');
    const still = await channels().widen(wider, amount(0n));
    expect(still).toMatchObject({ opening: 10n, deposit: 1_044n });
    if (still === undefined) throw new Error('not widened');
    expect(await channels().widen(still, amount(0n))).toBeUndefined();
    let may = 7n;
    const relaying = channels({ maxWidened: amount(1_000n), mayWiden: () => may });
    expect(await relaying.widen(still, amount(0n))).toBeUndefined();
    budget = await budgetOf(1_060n);
    await expect(channels({ budget, maxWidened: amount(20n) }).widen(still, amount(0n))).rejects.toMatchObject({
      code: 'BUDGET_EXHAUSTED',
    });
    expect((await ledger.channel(channel.till, channel.slot))?.opening).toBe(10n);
    may = 10n;
    expect(await relaying.widen(still, amount(0n))).toMatchObject({ opening: 20n });
    expect(await relaying.widen({ ...still, opening: amount(20n) }, amount(0n))).toBeUndefined();
  });

  it('for wider windows of several at the same time is no more than may be burned for them all', async () => {
    const [one, other] = [payee, await seller()];
    budget = await budgetOf(10_000n);
    const ours = channels({ budget, opening: amount(8n), maxWidened: amount(1_000n), mayWiden: () => 10n });
    const found = [await ours.channelTo(one.address, PEER), await ours.channelTo(other.address, PEER)];
    const widened = await Promise.all(found.map(({ channel }) => ours.widen(channel, amount(0n))));
    expect(widened.filter((channel) => channel !== undefined)).toHaveLength(1);
    const openings = (await ledger.channelsOf(payer.address)).map(({ opening }) => opening);
    expect(openings.toSorted((a, b) => Number(a - b))).toEqual([8n, 16n]);
  });

  it('for opening is told before: what is burned, and the fee at the price of credits', async () => {
    const [{ unitsPerLamport }, { fee, bid }] = await Promise.all([ledger.bank(), payer.settleFees()]);
    const first = fee.first + bid.first;
    const cost = (opening: Amount): Promise<Amount> =>
      channels({ reader: asking({ opening }) }).openingCost(payee.address);
    expect(await cost(amount(0n))).toBe(first * unitsPerLamport);
    expect(await cost(amount(7n))).toBe(7n + first * unitsPerLamport);
    const ours = channels();
    await ours.openingCost(payee.address);
    asked = [];
    await Promise.all(Array.from({ length: 50 }, () => ours.openingCost(payee.address)));
    expect(asked).toEqual([]);
    expect(await onChain()).toEqual([]);
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
    return new Proxy(payer, {
      get(target, key) {
        if (key === 'openChannel') return open;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  it('takes what it costs off its allowance, and nothing is opened where that is too small', async () => {
    const ours = channels({ reader: asking({ opening: amount(7n) }) });
    const cost = await ours.openingCost(payee.address);
    const poor = new Payer(cost - 1n);
    await expect(ours.channelTo(payee.address, PEER, poor)).rejects.toMatchObject({ code: 'ALLOWANCE_EXHAUSTED' });
    expect([await onChain(), budget.view().spent, poor.left]).toEqual([[], 0n, cost - 1n]);
    const enough = new Payer(cost);
    await ours.channelTo(payee.address, PEER, enough);
    expect([(await onChain()).length, enough.left]).toEqual([1, 0n]);
    expect(enough.channels).toEqual(await onChain());
    // Once it is there it costs nobody anything.
    await ours.channelTo(payee.address, PEER, poor);
    expect(poor.asked).toBe(1);
  });

  it('burns no more than its till asks, whatever the operator burns for its own circuits', async () => {
    const ours = channels({ opening: amount(9n) });
    const sponsor = new Payer(await ours.openingCost(payee.address));
    const { channel } = await ours.channelTo(payee.address, PEER, sponsor);
    expect([channel.opening, sponsor.left]).toEqual([0n, 0n]);
    const own = await seller();
    expect((await ours.channelTo(own.address, PEER)).channel.opening).toBe(9n);
  });

  it('takes it again for one in place of another that its payee closed, of which the books do not know', async () => {
    const ours = channels();
    const { channel } = await ours.channelTo(payee.address, PEER);
    await payer.closeChannel(channel, payee);
    expect(ours.known(payee.address)).toBe(true);
    await expect(ours.channelTo(payee.address, PEER, new Payer(0n))).rejects.toMatchObject({
      code: 'ALLOWANCE_EXHAUSTED',
    });
    expect(await onChain()).toEqual([]);
  });

  it('gives it back only when certainly nothing was burned', async () => {
    const sponsor = new Payer(1_000_000n);
    const poor = await wallet(0n);
    await expect(channels({ wallet: poor }).channelTo(payee.address, PEER, sponsor)).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
    const broke = await budgetOf(1n);
    await expect(channels({ budget: broke }).channelTo(payee.address, PEER, sponsor)).rejects.toMatchObject({
      code: 'BUDGET_EXHAUSTED',
    });
    expect([sponsor.asked, sponsor.left]).toEqual([2, 1_000_000n]);
    const silent = opening(() => Promise.reject(new Error('no answer')));
    const cost = await channels().openingCost(payee.address);
    await expect(channels({ wallet: silent }).channelTo(payee.address, PEER, sponsor)).rejects.toThrow('no answer');
    expect(sponsor.left).toBe(1_000_000n - cost);
  });

  it('is paid for by one of those who want it at the same time, also when another could not', async () => {
    const ours = channels();
    const payers = [0n, 1_000_000n, 0n, 1_000_000n].map((left) => new Payer(left));
    const outcomes = await Promise.allSettled(payers.map((one) => ours.channelTo(payee.address, PEER, one)));
    expect(outcomes.map(({ status }) => status).filter((_status, index) => index % 2 === 1)).toEqual([
      'fulfilled',
      'fulfilled',
    ]);
    expect(await onChain()).toHaveLength(1);
    expect(payers.filter(({ left }) => left > 0n && left < 1_000_000n)).toHaveLength(1);
  });
});

describe('a channel from which nothing was paid for a day', () => {
  async function idle(): Promise<{ ours: Channels; id: ChannelId }> {
    const ours = channels();
    const { channel } = await ours.channelTo(payee.address, PEER);
    ours.watch();
    now += DAY;
    return { ours, id: channel.id };
  }

  const closeAt = async (): Promise<unknown> => (await ledger.channelsOf(payer.address))[0]?.closeAt;

  it('is closed by itself, and its deposit comes back', async () => {
    const before = (await ledger.balances(payer.address)).credits;
    const { ours } = await idle();
    await ours.closeIdle();
    expect(await closeAt()).toBeDefined();
    expect(ours.known(payee.address)).toBe(false);
    await expect
      .poll(
        async () => {
          await ours.closeIdle();
          return onChain();
        },
        { timeout: 30_000 },
      )
      .toEqual([]);
    expect((await ledger.balances(payer.address)).credits).toBe(before);
  });

  it.each([
    ['all', 7n, 0n],
    ['a part', 3n, 5_007n - 3n],
  ])('waits for its payee to return what was staked; %s of it makes good what was advanced', async (_t, back, left) => {
    const stranger = payee.address;
    const cost = amount(5_007n);
    await store.advance(stranger, cost);
    const sponsor = {
      advance: async (): Promise<Advance> => ({
        giveBack: () => {},
        wentInto: (id) => store.openedFor(id, stranger, cost),
      }),
    };
    const ours = channels({ reader: asking({ opening: amount(7n) }) });
    const { channel } = await ours.channelTo(payee.address, PEER, sponsor);
    expect(channel.opening).toBe(7n);
    ours.watch();
    now += DAY;
    await ours.closeIdle();
    const over = Number(await closeAt()) * 1000;
    await expect
      .poll(
        async () => {
          await ours.closeIdle();
          return Date.now() > over;
        },
        { timeout: 30_000 },
      )
      .toBe(true);
    await ours.closeIdle();
    expect(await onChain()).toEqual([channel.id]);
    // Neither is forgotten by a restart.
    await store.close();
    store = await openBookStore(path.join(folder, 'books'));
    expect(store.advancedTo(stranger)).toBe(cost);
    await payee.returnOpenings([{ channel, returned: amount(back) }]);
    const next = channels();
    next.watch();
    // The chain's clock may be a little behind ours.
    await expect
      .poll(
        async () => {
          await next.closeIdle();
          return onChain();
        },
        { timeout: 30_000 },
      )
      .toEqual(back === 7n ? [] : [channel.id]);
    expect(store.advancedTo(stranger)).toBe(left);
  });

  it('is closed although many payees have not returned what was staked for them yet', async () => {
    const ours = channels({ opening: amount(7n), budget: await budgetOf(100_000n) });
    const silent = await Promise.all(Array.from({ length: 8 }, () => seller(1)));
    for (const one of silent) await ours.channelTo(one.address, PEER);
    ours.watch();
    now += DAY;
    await ours.closeIdle();
    await ours.channelTo(payee.address, PEER);
    ours.watch();
    now += DAY;
    await ours.closeIdle();
    const asked = (await ledger.channelsOf(payer.address)).filter(({ closeAt }) => closeAt !== undefined);
    expect(asked.map(({ payee: whom }) => whom)).toContain(payee.address);
    expect(asked).toHaveLength(9);
  });

  it('is finished by the next run, which does not wait another day for it', async () => {
    const { ours } = await idle();
    await ours.closeIdle();
    const next = channels();
    next.watch();
    await expect
      .poll(
        async () => {
          await next.closeIdle();
          return onChain();
        },
        { timeout: 30_000 },
      )
      .toEqual([]);
  });

  it('is left alone while a link uses it, when it was asked for, and before its time', async () => {
    const { ours, id } = await idle();
    live.add(id);
    await ours.closeIdle();
    live.delete(id);
    await ours.channelTo(payee.address, PEER);
    await ours.closeIdle();
    now += DAY - 1;
    ours.watch();
    await ours.closeIdle();
    expect(await closeAt()).toBeUndefined();
    await channels({ idleMillis: undefined }).closeIdle();
    expect(await closeAt()).toBeUndefined();
    now += 1;
    await ours.closeIdle();
    expect(await closeAt()).toBeDefined();
  });

  it('that pays in between is not idle', async () => {
    const { ours, id } = await idle();
    store.give(signReceipt({ channel: id, amount: amount(3n), up: 1n, down: 2n }, delegate));
    ours.watch();
    await ours.closeIdle();
    expect(await closeAt()).toBeUndefined();
    now += DAY;
    await ours.closeIdle();
    expect(await closeAt()).toBeDefined();
  });

  it('is no longer handed out once its close is asked for: later callers get another one', async () => {
    const { ours, id } = await idle();
    const [, { channel }] = await Promise.all([ours.closeIdle(), ours.channelTo(payee.address, PEER)]);
    const shown = await ledger.channel(channel.till, channel.slot);
    expect(shown?.closeAt).toBeUndefined();
    expect(shown?.id === id).toBe((await ledger.channelsOf(payer.address)).length === 1);
  });
});
