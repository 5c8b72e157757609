/** The payee's side of one account. */
import type { Attribution } from '../../core/attribution.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import type { ChannelState } from '../contract.ts';
import {
  decodeSignedReceipt,
  isNewer,
  MAX_COUNTER,
  receiptMessage,
  receiptSignature,
  receiptVerifier,
} from '../receipt/index.ts';
import type { ReceiptVerifier, SignedReceipt } from '../receipt/index.ts';
import type { AccountCounts, EarningAccount, UpVerdict } from './contract.ts';
import { Earnings } from './earnings.ts';
import { channelClosing, depositExceeded, meterDisagreement, receiptInvalid, receiptNotNewer } from './refusal.ts';
import type { Figures } from './refusal.ts';
import { headroom, NUMERATOR_BITS, Tally } from './tally.ts';
import { DEBT_PARTS, windowAfter } from './terms.ts';
import type { Terms } from './terms.ts';

/** Times the ledger is asked again before a receipt above the deposit is a fault: a read may lag behind a top-up. */
const DEPOSIT_READS = 3;

export interface EarningParts {
  readonly peer: NodeId;
  readonly channel: ChannelState;
  /** The newest receipt we hold. */
  readonly held: SignedReceipt | undefined;
  /** The account as it was when the last link ended, when this process still remembers it. */
  readonly before: Earning | undefined;
  /** What the last link that carried anything left unpaid: a part of the wallet's arrears that its payer may make good now. */
  readonly owed: bigint;
  /** What this payer may owe with this channel, once `paid` was paid in all and `madeGood` of its wallet's arrears was made good. */
  readonly windowAt: (channel: ChannelState, paid: bigint, madeGood: bigint) => Amount;
  /** We are ready to net what it owes. */
  readonly nets: boolean;
  /** Puts a receipt on disk with sync, together with what it made good of the arrears and what names earned. */
  readonly hold: (
    receipt: SignedReceipt,
    madeGood: bigint,
    earned: ReadonlyMap<string, bigint>,
    written: (error: RelaymintError | undefined) => void,
  ) => void;
  /** The link ended and left this much unpaid: it is added to the wallet's arrears, and can be made good by the next. Base units. */
  readonly leaveUnpaid: (unpaid: bigint) => void;
  /** We paid this much onward for this payer without being paid: it is added to the wallet's arrears. Base units. */
  readonly lose: (lost: bigint) => void;
  /** Asks the ledger for the deposit; `update` follows, or nothing. */
  readonly refresh: () => void;
  readonly flushed: () => Promise<void>;
}

export class Earning implements EarningAccount {
  readonly peer: NodeId;
  readonly terms: Terms;
  onOpen: () => void = () => {};
  onRoom: () => void = () => {};
  onFault: (error: RelaymintError) => void = () => {};
  onWidened: (window: Amount) => void = () => {};
  readonly #parts: EarningParts;
  readonly #verify: ReceiptVerifier;
  readonly #earnings: Earnings;
  #channel: ChannelState;
  #window: bigint;
  /** Lost onward and not booked yet: less than a base unit, as a numerator. */
  #lostPart = 0n;
  #up: Tally;
  #down: Tally;
  /** The newest receipt that passed every check: synced, or on its way there. */
  #accepted: Figures;
  /** Paid on this link by what we owe the payer, base units. */
  #netted = 0n;
  /** Still owed, and left out of the payer's receipts until it has read our answer. */
  #withheld = 0n;
  #named = false;
  /** Granted onward for this payer, a numerator. */
  #promised = 0n;
  /** Booked as arrears since this link began: that much less is granted, but the payer is not cut for what its terms allow. */
  #lost = 0n;
  /** Numerator of the up bytes that the accepted receipt covers, less what was netted by then. */
  #acceptedUp: bigint;
  /** What the newest synced receipt pays. */
  #open: bigint;
  /** Passed every check except that it exceeds the deposit we know: waits for the ledger's answer. */
  #parked: SignedReceipt | undefined;
  #depositReads = 0;
  /** Until the first frame: the payer may present a receipt that we never saw, before anything else. */
  #resuming = true;
  /** The ledger showed the channel again before that: the window may be wider afterwards. */
  #widensLate = false;
  /** A caller waits for `onOpen`. */
  #waiting = false;
  /** Less is granted onward: `wake` follows. */
  #waking = false;
  #closed = false;
  /** Numerator that may still be added before something must be checked; -1 sends every call to the slow path. */
  #headroom = -1;

