/** The settlement engine: one piece of work at a time, each recorded before it is sent and booked once it is on chain. */
import { setTimeout as delay } from 'node:timers/promises';
import { assertNotAborted, deadline, following, orAborted } from '../../core/abort.ts';
import { toHex } from '../../core/codec.ts';
import { isRelaymintError, messageOf, RelaymintError } from '../../core/errors.ts';
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import { MAX_SHARES_PER_TRANSACTION } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { amount, formatCredits } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import type { BankState, ChannelState, LedgerReader, LedgerWallet, TillState } from '../contract.ts';
import type { SignedReceipt } from '../receipt/index.ts';
import type {
  PlannedBatch,
  Settlement,
  SettlementEngine,
  SettlementOptions,
  SettlementPolicy,
  SettlementTotals,
  Withdrawal,
} from './contract.ts';
import { Delivery } from './delivery.ts';
import { Dispatch } from './dispatch.ts';
import { PayableNames } from './names.ts';
import { debtOf, Openings } from './openings.ts';
import { Patience } from './patience.ts';
import { increaseOf, planBatches } from './plan.ts';
import type { Batch, Candidate, Fit } from './plan.ts';
import { pollWithin } from './poll.ts';
import { costOf, isWorthAdding, isWorthSending, mostBid, pressureOf } from './worth.ts';
import type { Pressure, Worth } from './worth.ts';

export const DEFAULT_POLICY: SettlementPolicy = {
  maxFeeShareBps: 100,
  maxRoyaltyBps: 5_000,
  maxAgeMillis: 24 * 60 * 60 * 1000,
  pollMillis: 10_000,
  retryMillis: 500,
  attempts: 8,
};

/** Finishes what the last run left, then watches the till until `close`. */
export function startSettlement(options: SettlementOptions): SettlementEngine {
  return new Engine(options);
}

const LOST_TEXT =
  'a payer closed its channel before this node settled its newest receipt, and that much is lost: the node did not reach the ledger during the challenge period, or its wallet agreed to an early close';
const LEFT_TEXT = 'a channel that was not worth settling is closed, and that much is lost';

const SETTLING = 'Settlement';
const NOTHING_IS_LOST = 'Nothing is lost: what was under way is taken up at the next attempt.';

class Engine implements SettlementEngine {
  readonly #store: BookStore;
  readonly #wallet: LedgerWallet;
  readonly #reader: LedgerReader;
  readonly #policy: SettlementPolicy;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChannel: (channel: ChannelState) => void;
  readonly #onClosed: (channel: ChannelState) => void;
  readonly #patience: Patience;
  readonly #delivery: Delivery;
  readonly #dispatch: Dispatch;
  readonly #names: PayableNames;
  readonly #openings: Openings;
  /** The last logged reason why opening payments were not returned. */
  #unreturned: string | undefined;
  /** Channels that the last look showed closing. */
  #closing: readonly ChannelState[] = [];
  readonly #stop = new AbortController();
  /** The piece of work under way: the next waits for it, so that no receipt is in two transactions. */
  #tail: Promise<unknown> = Promise.resolve();
  readonly #clockwork: Promise<void>;
  /** When value first waited on a channel, by this process's clock. */
  readonly #since = new Map<ChannelId, number>();
  /** Fixed when the bank was made, so asked for once. */
  #terms: Pick<BankState, 'unitsPerLamport' | 'challengeSeconds'> | undefined;
  /** What this process itself saw settled for good. */
  readonly #booked = new Map<ChannelId, Amount>();
  /** The last logged failure: the same one is not logged again at each check. */
  #trouble: string | undefined;
  /** Receipts that the chain refused by themselves: not retried automatically until a greater one comes or the channel closes. */
  readonly #refused = new Map<ChannelId, Amount>();
  /** Closing channels that are worth less than settling them costs, and of which that was said. */
  readonly #left = new Set<ChannelId>();

  /** The wallet knows how much one transaction holds. */
  readonly #fit: Fit = (receipts, names) => this.#wallet.receiptsThatFit(receipts, names);

