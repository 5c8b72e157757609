/**
 * What neighbours owe each other. A pair can have two accounts, one per direction of payment:
 * `SpendingAccount` where we are the payer, `EarningAccount` where we are the payee.
 *
 * "up" is payer to payee, "down" is payee to payer: whole link frames, header included, of circuits that the payer
 * created on this link. Both ends count the same frames on an ordered link, so their figures agree to the byte.
 * Due, in base units, is the sum over all frames of bytes x price, shifted right by 20; the sum is exact.
 *
 * The figures are exact only if the meter does this:
 * - payer: call `sendUp` and write that frame with nothing written between the two; the receipt sink writes at once;
 * - payee: call `receivedUp` and `receive` in the order in which frames arrive, before any queue;
 *   call `sentDown` for every frame in the order in which they are written.
 */
import type { Attribution } from '../../core/attribution.ts';
import type { ChannelId, LedgerAddress, NodeId } from '../../core/ids.ts';
import type { RelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import type { ChannelState, LedgerReader } from '../contract.ts';
import type { SignedReceipt, Signer } from '../receipt/index.ts';
import type { BookStore } from './store.ts';
import type { Terms } from './terms.ts';

/** Writes a RECEIPT frame (`receipt.bytes`, 111 bytes) on the link, synchronously and in order. */
export type ReceiptSink = (receipt: SignedReceipt) => void;

/** Live figures of one account, cumulative since the channel opened. */
export interface AccountCounts {
  /** Bytes payer to payee. */
  readonly up: bigint;
  /** Bytes payee to payer. */
  readonly down: bigint;
  /** What these bytes cost, less what was netted. */
  readonly due: Amount;
  /** What the latest receipt pays. due - signed is the debt; it never passes the window. */
  readonly signed: Amount;
}

/** Decides on netting while a debt grows (`netting.ts`). */
export interface NettingWatch {
  /** Base units by which the debt grows between two decisions. */
  readonly step: bigint;
  look(): void;
}

/**
 * We are the payer. Closed by `close`, by the account that follows it on its channel, with its book or its channel: `sendUp` and
 * `receivedDown` throw CLOSED, `mayOwe` and `unsigned` are 0, and all else does nothing.
 */
export interface SpendingAccount {
  readonly channel: ChannelState;
  readonly peer: NodeId;
  /** What we may owe at most, as the payee told us. */
  readonly window: Amount;
  /** The payee raises what we may owe. It is believed up to what we would grant ourselves. The window never shrinks. */
  widen(stated: Amount): void;
  /**
   * Before a frame goes up. Signs and sends a receipt first when the debt would pass a quarter of the window.
   * When it throws, nothing was counted and the frame must not be sent. The `last` frame of a circuit may use what others
   * leave of the deposit.
   * @throws RelaymintError DEPOSIT_EXHAUSTED, WINDOW_EXHAUSTED (one frame costs more than the window), CLOSED.
   */
  sendUp(frameBytes: number, price: PricePerMiB, last?: boolean): void;
  /** After a frame came down. Signs and sends a receipt when the debt passes a quarter of the window. @throws RelaymintError DEPOSIT_EXHAUSTED, CLOSED. */
  receivedDown(frameBytes: number, price: PricePerMiB): void;
  /** How much more we may owe, within the window and the deposit. A numerator: bytes x price. */
  readonly mayOwe: bigint;
  /** `mayOwe` rose: something was signed for, netted or deposited. One listener. */
  onRoom: () => void;
  /** Pays all that is due now (idle, shutdown), except what is withheld. Does nothing when nothing is due. */
  flush(): void;
  /** Whole base units that are due and neither signed for nor withheld; 0 once closed. */
  readonly unsigned: bigint;
  /** Netting only: called as the debt grows, before a receipt is signed. */
  watch(netting: NettingWatch): void;
  /** Netting only: receipts leave this much out until `net`; it stays owed. At most `unsigned`. */
  withhold(value: bigint): void;
  /** Netting only: this much is paid otherwise, and nothing is withheld any more. At most `unsigned`, or what was withheld. */
  net(value: bigint): void;
  counts(): AccountCounts;
  readonly closed: boolean;
  /** The link ended, or is about to. Does not flush: call `flush` before, while the link can still carry it. Harmless when repeated. */
  close(): void;
}

/**
 * - `forward`: the frame is within the window;
 * - `hold`: keep it, in order, until `onOpen`: a receipt is on its way or its sync is under way;
 * - `cut`: the payer breaks the rules: close its circuits (WINDOW_EXHAUSTED).
 */
export type UpVerdict = 'forward' | 'hold' | 'cut';

/**
 * We are the payee. Closed in the same ways: `receivedUp` says `cut`, `canSendDown` false, `receive` throws CLOSED, `mayGrant` and
 * `unsigned` are 0, and all else but `lose` does nothing.
 */
export interface EarningAccount {
  readonly channel: ChannelState;
  readonly peer: NodeId;
  /** To be sent to the payer (`encodeTerms`) before any circuit frame of this link. */
  readonly terms: Terms;
  /** Counts a frame that came up, whatever the verdict, unless closed. */
  receivedUp(frameBytes: number, price: PricePerMiB): UpVerdict;
  /**
   * What may still be granted onward for this payer: its window, less the part that it may owe for what it sends up, less
   * what it owes. A numerator: bytes x price.
   */
  readonly mayGrant: bigint;
  /**
   * Sets how much is granted onward for this payer, a numerator. Until it comes, or is given back, it counts as owed when it is
   * decided whether a frame goes up or our own content goes down. What was counted since the newest synced receipt and what is
   * granted onward are therefore never more than the window together, and a kill costs no more. `onOpen` may follow.
   */
  promised(numerator: bigint): void;
  /** `mayGrant` rose. One listener. */
  onRoom: () => void;
  /** May a frame of this size go down now? false = the window is full, wait for `onOpen`. `own`: it was not granted onward before. */
  canSendDown(frameBytes: number, price: PricePerMiB, own?: boolean): boolean;
  /** Counts a frame that goes down, whether or not `canSendDown` was asked, unless closed. */
  sentDown(frameBytes: number, price: PricePerMiB): void;
  /**
   * This many of the counted bytes count for these names (royalty attribution). What each gets of a receipt that pays for them is stored
   * with it, in the same write. Quick while the shares are the same object.
   */
  attribute(shares: Attribution, frameBytes: number, price: PricePerMiB): void;
  /** True once something on this account was attributed to a name on this link. */
  readonly named: boolean;
  /** What the payer may owe on this link. */
  readonly window: Amount;
  /** Whole base units that are due and not signed for; 0 once closed. */
  readonly unsigned: bigint;
  /** Paid otherwise on this link, base units. */
  readonly netted: bigint;
  /** Netting only: so much more is paid otherwise, and the payer's receipts leave `withheld` out as well. May call `onOpen`. */
  net(value: bigint, withheld: bigint): void;
  /**
   * A RECEIPT frame came in: 111 bytes. Verified at once, stored with sync, then its window opens.
   * @throws RelaymintError RECEIPT_INVALID, RECEIPT_NOT_NEWER, METER_DISAGREEMENT (with both figures), DEPOSIT_EXHAUSTED,
   * CLOSED; nothing changed: close the link.
   */
  receive(signed: Uint8Array): void;
  /** The window has room again after `hold` or `canSendDown() === false`. Send what was held first; for what waits to go down, ask `canSendDown` again. */
  onOpen: () => void;
  /** Beyond repair: STORAGE_FAILED, DEPOSIT_EXHAUSTED (a receipt above the deposit), CHANNEL_CLOSING. Close the link. */
  onFault: (error: RelaymintError) => void;
  /** The payer burned more: it may owe this much now. Tell it (`SpendingAccount.widen`). One listener. */
  onWidened: (window: Amount) => void;
  counts(): AccountCounts;
  readonly closed: boolean;
  /**
   * We had to pay onward for this payer, which will not pay us for it: adds this much (a numerator, bytes x price) to the arrears of
   * its wallet. After `close` too.
   */
  lose(numerator: bigint): void;
  /** Resolves once every receipt received so far is on disk. */
  flushed(): Promise<void>;
  /** The link ended. What the payer had not signed becomes arrears of its wallet, which shrink its next windows. Harmless when repeated. */
  close(): void;
}

export interface OpenSpending {
  readonly peer: NodeId;
  /** The channel we pay, as the ledger shows it. */
  readonly channel: ChannelState;
  /** Must be the channel's delegate. */
  readonly delegate: Signer;
  /** What the payee told us at the start of this link. */
  readonly terms: Terms;
}

export interface OpenEarning {
  readonly peer: NodeId;
  /** The payer's channel in our till, read from the ledger (never from the peer). */
  readonly channel: ChannelState;
  /** Our own offer: no window is wider than 16 MiB at this price. */
  readonly price: PricePerMiB;
  /** We are ready to net what the payer owes against what we owe it. Default false. */
  readonly nets?: boolean;
}

/** One direction of payment of one neighbour pair, for people and scripts. */
export interface PairCounts extends AccountCounts {
  readonly role: 'payer' | 'payee';
  readonly peer: NodeId;
  readonly channel: ChannelState;
  /** True while a link carries it. */
  readonly live: boolean;
}

export interface AccountBook extends AsyncDisposable {
  /**
   * Opens our side of a channel that we pay. An account still open on this channel is closed first. May send a receipt
   * at once: what the last link left unpaid (after our own death, what the payee claims, up to the window we had), or our
   * newest one when the payee lost it.
   * @throws RelaymintError CHANNEL_CLOSING, RECEIPT_INVALID (the held receipt is not signed by us), LIMIT_EXCEEDED, CLOSED.
   */
  openSpending(options: OpenSpending, sink: ReceiptSink): SpendingAccount;
  /**
   * Opens our side of a channel that pays us.
   * @throws RelaymintError CHANNEL_CLOSING, LIMIT_EXCEEDED, CLOSED; STORAGE_FULL, STORAGE_FAILED while the books cannot be written.
   */
  openEarning(options: OpenEarning): EarningAccount;
  /** Tells the accounts of a channel what the ledger shows now (a top-up, a settlement, a close request). */
  update(channel: ChannelState): void;
  /** The ledger closed this channel for good: ends its account and drops its records, except what its wallet left unpaid. */
  forget(channel: ChannelState): void;
  /** What was burned on chain for circuits of this wallet, less what was taken off it; base units. Kept on disk, whatever its channels. */
  advancedTo(payer: LedgerAddress): bigint;
  /** Adds to it: counts at once, and resolves once it is on disk. @throws RelaymintError STORAGE_FULL, STORAGE_FAILED: it does not count. */
  advance(payer: LedgerAddress, units: Amount): Promise<void>;
  /** Takes off it what was not burned after all, or what we earned with this wallet's circuits. */
  recoup(payer: LedgerAddress, units: Amount): void;
  /** `units` of it were for this channel of ours: they are taken off once its payee returns what we staked. */
  openedFor(id: ChannelId, payer: LedgerAddress, units: Amount): void;
  /** More is granted onward for this wallet than its channel with a live link covers: it may come to owe it. Set by whoever grants. */
  isPromised: (payer: LedgerAddress) => boolean;
  /** Every channel this book knows, live or not, from memory and disk. */
  peers(): readonly PairCounts[];
  /**
   * Payer: the deposit of a channel runs low, or was low when its account was opened. Top it up, then call `update`, or `lowAgain` if
   * that failed. Called once per crossing.
   */
  onLow: (channel: ChannelState, left: Amount) => void;
  /** Payer: nothing came of the last `onLow` for this channel. It is called again if the channel has a live account and is still low. */
  lowAgain(id: ChannelId): void;
  /**
   * Payer: this channel has paid WIDEN_AFTER times what was burned for it. Burn more, call `update`, and let the payee look
   * (`SpendingAccount.widen`). Called once until it is done, or until the next link.
   */
  onOutgrown: (channel: ChannelState, paid: Amount) => void;
  /** Closes all accounts, waits for all writes. The store stays open: its owner closes it. */
  close(): Promise<void>;
}

export interface BookOptions {
  /** Opened by the composition root, shared with settlement. */
  readonly store: BookStore;
  /** Asked for a channel's deposit when it nears its end. */
  readonly reader: Pick<LedgerReader, 'channel'>;
  readonly log?: Log;
}
