/** Brings a transaction that is on record onto the chain, or finds out that it can no longer get there. */
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { BookStore } from '../accounting/index.ts';
import type { LedgerWallet, PreparedTransaction, SubmissionStatus } from '../contract.ts';
import type { Patience } from './patience.ts';
import { isRefusal, isVerdict } from './refusal.ts';

export type Outcome<Done> =
  | { readonly state: 'booked'; readonly done: Done }
  /** The ledger said no: something in it is wrong. `final`: by the program's or the chain's own word, not a node's alone. */
  | { readonly state: 'refused'; readonly reason: string; readonly final: boolean }
  /** The chain never took it up, and no longer can. */
  | { readonly state: 'expired' };

export type Confirmed = Extract<SubmissionStatus, { readonly state: 'confirmed' }>;

/** A transaction on record, and what is to be done when it has got there. */
export interface Recorded<Done> {
  readonly transaction: PreparedTransaction;
  /** It is on chain for good: takes it off the record. */
  readonly book: (confirmed: Confirmed) => Promise<Done>;
  /** The ledger does not know it and will not take it any more: takes it off the record. */
  readonly expire: (stop: AbortSignal) => Promise<Outcome<Done>>;
}

export interface CarrierParts {
  readonly store: Pick<BookStore, 'saveSettlement'>;
  readonly wallet: Pick<LedgerWallet, 'submit' | 'confirm' | 'status'>;
  readonly patience: Patience;
}

export class Carrier {
  readonly #parts: CarrierParts;

  constructor(parts: CarrierParts) {
    this.#parts = parts;
  }

  /**
   * Sends what was just recorded, and follows it.
   * @throws RelaymintError INSUFFICIENT_FUNDS and any other error that says nothing about what is in it; LEDGER_UNREACHABLE, ABORTED
   * and CLOSED leave it on record.
   */
  send<Done>(stop: AbortSignal, recorded: Recorded<Done>): Promise<Outcome<Done>> {
    return this.#finish(stop, recorded, false);
  }

  /** What an earlier run, or an attempt that gave up, left on record. Errors as `send`. */
  async resume<Done>(stop: AbortSignal, recorded: Recorded<Done>): Promise<Outcome<Done>> {
    const { transaction } = recorded;
    const status = await this.#status(stop, transaction);
    if (status.state === 'pending') return this.#finish(stop, recorded, true);
    return this.#ended(stop, recorded, status);
  }

  async #finish<Done>(stop: AbortSignal, recorded: Recorded<Done>, sentBefore: boolean): Promise<Outcome<Done>> {
    const { wallet, patience } = this.#parts;
    const { transaction } = recorded;
    let maybeSent = sentBefore;
    for (let attempt = 0; ; attempt += 1) {
      assertNotAborted(stop, 'Settling');
      try {
        await this.#submit(stop, transaction);
        maybeSent = true;
      } catch (error) {
        if (isRelaymintError(error, 'LEDGER_UNREACHABLE')) {
          // The request may have arrived and only the answer been lost.
          maybeSent = true;
          await patience.pause(stop, attempt, error);
          continue;
        }
        if (!isRelaymintError(error)) throw error;
        const status = await this.#status(stop, transaction);
        if (status.state === 'confirmed') return this.#ended(stop, recorded, status);
        if (!maybeSent) {
          const dropped = await this.#drop(transaction, error.message, isVerdict(error));
          if (!isRefusal(error)) throw error;
          return dropped;
        }
        // It may be on its way all the same: only the chain's own word, or its expiry, settles that.
      }
      const status = await patience.retried(stop, () => wallet.confirm(transaction, stop));
      if (status.state !== 'pending') return this.#ended(stop, recorded, status);
      await patience.pause(stop, attempt, new RelaymintError('TIMEOUT', 'The settlement is still pending.'));
    }
  }

  /** Nobody waits for the answer of a ledger that hangs: what was sent stays on record. */
  async #submit(stop: AbortSignal, transaction: PreparedTransaction): Promise<void> {
    const sending = this.#parts.wallet.submit(transaction);
    try {
      await orAborted(sending, stop, 'Settling');
    } catch (error) {
      // What went wrong at the same time says more than that the caller left.
      await Promise.race([sending, new Promise(setImmediate)]);
      throw error;
    }
  }

  async #ended<Done>(
    stop: AbortSignal,
    recorded: Recorded<Done>,
    status: Exclude<SubmissionStatus, { readonly state: 'pending' }>,
  ): Promise<Outcome<Done>> {
    if (status.state === 'confirmed') return { state: 'booked', done: await recorded.book(status) };
    if (status.state === 'failed') return this.#drop(recorded.transaction, status.reason, true);
    return recorded.expire(stop);
  }

  #status(stop: AbortSignal, transaction: PreparedTransaction): Promise<SubmissionStatus> {
    return this.#parts.patience.retried(stop, () => this.#parts.wallet.status(transaction));
  }

  async #drop(
    { signature }: PreparedTransaction,
    reason: string,
    final: boolean,
  ): Promise<Extract<Outcome<never>, { readonly state: 'refused' }>> {
    await this.#parts.store.saveSettlement(signature, undefined);
    return { state: 'refused', reason, final };
  }
}
