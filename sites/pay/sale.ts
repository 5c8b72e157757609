/** Sells quotas of bytes for payments that visitors sign (x402 v2, scheme `exact`). Each offer is paid once at most. */
import { setMaxListeners } from 'node:events';
import { encodePaymentRequiredHeader, encodePaymentResponseHeader } from '@x402/core/http';
import type { PaymentRequired, SettleResponse } from '@x402/core/types';
import { deadline, orAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import {
  MAX_FAILED_PAYMENTS_PER_HOUR,
  MAX_FAILED_PAYMENTS_PER_PAYER,
  MAX_PAYMENTS_AT_ONCE,
  OFFER_MILLIS,
  PAYMENT_WAIT_MILLIS,
  QUOTA_MILLIS,
} from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { CheckedPayment, LedgerCashier, PaymentTerms, PreparedTransaction } from '../../ledger/contract.ts';
import type { Paid, Quota, QuotaSale, Required402, SaleTerms } from './contract.ts';
import { Offers, tokenHash, type ShownOffer } from './offers.ts';
import { invalidPayment, readPayment } from './payment.ts';
import { Purchases, type Purchase } from './purchases.ts';

const HOUR_MILLIS = 3_600_000;

export interface SaleOptions {
  readonly cashier: Pick<LedgerCashier, 'check' | 'land'>;
  readonly terms: SaleTerms;
  /** Secret, OFFER_KEY_BYTES, kept over restarts: tokens follow from it. */
  readonly key: Uint8Array;
  /** Where purchases are kept. */
  readonly directory: string;
  /** Sites that are shown for nothing. */
  readonly free: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** How long a visitor waits for the chain. Default PAYMENT_WAIT_MILLIS. */
  readonly waitMillis?: number;
}

/** A payment that waits for the chain. */
interface Landing {
  readonly over: Promise<void>;
  /** Another one of its payer waits for it. */
  isAwaited: boolean;
}

/** A payment that had looked good, and came to nothing. */
interface Failure {
  readonly at: number;
  readonly payer: string;
  /** It failed on chain, so that its fee was ours; it expired otherwise. */
  readonly isCharged: boolean;
}

export class Sale implements QuotaSale, AsyncDisposable {
  readonly terms: SaleTerms;
  readonly #cashier: SaleOptions['cashier'];
  readonly #offers: Offers;
  readonly #purchases: Purchases;
  readonly #free: ReadonlySet<string>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #waitMillis: number;
  /** By memo: payments that are looked at, or wait for the chain. */
  readonly #underWay = new Map<string, Promise<Purchase>>();
  /** Of these, how many wait for another one of their payer. */
  #waiting = 0;
  /** Payers of whom a payment waits for the chain: the next one is looked at when what is left of their tokens is known. */
  readonly #payers = new Map<LedgerAddress, Landing>();
  /** Of the last hour. */
  #failures: Failure[] = [];
  readonly #closing = new AbortController();

  private constructor(options: SaleOptions, purchases: Purchases) {
    this.terms = options.terms;
    this.#cashier = options.cashier;
    this.#offers = new Offers(options.key, options.terms);
    this.#purchases = purchases;
    this.#free = new Set(options.free);
    this.#clock = options.clock;
    this.#log = options.log;
    this.#waitMillis = options.waitMillis ?? PAYMENT_WAIT_MILLIS;
    // Every payment that is looked at or waited for hears it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** @throws RelaymintError FILE_IN_USE, STORAGE_FAILED, STORAGE_FULL. */
  static async open(options: SaleOptions): Promise<Sale> {
    return new Sale(options, await Purchases.open(options.directory, options));
  }

  isFree(site: string): boolean {
    return this.#free.has(site);
  }

  required(site: string, url: string, error?: string): Required402 {
    const { network, payTo, feePayer, quotaBytes, prices } = this.terms;
    const now = this.#clock.now();
    const body: PaymentRequired = {
      x402Version: 2,
      ...(error !== undefined && { error }),
      resource: { url, description: `${quotaBytes} bytes of ${site}, in any requests and ranges` },
      accepts: prices.map((price) => {
        const { text: offer, memo } = this.#offers.make(site, price, now);
        return {
          scheme: 'exact',
          network: network as `${string}:${string}`,
          asset: price.mint,
          amount: price.amount.toString(),
          payTo,
          maxTimeoutSeconds: OFFER_MILLIS / 1000,
          // The memo stands on chain, the offer does not: who only reads the chain cannot show the payment.
          extra: { feePayer, memo, offer, quotaBytes },
        };
      }),
    };
    return { header: encodePaymentRequiredHeader(body), body };
  }

  quotaOf(site: string, token: string): Quota | undefined {
    const hash = tokenHash(token);
    const purchase = hash === undefined ? undefined : this.#purchases.find(hash);
    if (purchase === undefined || !purchase.record.isPaid || purchase.record.site !== site) return undefined;
    return purchase.left > 0 && !this.#purchases.isOver(purchase) ? purchase : undefined;
  }

  async pay(site: string, header: string): Promise<Paid> {
    const { offer, transaction } = readPayment(header);
    const shown = this.#offers.read(site, offer);
    if (shown === undefined) throw invalidPayment('It answers no offer of this gateway.');
    const purchase = await this.#waited(this.#bought(site, shown, transaction));
    const { signature, payer, amount } = purchase.record;
    const response: SettleResponse = {
      success: true,
      transaction: signature,
      network: this.terms.network as `${string}:${string}`,
      payer,
      amount,
    };
    return { quota: purchase, token: shown.token, response: encodePaymentResponseHeader(response) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new RelaymintError('CLOSED', 'The gateway is stopping.', { remedy: 'Try again in a moment.' }));
    await Promise.allSettled(this.#underWay.values());
    await this.#purchases[Symbol.asyncDispose]();
  }

  /** The purchase by this offer; made now if there is none. What is under way goes on when its visitors leave. */
  #bought(site: string, shown: ShownOffer, transaction: string): Promise<Purchase> {
    const { memo } = shown;
    const underWay = this.#underWay.get(memo);
    if (underWay !== undefined) return underWay;
    const known = this.#purchases.get(memo);
    if (known !== undefined && known.record.site !== site) throw notForThis();
    if (known !== undefined && this.#purchases.isOver(known)) throw invalidPayment('What it paid for has expired.');
    if (known?.record.isPaid === true) return Promise.resolve(known);
    this.#ensureOpen();
    const buying = (known === undefined ? this.#buy(site, shown, transaction) : this.#resume(known)).finally(() =>
      this.#underWay.delete(memo),
    );
    this.#underWay.set(memo, buying);
    return buying;
  }

  async #buy(site: string, shown: ShownOffer, transaction: string): Promise<Purchase> {
    const { memo, price, token } = shown;
    if (price === undefined) throw notForThis();
    if (shown.expires < this.#clock.now()) throw invalidPayment('The offer that it answers has expired.');
    const { mint, amount } = price;
    const terms: PaymentTerms = { mint, amount, payTo: this.terms.payTo, memo };
    let checked = await this.#checked(transaction, terms);
    const { payer } = checked;
    this.#ensureReliable(payer);
    const before = this.#payers.get(payer);
    if (before !== undefined) {
      await this.#after(before);
      checked = await this.#checked(transaction, terms);
      this.#ensureReliable(payer);
      // Another one came first.
      if (this.#payers.has(payer)) throw full();
    }
    const landing = this.#record(site, token, memo, { checked, terms }).then((purchase) =>
      this.#land(purchase, checked.transaction),
    );
    const over = (): void => void this.#payers.delete(payer);
    this.#payers.set(payer, { over: landing.then(over, over), isAwaited: false });
    return landing;
  }

  /**
   * Waits for a payment of the same payer. One at most waits, and takes no place meanwhile: a wallet can sign any number of payments for
   * nothing. @throws RelaymintError LIMIT_EXCEEDED
   */
  async #after(before: Landing): Promise<void> {
    if (before.isAwaited) throw full();
    before.isAwaited = true;
    this.#waiting += 1;
    try {
      await before.over;
    } finally {
      this.#waiting -= 1;
    }
    this.#ensureOpen();
  }

  /** A gateway that stops does not wait for the ledger: nothing was sent yet. */
  #checked(transaction: string, terms: PaymentTerms): Promise<CheckedPayment> {
    return orAborted(this.#cashier.check(transaction, terms), this.#closing.signal, 'Looking at a payment');
  }

  /** Before it is sent. */
  async #record(
    site: string,
    token: string,
    memo: string,
    { checked, terms }: { readonly checked: CheckedPayment; readonly terms: PaymentTerms },
  ): Promise<Purchase> {
    const { payer, transaction } = checked;
    const hash = tokenHash(token);
    if (hash === undefined) throw new TypeError('a token that is none');
    return this.#purchases.add(memo, {
      version: 1,
      site,
      token: hash,
      mint: terms.mint,
      amount: terms.amount.toString(),
      payer,
      signature: transaction.signature,
      wire: Buffer.from(transaction.wire).toString('base64'),
      lastValidBlockHeight: transaction.lastValidBlockHeight.toString(),
      isPaid: false,
      bytes: this.terms.quotaBytes,
      sent: 0,
      // For as long as anybody may come back for it.
      until: this.#clock.now() + QUOTA_MILLIS,
    });
  }

  /** It was sent before: an earlier visit, or an earlier life of this process, did not see what became of it. */
  async #resume(purchase: Purchase): Promise<Purchase> {
    const { signature, wire = '', lastValidBlockHeight } = purchase.record;
    const transaction = {
      signature,
      wire: Buffer.from(wire, 'base64'),
      lastValidBlockHeight: BigInt(lastValidBlockHeight),
    };
    return this.#land(purchase, transaction);
  }

  /** Once it was sent, the purchase stays until the chain has said what became of it. */
  async #land(purchase: Purchase, transaction: PreparedTransaction): Promise<Purchase> {
    const state = await this.#cashier.land(transaction, this.#closing.signal);
    if (state.state === 'confirmed') {
      await this.#purchases.setPaid(purchase, this.#clock.now() + QUOTA_MILLIS);
      const { site, payer, amount, mint } = purchase.record;
      this.#log.info({ name: site, payer, amount, mint, signature: transaction.signature }, 'A quota was sold.');
      return purchase;
    }
    if (state.state === 'pending') throw onItsWay();
    await this.#purchases.remove(purchase);
    const [at, { payer }] = [this.#clock.now(), purchase.record];
    this.#failures.push({ at, payer, isCharged: state.state === 'failed' });
    if (state.state === 'expired') throw invalidPayment('The network let it expire: nothing was paid.');
    throw invalidPayment(`It failed on chain: ${state.reason}`);
  }

  async #waited(bought: Promise<Purchase>): Promise<Purchase> {
    // It goes on without whoever waits for it.
    bought.catch((error: unknown) => this.#log.debug({ err: error }, 'A payment was not taken.'));
    using limit = deadline(this.#waitMillis, 'The payment', this.#closing.signal);
    try {
      return await orAborted(bought, limit.signal, 'The payment');
    } catch (error) {
      throw error === limit.signal.reason && isRelaymintError(error, 'TIMEOUT') ? onItsWay(error) : error;
    }
  }

  /** @throws RelaymintError LIMIT_EXCEEDED */
  #ensureOpen(): void {
    const charged = this.#recentFailures().filter(({ isCharged }) => isCharged).length;
    const busy = this.#underWay.size - this.#waiting;
    if (busy >= MAX_PAYMENTS_AT_ONCE || charged >= MAX_FAILED_PAYMENTS_PER_HOUR) throw full();
  }

  /** @throws RelaymintError LIMIT_EXCEEDED */
  #ensureReliable(payer: string): void {
    const own = this.#recentFailures().filter((failure) => failure.payer === payer).length;
    if (own >= MAX_FAILED_PAYMENTS_PER_PAYER) throw full();
  }

  #recentFailures(): readonly Failure[] {
    const now = this.#clock.now();
    this.#failures = this.#failures.filter(({ at }) => at > now - HOUR_MILLIS && at <= now);
    return this.#failures;
  }
}

function full(): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', 'This gateway takes no further payment now.', {
    remedy: 'Show it again in a moment: it was not sent.',
  });
}

function notForThis(): RelaymintError {
  return invalidPayment('It answers an offer of another gateway, for another site, or at another price.');
}

function onItsWay(cause?: unknown): RelaymintError {
  return new RelaymintError('TIMEOUT', 'The payment is on its way, and the chain has not confirmed it yet.', {
    remedy: 'Show the same payment again in a moment: it counts then, and is not charged twice.',
    cause,
  });
}
