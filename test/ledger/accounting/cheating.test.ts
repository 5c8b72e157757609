/** Whoever gains by breaking the books' rules, and that it gains nothing. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { channelId, ledgerAddress, nodeId } from '../../../core/ids.ts';
import { MAX_ACCOUNTS, MAX_DEBTORS } from '../../../core/limits.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import type { AccountBook, BookStore, EarningAccount, ReceiptSink, Terms } from '../../../ledger/accounting/index.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import { allFor, channelState, delegate, Pair, seed } from './pair.ts';

const PRICE = pricePerMiB(10_000n);
const OPENING = amount(10_000n);
const SMALL = 1100;
const FRAME = 61_448;
const BITS = 20n;

let directory: string;
let store: BookStore;
let book: AccountBook;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'relaymint-cheating-'));
  await open();
});
afterEach(async () => {
  await close();
  await rm(directory, { recursive: true, force: true });
});

async function open(): Promise<void> {
  store = await openBookStore(directory);
  book = openAccountBook({ store, reader: { channel: async () => undefined } });
}
async function close(): Promise<void> {
  await book.close();
  await store.close();
}
async function restart(): Promise<void> {
  await close();
  await open();
}

function channel(index: number, change: Partial<ChannelState> = {}): ChannelState {
  return channelState({
    id: channelId(seed(`channel ${index}`).subarray(0, 22)),
    slot: index % 1024,
    generation: 1 + Math.floor(index / 1024),
    deposit: amount(1_000_000n),
    opening: OPENING,
    ...change,
  });
}
const payer = (label: string): ChannelState['payer'] => ledgerAddress(seed(`wallet ${label}`));
const peer = (label: string | number): ReturnType<typeof nodeId> => nodeId(seed(`peer ${label}`));
const costOf = (bytes: number): bigint => (BigInt(bytes) * PRICE) >> BITS;

function earn(state: ChannelState, node: string | number = state.id): EarningAccount {
  return book.openEarning({ peer: peer(node), channel: state, price: PRICE });
}

/** Takes all the service that the window allows, and leaves. */
function takeAndVanish(account: EarningAccount): bigint {
  if (account.receivedUp(SMALL, PRICE) === 'cut') return 0n;
  while (account.canSendDown(SMALL, PRICE)) account.sentDown(SMALL, PRICE);
  const { due, signed } = account.counts();
  account.close();
  return due - signed;
}

describe('a wallet that vanishes', () => {
  it('with all of its window again and again takes what it burned, whatever node, link or restart it uses', async () => {
    const thief = channel(1, { payer: payer('thief') });
    let taken = 0n;
    for (const node of ['one', 'two', 'three']) {
      taken += takeAndVanish(earn(thief, node));
      await restart();
    }
    expect(taken).toBeLessThanOrEqual(OPENING);
    expect(taken).toBeGreaterThan(OPENING - costOf(SMALL) - 4n);
  });

  it('finds its arrears at every later channel, generation and slot; what it burns later has to cover them first', async () => {
    const wallet = payer('thief');
    const taken = takeAndVanish(earn(channel(1, { payer: wallet })));
    book.forget(channel(1, { payer: wallet }));
    await store.flushed();
    await restart();
    expect(store.arrearsOf(wallet)).toBe(taken);
    expect(earn(channel(2, { payer: wallet }), 'another node').window).toBe(
      OPENING > taken + 3n ? OPENING - taken : 0n,
    );
    const more = amount(taken + 5_000n);
    expect(earn(channel(1025, { payer: wallet, opening: more })).window).toBe(5_000n);
    expect(earn(channel(3, { payer: payer('honest') })).window).toBe(OPENING);
  });

  it('with many channels at once takes no more than it burned for all of them', () => {
    const wallet = payer('thief');
    let taken = 0n;
    const accounts = Array.from({ length: 20 }, (_, index) => earn(channel(index, { payer: wallet })));
    for (const account of accounts) taken += takeAndVanish(account);
    for (let index = 0; index < 20; index += 1) taken += takeAndVanish(earn(channel(index, { payer: wallet })));
    expect(taken).toBeLessThanOrEqual(20n * OPENING);
  });

  it('also pays for what was paid onward in its name, after the link', async () => {
    const wallet = payer('thief');
    const account = earn(channel(1, { payer: wallet }));
    account.close();
    account.lose(4_000n << BITS);
    await store.flushed();
    await restart();
    expect(earn(channel(1, { payer: wallet })).window).toBe(OPENING - 4_000n);
  });

  it('cannot be forgotten by filling the memory with other debtors while it has a channel', () => {
    const wallet = payer('thief');
    const account = earn(channel(1, { payer: wallet }));
    account.lose(100n << BITS);
    for (let index = 0; index < MAX_DEBTORS + 10; index += 1) store.lose(payer(`sybil ${index}`), 1n);
    expect(store.arrearsOf(wallet)).toBe(100n);
    expect(store.arrearsOf(payer('sybil 0'))).toBe(0n);
    expect(store.arrearsOf(payer(`sybil ${MAX_DEBTORS + 9}`))).toBe(1n);
  });
});

