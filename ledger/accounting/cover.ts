/** How much a payer may owe with its channel: what it paid, and the window beyond. */
import type { Amount } from '../../core/units.ts';
import type { ChannelState } from '../contract.ts';
import { NUMERATOR_BITS } from './tally.ts';
import { DEBT_PARTS, windowAfter } from './terms.ts';
import type { Terms } from './terms.ts';

/** What a payer may owe with its channel, once `paid` was paid in all and `madeGood` of its wallet's arrears was made good. */
export type WindowAt = (channel: ChannelState, paid: bigint, madeGood: bigint) => Amount;

/** Figures named `due` are all that was counted, a numerator. */
export class Cover {
  /** As the ledger showed it last. */
  channel: ChannelState;
  readonly #terms: Terms;
  readonly #windowAt: WindowAt;
  #window: bigint;
  /** What the newest synced receipt pays. */
  #open: bigint;
  /** Granted onward for this payer, a numerator. */
  #promised = 0n;
  /** Booked as arrears since this link began: that much less is granted, but the payer is not cut for what its terms allow. */
  #lost = 0n;
  /** Lost onward and not booked yet: less than a base unit, as a numerator. */
  #lostPart = 0n;

  /** `open`: what was paid when the link began. */
  constructor(channel: ChannelState, open: bigint, terms: Terms, windowAt: WindowAt) {
    this.channel = channel;
    this.#terms = terms;
    this.#windowAt = windowAt;
    this.#open = open;
    this.#window = this.#windowAfter(open);
  }

  /** Base units. */
  get window(): bigint {
    return this.#window;
  }

  /** Grants that much onward, a numerator. @returns how much more than before. */
  promise(numerator: bigint): bigint {
    const more = numerator - this.#promised;
    this.#promised = numerator;
    return more;
  }

  /** So much was paid onward for this payer in vain, a numerator. @returns the base units to be booked as arrears, which are granted no more. */
  lose(numerator: bigint): bigint {
    this.#lostPart += numerator;
    const units = this.#lostPart >> NUMERATOR_BITS;
    if (units <= 0n) return 0n;
    this.#lostPart -= units << NUMERATOR_BITS;
    this.#lost += units;
    return units;
  }

  /** A receipt that pays so much in all is synced. */
  paid(paid: bigint): void {
    if (paid > this.#open) this.#open = paid;
  }

  /** Arrears were made good by a receipt that pays so much in all. */
  madeGood(paid: bigint): void {
    this.#window = this.#windowAfter(paid);
  }

  /** Takes what the channel burned by now. @returns the window, if it is wider than before. */
  widen(): Amount | undefined {
    const window = this.#windowAt(this.channel, this.#open, 0n);
    if (window <= this.#window) return undefined;
    this.#window = window;
    // The wallet's arrears, which are taken off, hold it already.
    this.#lost = 0n;
    return window;
  }

  /** What may still be granted onward. */
  mayGrant(due: bigint): bigint {
    const room = this.#limit - (this.#window << NUMERATOR_BITS) / DEBT_PARTS - due;
    return room > 0n ? room : 0n;
  }

  /** The numerator that may be added before anything must be checked. */
  headroom(due: bigint): bigint {
    const limit = this.#limit - this.#promised;
    const downLimit = this.#downLimit;
    return (limit < downLimit ? limit : downLimit) - due;
  }

  /** All that was counted, and is granted onward, is within the window, and what was counted within the deposit. */
  allows(due: bigint): boolean {
    return due + this.#promised <= this.#limit && due < (this.channel.deposit + 1n) << NUMERATOR_BITS;
  }

  /** We may send down until so much is due. What comes from the hops behind us was promised: now it is owed instead. */
  allowsDown(due: bigint, own: boolean): boolean {
    const beside = own ? this.#promised : 0n;
    return due + beside <= this.#limit && due <= this.#downLimit;
  }

  nearsDeposit(due: bigint): boolean {
    return (due >> NUMERATOR_BITS) + 2n * this.#window > this.channel.deposit;
  }

  /** What may be owed on the newest synced receipt. */
  get #limit(): bigint {
    const window = this.#window > this.#lost ? this.#window - this.#lost : 0n;
    return (this.#open + window) << NUMERATOR_BITS;
  }

  /** The last window's worth of the deposit is left to frames that come up, so that what we send can always be paid. */
  get #downLimit(): bigint {
    return (this.channel.deposit - this.#window) << NUMERATOR_BITS;
  }

  /**
   * Both ends compute the same window from the same terms; a wallet that owes more than it burned gets no window beyond the rest. What was
   * lost since the terms is in the arrears, and taken off where more is granted: the payer does not know of it.
   */
  #windowAfter(paid: bigint): bigint {
    const [stated, own] = [windowAfter(this.#terms, paid), this.#windowAt(this.channel, paid, this.#lost)];
    return stated < own ? stated : own;
  }
}
