/** Settlement's clockwork: one piece of work at a time, each recorded before it is sent and booked once it is on chain. */
import { setTimeout as delay } from 'node:timers/promises';
import { isRelaymintError, messageOf, RelaymintError } from '../../core/errors.ts';
import type { ChannelId } from '../../core/ids.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import { NUMERATOR_BITS } from '../accounting/index.ts';
import type { ChannelState, LedgerReader, LedgerWallet, TransactionResult } from '../contract.ts';
import type {
  Settlement,
  SettlementEngine,
  SettlementOptions,
  SettlementPolicy,
  SettlementTotals,
} from './contract.ts';
import { Delivery } from './delivery.ts';
import { Patience } from './patience.ts';
import { increaseOf, planBatches, splitBatch } from './plan.ts';
import type { Candidate, Fit } from './plan.ts';

const DEFAULT_POLICY: SettlementPolicy = {
  threshold: amount(500_000n),
  maxAgeMillis: 24 * 60 * 60 * 1000,
  pollMillis: 10_000,
  retryMillis: 500,
  attempts: 8,
};
/** A receipt worth less than this part of the threshold waits for more, unless its channel is closing or it is old. */
const COMPANY_PARTS = 5n;
/** Takes up what the last run left unfinished, then watches the till until `close`. */
export function startSettlement(options: SettlementOptions): SettlementEngine {
  return new Engine(options);
}

class Engine implements SettlementEngine {
  readonly #store: BookStore;
  readonly #wallet: LedgerWallet;
  readonly #reader: LedgerReader;
  readonly #policy: SettlementPolicy;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChannel: (channel: ChannelState) => void;
  readonly #patience: Patience;
  readonly #delivery: Delivery;
  readonly #stop = new AbortController();
  /** The piece of work under way: the next waits for it, so that no receipt is in two transactions. */
  #tail: Promise<unknown> = Promise.resolve();
  readonly #clockwork: Promise<void>;
  /** When value first waited on a channel, by this process's clock. */
  readonly #since = new Map<ChannelId, number>();
  /** Receipts the chain refused by themselves: not tried again until a greater one comes. */
  readonly #refused = new Map<ChannelId, Amount>();

