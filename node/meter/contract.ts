/** What metering a link means. Types only. */
import type { Attribution, Earners } from '../../core/attribution.ts';
import type { LedgerAddress, NodeId } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import type { AccountBook, AccountCounts, UpVerdict } from '../../ledger/accounting/index.ts';
import type { ChannelState, LedgerReader } from '../../ledger/contract.ts';
import type { Signer } from '../../ledger/receipt/index.ts';
import type { Link } from '../link/contract.ts';
import type { Sponsor } from './sponsor.ts';

/**
 * Counts the circuit frames of one link and keeps both ends' debts within their windows. "up" is payer to payee. Whoever
 * created a circuit on this link pays for its frames, both ways. At most one account in each direction of payment.
 * Sizes are whole link frames, header included.
 *
 * Closed, with its link or its node's `Metering`: `openSpending`, `sendUp` and `receivedDown` fail with CLOSED, `receivedUp` says `cut`,
 * `canSendDown` false and `mayOwe` 0; the rest does nothing, and the counts stay as they are.
 */
export interface LinkMeter {
  /**
   * Prepares paying this peer: finds a channel, presents it and waits for the peer's terms. Call it before the first
   * CREATE; repeated calls share one attempt. `sponsor` belongs to the payer whose circuit it is for: a channel is opened on chain
   * only within its allowance. Absent: we open it at our own cost. It fails as soon as `signal` ends, and then begins nothing; the
   * attempt that is under way goes on, for whoever pays this peer next.
   * @throws RelaymintError CHANNEL_UNKNOWN, CHANNEL_CLOSING, LEDGER_UNREACHABLE, INSUFFICIENT_FUNDS, ALLOWANCE_EXHAUSTED, TIMEOUT, CLOSED, ABORTED ..
   */
  openSpending(sponsor?: Sponsor, signal?: AbortSignal): Promise<void>;
  /**
   * Payer: before a frame is written. `last`: it ends its circuit, and may use what others leave of the deposit.
   * @throws RelaymintError WINDOW_EXHAUSTED, DEPOSIT_EXHAUSTED, CLOSED: not paid for, do not write it.
   */
  sendUp(frameBytes: number, price: PricePerMiB, last?: boolean): void;
  /** Payer: what may still be granted down on this link, over all circuits. A numerator: bytes x price. */
  readonly mayOwe: bigint;
  /** Payer: is a frame of the largest size within what we may owe before a receipt? A dearer circuit cannot be carried. */
  canAfford(price: PricePerMiB): boolean;
  /** Payee: as `canAfford`, for what the payer may owe us. */
  canCarry(price: PricePerMiB): boolean;
  /** Payee: bounds what we may have to pay onward for this payer. */
  readonly sponsor: Sponsor;
  /** `mayOwe` or the sponsor's room rose. Set by the circuit layer; one listener. */
  onRoom: () => void;
  /** Payer: after a frame came. @throws RelaymintError (close the link). */
  receivedDown(frameBytes: number, price: PricePerMiB): void;
  /** Payee: a frame came up. `cut` also when the peer presented no channel. */
  receivedUp(frameBytes: number, price: PricePerMiB): UpVerdict;
  /** Payee: may this frame go down now? false: wait for `onOpen`. `own`: our own content, for which nothing was granted onward. */
  canSendDown(frameBytes: number, price: PricePerMiB, own: boolean): boolean;
  /** Payee: a frame goes down. */
  sentDown(frameBytes: number, price: PricePerMiB): void;
  /** Payee: this many of the counted bytes count for these names. */
  attribute(shares: Attribution, frameBytes: number, price: PricePerMiB): void;
  /** A circuit that we pay has ended: nets what the peer owes too, if it nets, and pays the rest, at the latest when idle. */
  rest(): void;
  /** Pays all that is due now. */
  flush(): void;
  /** The same, if at least this much is due (a numerator): circuits wait for it. */
  payEarly(least: bigint): void;
  /** The window of the peer has room again. Set by the circuit layer; one listener. */
  onOpen: () => void;
  /** What we pay, what we are paid; undefined where there is no account. */
  counts(): { readonly spending: AccountCounts | undefined; readonly earning: AccountCounts | undefined };
}

