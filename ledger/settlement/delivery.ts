/** Gets one settlement on chain and into the books exactly once, whenever the process dies. */
import { assertNotAborted } from '../../core/abort.ts';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { amount, lamports } from '../../core/units.ts';
import type { UnixMillis } from '../../core/units.ts';
import { NUMERATOR_BITS } from '../accounting/index.ts';
import type { BookStore } from '../accounting/index.ts';
import type {
  LedgerReader,
  LedgerWallet,
  MovedBySettling,
  PreparedTransaction,
  TransactionResult,
} from '../contract.ts';
import { receiptMessage, receiptSignature } from '../receipt/index.ts';
import type { Settlement, SettlementTotals } from './contract.ts';
import type { SettledReceipt, SettlementJournal } from './history.ts';
import type { Patience } from './patience.ts';
import type { Batch } from './plan.ts';
import { decodeRecord, decodeTotals, EMPTY_TOTALS, encodeRecord, encodeTotals } from './record.ts';
import type { SettlementRecord } from './record.ts';
import { isRefusal, isVerdict } from './refusal.ts';
import { mostBid } from './worth.ts';

/** Key of the totals among the settlement records; no signature is this short. */
const TOTALS = 'totals';

export type Outcome =
  | { readonly state: 'booked'; readonly settlement: Settlement }
  /** The ledger said no: something in it is wrong. `final`: by the program's or the chain's own word, not a node's alone. */
  | { readonly state: 'refused'; readonly reason: string; readonly final: boolean }
  /** The chain never took it up, and no longer can. */
  | { readonly state: 'expired' };

export interface DeliveryParts {
  readonly store: BookStore;
  readonly wallet: LedgerWallet;
  readonly reader: Pick<LedgerReader, 'till'>;
  readonly patience: Patience;
  /** Base units for a lamport. @throws RelaymintError LEDGER_UNREACHABLE. */
  readonly price: (stop: AbortSignal) => Promise<bigint>;
  /** Called with each receipt before it is booked. Optional. */
  readonly journal: SettlementJournal | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export class Delivery {
  readonly #store: BookStore;
  readonly #wallet: LedgerWallet;
  readonly #reader: Pick<LedgerReader, 'till'>;
  readonly #patience: Patience;
  readonly #price: (stop: AbortSignal) => Promise<bigint>;
  readonly #journal: SettlementJournal | undefined;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor({ store, wallet, reader, patience, price, journal, clock, log }: DeliveryParts) {
    this.#store = store;
    this.#wallet = wallet;
    this.#reader = reader;
    this.#patience = patience;
    this.#price = price;
    this.#journal = journal;
    this.#clock = clock;
    this.#log = log;
  }

  totals(): SettlementTotals {
    const encoded = this.#store.settlements().get(TOTALS);
    return encoded === undefined ? EMPTY_TOTALS : decodeTotals(encoded);
  }

  /**
   * Records, sends, confirms and books one batch.
   * @throws RelaymintError INSUFFICIENT_FUNDS, LIMIT_EXCEEDED when it does not fit any more (nothing is recorded then), and
   * any other error that does not refuse the batch's content.
   */
  async deliver(stop: AbortSignal, batch: Batch): Promise<Outcome> {
    await this.#store.flushed();
    const items = batch.candidates.map(({ channel, receipt }) => ({
      slot: channel.slot,
      delegate: channel.delegate,
      message: receiptMessage(receipt),
      signature: receiptSignature(receipt),
    }));
    const most = mostBid(batch, await this.#price(stop));
    const transaction = await this.#patience.retried(stop, () =>
      this.#wallet.prepareSettle(items, batch.shares, this.#wallet.address, most),
    );
    const record: SettlementRecord = {
      transaction,
      items: batch.candidates.map(({ receipt }) => receipt),
      before: batch.candidates.map(({ channel }) => ({
        payer: channel.payer,
        amount: channel.settled,
        up: channel.settledUp,
        down: channel.settledDown,
      })),
      shares: batch.shares,
      increase: batch.increase,
    };
    await this.#store.saveSettlement(transaction.signature, encodeRecord(record));
    return this.#finish(stop, record, true);
  }

