/** What a payer may have a node burn on chain: three times what it burned itself, and what the node kept of its circuits. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { channelId, ledgerAddress, nodeId } from '../../../core/ids.ts';
import type { ChannelId } from '../../../core/ids.ts';
import { ALLOWANCE_OF_BURNED, MAX_DEBTORS } from '../../../core/limits.ts';
import { silentLog } from '../../../core/ports.ts';
import { amount, lamports, pricePerMiB, unixMillis, unixSeconds } from '../../../core/units.ts';
import { NUMERATOR_BITS, openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import type { AccountBook, BookStore, EarningAccount } from '../../../ledger/accounting/index.ts';
import type { ChannelState, OpeningReturn, TillState, TransactionResult } from '../../../ledger/contract.ts';
import { Openings } from '../../../ledger/settlement/openings.ts';
import { TokenBucket } from '../../../core/rate.ts';
import type { ChannelProvider } from '../../../node/meter/index.ts';
import { ContentCounts } from '../../../node/meter/content-counts.ts';
import { MeteredLink } from '../../../node/meter/metered.ts';
import { Sponsors } from '../../../node/meter/sponsor.ts';
import type { Sponsor } from '../../../node/meter/sponsor.ts';
import { channelState, seed } from '../../ledger/accounting/pair.ts';
import { TestNodes, offerOf } from '../link/nodes.ts';

const BURNED = 40_000n;
const COST = amount(45_000n);
const ALLOWANCE = ALLOWANCE_OF_BURNED * BURNED;
/** After one opening, and after two. */
const LEFT = ALLOWANCE - COST;
const LEAST = LEFT - COST;
const PRICE = pricePerMiB(10_000n);
const THIEF = ledgerAddress(seed('thief'));

let directory: string;
let store: BookStore;
let book: AccountBook;
let sponsors: Sponsors;
const accounts = new Map<number, EarningAccount>();

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'relaymint-sponsor-'));
  await open();
});
afterEach(async () => {
  await close();
  await rm(directory, { recursive: true, force: true });
});

async function open(): Promise<void> {
  store = await openBookStore(directory);
  book = openAccountBook({ store, reader: { channel: async () => undefined } });
  sponsors = new Sponsors(book);
}

async function close(): Promise<void> {
  await book.close();
  await store.close();
}

/** The payer comes with that channel. */
function sponsorOf(index: number, change: Partial<ChannelState> = {}): Sponsor {
  const channel = channelState({
    id: channelId(seed(`channel ${index}`).subarray(0, 22)),
    slot: index,
    payer: THIEF,
    deposit: amount(10_000_000n),
    opening: amount(BURNED),
    ...change,
  });
  const account = book.openEarning({ peer: nodeId(seed('peer')), channel, price: PRICE });
  accounts.set(index, account);
  return sponsors.of(channel.payer, account);
}

function accountOf(index: number): EarningAccount {
  const account = accounts.get(index);
  if (account === undefined) throw new RangeError(`no payer came with channel ${index}`);
  return account;
}

const units = (figure: bigint): bigint => figure << NUMERATOR_BITS;

