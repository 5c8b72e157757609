/**
 * What one payer may cost us, over all its links. What we may have to pay onward for it is never more than its window covers: a
 * relay promises before it grants onward, and settles when the bytes have gone on to the payer, or were given back. What we burn
 * on chain for its circuits, to open channels to their next hops, is within its allowance: a multiple of what it burned itself to
 * open its channel to us, less what was burned for it already and what we kept of its circuits did not make good.
 *
 * What is promised is counted at the price that the payer pays us, so that all that comes fits the window and can go on.
 * All figures but allowances are numerators: bytes x price.
 */
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import { RelaymintError } from '../../core/errors.ts';
import { ALLOWANCE_OF_BURNED } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import { NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import type { AccountBook, EarningAccount } from '../../ledger/accounting/index.ts';

export interface Sponsor {
  /** What may still be promised for this payer. */
  readonly room: bigint;
  /** What it may come to owe for what is granted onward. */
  promise(numerator: bigint): void;
  /** This much of it went on to the payer, which owes it now, or will not come. */
  settle(numerator: bigint): void;
  /** This much was paid onward and not paid back: the payer owes it from now on. `settle` follows. */
  lose(numerator: bigint): void;
  /** What may still be burned on chain for this payer's circuits, base units. */
  readonly allowance: bigint;
  /**
   * Takes this much off the allowance at once; resolves once that is on disk. Only then may it be burned.
   * @throws RelaymintError ALLOWANCE_EXHAUSTED, STORAGE_FULL, STORAGE_FAILED: nothing was taken.
   */
  advance(cost: Amount): Promise<Advance>;
  /** Adds what we kept of this payer's circuits: what it pays us less what we pay onward. */
  keep(numerator: bigint): void;
}

export interface Advance {
  /** Gives it back, when certainly nothing was burned. Once. */
  giveBack(): void;
  /** It went into this channel of ours: it is made good once the payee returns what was staked. */
  wentInto(channel: ChannelId): void;
}

/** Without metering there is nothing to bound. */
export const UNLIMITED: bigint = 1n << 128n;

export const freeSponsor: Sponsor = {
  room: UNLIMITED,
  promise() {},
  settle() {},
  lose() {},
  allowance: UNLIMITED,
  advance: () => Promise.resolve({ giveBack() {}, wentInto() {} }),
  keep() {},
};

export function allowanceExhausted(cost: bigint, allowance: bigint): RelaymintError {
  return new RelaymintError(
    'ALLOWANCE_EXHAUSTED',
    `A channel costs ${cost} base units, and ${allowance} may still be burned for this payer.`,
    {
      remedy: 'Choose a path whose neighbours already have channels.',
      details: { cost: String(cost), left: String(allowance) },
    },
  );
}

/** What was burned for each payer, in the books. */
type Advances = Pick<AccountBook, 'advancedTo' | 'advance' | 'recoup' | 'openedFor' | 'isPromised'>;

export class WalletSponsor implements Sponsor {
  readonly #advances: Advances;
  readonly #onKept: (units: bigint) => void;
  #promised = 0n;
  /** Kept with the current channel, and not yet taken off what was burned. */
  #kept = 0n;
  /** The payer's newest account. */
  #account: EarningAccount;

  constructor(account: EarningAccount, advances: Advances, onKept: (units: bigint) => void) {
    this.#account = account;
    this.#advances = advances;
    this.#onKept = onKept;
  }

  get room(): bigint {
    const room = this.#account.mayGrant - this.#promised;
    return room > 0n ? room : 0n;
  }

  /** More is promised than what was staked for the channel of a live link covers. */
  get isBeyondStake(): boolean {
    const { closed, window } = this.#account;
    return this.#promised > (closed ? 0n : window << NUMERATOR_BITS);
  }

  get idle(): boolean {
    return this.#promised === 0n && this.#account.closed;
  }

  use(account: EarningAccount): void {
    if (account.channel.id !== this.#account.channel.id) this.#kept = 0n;
    // It counts on one account, as `mayGrant` does: what each of a wallet's channels may take is what was burned for it.
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

  /** Nothing once its link has ended: what it staked may have been returned since. */
  get allowance(): bigint {
    if (this.#account.closed) return 0n;
    const { payer, opening } = this.#account.channel;
    const left = ALLOWANCE_OF_BURNED * opening - this.#advances.advancedTo(payer);
    return left > 0n ? left : 0n;
  }

  async advance(cost: Amount): Promise<Advance> {
    const { payer } = this.#account.channel;
    if (cost > this.allowance) throw allowanceExhausted(cost, this.allowance);
    await this.#advances.advance(payer, cost);
    return {
      giveBack: () => this.#advances.recoup(payer, cost),
      wentInto: (channel) => this.#advances.openedFor(channel, payer, cost),
    };
  }

  /**
   * A payer may leave unpaid as much as it burned for the channel, over all its links: what we kept up to there may be on paper
   * only, and is held back. What is beyond makes good what was burned for the payer.
   */
  keep(numerator: bigint): void {
    this.#kept += numerator;
    const { payer, opening } = this.#account.channel;
    const beyond = (this.#kept >> NUMERATOR_BITS) - opening;
    if (beyond <= 0n) return;
    this.#kept -= beyond << NUMERATOR_BITS;
    this.#onKept(beyond);
    const advanced = this.#advances.advancedTo(payer);
    if (advanced > 0n) this.#advances.recoup(payer, amount(beyond < advanced ? beyond : advanced));
  }
}

/** One sponsor for each payer that has an account open, or for which something is still promised. */
export class Sponsors {
  /** Kept of what all payers paid, and certainly paid: base units. */
  kept = 0n;
  readonly #byWallet = new Map<LedgerAddress, WalletSponsor>();
  readonly #advances: Advances;

  constructor(advances: Advances) {
    this.#advances = advances;
    advances.isPromised = (payer) => this.#byWallet.get(payer)?.isBeyondStake === true;
  }

  /** `account` is the payer's newest. */
  of(payer: LedgerAddress, account: EarningAccount): WalletSponsor {
    const known = this.#byWallet.get(payer);
    if (known !== undefined) {
      known.use(account);
      return known;
    }
    // A payer whose last account is closed and for which nothing is promised can be forgotten.
    for (const [wallet, sponsor] of this.#byWallet) if (sponsor.idle) this.#byWallet.delete(wallet);
    const sponsor = new WalletSponsor(account, this.#advances, (units) => {
      this.kept += units;
    });
    this.#byWallet.set(payer, sponsor);
    return sponsor;
  }
}
