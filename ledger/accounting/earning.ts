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
import { beginningOf } from './beginning.ts';
import type { Before, Left } from './beginning.ts';
import type { AccountCounts, EarningAccount, UpVerdict } from './contract.ts';
import { Cover } from './cover.ts';
import { Earnings } from './earnings.ts';
import { channelClosing, depositExceeded, meterDisagreement, receiptInvalid, receiptNotNewer } from './refusal.ts';
import type { Figures } from './refusal.ts';
import { headroom, NUMERATOR_BITS, Tally } from './tally.ts';
import { DEBT_PARTS } from './terms.ts';
import type { Terms } from './terms.ts';

/** Times the ledger is asked again before a receipt above the deposit is a fault: a read may lag behind a top-up. */
const DEPOSIT_READS = 3;

export interface EarningParts extends Left {
  readonly peer: NodeId;
  /** The account as it was when the last link ended, when this process still remembers it. */
  readonly before: Earning | undefined;
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

export class Earning implements EarningAccount, Before {
  readonly peer: NodeId;
  readonly terms: Terms;
  onOpen: () => void = () => {};
  onRoom: () => void = () => {};
  onFault: (error: RelaymintError) => void = () => {};
  onWidened: (window: Amount) => void = () => {};
  readonly #parts: EarningParts;
  readonly #verify: ReceiptVerifier;
  readonly #earnings: Earnings;
  readonly #cover: Cover;
  #up: Tally;
  #down: Tally;
  /** The newest receipt that passed every check: synced, or on its way there. */
  #accepted: Figures;
  /** Paid on this link by what we owe the payer, base units. */
  #netted = 0n;
  /** Still owed, and left out of the payer's receipts until it has read our answer. */
  #withheld = 0n;
  #named = false;
  /** Numerator of the up bytes that the accepted receipt covers, less what was netted by then. */
  #acceptedUp: bigint;
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
    const { channel, before } = parts;
    const { base, terms } = beginningOf(parts, before);
    this.#parts = parts;
    this.peer = parts.peer;
    this.terms = terms;
    this.#cover = new Cover(channel, base.amount, terms, parts.windowAt);
    this.#verify = receiptVerifier(channel.delegate);
    this.#accepted = base;
    this.#up = new Tally(base.up, base.amount << NUMERATOR_BITS, false);
    this.#down = new Tally(base.down, 0n, true);
    this.#acceptedUp = this.#up.numerator;
    // What names earned on the last link is owed to them if its payer pays for it now.
    this.#earnings = before?.takeEarnings() ?? new Earnings();
  }

  get channel(): ChannelState {
    return this.#cover.channel;
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

  get mayGrant(): bigint {
    return this.#closed ? 0n : this.#cover.mayGrant(this.#numerator);
  }

  lose(numerator: bigint): void {
    const units = this.#cover.lose(numerator);
    if (units === 0n) return;
    this.#parts.lose(units);
    this.#measure();
  }

  promised(numerator: bigint): void {
    const more = this.#cover.promise(numerator);
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
    const covered = receipt.amount <= this.channel.deposit;
    if (!covered && this.#resuming) throw depositExceeded(this.peer, receipt.amount, this.channel);
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
    return amount(this.#cover.window);
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
    this.#cover.channel = channel;
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
    const window = this.#cover.widen();
    if (window === undefined) return;
    this.#measure();
    this.onWidened(window);
    this.onRoom();
  }

  /** Waits for a deposit that the ledger has not shown yet. */
  get wantsDeposit(): boolean {
    return (
      !this.#closed && (this.#parked !== undefined || (this.#waiting && this.#cover.nearsDeposit(this.#numerator)))
    );
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
    const window = this.#cover.window << NUMERATOR_BITS;
    this.#up.add(frameBytes, price);
    this.#measure();
    // An honest payer never lets what it sent itself pass a quarter of the window. What we sent down may still be on its
    // way to it, and then its receipt is too: that is no reason to cut.
    if (cost > window || unsigned > window / DEBT_PARTS) return 'cut';
    if (this.#cover.allows(this.#numerator)) return 'forward';
    this.#wait();
    return 'hold';
  }

  #canSendDownChecked(frameBytes: number, price: PricePerMiB, own: boolean): boolean {
    if (this.#closed) return false;
    const after = this.#numerator + BigInt(frameBytes) * price;
    if (this.#cover.allowsDown(after, own) && !this.#down.full) return true;
    this.#wait();
    return false;
  }

  /** A caller waits for `onOpen`. It may be the deposit that is short, as far as we know it. */
  #wait(): void {
    this.#waiting = true;
    if (this.#cover.nearsDeposit(this.#numerator)) this.#parts.refresh();
  }

  #measure(): void {
    if (this.#closed || this.#resuming) return;
    this.#headroom = this.#down.full ? -1 : headroom(this.#cover.headroom(this.#numerator));
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
    if (madeGood > 0n) this.#cover.madeGood(receipt.amount);
    if (this.#widensLate) this.#widen();
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
    if (parked.amount <= this.channel.deposit) {
      this.#parked = undefined;
      this.#depositReads = 0;
      this.#accept(parked);
      return;
    }
    this.#depositReads += 1;
    if (this.#depositReads >= DEPOSIT_READS) this.onFault(depositExceeded(this.peer, parked.amount, this.channel));
  }

  #opened(paid: bigint): void {
    this.#cover.paid(paid);
    this.#reopen();
    if (!this.#closed) this.onRoom();
  }

  /** Wakes those who wait once everything counted is within the window. */
  #reopen(): void {
    if (this.#closed) return;
    this.#measure();
    if (!this.#waiting || !this.#cover.allows(this.#numerator)) return;
    this.#waiting = false;
    this.onOpen();
  }
}

function wake(account: Earning): void {
  account.wake();
}