describe('what may be burned for a payer', () => {
  it('is three times what it burned, enough for two openings; only what goes beyond is refused', async () => {
    const sponsor = sponsorOf(1);
    expect(sponsor.allowance).toBe(3n * BURNED);
    await sponsor.advance(COST);
    expect(sponsor.allowance).toBe(LEFT);
    await sponsor.advance(COST);
    expect(sponsor.allowance).toBe(LEAST);
    await expect(sponsor.advance(COST)).rejects.toMatchObject({ code: 'ALLOWANCE_EXHAUSTED' });
    expect(sponsor.allowance).toBe(LEAST);
    expect(sponsorOf(2, { payer: ledgerAddress(seed('other')) }).allowance).toBe(ALLOWANCE);
    await sponsor.advance(amount(LEAST));
    await expect(sponsor.advance(amount(1n))).rejects.toMatchObject({ code: 'ALLOWANCE_EXHAUSTED' });
  });

  it('is taken before anything is awaited, so that many at once do not overdraw it', async () => {
    const sponsor = sponsorOf(1);
    const advances = await Promise.allSettled(Array.from({ length: 20 }, () => sponsor.advance(amount(9_000n))));
    expect(advances.filter(({ status }) => status === 'fulfilled')).toHaveLength(13);
    expect(book.advancedTo(THIEF)).toBe(117_000n);
  });

  it('is not more after a restart, nor with another channel, nor when the books forgot the first', async () => {
    await sponsorOf(1).advance(COST);
    await close();
    await open();
    expect(sponsorOf(1).allowance).toBe(LEFT);
    expect(sponsorOf(2).allowance).toBe(LEFT);
    const [entry] = Array.from(store.entries());
    if (entry === undefined) throw new TypeError('the books know the channel');
    book.forget(entry.channel);
    await store.flushed();
    await close();
    await open();
    expect(sponsorOf(3).allowance).toBe(LEFT);
  });

  it('is given back when nothing was burned, also after a restart', async () => {
    const advance = await sponsorOf(1).advance(COST);
    advance.giveBack();
    expect(sponsorOf(1).allowance).toBe(ALLOWANCE);
    await store.flushed();
    await close();
    await open();
    expect(sponsorOf(1).allowance).toBe(ALLOWANCE);
  });

  it('is on disk before it is burned: while the books cannot be written, nothing is burned or taken', async () => {
    const sponsor = sponsorOf(1);
    await store.close();
    await expect(sponsor.advance(COST)).rejects.toMatchObject({ code: 'CLOSED' });
    expect(book.advancedTo(THIEF)).toBe(0n);
    await open();
  });

  it('is more once we kept something of its circuits, beyond what it may leave unpaid', async () => {
    const sponsor = sponsorOf(1);
    await sponsor.advance(COST);
    sponsor.keep(units(BURNED - 1n));
    sponsor.keep(units(1n));
    expect(sponsor.allowance).toBe(LEFT);
    sponsor.keep(units(1n) - 1n);
    expect(sponsor.allowance).toBe(LEFT);
    sponsor.keep(1n);
    expect(sponsor.allowance).toBe(LEFT + 1n);
    sponsor.keep(units(10_000n));
    expect(sponsor.allowance).toBe(LEFT + 10_001n);
    await sponsor.advance(amount(LEFT + 10_000n));
    await expect(sponsor.advance(amount(2n))).rejects.toMatchObject({ code: 'ALLOWANCE_EXHAUSTED' });
  });

  it('is never more than three times what it burned, however much we kept', () => {
    const sponsor = sponsorOf(1);
    sponsor.keep(units(1_000_000n));
    expect(sponsor.allowance).toBe(ALLOWANCE);
    expect(book.advancedTo(THIEF)).toBe(0n);
  });

  it('grows by what one channel brings only: what another may have left unpaid does not count for it', async () => {
    await sponsorOf(1).advance(COST);
    sponsorOf(1).keep(units(BURNED));
    const sponsor = sponsorOf(2);
    sponsor.keep(units(BURNED));
    expect(sponsor.allowance).toBe(LEFT);
    sponsor.keep(units(7n));
    expect(sponsor.allowance).toBe(LEFT + 7n);
  });

  it('cannot be made to be forgotten by others while the wallet has a channel', async () => {
    await sponsorOf(1).advance(COST);
    const others = Array.from({ length: MAX_DEBTORS + 10 }, (_, index) => ledgerAddress(seed(`sybil ${index}`)));
    await Promise.all(others.map((other) => book.advance(other, amount(1n))));
    expect(book.advancedTo(THIEF)).toBe(COST);
    expect(others.filter((other) => book.advancedTo(other) > 0n)).toHaveLength(MAX_DEBTORS - 1);
  });
});

describe('a payer whose link is over', () => {
  const CHALLENGE_SECONDS = 600n;

  /** What it asks back of this channel is returned now, base units. */
  async function returnedOf(id: ChannelId): Promise<bigint> {
    let returned = 0n;
    const wallet = {
      address: THIEF,
      returnFee: () => 5_000n,
      returnOpenings: async (returns: readonly OpeningReturn[]): Promise<TransactionResult> => {
        for (const one of returns) returned += one.returned;
        return { signature: '', feeLamports: lamports(5_000n), computeUnits: 0 };
      },
    };
    const channel = store.entry(id)?.channel;
    if (channel === undefined) throw new TypeError('the books know the channel');
    const now = unixMillis(Date.now());
    const closing = { ...channel, closeAt: unixSeconds(BigInt(now) / 1000n + CHALLENGE_SECONDS) };
    const fee = { first: lamports(5_000n), further: lamports(0n) };
    const terms = { fee, unitsPerLamport: 1n, challengeSeconds: CHALLENGE_SECONDS, now };
    const reader = { till: async () => ({ channels: [closing] }) as unknown as TillState };
    await new Openings({ store, wallet, reader, log: silentLog }).giveBack([closing], terms);
    return returned;
  }

  it('gets nothing back while what was granted onward for it may come, whatever channel it came with last', async () => {
    const first = sponsorOf(1);
    const { id } = accountOf(1).channel;
    first.promise(units(30_000n));
    // A second channel of the same wallet, with next to nothing staked, takes the promise over.
    sponsorOf(2, { opening: amount(4n) });
    for (const index of [1, 2]) {
      accountOf(index).close();
      expect(await returnedOf(id)).toBe(0n);
    }
    // Its accomplice sends all of it only now, and we pay.
    first.lose(units(30_000n));
    first.settle(units(30_000n));
    expect(await returnedOf(id)).toBe(BURNED - 30_000n);
  });

  it('gets it back while another channel that it uses covers what is granted onward', async () => {
    sponsorOf(1);
    const { id } = accountOf(1).channel;
    accountOf(1).close();
    sponsorOf(2).promise(units(30_000n));
    expect(await returnedOf(id)).toBe(BURNED);
  });

  it('has nothing more burned for it: what it staked may be returned by then', async () => {
    const sponsor = sponsorOf(1);
    accountOf(1).close();
    await expect(sponsor.advance(COST)).rejects.toMatchObject({ code: 'ALLOWANCE_EXHAUSTED' });
    expect(book.advancedTo(THIEF)).toBe(0n);
    expect(await returnedOf(accountOf(1).channel.id)).toBe(BURNED);
    expect(sponsorOf(1).allowance).toBe(0n);
  });
});