  constructor(options: SettlementOptions) {
    this.#store = options.store;
    this.#wallet = options.wallet;
    this.#reader = options.reader;
    this.#policy = { ...DEFAULT_POLICY, ...options.policy };
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#onChannel = options.onChannel ?? ((channel) => this.#store.update(channel));
    this.#onClosed = options.onClosed ?? ((channel) => this.#store.forget(channel.id));
    this.#patience = new Patience(this.#policy);
    this.#delivery = new Delivery({
      store: this.#store,
      wallet: this.#wallet,
      reader: this.#reader,
      patience: this.#patience,
      price: async (stop) => (await this.#bankTerms(stop)).unitsPerLamport,
      journal: options.journal,
      clock: this.#clock,
      log: this.#log,
    });
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
    this.#clockwork = this.#watch();
  }

  async settleAll(signal?: AbortSignal): Promise<readonly Settlement[]> {
    return this.#exclusive(signal, async (stop) => {
      const recovered = await this.#delivery.recover(stop);
      const learning = this.#learnNames();
      const settled = await this.#settle(stop, await this.#candidates(stop), learning);
      await this.#giveBack(stop);
      return [...recovered, ...settled];
    });
  }

  async withdraw(signal?: AbortSignal): Promise<Withdrawal | undefined> {
    const refused = await refusalOf(this.settleAll(signal));
    const result = await this.#exclusive(signal, async (stop) => {
      const till = await this.#patience.retried(stop, () => this.#reader.till(this.#wallet.address));
      if (till === undefined || till.earned === 0n) return undefined;
      return { ...(await this.#wallet.withdraw()), amount: till.earned };
    });
    if (refused === undefined) return result;
    throw new RelaymintError('LEDGER_REJECTED', `What the till had earned was withdrawn. ${refused.message}`, {
      cause: refused,
      details: { ...refused.details, ...(result === undefined ? {} : { signature: result.signature }) },
    });
  }

  async plan(signal?: AbortSignal): Promise<readonly PlannedBatch[]> {
    return this.#exclusive(signal, async (stop) => {
      const learning = this.#learnNames();
      const batches = await this.#planned(stop, await this.#candidates(stop), learning);
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
      try {
        // Not at a regular interval, so that an observer of the requests cannot recognise a node by it.
        await delay(this.#pollMillis * (0.75 + Math.random() / 4), undefined, { signal, ref: false });
      } catch {
        return;
      }
    }
  }

  /** Automatic work: what the last run left, what is worth settling, and what to return to payers that leave. */
  async #round(stop: AbortSignal): Promise<void> {
    await this.#settleWorthy(stop);
    await this.#giveBack(stop);
  }

  /** Returns what closing payers staked for their windows. A failure stops nothing else: it is tried again at each check. */
  async #giveBack(stop: AbortSignal): Promise<void> {
    const closing = this.#closing.filter(({ opening }) => opening > 0n);
    if (closing.length === 0) return;
    try {
      const worth = await this.#worth(stop);
      const { challengeSeconds } = await this.#bankTerms(stop);
      await this.#openings.giveBack(closing, { ...worth, challengeSeconds, now: this.#clock.now() });
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
    await this.#delivery.recover(stop);
    const learning = this.#learnNames();
    const candidates = (await this.#candidates(stop)).filter((candidate) => this.#isHopeful(candidate));
    if (candidates.length === 0) return;
    const now = this.#clock.now();
    const pressures = new Map<ChannelId, Pressure>();
    for (const candidate of candidates) {
      const { id } = candidate.channel;
      const since = this.#since.get(id) ?? now;
      this.#since.set(id, since);
      pressures.set(id, pressureOf(candidate, now - since, this.#policy.maxAgeMillis));
    }
    const pressing = ({ channel }: Candidate): Pressure => pressures.get(channel.id) ?? 'growing';
    const worth = await this.#worth(stop);
    const due = candidates.filter((candidate) => isWorthAdding(candidate, pressing(candidate), worth));
    await this.#settle(stop, due, learning, (batch) => {
      const sent = isWorthSending(batch, pressing, worth);
      if (!sent) this.#leave(batch, worth);
      return sent;
    });
  }

  /** Logs once for each closing channel that it is not worth settling. It is checked again each time. */
  #leave(batch: Batch, worth: Worth): void {
    const closing = batch.candidates.filter(({ channel }) => channel.closeAt !== undefined);
    const news = closing.filter(({ channel }) => !this.#left.has(channel.id));
    if (news.length === 0) return;
    for (const { channel } of news) this.#left.add(channel.id);
    const held = closing.reduce((sum, candidate) => sum + increaseOf(candidate), 0n);
    this.#log.warn(
      {
        channels: news.map(({ channel }) => channel.id),
        credits: formatCredits(amount(held)),
        costCredits: formatCredits(amount(costOf(batch, worth) * worth.unitsPerLamport)),
      },
      'payers ask to close channels whose receipts are worth less than settling them costs: they wait for a cheaper moment or more value, and are lost when the channels close',
    );
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

  /** What could be settled now, by what the till shows. Channels that are over are forgotten here. */
  async #candidates(stop: AbortSignal): Promise<readonly Candidate[]> {
    const till = await this.#patience.retried(stop, () => this.#reader.till(this.#wallet.address, 'finalized'));
    if (till === undefined) return [];
    this.#forgetClosed(till);
    this.#closing = till.channels.filter(({ closeAt }) => closeAt !== undefined);
    const candidates: Candidate[] = [];
    for (const read of till.channels) {
      this.#onChannel(read);
      const entry = this.#store.entry(read.id);
      if (entry?.role !== 'payee' || entry.latest === undefined) continue;
      const { latest: receipt, channel } = entry;
      // The books may know more from a fork that was given up since; only a read that lags behind us may know less.
      const settled = maximum(read.settled, this.#booked.get(read.id) ?? read.settled);
      const waits = receipt.amount > settled && receipt.amount <= channel.deposit;
      if (waits) candidates.push({ channel: { ...channel, settled }, receipt });
      else for (const memory of [this.#since, this.#left]) memory.delete(channel.id);
    }
    return candidates;
  }

  /** A closing channel brings no greater receipt, and what is not settled of it is lost: it is not given up while it is there. */
  #isHopeful({ channel, receipt }: Candidate): boolean {
    return channel.closeAt !== undefined || this.#refused.get(channel.id) !== receipt.amount;
  }

  /**
   * A channel whose slot has a later generation is closed for good: the books forget it, and what its newest receipt adds is
   * lost. (One that is merely missing may be missing because the ledger's node lags behind.)
   */
  #forgetClosed(till: TillState): void {
    for (const entry of Array.from(this.#store.entries())) {
      const { role, channel, latest } = entry;
      if (role !== 'payee' || channel.till !== till.address) continue;
      if ((till.generations[channel.slot] ?? 0) <= channel.generation) continue;
      const left = this.#left.has(channel.id);
      for (const memory of [this.#since, this.#refused, this.#booked, this.#left]) memory.delete(channel.id);
      if (latest !== undefined && latest.amount > channel.settled) this.#sayLost(channel, latest, left);
      // Of one that was evicted nobody knows here what was returned: its payer's debt stays.
      if (channel.closeAt !== undefined) this.#store.forfeit(channel.payer, channel.opening);
      this.#onClosed(channel);
    }
  }

  #sayLost(channel: ChannelState, latest: SignedReceipt, left: boolean): void {
    this.#log[left ? 'info' : 'warn'](
      {
        channel: channel.id,
        payer: channel.payer,
        lostCredits: formatCredits(amount(latest.amount - channel.settled)),
        ...(channel.closeAt === undefined ? {} : { couldCloseAt: String(channel.closeAt) }),
        // Not a secret, and the only evidence if the ledger's node lied.
        receipt: toHex(latest.bytes),
      },
      left ? LEFT_TEXT : LOST_TEXT,
    );
  }

  /** `accept` has the last word on each transaction, and on those that one is taken into; all go when it is absent. */
  async #settle(
    stop: AbortSignal,
    candidates: readonly Candidate[],
    learning: Promise<void>,
    accept: (batch: Batch) => boolean = () => true,
  ): Promise<readonly Settlement[]> {
    const planned = (await this.#planned(stop, candidates, learning)).filter(accept);
    if (planned.length === 0) return [];
    const { settlements, settled, refusals } = await this.#dispatch.all(stop, planned, accept);
    for (const { channel, receipt } of settled) this.#booked.set(channel.id, receipt.amount);
    for (const { candidate, final } of refusals) {
      if (final) this.#refused.set(candidate.channel.id, candidate.receipt.amount);
    }
    await this.#candidates(stop);
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

  /**
   * The next transactions, with what names earned. Not knowing yet which names exist delays no close request, and
   * nothing else by more than the time between two checks: such names are paid later.
   */
  async #planned(
    stop: AbortSignal,
    candidates: readonly Candidate[],
    learning: Promise<void>,
  ): Promise<readonly Batch[]> {
    if (candidates.length === 0) return [];
    if (!candidates.some(({ channel }) => channel.closeAt !== undefined)) {
      await within(stop, learning, this.#pollMillis);
    }
    const receipts = candidates.map(({ receipt }) => receipt);
    // Asked only where it makes a difference: a few receipts fit any transaction.
    if (this.#fit(receipts, MAX_SHARES_PER_TRANSACTION) < receipts.length) {
      await this.#patience.retried(stop, () => this.#wallet.learnTransactionSize());
    }
    return planBatches(candidates, this.#names.payable(), this.#fit);
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

/** Resolves after `work`, which never rejects, or after that many milliseconds. @throws ABORTED, CLOSED. */
async function within(signal: AbortSignal, work: Promise<void>, millis: number): Promise<void> {
  using limit = deadline(millis, 'Learning the names', signal);
  await orAborted(work, limit.signal, SETTLING).catch(() => assertNotAborted(signal, SETTLING));
}

function maximum(a: Amount, b: Amount): Amount {
  return a > b ? a : b;
}
