/**
 * What we may have to pay onward for one payer, over all its links: never more than its window covers. A relay promises
 * before it grants onward, and settles when the bytes have gone on to the payer, or were given back.
 *
 * What is promised is reckoned at the price that the payer pays us, so that what comes can go on: all of it fits the window.
 * All figures are numerators: bytes x price.
 */
import type { LedgerAddress } from '../../core/ids.ts';
import type { EarningAccount } from '../../ledger/accounting/index.ts';

export interface Sponsor {
  /** What may still be promised for this payer. */
  readonly room: bigint;
  /** So much it may come to owe for what is granted onward. */
  promise(numerator: bigint): void;
  /** So much of it went on to the payer, which owes it now, or will not come. */
  settle(numerator: bigint): void;
  /** So much was paid onward in vain: the payer owes it from now on. `settle` follows. */
  lose(numerator: bigint): void;
}

/** Whoever meters nothing promises as it likes. */
export const UNLIMITED: bigint = 1n << 128n;

export const freeSponsor: Sponsor = {
  room: UNLIMITED,
  promise() {},
  settle() {},
  lose() {},
};

export class WalletSponsor implements Sponsor {
  #promised = 0n;
  /** The payer's newest account. */
  #account: EarningAccount;

  constructor(account: EarningAccount) {
    this.#account = account;
  }

  get room(): bigint {
    const room = this.#account.covers - this.#promised;
    return room > 0n ? room : 0n;
  }

  get idle(): boolean {
    return this.#promised === 0n && this.#account.closed;
  }

  use(account: EarningAccount): void {
    // It counts on one account, as `covers` does: what each of a wallet's channels may take is what was burned for it.
    this.#account.promised(0n);
    this.#account = account;
    account.promised(this.#promised);
  }

  promise(numerator: bigint): void {
    this.#promised += numerator;
    this.#account.promised(this.#promised);
  }

  settle(numerator: bigint): void {
    this.#promised -= numerator;
    this.#account.promised(this.#promised);
  }

  lose(numerator: bigint): void {
    this.#account.lose(numerator);
  }
}

/** One sponsor for each payer that has an account open, or for which something is still promised. */
export class Sponsors {
  readonly #byWallet = new Map<LedgerAddress, WalletSponsor>();

  /** `account` is the payer's newest. */
  of(payer: LedgerAddress, account: EarningAccount): WalletSponsor {
    const known = this.#byWallet.get(payer);
    if (known !== undefined) {
      known.use(account);
      return known;
    }
    // A payer whose last account is closed and for which nothing is promised is like one that never came.
    for (const [wallet, sponsor] of this.#byWallet) if (sponsor.idle) this.#byWallet.delete(wallet);
    const sponsor = new WalletSponsor(account);
    this.#byWallet.set(payer, sponsor);
    return sponsor;
  }
}