/** Gives the channel from which a neighbour is paid. The composition root opens one on chain when there is none. */
export interface ChannelProvider {
  /** We are about to pay that wallet: looks up what opening a channel to it needs. Absent: it is looked up when needed. */
  expect?(peerWallet: LedgerAddress): void;
  /** True if a channel to this wallet can be used without spending anything, as far as we know. Asks nobody. */
  known(peerWallet: LedgerAddress): boolean;
  /**
   * What opening a channel to this wallet would cost now and never bring back: what its till asks to be burned, and the
   * transaction's fee at the bank's price. Base units; 0 when one is known. @throws RelaymintError CHANNEL_UNKNOWN (it has no till), LEDGER_UNREACHABLE.
   */
  openingCost(peerWallet: LedgerAddress): Promise<Amount>;
  /**
   * Opens one if there is none. `sponsor` belongs to the payer whose circuit it is for, and is absent for our own: what opening
   * costs is taken off its allowance before, and given back when it is certain that nothing was burned.
   * @throws RelaymintError CHANNEL_UNKNOWN, LIMIT_EXCEEDED (its till is full), INSUFFICIENT_FUNDS, PRICE_TOO_HIGH (it asks more
   * to be burned than we allow), ALLOWANCE_EXHAUSTED, BUDGET_EXHAUSTED, LEDGER_UNREACHABLE, CLOSED.
   */
  channelTo(
    peerWallet: LedgerAddress,
    peer: NodeId,
    sponsor?: Pick<Sponsor, 'advance'>,
  ): Promise<{ readonly channel: ChannelState; readonly delegate: Signer }>;
  /** The deposit runs low. Resolves with what the ledger shows after the top-up. Absent: nothing is topped up. @throws RelaymintError BUDGET_EXHAUSTED, .. */
  topUp?(channel: ChannelState, left: Amount): Promise<ChannelState>;
  /**
   * Enough was `paid` over the channel to make twice the window worth its price: burns as much again as was burned for it.
   * Resolves with what the ledger shows then; undefined if nothing more is burned. Absent: windows stay as they are.
   * @throws RelaymintError BUDGET_EXHAUSTED, INSUFFICIENT_FUNDS, ..
   */
  widen?(channel: ChannelState, paid: Amount): Promise<ChannelState | undefined>;
}

export interface MeteringOptions {
  /** Our wallet: owner of the till that peers pay into. */
  readonly wallet: LedgerAddress;
  readonly book: AccountBook;
  readonly reader: Pick<LedgerReader, 'channel' | 'tillAddress'>;
  readonly channels: ChannelProvider;
  /** One MiB at this price is a stranger's window: our own offer. */
  readonly price: PricePerMiB;
  /** An account without traffic is paid after this long, milliseconds. Default 250. */
  readonly idleMillis?: number;
  /** Nets with peers that do so too. Default true. */
  readonly nets?: boolean;
  readonly log?: Log;
}

/** What was sent for a name in the pages of one site. */
export interface ContentCount extends Earners {
  readonly bytes: number;
  /** What it cost, before royalties. */
  readonly gross: Amount;
}

/** The meters of a node's links. */
export interface Metering extends AsyncDisposable {
  /** Called once for each link, when it opens. The meter is closed from the start after `close`. */
  attach(link: Link): LinkMeter;
  /** Pays every neighbour all that is due. */
  flush(): void;
  /** We are about to ask for a link to the owner of this wallet, and will pay on it. */
  expect(peerWallet: LedgerAddress): void;
  /** The other wallet of an open channel between us and that linked peer, whoever pays: somebody burned for it. */
  walletOf(peer: NodeId): LedgerAddress | undefined;
  /** What was sent for names since the start, by the page that showed them. */
  content(): readonly ContentCount[];
  /** What relaying earned for certain since the start: what payers paid less what was paid onward for them. Base units. */
  readonly kept: bigint;
  /** Pays, then closes all meters and their accounts. The book stays open. Harmless when repeated. */
  close(): Promise<void>;
}