  constructor(parts: EarningParts) {
    const { channel, held, before } = parts;
    this.#parts = parts;
    this.#channel = channel;
    this.peer = parts.peer;
    this.#verify = receiptVerifier(channel.delegate);
    const base: Figures =
      held !== undefined && held.amount >= channel.settled
        ? held
        : { amount: channel.settled, up: channel.settledUp, down: channel.settledDown };
    this.#accepted = base;
    this.#open = base.amount;
    this.#up = new Tally(base.up, base.amount << NUMERATOR_BITS, false);
    this.#down = new Tally(base.down, 0n, true);
    this.#acceptedUp = this.#up.numerator;
    // What names earned on the last link is owed to them if its payer pays for it now.
    this.#earnings = before?.takeEarnings() ?? new Earnings();
    const last = before?.left;
    // What was settled beyond the receipt that we hold paid for some of it.
    const unpaid = parts.owed - (base.amount - (held?.amount ?? base.amount));
    const owed = unpaid > 0n ? unpaid : 0n;
    this.terms = {
      window: parts.windowAt(channel, base.amount + owed, owed),
      paid: amount(base.amount),
      up: last === undefined || last.up < base.up ? base.up : last.up,
      down: last === undefined || last.down < base.down ? base.down : last.down,
      due: amount(base.amount + owed),
      netted: amount(before?.netted ?? 0n),
      nets: parts.nets,
      held: held?.bytes,
    };
    this.#window = this.#windowAfter(base.amount);
  }

  get channel(): ChannelState {
    return this.#channel;
  }

  get closed(): boolean {
    return this.#closed;
  }

  receivedUp(frameBytes: number, price: PricePerMiB): UpVerdict {
    const up = this.#up;
    if (price === up.price) {
      const left = this.#headroom - frameBytes * up.rate;
      if (left >= 0) {
        this.#headroom = left;
        up.run += frameBytes;
        return 'forward';
      }
    }
    return this.#receivedUpChecked(frameBytes, price);
  }

