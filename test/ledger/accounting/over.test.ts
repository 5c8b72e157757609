/** Accounts of both ends that are over: closed, followed by another, gone with their book or their channel. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { nodeId } from '../../../core/ids.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import type { AccountBook, BookStore, EarningAccount, SpendingAccount } from '../../../ledger/accounting/index.ts';
import { accountCompliance } from '../../compliance/account.ts';
import { allFor, channelState, delegate, seed } from './pair.ts';

const PRICE = pricePerMiB(1_000_000n);
const FRAME = 16_384;
const channel = channelState({ opening: amount(PRICE), deposit: amount(100n * PRICE) });
const nobody = { step: 1n, look: (): void => {} };

const cleanups: (() => Promise<unknown>)[] = [];
async function teardown(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
}

async function books(root: string): Promise<{ book: AccountBook; store: BookStore }> {
  const store = await openBookStore(root);
  const book = openAccountBook({ store, reader: { channel: async () => channel } });
  cleanups.push(
    () => store.close(),
    () => book.close(),
  );
  return { book, store };
}

/** Both ends of the channel, over one link after the other. */
async function pair(): Promise<{
  readonly payer: AccountBook;
  readonly payee: AccountBook;
  readonly store: BookStore;
  readonly link: () => void;
  readonly carry: () => void;
  readonly spending: () => SpendingAccount;
  readonly earning: () => EarningAccount;
}> {
  const root = await mkdtemp(path.join(tmpdir(), 'relaymint-over-'));
  cleanups.push(() => rm(root, { recursive: true }));
  const { book: payer } = await books(path.join(root, 'payer'));
  const { book: payee, store } = await books(path.join(root, 'payee'));
  let earning: EarningAccount;
  let spending: SpendingAccount;
  const link = (): void => {
    earning = payee.openEarning({ peer: nodeId(seed('payer node')), channel, price: PRICE });
    const parts = { peer: nodeId(seed('payee node')), channel, delegate, terms: earning.terms };
    spending = payer.openSpending(parts, (receipt) => earning.receive(receipt.bytes));
  };
  link();
  const carry = (): void => {
    spending.sendUp(FRAME, PRICE);
    earning.receivedUp(FRAME, PRICE);
    earning.sentDown(FRAME, PRICE);
    spending.receivedDown(FRAME, PRICE);
  };
  return { payer, payee, store, link, carry, spending: () => spending, earning: () => earning };
}

accountCompliance<SpendingAccount>("the payer's", {
  async setup() {
    const { payer, link, carry, spending } = await pair();
    const next = (): SpendingAccount => {
      link();
      return spending();
    };
    return { account: spending(), book: payer, carry, next };
  },
  teardown,
  room: (account) => account.mayOwe,
  failing: {
    sendUp: (account) => account.sendUp(FRAME, PRICE),
    'sendUp of the last frame': (account) => account.sendUp(FRAME, PRICE, true),
    receivedDown: (account) => account.receivedDown(FRAME, PRICE),
  },
  others: {
    flush: (account) => account.flush(),
    widen: (account) => account.widen(amount(2n * PRICE)),
    watch: (account) => account.watch(nobody),
    withhold: (account) => account.withhold(1n),
    net: (account) => account.net(1n),
  },
});

accountCompliance<EarningAccount>("the payee's", {
  async setup() {
    const { payee, link, carry, earning } = await pair();
    const next = (): EarningAccount => {
      link();
      return earning();
    };
    return { account: earning(), book: payee, carry, next };
  },
  teardown,
  room: (account) => account.mayGrant,
  failing: { receive: (account) => account.receive(new Uint8Array(111)) },
  others: {
    receivedUp: (account) => account.receivedUp(FRAME, PRICE),
    canSendDown: (account) => account.canSendDown(FRAME, PRICE),
    sentDown: (account) => account.sentDown(FRAME, PRICE),
    attribute: (account) => account.attribute(allFor('late.web3'), FRAME, PRICE),
    promised: (account) => {
      account.promised(1n);
      account.promised(0n);
    },
    net: (account) => account.net(1n, 1n),
  },
});

it('say at the payee that nothing passes any more', async () => {
  const { earning, carry } = await pair();
  carry();
  const account = earning();
  account.close();
  expect([account.receivedUp(FRAME, PRICE), account.canSendDown(FRAME, PRICE)]).toEqual(['cut', false]);
  expect([account.receivedUp(FRAME, PRICE), account.canSendDown(FRAME, PRICE, true)]).toEqual(['cut', false]);
  await teardown();
});

it('are not what a name earns by: the receipts that follow pay for what theirs carried', async () => {
  const { earning, spending, carry, link, store } = await pair();
  const over = earning();
  link();
  carry();
  over.attribute(allFor('late.web3'), FRAME, PRICE);
  spending().flush();
  await earning().flushed();
  expect(earning().counts().signed).toBe(spending().counts().due);
  expect([...store.shares]).toEqual([]);
  await teardown();
});

it('leave to the next one what the payer may still make good, though a frame is counted late', async () => {
  const { payee, earning, carry } = await pair();
  carry();
  earning().close();
  const open = (): EarningAccount => payee.openEarning({ peer: nodeId(seed('payer node')), channel, price: PRICE });
  const second = open();
  second.close();
  second.sentDown(FRAME, PRICE);
  const { due, paid } = open().terms;
  expect([due, paid]).toEqual([earning().counts().due, 0n]);
  await teardown();
});
