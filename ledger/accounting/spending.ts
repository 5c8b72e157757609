/** The payer's side of one account. */
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { WIDEN_AFTER } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import type { ChannelState } from '../contract.ts';
import { decodeSignedReceipt, isNewer, MAX_COUNTER, signReceipt, verifyReceipt } from '../receipt/index.ts';
import type { SignedReceipt, Signer } from '../receipt/index.ts';
import type { AccountCounts, NettingWatch, ReceiptSink, SpendingAccount } from './contract.ts';
import type { Figures } from './refusal.ts';
import { headroom, MAX_PRICE_RUNS, NUMERATOR_BITS, Tally } from './tally.ts';
import { DEBT_PARTS, windowAfter } from './terms.ts';
import type { Terms } from './terms.ts';
import { ownWindow } from './window.ts';

/** Data leaves this part of a window of the deposit to frames that end circuits. */
const RESERVE_PARTS = 16n;

export interface SpendingParts {
  readonly peer: NodeId;
  readonly channel: ChannelState;
  readonly delegate: Signer;
  readonly terms: Terms;
  /** The newest receipt of ours that we remember. */
  readonly given: SignedReceipt | undefined;
  /** The account as it was when the last link ended, when this process still remembers it. */
  readonly before: Spending | undefined;
  /** What we may have owed beyond `given` when our memory of it was lost: that much of a payee's claim we pay on trust. */
  readonly exposed: bigint;
  readonly sink: ReceiptSink;
  /** Keeps a receipt on disk. */
  readonly keep: (receipt: SignedReceipt) => void;
  /** Keeps on disk what we may owe beyond our receipts from now on. */
  readonly expose: (debt: Amount) => void;
  readonly onLow: (channel: ChannelState, left: Amount) => void;
  /** Enough was paid by now to make a wider window worth its price. */
  readonly onOutgrown: (channel: ChannelState, paid: Amount) => void;
}

export class Spending implements SpendingAccount {
  onRoom: () => void = () => {};
  readonly peer: NodeId;
  #window: Amount;
  /** The widest that the payee stated: it may see what we burned before our own books do. */
  #stated: Amount;
  #channel: ChannelState;
  /** The most that was ever staked for it: less now means that its payee returned some. */
  #staked: Amount;
  readonly #parts: SpendingParts;
  /** A part of the window, as a numerator: the debt at which a receipt is due. */
  #trigger: bigint;
  readonly #up: Tally;
  readonly #down: Tally;
  #signed: bigint;
  /** Paid on this link by what the peer owes us, base units. */
  #netted = 0n;
  /** Proposed to be netted: still owed, and left out of receipts until the peer answers. */
  #withheld = 0n;
  #netting: NettingWatch | undefined;
  /** Debt, a numerator, at which netting is next considered. */
  #nextLook = 0n;
  /** Numerator that may still be added before something must be checked; -1 sends every call to the slow path. */
  #headroom = -1;
  #closed = false;
  #lowTold = false;
  #outgrownTold = false;

