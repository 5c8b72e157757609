/** Mints what the till earned to its owner: recorded before it is sent, so that its line in the journal outlives the process. */
import { RelaymintError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Amount } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import type { LedgerWallet } from '../contract.ts';
import type { Carrier, Confirmed, Recorded } from './carrier.ts';
import type { Withdrawal } from './contract.ts';
import { feeOf, type SettlementJournal } from './history.ts';
import type { Patience } from './patience.ts';
import { encodeRecord, isWithdrawal, recordsIn, type SettlementRecord } from './record.ts';

/** Transactions that expire before it is given up: meanwhile nothing is settled. */
const MOST_EXPIRIES = 3;

export interface WithdrawalParts {
  readonly store: BookStore;
  readonly wallet: Pick<LedgerWallet, 'prepareWithdraw'>;
  readonly carrier: Carrier;
  readonly patience: Patience;
  /** Told of each withdrawal before it leaves the record. Optional. */
  readonly journal: SettlementJournal | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export class Withdrawals {
  readonly #parts: WithdrawalParts;

  constructor(parts: WithdrawalParts) {
    this.#parts = parts;
  }

  /** `earned`: what the till holds. @throws LEDGER_REJECTED, TIMEOUT when the ledger lets it expire; errors as `Carrier.send`. */
  async withdraw(stop: AbortSignal, earned: Amount): Promise<Withdrawal> {
    const { store, wallet, carrier, patience } = this.#parts;
    for (let expiries = 0; ;) {
      const transaction = await patience.retried(stop, () => wallet.prepareWithdraw(earned));
      const record: SettlementRecord = { transaction, items: [], before: [], shares: [], increase: earned };
      await store.saveSettlement(transaction.signature, encodeRecord(record));
      const outcome = await carrier.send(stop, this.#recorded(record));
      if (outcome.state === 'booked') return outcome.done;
      if (outcome.state === 'refused') {
        throw new RelaymintError('LEDGER_REJECTED', `The ledger refused the withdrawal: ${outcome.reason}`, {
          remedy: 'What the till earned stays in it.',
        });
      }
      expiries += 1;
      if (expiries === MOST_EXPIRIES) throw expiring();
      await patience.pause(stop, expiries - 1, expiring());
    }
  }

  /** What an earlier run, or an attempt that gave up, left unfinished. */
  async recover(stop: AbortSignal): Promise<void> {
    for (const record of recordsIn(this.#parts.store)) {
      if (!isWithdrawal(record)) continue;
      const outcome = await this.#parts.carrier.resume(stop, this.#recorded(record));
      if (outcome.state === 'booked') continue;
      const { signature } = record.transaction;
      this.#parts.log.info({ signature }, 'an unfinished withdrawal had no effect, or the ledger has forgotten it');
    }
  }

  #recorded(record: SettlementRecord): Recorded<Withdrawal> {
    const { transaction } = record;
    return {
      transaction,
      book: (confirmed) => this.#book(record, confirmed),
      expire: async () => {
        await this.#parts.store.saveSettlement(transaction.signature, undefined);
        return { state: 'expired' };
      },
    };
  }

  async #book({ transaction, increase }: SettlementRecord, { result, withdrawn }: Confirmed): Promise<Withdrawal> {
    const { store, journal, clock, log } = this.#parts;
    // Somebody may have settled for the till meanwhile: what the transaction itself tells is the truth.
    const amount = withdrawn ?? increase;
    const { signature } = result;
    if (amount > 0n) {
      await journal?.add([{ kind: 'withdrawal', at: clock.now(), amount, signature, feeLamports: feeOf(result) }]);
    }
    await store.saveSettlement(transaction.signature, undefined);
    const message =
      amount > 0n ? 'withdrew what the till had earned' : 'found nothing to withdraw: somebody was before us';
    log.info({ signature, amount: String(amount) }, message);
    return { ...result, amount };
  }
}

function expiring(): RelaymintError {
  return new RelaymintError('TIMEOUT', 'The withdrawal expires before the ledger accepts it.', {
    remedy: 'What the till earned stays in it. Try again when the ledger is less busy.',
  });
}
