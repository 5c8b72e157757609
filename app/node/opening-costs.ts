/** What opening a channel costs and never brings back: the stake that the payee's till asks, and what the transaction costs. */
import { LRUCache } from 'lru-cache';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import { amount, type Amount } from '../../core/units.ts';
import type { LedgerReader, LedgerWallet, TillState } from '../../ledger/contract.ts';

export interface OpeningCostsOptions {
  readonly reader: Pick<LedgerReader, 'bank' | 'till'>;
  readonly wallet: Pick<LedgerWallet, 'settleFees'>;
  /** A clock that only goes forward, milliseconds. */
  readonly now: () => number;
}

/** How long a till's state is reused: from asking what a channel costs to opening it. */
const TILL_MILLIS = 5_000;
/** How long a transaction's cost is used before it is asked for again, and for how long at most while no answer comes. */
const FEE_MILLIS = 30_000;
const FEE_MILLIS_MAX = 86_400_000;

export class OpeningCosts {
  readonly #options: OpeningCostsOptions;
  readonly #tills = new LRUCache<LedgerAddress, Promise<TillState>>({ max: MAX_ACCOUNTS, ttl: TILL_MILLIS });
  /** What a transaction costs, base units. */
  #fee: { readonly units: bigint; readonly at: number } | undefined;
  #askingFee: Promise<bigint> | undefined;
  #unitsPerLamport: bigint | undefined;

  constructor(options: OpeningCostsOptions) {
    this.#options = options;
  }

  /** Base units. @throws RelaymintError CHANNEL_UNKNOWN (it has no till), LEDGER_UNREACHABLE. */
  async of(payee: LedgerAddress): Promise<Amount> {
    const [till, fee] = await Promise.all([this.tillOf(payee), this.transaction()]);
    return amount(till.opening + fee);
  }

  /** As it was a few seconds ago at most. @throws RelaymintError CHANNEL_UNKNOWN, LEDGER_UNREACHABLE. */
  tillOf(payee: LedgerAddress): Promise<TillState> {
    let reading = this.#tills.get(payee);
    if (reading === undefined) {
      reading = this.#readTill(payee);
      this.#tills.set(payee, reading);
      reading.catch(() => this.#tills.delete(payee));
    }
    return reading;
  }

  /** It has changed: the next caller reads it anew. */
  forgetTill(payee: LedgerAddress): void {
    this.#tills.delete(payee);
  }

  /** Of one transaction, base units. The last known figure is used while a new one is requested. @throws RelaymintError LEDGER_UNREACHABLE. */
  transaction(): Promise<bigint> {
    const age = this.#fee === undefined ? Infinity : this.#options.now() - this.#fee.at;
    if (age >= FEE_MILLIS && this.#askingFee === undefined) {
      this.#askingFee = this.#askFee().finally(() => {
        this.#askingFee = undefined;
      });
      // Those who wait for it get the error.
      this.#askingFee.catch(() => {});
    }
    return this.#fee === undefined || age >= FEE_MILLIS_MAX
      ? (this.#askingFee ?? this.#askFee())
      : Promise.resolve(this.#fee.units);
  }

  async #readTill(payee: LedgerAddress): Promise<TillState> {
    const till = await this.#options.reader.till(payee);
    if (till === undefined) throw noTill(payee);
    return till;
  }

  async #askFee(): Promise<bigint> {
    const { reader, wallet, now } = this.#options;
    const { fee, bid } = await wallet.settleFees();
    this.#unitsPerLamport ??= (await reader.bank()).unitsPerLamport;
    const units = (fee.first + bid.first) * this.#unitsPerLamport;
    this.#fee = { units, at: now() };
    return units;
  }
}

function noTill(payee: LedgerAddress): RelaymintError {
  return new RelaymintError('CHANNEL_UNKNOWN', `The wallet ${payee} has no till: nobody can pay it.`, {
    remedy: 'Use another node.',
  });
}
