/** Gets one settlement on chain and into the books exactly once, whenever the process dies. */
import { earnersKey } from '../../core/attribution.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { amount, lamports } from '../../core/units.ts';
import type { UnixMillis } from '../../core/units.ts';
import { NUMERATOR_BITS } from '../accounting/index.ts';
import type { BookStore } from '../accounting/index.ts';
import type { LedgerReader, LedgerWallet, MovedBySettling, TransactionResult } from '../contract.ts';
import { receiptMessage, receiptSignature } from '../receipt/index.ts';
import type { Carrier, Outcome, Recorded } from './carrier.ts';
import type { Settlement, SettlementTotals } from './contract.ts';
import { feeOf, type SettledReceipt, type SettlementJournal } from './history.ts';
import type { Patience } from './patience.ts';
import type { Batch } from './plan.ts';
import {
  decodeTotals,
  EMPTY_TOTALS,
  encodeRecord,
  encodeTotals,
  isWithdrawal,
  recordsIn,
  TOTALS_KEY,
  type SettlementRecord,
} from './record.ts';
import { mostBid } from './worth.ts';

export interface DeliveryParts {
  readonly store: BookStore;
  readonly wallet: Pick<LedgerWallet, 'address' | 'prepareSettle'>;
  readonly reader: Pick<LedgerReader, 'till'>;
  readonly carrier: Carrier;
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
  readonly #wallet: DeliveryParts['wallet'];
  readonly #reader: DeliveryParts['reader'];
  readonly #carrier: Carrier;
  readonly #patience: Patience;
  readonly #price: (stop: AbortSignal) => Promise<bigint>;
  readonly #journal: SettlementJournal | undefined;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor({ store, wallet, reader, carrier, patience, price, journal, clock, log }: DeliveryParts) {
    this.#store = store;
    this.#wallet = wallet;
    this.#reader = reader;
    this.#carrier = carrier;
    this.#patience = patience;
    this.#price = price;
    this.#journal = journal;
    this.#clock = clock;
    this.#log = log;
  }

  totals(): SettlementTotals {
    const encoded = this.#store.settlements().get(TOTALS_KEY);
    return encoded === undefined ? EMPTY_TOTALS : decodeTotals(encoded);
  }

  /**
   * Records, sends, confirms and books one batch.
   * @throws RelaymintError INSUFFICIENT_FUNDS, LIMIT_EXCEEDED when it does not fit any more (nothing is recorded then), and
   * any other error that does not refuse the batch's content.
   */
  async deliver(stop: AbortSignal, batch: Batch): Promise<Outcome<Settlement>> {
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
    return this.#carrier.send(stop, this.#recorded(record));
  }

  #recorded(record: SettlementRecord): Recorded<Settlement> {
    return {
      transaction: record.transaction,
      book: ({ result, moved }) => this.#book(record, result, moved),
      expire: (stop) => this.#expire(stop, record),
    };
  }

  async #book(record: SettlementRecord, result: TransactionResult, moved?: MovedBySettling): Promise<Settlement> {
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
    const paid = new Map(shares.map((share) => [earnersKey(share), share.gross << NUMERATOR_BITS]));
    await this.#store.book(
      [
        [transaction.signature, undefined],
        [TOTALS_KEY, encodeTotals(totals)],
      ],
      items,
      paid,
    );
    this.#log.info({ signature: result.signature, receipts: items.length, amount: String(increase) }, 'settled');
    const { computeUnits, feeLamports, signature } = result;
    return { signature, receipts: items.length, amount: increase, computeUnits, feeLamports, at };
  }

  /** What an earlier run, or an attempt that gave up, left unfinished. */
  async recover(stop: AbortSignal): Promise<readonly Settlement[]> {
    const done: Settlement[] = [];
    for (const record of recordsIn(this.#store)) {
      if (isWithdrawal(record)) continue;
      const outcome = await this.#carrier.resume(stop, this.#recorded(record));
      if (outcome.state === 'booked') done.push(outcome.done);
      else {
        const { signature } = record.transaction;
        this.#log.info({ signature }, 'an unfinished settlement had no effect; its receipts are settled again');
      }
    }
    return done;
  }

  /**
   * Not found on chain, and too old to get there. A node that remembers only recent transactions says so of one that
   * succeeded as well; the till knows. (A channel that is gone took its receipt's value with it either way.) But it does not
   * know who settled: it may have been a stranger, without the names. So these stay due: it is better to pay twice than never.
   */
  async #expire(stop: AbortSignal, record: SettlementRecord): Promise<Outcome<Settlement>> {
    const till = await this.#patience.retried(stop, () => this.#reader.till(this.#wallet.address, 'finalized'));
    const open = new Map(till?.channels.map((channel) => [channel.id, channel.settled]));
    const landed = record.items.every((item) => (open.get(item.channel) ?? item.amount) >= item.amount);
    const { signature } = record.transaction;
    if (landed) {
      const unknownCost: TransactionResult = { signature, feeLamports: lamports(0n), computeUnits: 0 };
      return { state: 'booked', done: await this.#book({ ...record, shares: [] }, unknownCost) };
    }
    await this.#store.saveSettlement(signature, undefined);
    return { state: 'expired' };
  }
}

/** What people are told of each receipt. None of a record that does not say where its channels began. */
function entriesOf(
  { items, before }: SettlementRecord,
  at: UnixMillis,
  result: TransactionResult,
  moved: MovedBySettling | undefined,
): readonly SettledReceipt[] {
  const increases = items.map(({ amount: settled }, index) => settled - (before[index]?.amount ?? settled));
  const fee = feeOf(result);
  const fees = fee === null ? undefined : portions(fee, increases);
  const bankFees = moved === undefined ? undefined : portions(moved.bankFee, increases);
  const royalties = moved === undefined ? undefined : portions(moved.royalties, increases);
  return before.flatMap((one, index): SettledReceipt[] => {
    const item = items[index];
    if (item === undefined) return [];
    const part = (of: readonly bigint[] | undefined): bigint | undefined => of?.[index];
    const [feeLamports, bankFee, royalty] = [part(fees), part(bankFees), part(royalties)];
    return [
      {
        kind: 'receipt',
        at,
        channel: item.channel,
        payer: one.payer,
        amount: amount(item.amount - one.amount),
        up: item.up - one.up,
        down: item.down - one.down,
        signature: result.signature,
        feeLamports: feeLamports === undefined ? null : lamports(feeLamports),
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