  /** @throws RelaymintError RECEIPT_INVALID when the receipt the payee holds is not ours. */
  constructor(parts: SpendingParts) {
    const { channel, terms, given, before } = parts;
    const held = ownReceipt(terms.held, channel);
    const latest = held !== undefined && (given === undefined || isNewer(held, given)) ? held : given;
    this.#parts = parts;
    this.#channel = channel;
    const staked = before?.staked ?? channel.opening;
    this.#staked = staked > channel.opening ? staked : channel.opening;
    this.peer = parts.peer;
    const base = latest !== undefined && latest.amount >= channel.settled ? latest : settledReceipt(channel);
    this.#signed = base.amount;
    const owed =
      before === undefined ? claimed(terms, base, parts.exposed) : before.owedAt(terms.up, base, terms.netted);
    // Both ends begin at the figures of the newest receipt; the payee accepts one that is newer than what it holds.
    if (owed !== undefined && owed.amount > base.amount && owed.amount <= channel.deposit) {
      this.#up = new Tally(owed.up, owed.amount << NUMERATOR_BITS, true);
      this.#down = new Tally(owed.down, 0n, true);
    } else {
      this.#up = new Tally(base.up, BigInt(base.amount) << NUMERATOR_BITS, true);
      this.#down = new Tally(base.down, 0n, true);
    }
    const due = this.#numerator >> NUMERATOR_BITS;
    // A payee may state any window; it is believed up to what this node itself would grant.
    this.#stated = windowAfter(terms, due);
    this.#window = ownWindow(channel, this.#stated, due);
    this.#trigger = triggerOf(this.#window);
    if (due > this.#signed) this.#pay();
    else if (base === latest && latest.amount > terms.paid) parts.sink(latest);
    // The last link may have ended before it was topped up, and a window too narrow for a circuit brings no payment.
    this.#watchDeposit();
    this.#measure();
    parts.expose(this.window);
  }

  get channel(): ChannelState {
    return this.#channel;
  }

  get window(): Amount {
    return this.#window;
  }

  /** For the account that follows this one. */
  get staked(): Amount {
    return this.#staked;
  }

  get closed(): boolean {
    return this.#closed;
  }

  sendUp(frameBytes: number, price: PricePerMiB, last = false): void {
    const up = this.#up;
    if (price === up.price) {
      const left = this.#headroom - frameBytes * up.rate;
      if (left >= 0) {
        this.#headroom = left;
        up.run += frameBytes;
        return;
      }
    }
    this.#sendUpChecked(frameBytes, price, last);
  }

  receivedDown(frameBytes: number, price: PricePerMiB): void {
    const down = this.#down;
    if (price === down.price) {
      const left = this.#headroom - frameBytes * down.rate;
      if (left >= 0) {
        this.#headroom = left;
        down.run += frameBytes;
        return;
      }
    }
    this.#receivedDownChecked(frameBytes, price);
  }

  get mayOwe(): bigint {
    if (this.#closed) return 0n;
    const window = (this.window << NUMERATOR_BITS) - this.#payable;
    const deposit = this.#depositNumerator - this.#reserve - this.#numerator;
    const least = window < deposit ? window : deposit;
    return least > 0n ? least : 0n;
  }

  flush(): void {
    if (this.#closed) return;
    this.#pay();
    this.#measure();
  }

  widen(stated: Amount): void {
    if (this.#closed || stated <= this.#stated) return;
    this.#stated = stated;
    this.#widen();
  }

  /** As far as the payee lets us owe, and we ourselves burned. */
  #widen(): void {
    const window = ownWindow(this.#channel, this.#stated, this.#signed);
    if (window <= this.#window) return;
    // On disk before it is used: after our death the payee may claim as much.
    this.#parts.expose(window);
    this.#window = window;
    this.#trigger = triggerOf(window);
    this.#measure();
    this.onRoom();
  }

  get unsigned(): bigint {
    return this.#closed ? 0n : this.#payable >> NUMERATOR_BITS;
  }

  watch(netting: NettingWatch): void {
    if (this.#closed) return;
    this.#netting = netting;
    this.#look();
    this.#measure();
  }

  withhold(value: bigint): void {
    if (this.#closed) return;
    this.#withheld = value;
    this.#measure();
  }

  net(value: bigint): void {
    if (this.#closed) return;
    this.#withheld = 0n;
    this.#netted += value;
    this.#measure();
    this.onRoom();
  }

  counts(): AccountCounts {
    return {
      up: this.#up.bytes,
      down: this.#down.bytes,
      due: amount(this.#numerator >> NUMERATOR_BITS),
      signed: amount(this.#signed),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#headroom = -1;
    this.#parts.expose(amount((this.#numerator >> NUMERATOR_BITS) - this.#signed));
  }

  /** The top-up that was asked for failed. */
  lowAgain(): void {
    if (this.#closed) return;
    this.#lowTold = false;
    this.#watchDeposit();
  }

  /** Takes the channel's new state on the ledger. */
  update(channel: ChannelState): void {
    if (channel.deposit > this.#channel.deposit) this.#lowTold = false;
    if (channel.opening > this.#staked) {
      this.#staked = channel.opening;
      this.#outgrownTold = false;
    }
    this.#channel = channel;
    if (this.#closed) return;
    this.#widen();
    this.#measure();
    this.onRoom();
  }

  /**
   * What we owe for the frames the payee says it received and for those that we received; undefined when the payee's
   * figure is not one that we remember. `base` is the receipt from which we would otherwise continue; `netted` says whether the
   * payee still agreed to the netting that was under way.
   */
  owedAt(up: bigint, base: Figures, netted: bigint): Figures | undefined {
    const numerator = this.#up.at(up);
    if (numerator === undefined || up < base.up || this.#down.bytes < base.down) return undefined;
    const due = (numerator + this.#down.numerator) >> NUMERATOR_BITS;
    const agreed = netted - this.#netted;
    const more = agreed < 0n ? 0n : agreed < this.#withheld ? agreed : this.#withheld;
    return { amount: due - this.#netted - more, up, down: this.#down.bytes };
  }

  get #numerator(): bigint {
    return this.#up.numerator + this.#down.numerator - (this.#netted << NUMERATOR_BITS);
  }

  #sendUpChecked(frameBytes: number, price: PricePerMiB, last: boolean): void {
    this.#ensureOpen();
    const cost = BigInt(frameBytes) * price;
    const reserve = last ? 0n : this.#reserve;
    if (this.#numerator + cost > this.#depositNumerator - reserve) {
      this.flush();
      throw this.#depositExhausted();
    }
    this.#lookAt(this.#payable + cost);
    if (this.#payable + cost > this.#trigger || this.#runsPile) this.#pay();
    if (this.#payable + cost > this.window << NUMERATOR_BITS) {
      throw new RelaymintError(
        'WINDOW_EXHAUSTED',
        `A frame of ${frameBytes} bytes costs more than the ${this.window} base units that ${this.peer} lets this node owe.`,
        { remedy: 'Choose a cheaper peer, or open a new channel if this one has lost its credit.' },
      );
    }
    this.#up.add(frameBytes, price);
    this.#measure();
  }

  #receivedDownChecked(frameBytes: number, price: PricePerMiB): void {
    this.#ensureOpen();
    this.#down.add(frameBytes, price);
    this.#lookAt(this.#payable);
    this.#measure();
    if (this.#payable <= this.#trigger && !this.#runsPile) return;
    this.#pay();
    this.#measure();
  }

  /** True if there were so many price changes that the payee will soon forget the oldest. */
  get #runsPile(): boolean {
    return this.#down.changes + this.#up.changes >= MAX_PRICE_RUNS / 4;
  }

  /** Called each time the debt grew by a part of the window, and before a receipt: the peer may owe us as much. */
  #lookAt(debt: bigint): void {
    if (this.#netting === undefined || (debt <= this.#nextLook && debt <= this.#trigger)) return;
    this.#netting.look();
    this.#look();
  }

  #look(): void {
    if (this.#netting !== undefined) this.#nextLook = this.#payable + (this.#netting.step << NUMERATOR_BITS);
  }

  /** Signs exactly what is due and not withheld, keeps it and sends it; nothing when it would not be newer. */
  #pay(): void {
    const due = (this.#numerator >> NUMERATOR_BITS) - this.#withheld;
    if (due <= this.#signed) return;
    if (due > this.#channel.deposit) throw this.#depositExhausted();
    const { delegate, keep, sink } = this.#parts;
    const receipt = signReceipt(
      { channel: this.#channel.id, amount: amount(due), up: this.#up.bytes, down: this.#down.bytes },
      delegate,
    );
    this.#signed = due;
    this.#up.trim(receipt.up);
    this.#down.trim(receipt.down);
    this.#look();
    keep(receipt);
    sink(receipt);
    this.#watchDeposit();
    this.#watchWindow();
    this.onRoom();
  }

  /** What is due and neither signed for nor withheld, as a numerator. */
  get #payable(): bigint {
    return this.#numerator - ((this.#signed + this.#withheld) << NUMERATOR_BITS);
  }

  /** The greatest numerator whose whole base units the deposit covers. */
  get #depositNumerator(): bigint {
    return ((this.#channel.deposit + 1n) << NUMERATOR_BITS) - 1n;
  }

  /** What data leaves of the deposit, so that circuits can still be ended when it is used up: a numerator. */
  get #reserve(): bigint {
    return (this.window << NUMERATOR_BITS) / RESERVE_PARTS;
  }

  #measure(): void {
    if (this.#closed) return;
    const payable = this.#payable;
    const untilEmpty = this.#depositNumerator - this.#reserve - this.#numerator;
    let least = this.#trigger - payable;
    if (untilEmpty < least) least = untilEmpty;
    if (this.#netting !== undefined && this.#nextLook - payable < least) least = this.#nextLook - payable;
    this.#headroom = headroom(least);
  }

  #watchDeposit(): void {
    const { deposit, opening } = this.#channel;
    const left = deposit - this.#signed;
    const quarter = deposit / 4n;
    // As wide as they are while the deposit is whole: what is left of it narrows them.
    const twoWindows = 2n * ownWindow(this.#channel, opening, 0n);
    if (this.#lowTold || left >= (quarter > twoWindows ? quarter : twoWindows)) return;
    this.#lowTold = true;
    this.#parts.onLow(this.#channel, amount(left));
  }

  /** A window narrower than what was burned has another reason: burning more would not widen it. */
  #watchWindow(): void {
    const { opening } = this.#channel;
    // A payee that returns what was staked while links use it wants no window; each widening would cost us a transaction.
    if (opening < this.#staked) return;
    if (this.#outgrownTold || this.#window < opening || this.#signed < opening * WIDEN_AFTER) return;
    this.#outgrownTold = true;
    this.#parts.onOutgrown(this.#channel, amount(this.#signed));
  }

  #depositExhausted(): RelaymintError {
    return new RelaymintError(
      'DEPOSIT_EXHAUSTED',
      `The deposit of ${this.#channel.deposit} base units to ${this.peer} is used up.`,
      { remedy: 'Top up the channel.', details: { channel: this.#channel.id } },
    );
  }

  #ensureOpen(): void {
    if (!this.#closed) return;
    throw new RelaymintError('CLOSED', `The account with ${this.peer} was closed with its link.`, {
      remedy: 'Connect again.',
    });
  }
}

/**
 * We died and do not know what we owed beyond our newest receipt; the payee says it. An honest one says no more than
 * the window it granted, a liar gains no more by it than the window that we ourselves would have granted, and without it our credit would be gone.
 */
function claimed(terms: Terms, base: Figures, exposed: bigint): Figures | undefined {
  const claim = terms.due - base.amount;
  if (claim <= 0n || exposed <= 0n || terms.up < base.up || terms.down < base.down) return undefined;
  if (terms.up >= MAX_COUNTER || terms.down >= MAX_COUNTER) return undefined;
  return { amount: base.amount + (claim < exposed ? claim : exposed), up: terms.up, down: terms.down };
}

/** The debt, a numerator, at which a receipt is due. */
function triggerOf(window: Amount): bigint {
  return (window << NUMERATOR_BITS) / DEBT_PARTS;
}

function settledReceipt(channel: ChannelState): { amount: Amount; up: bigint; down: bigint } {
  return { amount: channel.settled, up: channel.settledUp, down: channel.settledDown };
}

/** The receipt that the payee presents. @throws RelaymintError RECEIPT_INVALID unless our delegate signed it for this channel. */
function ownReceipt(held: Uint8Array | undefined, channel: ChannelState): SignedReceipt | undefined {
  if (held === undefined) return undefined;
  const receipt = decodeSignedReceipt(held);
  if (receipt.channel === channel.id && verifyReceipt(receipt, channel.delegate)) return receipt;
  throw new RelaymintError('RECEIPT_INVALID', 'The peer presents a receipt that this node never signed.', {
    remedy: 'Do not deal with this peer.',
    details: { channel: channel.id },
  });
}
