/** Brings planned batches onto the chain, several at once; one that is refused is looked at and taken apart. */
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import type { LedgerReader, LedgerWallet } from '../contract.ts';
import type { Outcome } from './carrier.ts';
import type { Settlement } from './contract.ts';
import type { Delivery } from './delivery.ts';
import type { Patience } from './patience.ts';
import { planBatches, refitBatch, splitBatch } from './plan.ts';
import type { Batch, Candidate, Fit } from './plan.ts';

/** Transactions under way at once: waiting until one is final takes 13 s on a cluster, and the next need not wait for it. */
const UNDER_WAY = 8;

/** A receipt that the ledger refuses even by itself. */
export interface Refusal {
  readonly candidate: Candidate;
  readonly reason: string;
  /** Trying again would bring the same answer. */
  readonly final: boolean;
}

export interface Dispatched {
  /** In the order of the batches. */
  readonly settlements: readonly Settlement[];
  /** What these settlements settled. */
  readonly settled: readonly Candidate[];
  readonly refusals: readonly Refusal[];
}

export interface DispatchParts {
  readonly delivery: Pick<Delivery, 'deliver'>;
  readonly wallet: Pick<LedgerWallet, 'address' | 'receiptsThatFit'>;
  readonly reader: Pick<LedgerReader, 'till'>;
  readonly patience: Patience;
  readonly log: Log;
}

export class Dispatch {
  readonly #parts: DispatchParts;
  readonly #fit: Fit = (receipts, shares) => this.#parts.wallet.receiptsThatFit(receipts, shares);

  constructor(parts: DispatchParts) {
    this.#parts = parts;
  }

  /**
   * The batches must have no channel in common. `accept` has the last word on each part that one is taken into: what is left
   * out stays unsettled. Resolves when all that could be done is done.
   * @throws what the first batch failed with that was neither settled nor refused; the others were brought to their end.
   */
  async all(stop: AbortSignal, batches: readonly Batch[], accept: (batch: Batch) => boolean): Promise<Dispatched> {
    const results = batches.map((): Dispatched => ({ settlements: [], settled: [], refusals: [] }));
    const queue = Array.from(batches.entries());
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [index, batch] = next;
        results[index] = await this.#one(stop, batch, accept);
      }
    };
    const workers = Array.from({ length: Math.min(UNDER_WAY, batches.length) }, work);
    for (const ended of await Promise.allSettled(workers)) if (ended.status === 'rejected') throw ended.reason;
    return {
      settlements: results.flatMap(({ settlements }) => settlements),
      settled: results.flatMap(({ settled }) => settled),
      refusals: results.flatMap(({ refusals }) => refusals),
    };
  }

  async #one(stop: AbortSignal, planned: Batch, accept: (batch: Batch) => boolean): Promise<Dispatched> {
    const { log } = this.#parts;
    const settlements: Settlement[] = [];
    const settled: Candidate[] = [];
    const refusals: Refusal[] = [];
    let expiries = 0;
    const todo = [planned];
    for (let batch = todo.pop(); batch !== undefined; batch = todo.pop()) {
      const outcome = await this.#delivered(stop, batch);
      if ('parts' in outcome) {
        todo.push(...outcome.parts.filter(accept));
        continue;
      }
      if (outcome.state === 'booked') {
        settlements.push(outcome.done);
        settled.push(...batch.candidates);
        continue;
      }
      if (outcome.state === 'expired') {
        expiries += 1;
        await this.#parts.patience.pause(stop, expiries, expiring());
        todo.push(batch);
        continue;
      }
      const left = await this.#stillOpen(stop, batch);
      if (left !== undefined) {
        todo.push(...planBatches(left, batch.shares, this.#fit).filter(accept));
        continue;
      }
      // Perhaps it was only too long: then it is tried again in parts that are not.
      const fitting = refitBatch(batch, this.#fit);
      if (fitting !== undefined) {
        todo.push(...fitting.filter(accept));
        continue;
      }
      // One bad part must not keep the rest: half of the receipts at a time, the last of them without the names.
      const { candidates: parts, shares } = batch;
      const [first] = parts;
      const { reason, final } = outcome;
      log.warn({ receipts: parts.length, names: shares.length, reason }, 'a settlement was refused');
      if (parts.length > 1) todo.push(...splitBatch(batch).filter(accept));
      else if (shares.length > 0) todo.push({ ...batch, shares: [] });
      else if (first !== undefined) refusals.push({ candidate: first, reason, final });
    }
    return { settlements, settled, refusals };
  }

  /**
   * How long a transaction may be shows when one was refused or expired, perhaps one of another batch and just now: a batch
   * that does not fit any more comes back in parts that do, and nothing of it was sent.
   */
  async #delivered(
    stop: AbortSignal,
    batch: Batch,
  ): Promise<Outcome<Settlement> | { readonly parts: readonly Batch[] }> {
    const before = refitBatch(batch, this.#fit);
    if (before !== undefined) return { parts: before };
    try {
      return await this.#parts.delivery.deliver(stop, batch);
    } catch (error) {
      const parts = isRelaymintError(error, 'LIMIT_EXCEEDED') ? refitBatch(batch, this.#fit) : undefined;
      if (parts === undefined) throw error;
      return { parts };
    }
  }

  /**
   * What the till would still take of a batch that was refused; undefined when it shows nothing that explains it. A
   * channel may have been closed, or settled by a watchtower, since the batch was planned.
   */
  async #stillOpen(stop: AbortSignal, batch: Batch): Promise<readonly Candidate[] | undefined> {
    const { patience, reader, wallet } = this.#parts;
    const till = await patience.retried(stop, () => reader.till(wallet.address));
    const open = new Map(till?.channels.map((channel) => [channel.id, channel]));
    let changed = false;
    const left: Candidate[] = [];
    for (const { channel: planned, receipt } of batch.candidates) {
      const channel = open.get(planned.id);
      changed ||= channel?.settled !== planned.settled;
      if (channel !== undefined && channel.settled < receipt.amount) left.push({ channel, receipt });
    }
    return changed ? left : undefined;
  }
}

function expiring(): RelaymintError {
  return new RelaymintError('TIMEOUT', 'Settlements expire before the ledger accepts them.', {
    remedy: 'The receipts are kept and settled later.',
  });
}