  get covers(): bigint {
    if (this.#closed) return 0n;
    const left = this.#limit - (this.#window << NUMERATOR_BITS) / DEBT_PARTS - this.#numerator;
    return left > 0n ? left : 0n;
  }

  lose(numerator: bigint): void {
    this.#lostPart += numerator;
    const units = this.#lostPart >> NUMERATOR_BITS;
    if (units <= 0n) return;
    this.#lostPart -= units << NUMERATOR_BITS;
    this.#parts.lose(units);
    this.#lost += units;
    this.#measure();
  }

  promised(numerator: bigint): void {
    const more = numerator - this.#promised;
    this.#promised = numerator;
    if (more <= this.#headroom) {
      // If it became less, the headroom stays as it is: it is measured again once it is used up.
      if (more > 0n) this.#headroom -= Number(more);
    } else {
      this.#headroom = -1;
    }
    if (more >= 0n || !this.#waiting || this.#waking) return;
    // Later: the caller is in the middle of a frame.
    this.#waking = true;
    process.nextTick(wake, this);
  }

  /** The deferred half of `promised`. */
  wake(): void {
    this.#waking = false;
    this.#reopen();
  }

  canSendDown(frameBytes: number, price: PricePerMiB, own = false): boolean {
    const down = this.#down;
    if (price === down.price && this.#headroom - frameBytes * down.rate >= 0) return true;
    return this.#canSendDownChecked(frameBytes, price, own);
  }

  sentDown(frameBytes: number, price: PricePerMiB): void {
    const down = this.#down;
    if (price === down.price) {
      const left = this.#headroom - frameBytes * down.rate;
      if (left >= 0) {
        this.#headroom = left;
        down.run += frameBytes;
        return;
      }
    }
    if (this.#closed) return;
    this.#begin();
    down.add(frameBytes, price);
    this.#measure();
  }

  attribute(shares: Attribution, frameBytes: number, price: PricePerMiB): void {
    // What names earned is the next account's from then on.
    if (this.#closed) return;
    this.#named = true;
    this.#earnings.add(shares, frameBytes, price);
  }

  receive(signed: Uint8Array): void {
    if (this.#closed) {
      throw new RelaymintError('CLOSED', `The account of ${this.peer} was closed with its link.`);
    }
    const receipt = decodeSignedReceipt(signed);
    this.#check(receipt);
    const covered = receipt.amount <= this.#channel.deposit;
    if (!covered && this.#resuming) throw depositExceeded(this.peer, receipt.amount, this.#channel);
    this.#acceptedUp = this.#payableUp;
    if (covered) {
      this.#parked = undefined;
      this.#accept(receipt);
    } else {
      this.#parked = receipt;
      this.#parts.refresh();
    }
  }

  get window(): Amount {
    return amount(this.#window);
  }

  get unsigned(): bigint {
    if (this.#closed) return 0n;
    const signed = this.#parked ?? this.#accepted;
    const unsigned = (this.#numerator >> NUMERATOR_BITS) - signed.amount;
    return unsigned > 0n ? unsigned : 0n;
  }

  get named(): boolean {
    return this.#named;
  }

  get netted(): bigint {
    return this.#netted;
  }

  net(value: bigint, withheld: bigint): void {
    if (this.#closed) return;
    this.#netted += value;
    this.#withheld = withheld;
    this.#reopen();
    this.onRoom();
  }

  /** The counts that the account after this one states to the payer: those of the last link that carried anything. */
  get left(): Pick<AccountCounts, 'up' | 'down'> {
    return this.#resuming ? this.terms : this.counts();
  }

  counts(): AccountCounts {
    return {
      up: this.#up.bytes,
      down: this.#down.bytes,
      due: amount(this.#numerator >> NUMERATOR_BITS),
      signed: amount(this.#accepted.amount),
    };
  }

  async flushed(): Promise<void> {
    await this.#parts.flushed();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#headroom = -1;
    // Before the first frame what the last link left stays as it was: the payer may still make it good.
    if (this.#resuming) return;
    // Fractions of a base unit are nothing: an honest payer leaves one at the end of each link, and it is less than the link cost.
    const unpaid = (this.#numerator >> NUMERATOR_BITS) - this.#accepted.amount;
    this.#parts.leaveUnpaid(unpaid > 0n ? unpaid : 0n);
  }

  /** What names earned and no receipt has paid for yet, for the account that follows this one. */
  takeEarnings(): Earnings {
    return this.#earnings;
  }

  /** Takes the channel's new state on the ledger. */
  update(channel: ChannelState): void {
    this.#channel = channel;
    if (this.#closed) return;
    this.#widen();
    this.#unpark();
    if (channel.closeAt !== undefined) {
      this.onFault(channelClosing(this.peer, channel));
    }
    this.#reopen();
  }

  /** The payer burned more than before: it may owe more. */
  #widen(): void {
    this.#widensLate = this.#resuming;
    if (this.#resuming) return;
    const window = this.#parts.windowAt(this.#channel, this.#open, 0n);
    if (window <= this.#window) return;
    this.#window = window;
    // The wallet's arrears, which are taken off, hold it already.
    this.#lost = 0n;
    this.#measure();
    this.onWidened(window);
    this.onRoom();
  }

  /** Waits for a deposit that the ledger has not shown yet. */
  get wantsDeposit(): boolean {
    return !this.#closed && (this.#parked !== undefined || (this.#waiting && this.#nearsDeposit));
  }

  get #numerator(): bigint {
    return this.#up.numerator + this.#down.numerator - (this.#netted << NUMERATOR_BITS);
  }

  /** What came up and is not netted, nor withheld by the payer: a numerator. */
  get #payableUp(): bigint {
    return this.#up.numerator - ((this.#netted + this.#withheld) << NUMERATOR_BITS);
  }

  #receivedUpChecked(frameBytes: number, price: PricePerMiB): UpVerdict {
    if (this.#closed) return 'cut';
    this.#begin();
    const unsigned = this.#payableUp - this.#acceptedUp;
    const cost = BigInt(frameBytes) * price;
    const window = this.#window << NUMERATOR_BITS;
    this.#up.add(frameBytes, price);
    this.#measure();
    // An honest payer never lets what it sent itself pass a quarter of the window. What we sent down may still be on its
    // way to it, and then its receipt is too: that is no reason to cut.
    if (cost > window || unsigned > window / DEBT_PARTS) return 'cut';
    if (this.#covered) return 'forward';
    this.#waiting = true;
    if (this.#nearsDeposit) this.#parts.refresh();
    return 'hold';
  }

  #canSendDownChecked(frameBytes: number, price: PricePerMiB, own: boolean): boolean {
    if (this.#closed) return false;
    const after = this.#numerator + BigInt(frameBytes) * price;
    // What comes from the hops behind us was promised: now it is owed instead.
    const beside = own ? this.#promised : 0n;
    if (after + beside <= this.#limit && after <= this.#downLimit && !this.#down.full) return true;
    this.#waiting = true;
    if (this.#nearsDeposit) this.#parts.refresh();
    return false;
  }

  /** What may be owed on the newest synced receipt. */
  get #limit(): bigint {
    const window = this.#window > this.#lost ? this.#window - this.#lost : 0n;
    return (this.#open + window) << NUMERATOR_BITS;
  }

  /** All that was counted, and is granted onward, is within the window, and what was counted within the deposit. */
  get #covered(): boolean {
    const numerator = this.#numerator;
    return numerator + this.#promised <= this.#limit && numerator < (this.#channel.deposit + 1n) << NUMERATOR_BITS;
  }

  /** The last window's worth of the deposit is left to frames that come up, so that what we send can always be paid. */
  get #downLimit(): bigint {
    return (this.#channel.deposit - this.#window) << NUMERATOR_BITS;
  }

  get #nearsDeposit(): boolean {
    return (this.#numerator >> NUMERATOR_BITS) + 2n * this.#window > this.#channel.deposit;
  }

  #measure(): void {
    if (this.#closed || this.#resuming) return;
    const limit = this.#limit - this.#promised;
    const downLimit = this.#downLimit;
    if (this.#down.full) {
      this.#headroom = -1;
      return;
    }
    this.#headroom = headroom((limit < downLimit ? limit : downLimit) - this.#numerator);
  }

  /** @throws RelaymintError RECEIPT_INVALID, RECEIPT_NOT_NEWER, METER_DISAGREEMENT. */
  #check(receipt: SignedReceipt): void {
    const { channel } = this;
    if (receipt.channel !== channel.id) {
      throw receiptInvalid(`It is for channel ${receipt.channel}, not ${channel.id}.`, channel);
    }
    if (receipt.up >= MAX_COUNTER || receipt.down >= MAX_COUNTER) {
      throw receiptInvalid('It counts more bytes than any channel carries.', channel);
    }
    if (!isNewer(receipt, { channel: channel.id, ...this.#accepted, amount: amount(this.#accepted.amount) })) {
      throw receiptNotNewer(receipt, this.#accepted);
    }
    if (!this.#resuming) this.#compare(receipt);
    if (!this.#verify(receiptMessage(receipt), receiptSignature(receipt))) {
      throw receiptInvalid(`It is not signed by the channel's delegate.`, channel);
    }
  }

  /**
   * The link is ordered: the payer has sent exactly what we received, has received something we have sent, and has
   * netted what we were told.
   */
  #compare(receipt: SignedReceipt): void {
    const down = this.#down.at(receipt.down);
    const due = down === undefined ? undefined : (this.#payableUp + down) >> NUMERATOR_BITS;
    if (receipt.up === this.#up.bytes && receipt.amount === due) return;
    throw meterDisagreement(this.peer, receipt, { up: this.#up.bytes, down: this.#down.bytes, due });
  }

  #accept(receipt: SignedReceipt): void {
    const paid = receipt.amount - this.#accepted.amount;
    const due = this.#resuming ? BigInt(this.terms.due) << NUMERATOR_BITS : this.#numerator;
    const earned = this.#earnings.take(paid << NUMERATOR_BITS, due - (this.#accepted.amount << NUMERATOR_BITS));
    let madeGood = 0n;
    if (this.#resuming) {
      this.#begin(true);
      madeGood = paid < this.#parts.owed ? paid : this.#parts.owed;
      this.#up = new Tally(receipt.up, receipt.amount << NUMERATOR_BITS, false);
      this.#down = new Tally(receipt.down, 0n, true);
      this.#acceptedUp = this.#payableUp;
    }
    this.#accepted = receipt;
    this.#down.trim(receipt.down);
    this.#parts.hold(receipt, madeGood, earned, (error) => {
      if (error !== undefined) this.onFault(error);
      else this.#opened(receipt.amount);
    });
    if (madeGood > 0n) this.#window = this.#windowAfter(receipt.amount);
    if (this.#widensLate) this.#widen();
  }

  /**
   * Both ends compute the same window from the same terms; a wallet that owes more than it burned gets no more than is left. What was
   * lost since the terms is in the arrears, and taken off where more is granted: the payer does not know of it.
   */
  #windowAfter(paid: bigint): bigint {
    const [stated, left] = [windowAfter(this.terms, paid), this.#parts.windowAt(this.#channel, paid, this.#lost)];
    return stated < left ? stated : left;
  }

  /** The link carries its first frame, or paid for what the last one left: what was not paid by then is not owed on it any more. */
  #begin(paysFirst = false): void {
    if (!this.#resuming) return;
    this.#resuming = false;
    this.#earnings.drop();
    // Or a receipt for what this link carries, after our death, would be taken for it.
    if (paysFirst) return;
    if (this.#parts.owed > 0n) this.#parts.leaveUnpaid(0n);
    if (this.#widensLate) this.#widen();
  }

  #unpark(): void {
    const parked = this.#parked;
    if (parked === undefined) return;
    if (parked.amount <= this.#channel.deposit) {
      this.#parked = undefined;
      this.#depositReads = 0;
      this.#accept(parked);
      return;
    }
    this.#depositReads += 1;
    if (this.#depositReads >= DEPOSIT_READS) this.onFault(depositExceeded(this.peer, parked.amount, this.#channel));
  }

  #opened(paid: bigint): void {
    if (paid > this.#open) this.#open = paid;
    this.#reopen();
    if (!this.#closed) this.onRoom();
  }

  /** Wakes those who wait once everything counted is within the window. */
  #reopen(): void {
    if (this.#closed) return;
    this.#measure();
    if (!this.#waiting || !this.#covered) return;
    this.#waiting = false;
    this.onOpen();
  }
}

function wake(account: Earning): void {
  account.wake();
}