describe('books of ten thousand channels', () => {
  /** An honest payer: one frame, and a receipt for all whole base units of it. */
  function serve(state: ChannelState): void {
    const account = earn(state);
    account.receivedUp(SMALL, PRICE);
    const due = costOf(SMALL);
    account.receive(
      signReceipt({ channel: state.id, amount: amount(due), up: BigInt(SMALL), down: 0n }, delegate).bytes,
    );
    account.close();
    book.update({ ...state, settled: amount(due), settledUp: BigInt(SMALL) });
  }

  it('take another payer when all of them ended with a fraction unpaid, and after a restart', async () => {
    for (let index = 0; index <= MAX_ACCOUNTS; index += 1) serve(channel(index, { payer: payer(`honest ${index}`) }));
    expect(store.arrearsOf(payer('honest 0'))).toBe(0n);
    await store.flushed();
    await restart();
    serve(channel(MAX_ACCOUNTS + 1, { payer: payer('newcomer') }));
    expect(Array.from(store.entries())).toHaveLength(MAX_ACCOUNTS);
  }, 120_000);

  it('take another payer when all of them are over and left arrears', async () => {
    for (let index = 0; index <= MAX_ACCOUNTS; index += 1) {
      const account = earn(channel(index, { payer: payer(`debtor ${index}`) }));
      account.receivedUp(SMALL, PRICE);
      account.close();
    }
    await store.flushed();
    await restart();
    const newcomer = channel(MAX_ACCOUNTS + 1, { payer: payer('newcomer') });
    expect(earn(newcomer).window).toBe(OPENING);
    // The first of all had arrears: its channel was dropped, they were not.
    expect(store.entry(channel(0).id)).toBeUndefined();
    expect(store.arrearsOf(payer('debtor 0'))).toBe(costOf(SMALL));
  }, 120_000);
});

describe('a name that nobody paid for', () => {
  it('gets of a receipt for an earlier point its share of that receipt, and nothing of what was left', async () => {
    const state = channel(1);
    const host = earn(state, 'thief');
    host.receivedUp(SMALL, PRICE);
    let served = 0;
    let first = 0;
    while (host.canSendDown(FRAME, PRICE)) {
      host.sentDown(FRAME, PRICE);
      host.attribute(allFor('thief.web3'), FRAME, PRICE);
      served += FRAME;
      first ||= FRAME;
    }
    const due = costOf(SMALL + first);
    host.receive(
      signReceipt({ channel: state.id, amount: amount(due), up: BigInt(SMALL), down: BigInt(first) }, delegate).bytes,
    );
    await host.flushed();
    host.close();
    expect(served).toBeGreaterThan(10 * first);
    expect((store.shares.get('thief.web3') ?? 0n) >> BITS).toBeLessThanOrEqual(due);
    // It comes back, owes nothing by its own word, and goes on: the rest is nobody's.
    const again = earn(state, 'thief');
    again.receivedUp(SMALL, PRICE);
    again.receive(
      signReceipt(
        { channel: state.id, amount: amount(due + costOf(SMALL)), up: BigInt(2 * SMALL), down: BigInt(first) },
        delegate,
      ).bytes,
    );
    await again.flushed();
    expect((store.shares.get('thief.web3') ?? 0n) >> BITS).toBeLessThanOrEqual(due);
  });

  it('gets the rest when the payer pays for it after all, and in all exactly what was attributed', async () => {
    const pair = new Pair(10_000n);
    pair.sendUp(SMALL);
    pair.settleDown();
    let attributed = 0n;
    for (let i = 0; i < 10; i += 1) {
      pair.sendDown(FRAME);
      pair.earning.attribute(allFor('demo.web3'), FRAME, pair.price);
      attributed += BigInt(FRAME) * pair.price;
      if (i % 3 === 0) pair.settleDown();
    }
    while (pair.deliverDown());
    pair.loseLink();
    pair.settleDown();
    const booked = pair.shares.get('demo.web3') ?? 0n;
    expect(pair.held?.amount).toBe(pair.served >> BITS);
    // Less than the fraction of a base unit that no receipt can pay.
    expect(attributed - booked).toBeLessThan(1n << BITS);
    expect(booked).toBeLessThanOrEqual(attributed);
  });
});

describe('a payer that died', () => {
  const terms: Terms = {
    window: amount((1n << 64n) - 1n),
    paid: amount(0n),
    up: 0n,
    down: 0n,
    due: amount(0n),
    netted: amount(0n),
    nets: false,
    held: undefined,
  };

  it('signs on the word of a lying payee at most what it would have let itself owe, crash after crash', async () => {
    const state = channel(7, { deposit: amount(1_000_000_000n) });
    const none: ReceiptSink = () => {};
    book.openSpending({ peer: peer('liar'), channel: state, delegate, terms }, none).sendUp(SMALL, PRICE);
    await store.flushed();
    const signed: bigint[] = [];
    for (let crash = 1n; crash <= 3n; crash += 1n) {
      // The process is killed here: the next one opens the same books anew.
      await using survivor = openAccountBook({ store, reader: { channel: async () => undefined } });
      const lie = { ...terms, due: amount(1n << 63n), up: 1n << 40n, down: 1n << 40n };
      const account = survivor.openSpending({ peer: peer('liar'), channel: state, delegate, terms: lie }, (receipt) =>
        signed.push(receipt.amount),
      );
      expect(account.window).toBe(OPENING);
      expect(account.counts().signed).toBeLessThanOrEqual(crash * OPENING);
    }
    expect(signed[0]).toBe(OPENING);
  });

  it('believes a stated window no further than what it burned and a quarter of what its deposit holds', () => {
    const poor = channel(8, { deposit: amount(4_000n) });
    const none: ReceiptSink = () => {};
    expect(book.openSpending({ peer: peer('liar'), channel: poor, delegate, terms }, none).window).toBe(1_000n);
    const modest = { ...terms, window: amount(500n) };
    expect(book.openSpending({ peer: peer('liar'), channel: channel(9), delegate, terms: modest }, none).window).toBe(
      500n,
    );
  });
});
