/** The settlement engine: one piece of work at a time, each recorded before it is sent and booked once it is on chain. */
import { assertNotAborted, deadline, elapsed, following, orAborted } from '../../core/abort.ts';
import { isRelaymintError, messageOf, RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import type { BankState, LedgerReader, LedgerWallet } from '../contract.ts';
import type {
  PlannedBatch,
  Settlement,
  SettlementEngine,
  SettlementOptions,
  SettlementPolicy,
  SettlementTotals,
  Withdrawal,
} from './contract.ts';
import { Carrier } from './carrier.ts';
import { Delivery } from './delivery.ts';
import { Dispatch } from './dispatch.ts';
import { PayableNames } from './names.ts';
import { debtOf, Openings } from './openings.ts';
import { Patience } from './patience.ts';
import { greatestShares, planBatches } from './plan.ts';
import type { Batch, Candidate, Fit } from './plan.ts';
import { pollWithin } from './poll.ts';
import { WaitingChannels } from './waiting.ts';
import { Withdrawals } from './withdrawals.ts';
import { isWorthAdding, isWorthSending, mostBid } from './worth.ts';
import type { Worth } from './worth.ts';

export const DEFAULT_POLICY: SettlementPolicy = {
  maxFeeShareBps: 100,
  maxRoyaltyBps: 5_000,
  maxAgeMillis: 24 * 60 * 60 * 1000,
  pollMillis: 10_000,
  learningMillis: 10_000,
  retryMillis: 500,
  attempts: 8,
};

/** Finishes what the last run left, then watches the till until `close`. */
export function startSettlement(options: SettlementOptions): SettlementEngine {
  return new Engine(options);
}

const SETTLING = 'Settlement';
const NOTHING_IS_LOST = 'Nothing is lost: what was under way is taken up at the next attempt.';

class Engine implements SettlementEngine {
  readonly #store: BookStore;
  readonly #wallet: LedgerWallet;
  readonly #reader: LedgerReader;
  readonly #policy: SettlementPolicy;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #patience: Patience;
  readonly #delivery: Delivery;
  readonly #withdrawals: Withdrawals;
  readonly #dispatch: Dispatch;
  readonly #names: PayableNames;
  readonly #openings: Openings;
  readonly #waiting: WaitingChannels;
  /** The last logged reason why opening payments were not returned. */
  #unreturned: string | undefined;
  readonly #stop = new AbortController();
  /** The piece of work under way: the next waits for it, so that no receipt is in two transactions. */
  #tail: Promise<unknown> = Promise.resolve();
  readonly #clockwork: Promise<void>;
  /** Fixed when the bank was made, so asked for once. */
  #terms: Pick<BankState, 'unitsPerLamport' | 'challengeSeconds'> | undefined;
  /** The last logged failure: the same one is not logged again at each check. */
  #trouble: string | undefined;
  /** The wallet knows how much one transaction holds. */
  readonly #fit: Fit = (receipts, shares) => this.#wallet.receiptsThatFit(receipts, shares);

  constructor(options: SettlementOptions) {
    this.#store = options.store;
    this.#wallet = options.wallet;
    this.#reader = options.reader;
    this.#policy = { ...DEFAULT_POLICY, ...options.policy };
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#patience = new Patience(this.#policy);
    const carrier = new Carrier({ store: this.#store, wallet: this.#wallet, patience: this.#patience });
    const bookedBy = {
      store: this.#store,
      wallet: this.#wallet,
      carrier,
      patience: this.#patience,
      journal: options.journal,
      clock: this.#clock,
      log: this.#log,
    };
    this.#delivery = new Delivery({
      ...bookedBy,
      reader: this.#reader,
      price: async (stop) => (await this.#bankTerms(stop)).unitsPerLamport,
    });
    this.#withdrawals = new Withdrawals(bookedBy);
    this.#dispatch = new Dispatch({
      delivery: this.#delivery,
      wallet: this.#wallet,
      reader: this.#reader,
      patience: this.#patience,
      log: this.#log,
    });
    this.#names = new PayableNames({
      store: this.#store,
      reader: this.#reader,
      patience: this.#patience,
      clock: this.#clock,
      log: this.#log,
      maxRoyaltyBps: this.#policy.maxRoyaltyBps,
    });
    this.#openings = new Openings({ store: this.#store, wallet: this.#wallet, reader: this.#reader, log: this.#log });
    this.#waiting = new WaitingChannels({
      store: this.#store,
      wallet: this.#wallet,
      reader: this.#reader,
      patience: this.#patience,
      log: this.#log,
      onChannel: options.onChannel ?? ((channel): void => this.#store.update(channel)),
      onClosed: options.onClosed ?? ((channel): void => this.#store.forget(channel.id)),
    });
    this.#clockwork = this.#watch();
  }

  async settleAll(signal?: AbortSignal): Promise<readonly Settlement[]> {
    return this.#exclusive(signal, async (stop) => {
      const recovered = await this.#recover(stop);
      const settled = await this.#settle(stop, await this.#candidates(stop));
      await this.#giveBack(stop);
      return [...recovered, ...settled];
    });
  }

  async withdraw(signal?: AbortSignal): Promise<Withdrawal | undefined> {
    const refused = await refusalOf(this.settleAll(signal));
    const result = await this.#exclusive(signal, async (stop) => {
      const till = await this.#patience.retried(stop, () => this.#reader.till(this.#wallet.address));
      if (till === undefined || till.earned === 0n) return undefined;
      return this.#withdrawals.withdraw(stop, till.earned);
    });
    if (refused === undefined) return result;
    throw new RelaymintError('LEDGER_REJECTED', `What the till had earned was withdrawn. ${refused.message}`, {
      cause: refused,
      details: { ...refused.details, ...(result === undefined ? {} : { signature: result.signature }) },
    });
  }

  async plan(signal?: AbortSignal): Promise<readonly PlannedBatch[]> {
    return this.#exclusive(signal, async (stop) => {
      const batches = await this.#planned(stop, await this.#candidates(stop));
      const { unitsPerLamport } = await this.#bankTerms(stop);
      return batches.map((batch) => ({ ...batch, maxBid: mostBid(batch, unitsPerLamport) }));
    });
  }

  totals(): SettlementTotals {
    return this.#delivery.totals();
  }

  debts(): ReadonlyMap<LedgerAddress, Amount> {
    const debts = new Map<LedgerAddress, Amount>();
    for (const { role, channel } of this.#store.entries()) {
      const debt = role === 'payee' ? debtOf(channel.payer, this.#store) : amount(0n);
      if (debt > 0n) debts.set(channel.payer, debt);
    }
    return debts;
  }

  unsettled(): Amount {
    let total = 0n;
    for (const { role, channel, latest } of this.#store.entries()) {
      if (role === 'payee' && latest !== undefined && latest.amount > channel.settled) {
        total += latest.amount - channel.settled;
      }
    }
    return amount(total);
  }

  async close(): Promise<void> {
    this.#stop.abort(new RelaymintError('CLOSED', 'Settlement is stopped.', { remedy: NOTHING_IS_LOST }));
    await this.#clockwork;
    await Promise.allSettled([this.#tail, this.#names.idle()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#exclusive(undefined, (stop) => this.#round(stop));
        this.#trouble = undefined;
      } catch (error) {
        const trouble = messageOf(error);
        if (!signal.aborted && trouble !== this.#trouble) {
          this.#log.warn({ err: error }, 'a settlement failed; it is tried again');
          this.#trouble = trouble;
        }
      }
      // Not at a regular interval, so that an observer of the requests cannot recognise a node by it.
      await elapsed(this.#pollMillis * (0.75 + Math.random() / 4), signal, { unref: true });
    }
  }

  /** Automatic work: what the last run left, what is worth settling, and what to return to payers that leave. */
  async #round(stop: AbortSignal): Promise<void> {
    await this.#settleWorthy(stop);
    await this.#giveBack(stop);
  }

  /** Returns what closing payers staked for their windows. A failure stops nothing else: it is tried again at each check. */
  async #giveBack(stop: AbortSignal): Promise<void> {
    const closing = this.#waiting.closing.filter(({ opening }) => opening > 0n);
    if (closing.length === 0) return;
    try {
      const worth = await this.#worth(stop);
      const { challengeSeconds } = await this.#bankTerms(stop);
      // A caller that leaves does not end it: the next round would begin it again.
      const giving = this.#openings.giveBack(closing, { ...worth, challengeSeconds, now: this.#clock.now() });
      await orAborted(giving, this.#stop.signal, SETTLING);
      this.#unreturned = undefined;
    } catch (error) {
      assertNotAborted(stop, SETTLING);
      const reason = messageOf(error);
      if (reason !== this.#unreturned) this.#log.warn({ err: error }, 'opening payments could not be returned');
      this.#unreturned = reason;
    }
  }

  async #settleWorthy(stop: AbortSignal): Promise<void> {
    await this.#bankTerms(stop);
    await this.#recover(stop);
    const candidates = (await this.#candidates(stop)).filter((candidate) => this.#waiting.isHopeful(candidate));
    if (candidates.length === 0) return;
    const pressing = this.#waiting.pressures(candidates, this.#clock.now(), this.#policy.maxAgeMillis);
    const worth = await this.#worth(stop);
    const due = candidates.filter((candidate) => isWorthAdding(candidate, pressing(candidate), worth));
    await this.#settle(stop, due, (batch) => {
      const sent = isWorthSending(batch, pressing, worth);
      if (!sent) this.#waiting.leave(batch, worth);
      return sent;
    });
  }

  /** @returns the settlements among it. */
  async #recover(stop: AbortSignal): Promise<readonly Settlement[]> {
    // What is on record in memory alone must not be sent: a full disk did not take it.
    await this.#store.flushed();
    await this.#withdrawals.recover(stop);
    return this.#delivery.recover(stop);
  }

  async #bankTerms(stop: AbortSignal): Promise<Pick<BankState, 'unitsPerLamport' | 'challengeSeconds'>> {
    this.#terms ??= await this.#patience.retried(stop, () => this.#reader.bank());
    return this.#terms;
  }

  /** Time until the next check. */
  get #pollMillis(): number {
    const { pollMillis } = this.#policy;
    return this.#terms === undefined ? pollMillis : pollWithin(pollMillis, this.#terms.challengeSeconds);
  }

  /** What a transaction costs now. */
  async #worth(stop: AbortSignal): Promise<Worth> {
    const fees = await this.#patience.retried(stop, () => this.#wallet.settleFees());
    const { unitsPerLamport } = await this.#bankTerms(stop);
    return { ...fees, unitsPerLamport, maxFeeShareBps: BigInt(this.#policy.maxFeeShareBps) };
  }

  /** `accept` has the last word on each transaction, and on those that one is taken into; all go when it is absent. */
  async #settle(
    stop: AbortSignal,
    candidates: readonly Candidate[],
    accept: (batch: Batch) => boolean = () => true,
  ): Promise<readonly Settlement[]> {
    const planned = (await this.#planned(stop, candidates)).filter(accept);
    if (planned.length === 0) return [];
    const { settlements, settled, refusals } = await this.#dispatch.all(stop, planned, accept);
    for (const candidate of settled) this.#waiting.settled(candidate);
    for (const { candidate, final } of refusals) if (final) this.#waiting.refused(candidate);
    await this.#waiting.look(stop);
    if (refusals.length > 0) {
      const each = refusals.map(({ candidate, reason }) => `channel ${candidate.channel.id}: ${reason}`);
      throw new RelaymintError('LEDGER_REJECTED', `The ledger refused to settle ${each.join('; ')}.`, {
        remedy:
          'The receipts are kept. They are tried again when a newer one comes, when the channel closes, or on "relaymint settle".',
        details: { settled: settlements.length, refused: refusals.length },
      });
    }
    return settlements;
  }

  /** The next transactions, with what names earned. */
  async #planned(stop: AbortSignal, candidates: readonly Candidate[]): Promise<readonly Batch[]> {
    if (candidates.length === 0) return [];
    const receipts = candidates.map(({ receipt }) => receipt);
    const payable = this.#names.payable();
    // Asked only where it makes a difference: a few receipts fit any transaction.
    if (this.#fit(receipts, greatestShares(payable)) < receipts.length) {
      await this.#patience.retried(stop, () => this.#wallet.learnTransactionSize());
    }
    return planBatches(candidates, payable, this.#fit);
  }

  /**
   * What waits, once it is known which names exist: what is settled without them leaves nothing to pay them from. Waits for that `learningMillis`
   * at most, and for no more than the time between two checks once a channel closes: names that are still unknown are paid later.
   */
  async #candidates(stop: AbortSignal): Promise<readonly Candidate[]> {
    const learning = this.#learnNames();
    let left = this.#policy.learningMillis;
    for (;;) {
      const waiting = await this.#waiting.look(stop);
      const isPressed = waiting.some(({ channel }) => channel.closeAt !== undefined);
      if (waiting.length === 0 || isPressed || left <= 0) return waiting;
      const next = Math.min(left, this.#pollMillis);
      if (await within(stop, learning, next)) return waiting;
      left -= next;
    }
  }

  /** Never rejects: what is still unknown is asked for again. */
  async #learnNames(): Promise<void> {
    try {
      await this.#names.learn(this.#stop.signal);
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#log.warn({ err: error }, 'names could not be looked up; they are paid later');
    }
  }

  /** One piece of work at a time. A caller whose signal ends before its turn has come is told so at once. */
  async #exclusive<T>(signal: AbortSignal | undefined, work: (stop: AbortSignal) => Promise<T>): Promise<T> {
    using either = following(this.#stop.signal, signal);
    const stop = either.signal;
    const before = this.#tail;
    let finish = (): void => {};
    this.#tail = new Promise<void>((resolve) => {
      finish = resolve;
    });
    try {
      await orAborted(before, stop, SETTLING);
      return await work(stop);
    } catch (error) {
      // What failed for another reason than the end says more than that.
      if (isRelaymintError(error, 'ABORTED', 'TIMEOUT')) assertNotAborted(stop, SETTLING, NOTHING_IS_LOST);
      throw error;
    } finally {
      void before.then(finish);
    }
  }
}

/** What the ledger refused of a settlement that was carried out otherwise. @throws every other failure of it. */
async function refusalOf(settling: Promise<unknown>): Promise<RelaymintError | undefined> {
  try {
    await settling;
    return undefined;
  } catch (error) {
    if (isRelaymintError(error, 'LEDGER_REJECTED')) return error;
    throw error;
  }
}

/** Resolves after `work`, which never rejects, or after that many milliseconds. @returns whether it was done. @throws ABORTED, CLOSED. */
async function within(signal: AbortSignal, work: Promise<void>, millis: number): Promise<boolean> {
  using limit = deadline(millis, 'Learning the names', signal);
  try {
    await orAborted(work, limit.signal, SETTLING);
    return true;
  } catch {
    assertNotAborted(signal, SETTLING);
    return false;
  }
}
