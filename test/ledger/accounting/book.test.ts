/** The account book on a real LevelDB: what survives a restart, and what the ledger tells it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attribution } from '../../../core/attribution.ts';
import { ALL_BPS, amount, pricePerMiB } from '../../../core/units.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { channelId, ledgerAddress, nodeId } from '../../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../../core/limits.ts';
import { decodeTerms, encodeTerms, openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import type { AccountBook, BookStore, EarningAccount, SpendingAccount } from '../../../ledger/accounting/index.ts';
import { GroupedStore } from '../../../ledger/books/store.ts';
import { allFor, channelState, delegate, seed, stranger } from './pair.ts';

const PRICE = pricePerMiB(1_000_000n);
const FRAME = 16_384;
const payerNode = nodeId(seed('payer node'));
const payeeNode = nodeId(seed('payee node'));

interface Side {
  readonly directory: string;
  store: BookStore;
  book: AccountBook;
}

let root: string;
let payer: Side;
let payee: Side;
let shown: ChannelState;
let spending: SpendingAccount;
let earning: EarningAccount;

async function open(directory: string): Promise<Side> {
  const store = await openBookStore(directory);
  const book = openAccountBook({ store, reader: { channel: async () => shown } });
  return { directory, store, book };
}

async function reopen(side: Side): Promise<Side> {
  await side.book.close();
  await side.store.close();
  return open(side.directory);
}

/** A link: receipts and frames arrive at once. */
function link(): void {
  earning = payee.book.openEarning({ peer: payerNode, channel: shown, price: PRICE });
  const terms = decodeTerms(encodeTerms(earning.terms));
  spending = payer.book.openSpending({ peer: payeeNode, channel: shown, delegate, terms }, (receipt) =>
    earning.receive(receipt.bytes),
  );
}

function up(frames: number): void {
  for (let i = 0; i < frames; i += 1) {
    spending.sendUp(FRAME, PRICE);
    expect(earning.receivedUp(FRAME, PRICE)).not.toBe('cut');
  }
}

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'relaymint-books-'));
  payer = await open(path.join(root, 'payer'));
  payee = await open(path.join(root, 'payee'));
  shown = channelState({ opening: amount(PRICE) });
});

afterEach(async () => {
  for (const side of [payer, payee]) {
    await side.book.close();
    await side.store.close();
  }
  await rm(root, { recursive: true, force: true });
});