  /** Follows a recorded settlement to its end. `fresh`: it was never sent before. */
  async #finish(stop: AbortSignal, record: SettlementRecord, fresh: boolean): Promise<Outcome> {
    const { transaction } = record;
    let maybeSent = !fresh;
    for (let attempt = 0; ; attempt += 1) {
      assertNotAborted(stop, 'Settling');
      try {
        await this.#wallet.submit(transaction);
        maybeSent = true;
      } catch (error) {
        if (isRelaymintError(error, 'LEDGER_UNREACHABLE')) {
          // The request may have arrived and only the answer been lost.
          maybeSent = true;
          await this.#patience.pause(stop, attempt, error);
          continue;
        }
        if (!isRelaymintError(error)) throw error;
        const status = await this.#patience.retried(stop, () => this.#wallet.status(transaction));
        if (status.state === 'confirmed') return this.#booked(record, status.result, status.moved);
        if (!maybeSent) {
          const dropped = await this.#drop(transaction, error.message, isVerdict(error));
          if (!isRefusal(error)) throw error;
          return dropped;
        }
        // It may be on its way all the same: only the chain's own word, or its expiry, settles that.
      }
      const status = await this.#patience.retried(stop, () => this.#wallet.confirm(transaction, stop));
      if (status.state === 'confirmed') return this.#booked(record, status.result, status.moved);
      if (status.state === 'failed') return this.#drop(transaction, status.reason, true);
      if (status.state === 'expired') return this.#expire(stop, record);
      await this.#patience.pause(stop, attempt, new RelaymintError('TIMEOUT', 'The settlement is still pending.'));
    }
  }

  async #booked(record: SettlementRecord, result: TransactionResult, moved?: MovedBySettling): Promise<Outcome> {
    const { transaction, items, shares, increase } = record;
    const at = this.#clock.now();
    await this.#journal?.add(entriesOf(record, at, result, moved));
    // From here to the booking nothing is waited for: other settlements are booked meanwhile.
    const before = this.totals();
    const totals: SettlementTotals = {
      transactions: before.transactions + 1,
      receipts: before.receipts + items.length,
      amount: amount(before.amount + increase),
      computeUnits: before.computeUnits + result.computeUnits,
      feeLamports: lamports(before.feeLamports + result.feeLamports),
      signatures: [...before.signatures, result.signature],
    };
    const paid = new Map(shares.map(({ name, gross }) => [name, gross << NUMERATOR_BITS]));
    await this.#store.book(
      [
        [transaction.signature, undefined],
        [TOTALS, encodeTotals(totals)],
      ],
      items,
      paid,
    );
    this.#log.info({ signature: result.signature, receipts: items.length, amount: String(increase) }, 'settled');
    const { computeUnits, feeLamports, signature } = result;
    const settlement = { signature, receipts: items.length, amount: increase, computeUnits, feeLamports, at };
    return { state: 'booked', settlement };
  }

  async #drop(transaction: PreparedTransaction, reason: string, final: boolean): Promise<Outcome> {
    await this.#store.saveSettlement(transaction.signature, undefined);
    return { state: 'refused', reason, final };
  }

  /** What an earlier run, or an attempt that gave up, left unfinished. */
  async recover(stop: AbortSignal): Promise<readonly Settlement[]> {
    const done: Settlement[] = [];
    for (const [id, encoded] of Array.from(this.#store.settlements())) {
      if (id === TOTALS) continue;
      const record = decodeRecord(encoded);
      const outcome = await this.#resume(stop, record);
      if (outcome.state === 'booked') done.push(outcome.settlement);
      else this.#log.info({ signature: id }, 'an unfinished settlement had no effect; its receipts are settled again');
    }
    return done;
  }

  async #resume(stop: AbortSignal, record: SettlementRecord): Promise<Outcome> {
    const { transaction } = record;
    const status = await this.#patience.retried(stop, () => this.#wallet.status(transaction));
    if (status.state === 'confirmed') return this.#booked(record, status.result, status.moved);
    if (status.state === 'pending') return this.#finish(stop, record, false);
    if (status.state === 'failed') return this.#drop(transaction, status.reason, true);
    return this.#expire(stop, record);
  }

  /**
   * Not found on chain, and too old to get there. A node that remembers only recent transactions says so of one that
   * succeeded as well; the till knows. (A channel that is gone took its receipt's value with it either way.) But it does not
   * know who settled: it may have been a stranger, without the names. So these stay due: it is better to pay twice than never.
   */
  async #expire(stop: AbortSignal, record: SettlementRecord): Promise<Outcome> {
    const till = await this.#patience.retried(stop, () => this.#reader.till(this.#wallet.address, 'finalized'));
    const open = new Map(till?.channels.map((channel) => [channel.id, channel.settled]));
    const landed = record.items.every((item) => (open.get(item.channel) ?? item.amount) >= item.amount);
    const { signature } = record.transaction;
    if (landed) {
      const unknownCost: TransactionResult = { signature, feeLamports: lamports(0n), computeUnits: 0 };
      return this.#booked({ ...record, shares: [] }, unknownCost);
    }
    await this.#store.saveSettlement(signature, undefined);
    return { state: 'expired' };
  }
}

/** What people are told of each receipt. None of a record that does not say where its channels began. */
function entriesOf(
  { items, before }: SettlementRecord,
  at: UnixMillis,
  { signature, feeLamports }: TransactionResult,
  moved: MovedBySettling | undefined,
): readonly SettledReceipt[] {
  const increases = items.map(({ amount: settled }, index) => settled - (before[index]?.amount ?? settled));
  // A transaction has a fee: 0 says that the node keeps no history.
  const fees = feeLamports === 0n ? undefined : portions(feeLamports, increases);
  const bankFees = moved === undefined ? undefined : portions(moved.bankFee, increases);
  const royalties = moved === undefined ? undefined : portions(moved.royalties, increases);
  return before.flatMap((one, index): SettledReceipt[] => {
    const item = items[index];
    if (item === undefined) return [];
    const part = (of: readonly bigint[] | undefined): bigint | undefined => of?.[index];
    const [fee, bankFee, royalty] = [part(fees), part(bankFees), part(royalties)];
    return [
      {
        at,
        channel: item.channel,
        payer: one.payer,
        amount: amount(item.amount - one.amount),
        up: item.up - one.up,
        down: item.down - one.down,
        signature,
        feeLamports: fee === undefined ? null : lamports(fee),
        bankFee: bankFee === undefined ? null : amount(bankFee),
        royalties: royalty === undefined ? null : amount(royalty),
      },
    ];
  });
}

/** Divides a whole in proportion to the weights; the parts add up to it. */
function portions(sum: bigint, weights: readonly bigint[]): readonly bigint[] {
  const all = weights.reduce((total, weight) => total + weight, 0n);
  let [weighed, given] = [0n, 0n];
  return weights.map((weight) => {
    weighed += weight;
    const portion = all === 0n ? 0n : (sum * weighed) / all - given;
    given += portion;
    return portion;
  });
}
