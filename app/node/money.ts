/** The phases of a node that concern money: what it has, what it is paid, and what it pays. */
import path from 'node:path';
import { orAborted } from '../../core/abort.ts';
import type { ChannelId } from '../../core/ids.ts';
import { MAX_ONWARD_PRICE, SPEND_LIMIT_SITE, WIDENED_OPENINGS } from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { amount, pricePerMiB, type Amount, type PricePerMiB } from '../../core/units.ts';
import { openAccountBook, openBookStore, type AccountBook, type BookStore } from '../../ledger/accounting/index.ts';
import { openBudget, type Budget } from '../../ledger/budget/index.ts';
import type { TillTerms } from '../../ledger/contract.ts';
import {
  openSettlementJournal,
  startReceiptExport,
  startSettlement,
  type SettlementEngine,
  type SettlementJournal,
} from '../../ledger/settlement/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../ledger/solana/index.ts';
import { collectClaim, fundNode, growNearlyFull } from '../../ledger/till/index.ts';
import { createMetering, unmetered, type Metering } from '../../node/meter/index.ts';
import { slotsOf, type NodeSettings } from '../config/index.ts';
import { Channels } from './channels.ts';
import type { NodeKeys } from './keys.ts';

export interface Books {
  readonly wallet: SolanaWallet;
  /** The books as they are kept; `book` keeps them. */
  readonly store: BookStore;
  readonly book: AccountBook;
}

export const BOOKS_DIRECTORY = 'books';
/** What was settled, for people. */
export const SETTLEMENTS_FILE = 'settlements.jsonl';
/** What was spent in the last hour. */
const BUDGET_FILE = 'budget';
/** How often channels are looked at, milliseconds. */
const CHANNEL_WATCH_MILLIS = 60_000;
/** How often we check whether a payee left something for us, milliseconds: it does not expire, and a check reads one account. */
const CLAIM_WATCH_MILLIS = 10 * 60_000;
/** Well below any challenge period, so that a payer's close request is answered in time. */
const SETTLEMENT_POLL_MILLIS = 5_000;
/** A till has free slots for longer than this interval between two checks. */
const TILL_POLL_MILLIS = 30_000;
/** A cluster takes 13 s to make a transaction final. Receipts are kept, so a node that cannot reach the ledger does not wait for ever. */
const SHUTDOWN_SETTLE_MILLIS = 16_000;
/** A ledger that is well takes less to settle, or not much more. */
const SHUTDOWN_SILENT_MILLIS = 1_500;
/** A window is at most a quarter of what a deposit still holds: smaller deposits would only take slots. */
const DEPOSIT_OPENINGS = 4n;
/** A relay burns at most this part of what relaying left it for wider windows. */
const WIDENING_PARTS = 4n;
/** Nodes of the usual circuit: three relays and a host. */
const USUAL_HOPS = 4n;
const SELLS_NOTHING: PricePerMiB = pricePerMiB(0n);

/** A node that stops waits for the ledger, to settle before it ends. */
export interface LastSettling {
  /** What is not settled yet. */
  readonly unsettled: Amount;
  /** Then it ends without having settled: the receipts are kept for its next start. */
  readonly until: Date;
}

/**
 * A circuit pays its first relay for all nodes behind it as well, so a window at the relay's own price would hold only a
 * part of a MiB, and in front of an expensive host not even a frame. This one holds a MiB of the usual circuit.
 */
export function relayWindowPrice(own: PricePerMiB): PricePerMiB {
  return pricePerMiB(own * USUAL_HOPS);
}

/** Gets the wallet ready to earn and to pay, and opens the books. */
export async function openBooks(
  settings: NodeSettings,
  { keys, ledger, clock }: { readonly keys: NodeKeys; readonly ledger: SolanaLedger; readonly clock: Clock },
  stack: AsyncDisposableStack,
): Promise<Books> {
  const { log, till } = settings;
  const { airdrop } = settings.node;
  const wallet = ledger.wallet(keys.walletKey);
  await fundNode({ reader: ledger, wallet, airdrop, tillSlots: slotsOf(till), tillTerms: tillTerms(settings), log });
  const store = stack.use(await openBookStore(path.join(settings.dataDir, BOOKS_DIRECTORY), { clock, log }));
  const book = stack.use(openAccountBook({ store, reader: ledger, log }));
  if (till?.exportReceipts !== undefined) {
    const { exportReceipts: file } = till;
    const { program } = settings.ledger;
    stack.use(await startReceiptExport({ store, program, payee: wallet.address, file, clock, log }));
  }
  return { wallet, store, book };
}

/**
 * Settles what others signed, grows the till, and counts what is spent. When it is disposed it settles what is left, telling
 * `onLastSettling` where that takes long; then the ledger is closed, so that nothing else waits for it.
 */