describe('a channel that several want at the same time', () => {
  /** What is sought, and for how much; it ends before there is a channel. */
  async function meterOf(
    known: boolean,
    whenSought = (): void => {},
  ): Promise<{ meter: MeteredLink; nodes: TestNodes; sought: () => number }> {
    const nodes = new TestNodes();
    const { near, listener } = await nodes.pair({ transport: 'memory' });
    listener.links.setOffer(offerOf(listener.identity));
    await expect.poll(() => near.offer).toBeDefined();
    let sought = 0;
    const channels: ChannelProvider = {
      known: () => known,
      openingCost: async () => COST,
      channelTo: async (_wallet, _peer, sponsor) => {
        sought += 1;
        whenSought();
        await sponsor?.advance(COST);
        throw new RelaymintError('INSUFFICIENT_FUNDS', 'It was allowed, and the wallet is empty.');
      },
    };
    const reader = { channel: async () => undefined, tillAddress: (owner: ChannelState['till']) => owner };
    const parts = { wallet: THIEF, book, channels, price: PRICE, reader };
    const shared = {
      sponsors,
      lookups: new TokenBucket(1, () => 0),
      looks: new TokenBucket(1, () => 0),
      content: new ContentCounts(),
    };
    return { meter: new MeteredLink(near, parts, shared, 50), nodes, sought: () => sought };
  }

  const codes = async (...attempts: readonly Promise<void>[]): Promise<unknown[]> =>
    (await Promise.allSettled(attempts)).map((result) => {
      return result.status === 'rejected' ? Reflect.get(result.reason as object, 'code') : 'opened';
    });

  async function poorAndRich(): Promise<{ poor: Sponsor; rich: Sponsor }> {
    const poor = sponsorOf(1);
    await poor.advance(amount(2n * COST));
    return { poor, rich: sponsorOf(2, { payer: ledgerAddress(seed('honest')) }) };
  }

  it('is not even looked for on behalf of a payer that may not have it opened', async () => {
    const { poor, rich } = await poorAndRich();
    const { meter, nodes, sought } = await meterOf(false);
    const attempts = [poor, poor, poor].map((sponsor) => meter.openSpending(sponsor));
    expect(await codes(...attempts)).toEqual(Array.from({ length: 3 }, () => 'ALLOWANCE_EXHAUSTED'));
    expect(sought()).toBe(0);
    expect(await codes(meter.openSpending(poor), meter.openSpending(rich))).toEqual([
      'ALLOWANCE_EXHAUSTED',
      'INSUFFICIENT_FUNDS',
    ]);
    expect(sought()).toBe(1);
    await nodes.close();
  });

  it('is looked for again for the others if the first may not have it opened', async () => {
    const { poor, rich } = await poorAndRich();
    // Known by the books, and closed on chain by its payee.
    const { meter, nodes, sought } = await meterOf(true);
    expect(await codes(meter.openSpending(poor), meter.openSpending(rich), meter.openSpending(rich))).toEqual([
      'ALLOWANCE_EXHAUSTED',
      'INSUFFICIENT_FUNDS',
      'INSUFFICIENT_FUNDS',
    ]);
    expect(sought()).toBe(2);
    await nodes.close();
  });

  it('is not looked for again for one that has left, nor once the link is gone', async () => {
    const { poor, rich } = await poorAndRich();
    const left = new AbortController();
    const first = await meterOf(true, () => left.abort());
    expect(await codes(first.meter.openSpending(poor), first.meter.openSpending(rich, left.signal))).toEqual([
      'ALLOWANCE_EXHAUSTED',
      'ABORTED',
    ]);
    expect(first.sought()).toBe(1);
    const second = await meterOf(true, () => second.meter.close());
    expect(await codes(second.meter.openSpending(poor), second.meter.openSpending(rich))).toEqual([
      'ALLOWANCE_EXHAUSTED',
      'CLOSED',
    ]);
    expect(second.sought()).toBe(1);
    await Promise.all([first.nodes.close(), second.nodes.close()]);
  });
});