describe('the books', () => {
  it('go on after both processes restarted, counting from the newest receipt', async () => {
    link();
    up(200);
    spending.flush();
    await earning.flushed();
    const before = earning.counts();
    expect(before.due).toBe((200n * BigInt(FRAME) * PRICE) >> 20n);
    payer = await reopen(payer);
    payee = await reopen(payee);
    expect(payee.book.peers()).toMatchObject([
      { role: 'payee', live: false, up: before.up, due: before.due, signed: before.due },
    ]);
    expect(payer.book.peers()).toMatchObject([
      { role: 'payer', live: false, up: before.up, due: before.due, signed: before.due },
    ]);
    link();
    up(50);
    spending.flush();
    await earning.flushed();
    expect(earning.counts()).toEqual(spending.counts());
    expect(earning.counts().up).toBe(before.up + BigInt(50 * FRAME));
  });

  it('take the newest receipt from whichever side still has it', async () => {
    link();
    up(100);
    spending.flush();
    await earning.flushed();
    const { signed } = earning.counts();
    await payee.book.close();
    await payee.store.close();
    await rm(payee.directory, { recursive: true });
    payee = await open(payee.directory);
    link();
    await earning.flushed();
    expect(earning.counts().signed).toBe(signed);

    await payer.book.close();
    await payer.store.close();
    await rm(payer.directory, { recursive: true });
    payer = await open(payer.directory);
    link();
    expect(spending.counts().signed).toBe(signed);
    up(100);
    spending.flush();
    expect(earning.counts().signed).toBe(2n * signed);
  });

  it('remember across a restart what a payer left unpaid, even if the payer has lost its books', async () => {
    link();
    up(10);
    earning.close();
    payee = await reopen(payee);
    await payer.book.close();
    await payer.store.close();
    await rm(payer.directory, { recursive: true });
    payer = await open(payer.directory);
    link();
    expect(spending.window).toBe(BigInt(PRICE) - ((10n * BigInt(FRAME) * PRICE) >> 20n));
  });

  it('pay after a restart what was still owed, when the payee remembers it', async () => {
    link();
    up(20);
    const { due } = spending.counts();
    payer = await reopen(payer);
    link();
    expect(spending.counts()).toMatchObject({ due, signed: due });
    expect(spending.window).toBe(BigInt(PRICE));
    await earning.flushed();
    expect(earning.counts()).toEqual(spending.counts());
  });

  it('keep one receipt per channel, however many were given', async () => {
    link();
    up(5000);
    spending.flush();
    await earning.flushed();
    let bytes = 0;
    let keys = 0;
    await payee.book.close();
    await payee.store.close();
    const raw = await GroupedStore.open(payee.directory);
    for (const [, value] of raw.entries()) {
      keys += 1;
      bytes += value.length;
    }
    await raw.close();
    expect(keys).toBe(2);
    expect(bytes).toBeLessThan(400);
    payee = await open(payee.directory);
  });

  it('close the account of an older link when the peer comes back on a new one', () => {
    link();
    const [old, oldEarning] = [spending, earning];
    up(10);
    link();
    expect(() => old.sendUp(FRAME, PRICE)).toThrowError(expect.objectContaining({ code: 'CLOSED' }));
    expect(oldEarning.receivedUp(FRAME, PRICE)).toBe('cut');
    expect(earning.counts()).toEqual(spending.counts());
    expect(earning.counts().signed).toBe((10n * BigInt(FRAME) * PRICE) >> 20n);
  });

  it('refuse to be both ends of one channel', () => {
    link();
    expect(() => payer.book.openEarning({ peer: payeeNode, channel: shown, price: PRICE })).toThrowError(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it('refuse a channel that is closing, a foreign delegate, and a receipt we never signed', () => {
    const closing = { ...shown, closeAt: 1n as NonNullable<ChannelState['closeAt']> };
    expect(() => payee.book.openEarning({ peer: payerNode, channel: closing, price: PRICE })).toThrowError(
      expect.objectContaining({ code: 'CHANNEL_CLOSING' }),
    );
    const { terms } = payee.book.openEarning({ peer: payerNode, channel: shown, price: PRICE });
    const options = { peer: payeeNode, channel: shown, terms };
    expect(() => payer.book.openSpending({ ...options, delegate: stranger }, () => {})).toThrowError(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    const forged = { ...terms, held: new Uint8Array(111).fill(1) };
    expect(() => payer.book.openSpending({ ...options, delegate, terms: forged }, () => {})).toThrowError(
      expect.objectContaining({ code: 'RECEIPT_INVALID' }),
    );
  });

  it('ask the ledger when the deposit nears its end, and go on after a top-up', async () => {
    shown = channelState({ opening: amount(PRICE), deposit: amount(4n * PRICE) });
    link();
    const low: bigint[] = [];
    payer.book.onLow = (_channel, left) => low.push(left);
    const topUp = { ...shown, deposit: amount(400n * PRICE) };
    up(64);
    await earning.flushed();
    const opened = new Promise<void>((resolve) => {
      earning.onOpen = () => {
        if (earning.canSendDown(FRAME, PRICE)) resolve();
      };
    });
    while (earning.canSendDown(FRAME, PRICE)) {
      earning.sentDown(FRAME, PRICE);
      spending.receivedDown(FRAME, PRICE);
      await earning.flushed();
    }
    shown = topUp;
    payer.book.update(topUp);
    await opened;
    expect(earning.channel.deposit).toBe(topUp.deposit);
    expect(low.length).toBe(1);
  });

  it('ask for a top-up at the next link when none came of the last one, and once more when it failed', async () => {
    shown = channelState({ opening: amount(PRICE), deposit: amount(4n * PRICE) });
    link();
    const low: bigint[] = [];
    payer.book.onLow = (_channel, left) => low.push(left);
    for (let sent = 0; low.length === 0; sent += 1) {
      up(1);
      if (sent % 16 === 0) await earning.flushed();
    }
    payer = await reopen(payer);
    payer.book.onLow = (_channel, left) => low.push(left);
    link();
    expect(low).toHaveLength(2);
    payer.book.lowAgain(shown.id);
    expect(low).toHaveLength(3);
    payer.book.update({ ...shown, deposit: amount(400n * PRICE) });
    payer.book.lowAgain(shown.id);
    spending.close();
    payer.book.lowAgain(shown.id);
    expect(low).toHaveLength(3);
  });

  it('never let a stale read take back what was settled', () => {
    link();
    payee.book.update({ ...shown, settled: amount(500n), settledUp: 5n, settledDown: 6n });
    payee.book.update({ ...shown, settled: amount(100n), settledUp: 1n, settledDown: 2n });
    expect(payee.store.entry(shown.id)?.channel).toMatchObject({ settled: 500n, settledUp: 5n, settledDown: 6n });
  });

  describe('of a channel that was opened for circuits of another wallet', () => {
    const wallet = ledgerAddress(seed('whose circuits'));
    const staked = { ...channelState(), deposit: amount(1_000n), opening: amount(400n) };
    const left = (): bigint => payer.store.advancedTo(wallet);

    beforeEach(async () => {
      payer.store.enter('payer', payeeNode, staked);
      await payer.store.advance(wallet, amount(450n));
      payer.store.openedFor(staked.id, wallet, amount(450n));
    });

    it('count what its payee returns, in parts too, over restarts', async () => {
      payer.book.update({ ...staked, deposit: amount(1_100n), opening: amount(300n) });
      expect(left()).toBe(350n);
      payer = await reopen(payer);
      payer.store.enter('payer', payeeNode, { ...staked, deposit: amount(1_250n), opening: amount(150n) });
      expect(left()).toBe(200n);
      payer = await reopen(payer);
      payer.book.update({ ...staked, deposit: amount(1_400n), opening: amount(0n) });
      expect(left()).toBe(0n);
    });

    it('do not take a read from before its window was widened for a return', () => {
      payer.book.update({ ...staked, opening: amount(800n) });
      payer.book.update(staked);
      expect(left()).toBe(450n);
      expect(payer.store.entry(staked.id)?.channel).toMatchObject({ deposit: 1_000n, opening: 800n });
      payer.book.update({ ...staked, deposit: amount(1_100n), opening: amount(700n) });
      expect(left()).toBe(350n);
    });

    it('do not take a read from before a return for what is staked', () => {
      payer.book.update({ ...staked, deposit: amount(1_400n), opening: amount(0n) });
      payer.book.update(staked);
      expect(payer.store.entry(staked.id)?.channel).toMatchObject({ deposit: 1_400n, opening: 0n });
    });
  });

  it('tell a second process that they are in use', async () => {
    await expect(openBookStore(payee.directory)).rejects.toMatchObject({ code: 'FILE_IN_USE' });
  });

  it('put what a name earned on disk with the receipt that pays for it', async () => {
    link();
    const [demo, other] = [allFor('demo.web3'), allFor('other.web3')];
    const shown = attribution([{ name: 'demo.web3', referrer: 'news.web3', share: ALL_BPS }]);
    for (let i = 0; i < 110; i += 1) {
      up(1);
      earning.attribute(i < 60 ? demo : i < 100 ? other : shown, FRAME, PRICE);
    }
    const early = payee.store.shares.get('demo.web3') ?? 0n;
    expect(early).toBeLessThanOrEqual(earning.counts().signed << 20n);
    spending.flush();
    await earning.flushed();
    payee = await reopen(payee);
    expect(payee.store.shares.get('demo.web3')).toBe(60n * BigInt(FRAME) * PRICE);
    expect(payee.store.shares.get('other.web3')).toBe(40n * BigInt(FRAME) * PRICE);
    expect(payee.store.shares.get('demo.web3 news.web3')).toBe(10n * BigInt(FRAME) * PRICE);
    payee.store.dropReferrer('demo.web3 news.web3');
    payee = await reopen(payee);
    expect(payee.store.shares.get('demo.web3')).toBe(70n * BigInt(FRAME) * PRICE);
    expect(payee.store.shares.size).toBe(2);
  });
});

describe('full books', () => {
  it('make room by forgetting what is settled, but no channel that a link carries', () => {
    link();
    const other = (index: number): ChannelState =>
      channelState({ id: channelId(seed(`full ${index}`).subarray(0, 22)), slot: index });
    for (let index = 1; index < MAX_ACCOUNTS; index += 1) payee.store.enter('payee', payerNode, other(index));
    const newest = other(MAX_ACCOUNTS);
    payee.book.openEarning({ peer: payerNode, channel: newest, price: PRICE });
    expect(payee.store.entry(newest.id)).toBeDefined();
    expect(payee.store.entry(other(1).id)).toBeUndefined();
    // The oldest of all is in use: its next receipt has its place in the books.
    up(1);
    spending.flush();
    expect(payee.store.entry(shown.id)?.latest?.amount).toBe(earning.counts().due);
  });
});