export async function openSettling(
  settings: NodeSettings,
  parts: Books & {
    readonly ledger: SolanaLedger;
    readonly clock: Clock;
    readonly onLastSettling: ((waiting: LastSettling) => void) | undefined;
  },
  stack: AsyncDisposableStack,
): Promise<{ readonly settlement: SettlementEngine; readonly journal: SettlementJournal; readonly budget: Budget }> {
  const { log, till, terms } = settings;
  const { wallet, store, book, ledger, clock, onLastSettling } = parts;
  const { maxRoyaltyBps } = terms;
  stack.defer(() => ledger.close());
  const journal = openSettlementJournal(path.join(settings.dataDir, SETTLEMENTS_FILE), log);
  const settlement = stack.use(
    startSettlement({
      store,
      wallet,
      reader: ledger,
      policy: {
        pollMillis: SETTLEMENT_POLL_MILLIS,
        ...(till === undefined ? {} : { maxFeeShareBps: till.settleFeeShare }),
        ...(maxRoyaltyBps === undefined ? {} : { maxRoyaltyBps }),
      },
      onChannel: (channel) => book.update(channel),
      onClosed: (channel) => book.forget(channel),
      journal,
      clock,
      log,
    }),
  );
  stack.defer(() => settleAtShutdown(settlement, log, onLastSettling));
  if (till !== undefined) {
    const { maxSlots } = till;
    const what = 'growing the till';
    const work = (stop: AbortSignal): Promise<void> =>
      orAborted(growNearlyFull({ reader: ledger, wallet, maxSlots, log }), stop, what);
    stack.use(repeat({ everyMillis: TILL_POLL_MILLIS, work, what, log }));
  }
  const { spendLimit: total, spendLimitPeer: perPeer } = settings.node;
  const budget = stack.use(
    await openBudget({
      file: path.join(settings.dataDir, BUDGET_FILE),
      limits: { perPeer, perSite: terms.spendLimitSite ?? SPEND_LIMIT_SITE, total },
      earned: () => earnedOf(store),
      clock,
      log,
    }),
  );
  return { settlement, journal, budget };
}

/** The channels through which it pays, and the meter of its links. */
export function openPaying(
  settings: NodeSettings,
  parts: Books & { readonly keys: NodeKeys; readonly ledger: SolanaLedger; readonly budget: Budget },
  stack: AsyncDisposableStack,
): { readonly channels: Channels; readonly metering: Metering } {
  const { log, terms, node } = settings;
  const { keys, ledger, wallet, store, book, budget } = parts;
  const dearestMiB = amount(node.maxPrice ?? MAX_ONWARD_PRICE);
  const channels: Channels = new Channels({
    reader: ledger,
    wallet,
    delegate: keys.delegate,
    store,
    budget,
    deposit: node.deposit,
    opening: node.opening ?? amount(0n),
    maxOpening: node.maxOpening ?? dearestMiB,
    maxWidened: node.maxOpening ?? amount(dearestMiB * WIDENED_OPENINGS),
    // A stranger with an accomplice behind us could make us widen windows that only help the accomplice.
    ...(terms.relayPrice === undefined ? {} : { mayWiden: (): bigint => metering.kept / WIDENING_PARTS }),
    live: () => liveChannels(book),
    update: (channel) => book.update(channel),
    idleMillis: node.closeIdle === 0 ? undefined : node.closeIdle,
    log,
  });
  const { idle } = channels;
  idle.watch();
  if (terms.relayPrice !== undefined) channels.warm();
  const closing = 'closing idle channels';
  const look = async (stop: AbortSignal): Promise<void> => {
    idle.watch();
    await orAborted(idle.sweep(), stop, closing);
  };
  stack.use(repeat({ everyMillis: CHANNEL_WATCH_MILLIS, work: look, what: closing, log }));
  const collecting = 'collecting what is left of channels that payees closed';
  stack.use(
    repeat({
      everyMillis: CLAIM_WATCH_MILLIS,
      atOnce: true,
      work: (stop) => orAborted(collectClaim({ reader: ledger, wallet, log }), stop, collecting),
      what: collecting,
      log,
    }),
  );
  const price = terms.windowPrice ?? SELLS_NOTHING;
  const metering: Metering = stack.use(
    settings.unmetered === true
      ? unmetered()
      : createMetering({ wallet: wallet.address, book, reader: ledger, channels, price, log }),
  );
  return { channels, metering };
}

/** What a till asks of a payer that opens a channel: a stake of one MiB's worth, because a stranger may owe as much. */
function tillTerms({ terms, tillOpening = amount(terms.windowPrice ?? 0n) }: NodeSettings): TillTerms {
  return { opening: tillOpening, minDeposit: amount(tillOpening * DEPOSIT_OPENINGS) };
}

/** All that others signed receipts for, base units. */
function earnedOf(store: BookStore): bigint {
  let sum = 0n;
  for (const { role, channel, latest } of store.entries()) {
    if (role === 'payee') sum += latest?.amount ?? channel.settled;
  }
  return sum;
}

/** The channels that links pay from now. */
function liveChannels(book: AccountBook): ReadonlySet<ChannelId> {
  return new Set(book.peers().flatMap(({ role, live, channel }) => (role === 'payer' && live ? [channel.id] : [])));
}

async function settleAtShutdown(
  settlement: SettlementEngine,
  log: Log,
  onWaiting: ((waiting: LastSettling) => void) | undefined,
): Promise<void> {
  if (settlement.unsettled() === 0n) return;
  const until = new Date(Date.now() + SHUTDOWN_SETTLE_MILLIS);
  const say = (): void => onWaiting?.({ unsettled: settlement.unsettled(), until });
  const timer = setTimeout(say, SHUTDOWN_SILENT_MILLIS);
  try {
    await settlement.settleAll(AbortSignal.timeout(SHUTDOWN_SETTLE_MILLIS));
  } catch (error) {
    log.warn({ err: error }, 'could not settle before stopping; the receipts are kept for the next start');
  } finally {
    clearTimeout(timer);
  }
}