  constructor(options: SettlementOptions) {
    this.#store = options.store;
    this.#wallet = options.wallet;
    this.#reader = options.reader;
    this.#policy = { ...DEFAULT_POLICY, ...options.policy };
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#onChannel = options.onChannel ?? ((channel) => this.#store.update(channel));
    this.#patience = new Patience(this.#policy);
    this.#delivery = new Delivery({
      store: this.#store,
      wallet: this.#wallet,
      reader: this.#reader,
      patience: this.#patience,
      clock: this.#clock,
      log: this.#log,
    });
    this.#clockwork = this.#watch();
  }

  async settleAll(signal?: AbortSignal): Promise<readonly Settlement[]> {
    return this.#exclusive(signal, async (stop) => {
      const recovered = await this.#delivery.recover(stop);
      const settled = await this.#settle(stop, await this.#candidates(stop));
      return [...recovered, ...settled];
    });
  }

  async withdraw(signal?: AbortSignal): Promise<TransactionResult | undefined> {
    await this.settleAll(signal);
    return this.#exclusive(signal, async (stop) => {
      const till = await this.#patience.retried(stop, () => this.#reader.till(this.#wallet.address));
      if (till === undefined || till.earned === 0n) return undefined;
      return this.#wallet.withdraw();
    });
  }

  totals(): SettlementTotals {
    return this.#delivery.totals();
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
    this.#stop.abort();
    await this.#clockwork;
    await Promise.allSettled([this.#tail]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#exclusive(undefined, (stop) => this.#round(stop));
      } catch (error) {
        if (!signal.aborted) {
          this.#log.warn({ reason: messageOf(error) }, 'settlement did not succeed; it is tried again');
        }
      }
      try {
        await delay(this.#policy.pollMillis, undefined, { signal, ref: false });
      } catch {
        return;
      }
    }
  }

  /** Unasked: what the last run left, then what is worth it. */
  async #round(stop: AbortSignal): Promise<void> {
    await this.#delivery.recover(stop);
    const now = this.#clock.now();
    const due: Candidate[] = [];
    let value = 0n;
    let pressing = false;
    for (const candidate of await this.#candidates(stop)) {
      const { id, closeAt } = candidate.channel;
      const since = this.#since.get(id) ?? now;
      this.#since.set(id, since);
      const urgent = closeAt !== undefined || now - since >= this.#policy.maxAgeMillis;
      if (!urgent && increaseOf(candidate) < this.#policy.threshold / COMPANY_PARTS) continue;
      due.push(candidate);
      value += increaseOf(candidate);
      pressing ||= urgent;
    }
    if (pressing || value >= this.#policy.threshold) await this.#settle(stop, due);
  }

  /** What could be settled now, by what the till shows. */
  async #candidates(stop: AbortSignal): Promise<readonly Candidate[]> {
    const till = await this.#patience.retried(stop, () => this.#reader.till(this.#wallet.address));
    const candidates: Candidate[] = [];
    for (const read of till?.channels ?? []) {
      this.#onChannel(read);
      const entry = this.#store.entry(read.id);
      if (entry?.role !== 'payee' || entry.latest === undefined) continue;
      const { latest: receipt, channel } = entry;
      const waits = receipt.amount > channel.settled && receipt.amount <= channel.deposit;
      if (waits && this.#refused.get(channel.id) !== receipt.amount) candidates.push({ channel, receipt });
      else this.#since.delete(channel.id);
    }
    return candidates;
  }

  async #settle(stop: AbortSignal, candidates: readonly Candidate[]): Promise<readonly Settlement[]> {
    const done: Settlement[] = [];
    const refusals: string[] = [];
    let expiries = 0;
    const fit: Fit = (receipts, names) => this.#wallet.receiptsThatFit(receipts, names);
    const todo = planBatches(candidates, await this.#payable(stop, candidates.length), fit).toReversed();
    for (let batch = todo.pop(); batch !== undefined; batch = todo.pop()) {
      const outcome = await this.#delivery.deliver(stop, batch);
      if (outcome.state === 'booked') {
        done.push(outcome.settlement);
        continue;
      }
      if (outcome.state === 'expired') {
        expiries += 1;
        await this.#patience.pause(
          stop,
          expiries,
          new RelaymintError('TIMEOUT', 'Settlements expire before the ledger takes them.', {
            remedy: 'The receipts are kept and tried again later.',
          }),
        );
        todo.push(batch);
        continue;
      }
      // One bad part must not keep the rest: half of the receipts at a time, the last of them without the names.
      const { candidates: parts, shares } = batch;
      const [first] = parts;
      this.#log.warn(
        { receipts: parts.length, names: shares.length, reason: outcome.reason },
        'a settlement was refused',
      );
      if (parts.length > 1) todo.push(...splitBatch(batch));
      else if (shares.length > 0) todo.push({ ...batch, shares: [] });
      else if (first !== undefined) {
        this.#refused.set(first.channel.id, first.receipt.amount);
        refusals.push(`channel ${first.channel.id}: ${outcome.reason}`);
      }
    }
    if (done.length > 0) await this.#candidates(stop);
    if (refusals.length > 0) {
      throw new RelaymintError('LEDGER_REJECTED', `The ledger refused to settle ${refusals.join('; ')}.`, {
        remedy: 'The receipts are kept; they are tried again when a newer one comes.',
        details: { settled: done.length, refused: refusals.length },
      });
    }
    return done;
  }

  /** What each name may be paid: whole base units, names that the ledger knows. */
  async #payable(stop: AbortSignal, receipts: number): Promise<ReadonlyMap<string, bigint>> {
    const payable = new Map<string, bigint>();
    if (receipts === 0) return payable;
    for (const [name, numerator] of this.#store.shares) {
      const gross = numerator >> NUMERATOR_BITS;
      if (gross === 0n) continue;
      const known = await this.#patience.retried(stop, () => this.#reader.name(name));
      if (known !== undefined) payable.set(name, gross);
    }
    return payable;
  }

  /** One piece of work at a time. */
  #exclusive<T>(signal: AbortSignal | undefined, work: (stop: AbortSignal) => Promise<T>): Promise<T> {
    const stop = signal === undefined ? this.#stop.signal : AbortSignal.any([this.#stop.signal, signal]);
    const next = this.#tail.then(async () => {
      try {
        stop.throwIfAborted();
        return await work(stop);
      } catch (error) {
        if (!stop.aborted || isRelaymintError(error)) throw error;
        throw new RelaymintError(this.#stop.signal.aborted ? 'CLOSED' : 'ABORTED', 'Settlement was interrupted.', {
          remedy: 'Nothing is lost: what was under way is taken up at the next attempt.',
          cause: error,
        });
      }
    });
    this.#tail = next.catch(() => {});
    return next;
  }
}
