/**
 * What the rest of Relaymint asks of a ledger. Only `ledger/solana` knows how it is done; a second implementation
 * would have to keep every promise written here.
 */
import type { ChannelId, LedgerAddress } from '../core/ids.ts';
import type { Amount, Lamports, UnixSeconds } from '../core/units.ts';
import type { Receipt } from './receipt/index.ts';
import type { NameStatus } from './term.ts';

/** One payer-to-payee credit line as the chain holds it. */
export interface ChannelState {
  readonly id: ChannelId;
  readonly till: LedgerAddress;
  /** Owner of the till: the payee's wallet. */
  readonly payee: LedgerAddress;
  readonly slot: number;
  readonly generation: number;
  /** The payer's wallet. */
  readonly payer: LedgerAddress;
  /** The Ed25519 key that signs this channel's receipts. */
  readonly delegate: LedgerAddress;
  readonly deposit: Amount;
  /**
   * Burned at the opening, or later to widen the window, on top of the deposit: the most that the payer may ever owe. When the channel closes,
   * the payer gets back what the payee returned of it before, or all of it if the payee signs the close. Nobody gets the rest.
   */
  readonly opening: Amount;
  readonly settled: Amount;
  /** Bytes of the last settled receipt. */
  readonly settledUp: bigint;
  readonly settledDown: bigint;
  /** When the payer may close without the payee; undefined while no close was requested. A cluster that stood still meanwhile makes it later. */
  readonly closeAt: UnixSeconds | undefined;
}

/** Where a channel stands on chain. */
export type ChannelPlace = Pick<ChannelState, 'till' | 'slot'>;

export interface TillState {
  readonly address: LedgerAddress;
  readonly owner: LedgerAddress;
  readonly slots: number;
  /** Earned and not yet withdrawn. */
  readonly earned: Amount;
  readonly lifetimeEarned: Amount;
  /** The least deposit of a new channel. */
  readonly minDeposit: Amount;
  /** The least opening payment of a new channel. */
  readonly opening: Amount;
  /** What the opener of a channel puts down until it closes. */
  readonly slotRent: Lamports;
  /** Open channels only. */
  readonly channels: readonly ChannelState[];
  /** Generation of each slot, free ones included: a channel of an earlier generation in that slot is closed for good. */
  readonly generations: readonly number[];
}

export interface Split {
  readonly account: LedgerAddress;
  /** Basis points, 1 .. 10,000; a record's splits sum to 10,000. */
  readonly bps: number;
}

export interface NameRecord {
  readonly name: string;
  readonly address: LedgerAddress;
  readonly owner: LedgerAddress;
  readonly manager: LedgerAddress;
  readonly registeredAt: UnixSeconds;
  /** undefined: never (registered before names had terms). */
  readonly expiresAt: UnixSeconds | undefined;
  /** By the chain's clock when the record was read. */
  readonly status: NameStatus;
  /** Rises with every change of what the record says, of its owner too; a reader refuses to go back. */
  readonly seq: bigint;
  /** Binary CID of the content root. */
  readonly root: Uint8Array;
  /** Binary CID of the manifest, empty when there is none. */
  readonly manifest: Uint8Array;
  readonly royaltyBps: number;
  /** What of the royalty goes to the name of the site that shows this content elsewhere, basis points. */
  readonly referrerBps: number;
  readonly splits: readonly (Split & { readonly owed: Amount })[];
  /** What earlier shares left of a base unit, in parts of 10,000: of royalties, and of what referrers get. */
  readonly carry: { readonly royalty: bigint; readonly referrer: bigint };
  readonly accrued: Amount;
  readonly lifetime: Amount;
  /**
   * How often it was given to another wallet. Name, `registeredAt` and this tell one holder from the next. A recovery does not count: the
   * holder stays, and has another wallet.
   */
  readonly transfers: number;
  /** undefined: its owner set no recovery key. */
  readonly recovery?: NameRecovery | undefined;
}

/** Who may get a name back whose owner's wallet is lost. */
export interface NameRecovery {
  /** The wallet that may begin it. */
  readonly key: LedgerAddress;
  /** Seconds between beginning and end, during which the owner can cancel. */
  readonly delay: number;
  /** What was begun: who gets the name, and when at the earliest. A cluster that stood still meanwhile makes it later. */
  readonly pending?: { readonly to: LedgerAddress; readonly at: UnixSeconds } | undefined;
}

/** The settings of the bank that its admin may change. */
export interface BankSettings {
  /** What the treasury gets of every settlement, basis points, at most 1,000. */
  readonly feeBps: number;
  /** The wallet whose credit account gets the fees, including those not yet minted. */
  readonly treasury: LedgerAddress;
  /** Price of a name per year. */
  readonly nameYearPrice: Amount;
  /** How old a commitment to a name must be when it is revealed, 1 .. 3,600 seconds. */
  readonly commitSeconds: number;
}

/**
 * Totals since the bank was initialized. bought - redeemed = supply + openDeposits + unminted + forgone, plus what holders
 * burned themselves, which the program does not see.
 */
export interface BankState extends BankSettings {
  readonly address: LedgerAddress;
  readonly mint: LedgerAddress;
  readonly clusterTag: Uint8Array;
  readonly unitsPerLamport: bigint;
  readonly challengeSeconds: bigint;
  readonly bought: Amount;
  readonly redeemed: Amount;
  readonly burned: Amount;
  readonly minted: Amount;
  /** Of open channels, with their opening payments, and of claims that wait for their payers. */
  readonly openDeposits: Amount;
  /** Opening payments that no payee returned before the channel closed: burned for good. */
  readonly forgone: Amount;
  readonly unminted: Amount;
  readonly reserve: Lamports;
  /** The credit mint's current supply. */
  readonly supply: Amount;
  /** The wallet that may change the settings; undefined once the admin gave that up for ever. */
  readonly admin: LedgerAddress | undefined;
  /** Taken from settlements and not yet minted to the treasury; a part of `unminted`. */
  readonly fees: Amount;
  readonly lifetimeFees: Amount;
}

export interface Balances {
  readonly lamports: Lamports;
  readonly credits: Amount;
}

/** What a till asks of a payer that opens a channel. */
export interface TillTerms {
  readonly minDeposit: Amount;
  readonly opening: Amount;
}

/** What a payer burns into a channel. */
export interface ChannelFunds {
  /** More than 0. What is not spent comes back. */
  readonly deposit: Amount;
  /** Exactly what the till asks when absent. See `ChannelState.opening` for when it comes back. */
  readonly opening?: Amount | undefined;
  /** The most that the till may ask: LIMIT_EXCEEDED beyond it, before anything is sent. No limit when absent. */
  readonly maxOpening?: Amount | undefined;
}

/** What a payee gives back of a channel's opening payment. */
export interface OpeningReturn {
  readonly channel: ChannelState;
  /** More than 0, at most its opening payment. */
  readonly returned: Amount;
}

/** Credits in the wallet, and credits that its till earned and has not withdrawn; undefined without a till. */
export interface Holdings {
  readonly credits: Amount;
  readonly earned: Amount | undefined;
}

/** What waits for a payer after payees closed its channels. */
export interface ClaimState {
  readonly payer: LedgerAddress;
  readonly amount: Amount;
  readonly lamports: Lamports;
}

/** The cost and the signature of one confirmed transaction. */
export interface TransactionResult {
  readonly signature: string;
  readonly feeLamports: Lamports;
  readonly computeUnits: number;
}

/** A receipt ready to be settled: the signed bytes and where they go. */
export interface SettleItem {
  readonly slot: number;
  readonly delegate: LedgerAddress;
  /** 47 bytes. */
  readonly message: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** What one content name earned within a batch, before its royalty is taken. */
export interface ContentShare {
  readonly name: string;
  /** The registered name of the site that showed it, another than `name`: it gets the name's `referrerBps` of the royalty. */
  readonly referrer?: string | undefined;
  readonly gross: Amount;
  /** The name's royalty at settlement counts, but no more than this: basis points, at most 10,000. */
  readonly maxRoyaltyBps: number;
}

/** Of a share what tells how much room it takes in a transaction: each name that several mention is there once. */
export type ShareNames = Pick<ContentShare, 'name' | 'referrer'>;

/** What settling is expected to cost now. */
export interface SettleFees {
  /** What the network says it charges. */
  readonly fee: FeePerReceipt;
  /** What it asks on top of that for a place in full blocks; `maxBid` may lower it. */
  readonly bid: FeePerReceipt;
}

export interface FeePerReceipt {
  /** For a transaction with one receipt. */
  readonly first: Lamports;
  /** What each further receipt in it adds. */
  readonly further: Lamports;
}

/** How settled the chain's answer must be: voted for by most (a second or two), or beyond any fork (about 13 seconds). */
export type Commitment = 'confirmed' | 'finalized';

/** A signed transaction whose signature is known before it is sent, so that it can be recorded first. */
export interface PreparedTransaction {
  readonly signature: string;
  /** Serialized, signed; what `submit` sends. */
  readonly wire: Uint8Array;
  /** Block height after which the network will not take it any more. */
  readonly lastValidBlockHeight: bigint;
}

/** What a settlement moved from deposits, as the program reports it; base units. */
export interface MovedBySettling {
  readonly total: Amount;
  /** The part of it that the bank kept. */
  readonly bankFee: Amount;
  /** The part of it that names got. */
  readonly royalties: Amount;
}

export type SubmissionStatus =
  /** On chain for good: no fork can undo it. What a settlement moved, or a withdrawal minted, if the node keeps what it reported. */
  | {
      readonly state: 'confirmed';
      readonly result: TransactionResult;
      readonly moved?: MovedBySettling;
      readonly withdrawn?: Amount;
    }
  /** Refused by the program or the network: it changed nothing (but may have cost its fee). */
  | { readonly state: 'failed'; readonly reason: string }
  | { readonly state: 'pending' }
  /** Not on chain and can no longer get there. */
  | { readonly state: 'expired' };

/** Exactly what a stranger has to pay. */
export interface PaymentTerms {
  /** What is paid: the mint of the credits, or another one. */
  readonly mint: LedgerAddress;
  /** Base units of that mint, more than 0. */
  readonly amount: Amount;
  /** The wallet that gets it, in its usual token account. */
  readonly payTo: LedgerAddress;
  /** Stands in the transaction for all to read, and ties it to one sale. */
  readonly memo: string;
}

/** A stranger's payment, good by what is known now, signed by both; not sent. */
export interface CheckedPayment {
  readonly transaction: PreparedTransaction;
  /** Whose tokens it moves. */
  readonly payer: LedgerAddress;
}

/** Takes payments that strangers sign. This side pays the network's fee, so nothing is sent that would fail by what is known. */
export interface LedgerCashier {
  /** Pays the fees; the transactions of payers name it. */
  readonly feePayer: LedgerAddress;
  /** CAIP-2. What is no public cluster is called devnet, because clients know the three public ones only. */
  network(): Promise<string>;
  /**
   * Gets the wallet ready to be paid in that mint: its token account is created when missing. @returns decimals of the mint
   * @throws RelaymintError INVALID_CONFIG when it is no mint of the usual token program; INSUFFICIENT_FUNDS.
   */
  ready(mint: LedgerAddress, payTo: LedgerAddress): Promise<number>;
  /**
   * Whether a payer's transaction pays exactly that, and does nothing else. What can be seen without the ledger is looked at
   * first. `transaction`: base64. @throws RelaymintError PAYMENT_INVALID; LEDGER_UNREACHABLE; INSUFFICIENT_FUNDS when this side cannot
   * pay the fee
   */
  check(transaction: string, terms: PaymentTerms): Promise<CheckedPayment>;
  /**
   * Sends, and waits until most of the network has voted for it, it failed, or it can no longer get on chain: only the chain says which, whatever
   * the node answers. It may have been sent before. @throws RelaymintError LEDGER_UNREACHABLE, LEDGER_REJECTED, ABORTED, CLOSED: its outcome is open
   */
  land(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus>;
}

/** A commitment to register a name, made without revealing it. */
export interface NameCommitment {
  readonly committedAt: UnixSeconds;
  /** From then on the name can be registered with it, by the chain's clock. */
  readonly revealFrom: UnixSeconds;
  /** After that a new one is needed. */
  readonly revealUntil: UnixSeconds;
}

export interface NameRegistration {
  readonly name: string;
  /** 1 (default) .. 10. */
  readonly years?: number | undefined;
  /** The most it may cost. Default: what it costs when the operation begins. */
  readonly maxPrice?: Amount | undefined;
  /** Binary CID of the content root; empty for none yet. */
  readonly root: Uint8Array;
  readonly manifest?: Uint8Array | undefined;
  readonly royaltyBps: number;
  /** As in `NameRecord`; 0 when absent. */
  readonly referrerBps?: number | undefined;
  /** Everything to the owner when absent. */
  readonly splits?: readonly Split[] | undefined;
  /** The owner when absent. */
  readonly manager?: LedgerAddress | undefined;
}

/** How far a registration is. `wait`: until the commitment is old enough, about that many seconds. */
export type RegistrationStep =
  { readonly step: 'commit' } | { readonly step: 'wait'; readonly seconds: number } | { readonly step: 'reveal' };

export interface RegistrationOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: RegistrationStep) => void) | undefined;
}

/** A term that was bought. */
export interface NamePurchase extends TransactionResult {
  /** Burned for it. */
  readonly paid: Amount;
  readonly expiresAt: UnixSeconds;
}

/** A share of one settlement, as the program counted it. */
export interface NameEarning {
  /** Of the transaction. */
  readonly signature: string;
  /** By the chain's clock; undefined: the node does not say. */
  readonly at: UnixSeconds | undefined;
  /** Who served the content: the owner of the till that it was settled for. */
  readonly seller: LedgerAddress;
  /** Whose content it was. */
  readonly name: string;
  /** The name whose page showed it. Absent: its own. */
  readonly referrer?: string;
  /** What the seller says that the content earned. */
  readonly gross: Amount;
  /** What of that accrued, to the name and its referrer together. */
  readonly royalty: Amount;
  /** The referrer's part of `royalty`. */
  readonly referred: Amount;
}

export interface NameEarnings {
  /** Those of the name, and those that others' content earned in its pages, newest first. */
  readonly earnings: readonly NameEarning[];
  /** Transactions that touched the name. */
  readonly transactions: number;
  /** Signatures of those of which the node does not say what happened in them: they may have earned something too. */
  readonly unread: readonly string[];
}

export interface NameEarningsOptions {
  /** Only from then on. Default: all that the node remembers. */
  readonly since?: UnixSeconds | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (read: number, of: number) => void;
}

export interface LedgerReader {
  /** What a name earned, as far as the node remembers. It reads each transaction that touched the name: only at a person's request. */
  nameEarnings(name: string, options?: NameEarningsOptions): Promise<NameEarnings>;
  /** The chain's clock. */
  now(): Promise<UnixSeconds>;
  bank(): Promise<BankState>;
  balances(owner: LedgerAddress): Promise<Balances>;
  tillAddress(owner: LedgerAddress): LedgerAddress;
  /** As of `confirmed` unless told otherwise. */
  till(owner: LedgerAddress, commitment?: Commitment): Promise<TillState | undefined>;
  /** Of each owner, in that order: a few requests for hundreds of them. */
  holdings(owners: readonly LedgerAddress[]): Promise<readonly Holdings[]>;
  /** undefined when the slot is free or the till does not exist. Reads that slot only. */
  channel(till: LedgerAddress, slot: number): Promise<ChannelState | undefined>;
  /** The same for several places, in that order. */
  channels(places: readonly ChannelPlace[]): Promise<readonly (ChannelState | undefined)[]>;
  /** Open channels that `payer` pays, over all tills. It reads every till of the network, so only call it at a person's request. */
  channelsOf(payer: LedgerAddress): Promise<readonly ChannelState[]>;
  /** What waits for this payer; undefined when nothing does. */
  claim(payer: LedgerAddress): Promise<ClaimState | undefined>;
  name(name: string): Promise<NameRecord | undefined>;
  /** Those of the names that are registered, at most `MAX_NAMES_LOOKED_UP` of them: one request. */
  findNames(names: readonly string[]): Promise<readonly NameRecord[]>;
  names(): Promise<readonly NameRecord[]>;
}

/** Transactions of one wallet. Each method resolves once confirmed, or rejects with a RelaymintError. */
export interface LedgerWallet {
  readonly address: LedgerAddress;
  /** Test networks only: gives the wallet lamports. */
  airdrop(lamports: Lamports): Promise<void>;
  buy(lamports: Lamports): Promise<TransactionResult>;
  redeem(amount: Amount): Promise<TransactionResult>;
  send(to: LedgerAddress, amount: Amount): Promise<TransactionResult>;
  /** 1 .. 1,024 slots; their rent comes back when the till is closed. */
  openTill(slots: number, terms?: TillTerms): Promise<TransactionResult>;
  /** For channels opened from now on. @throws CHANNEL_UNKNOWN when there is no till. */
  setTillTerms(terms: TillTerms): Promise<TransactionResult>;
  /** Gives the wallet's till more slots: `slots` is how many it has then. @throws CHANNEL_UNKNOWN when there is no till. */
  growTill(slots: number): Promise<TransactionResult>;
  /** Gives the rent back. Refused while the till holds an open channel or earnings. @throws CHANNEL_UNKNOWN when there is no till. */
  closeTill(): Promise<TransactionResult>;
  /**
   * Opens a channel to the payee's till in a free slot, and puts down its slot rent. The deposit alone may be given for the
   * funds. @throws CHANNEL_UNKNOWN no till; LIMIT_EXCEEDED no free slot; INSUFFICIENT_FUNDS; INVALID_ARGUMENT below the till's terms.
   */
  openChannel(payee: LedgerAddress, delegate: LedgerAddress, funds: Amount | ChannelFunds): Promise<ChannelState>;
  /** Adds to the deposit; `opening` widens what the payee may grant. Either may be 0, not both. */
  topUp(channel: ChannelState, deposit: Amount, opening?: Amount): Promise<TransactionResult>;
  requestClose(channel: ChannelState): Promise<TransactionResult>;
  /** After the challenge period; or at once when `payee` (the till owner's wallet) signs too. */
  closeChannel(channel: ChannelState, payee?: LedgerWallet): Promise<TransactionResult>;
  /** Turns opening payments in this wallet's own till back into deposits: their payers get them back at the close. `RETURNS_PER_TRANSACTION` at most. */
  returnOpenings(returns: readonly OpeningReturn[]): Promise<TransactionResult>;
  /** Lamports of its slot rent that the payer pays this wallet for it. `unitsPerLamport`: the bank's price. */
  returnFee(one: OpeningReturn, unitsPerLamport: bigint): bigint;
  /**
   * Closes a channel of this wallet's own till at once. Settle what it owes first: what is not settled is lost. The rest,
   * what is returned of the opening payment (nothing when absent) and the slot rent go to the payer, or wait for it as its claim
   * when it has no credit account. Costs the payee the fee.
   */
  closeByPayee(channel: ChannelState, returned?: Amount): Promise<TransactionResult>;
  /** Pays out what waits for the payer, this wallet's own when absent. Anybody may. @throws CHANNEL_UNKNOWN when nothing waits. */
  payClaim(payer?: LedgerAddress): Promise<TransactionResult>;
  /** Mints what the till earned to the owner's token account (created when missing). */
  withdraw(): Promise<TransactionResult>;
  /** Signs what `withdraw` would send; nothing is sent. `earned`: what the till holds, which bounds the bid. */
  prepareWithdraw(earned: Amount): Promise<PreparedTransaction>;
  /** Mints the bank's fees to its treasury, whoever this wallet is (the treasury's token account is created when missing). */
  collectFees(): Promise<TransactionResult>;
  /**
   * Changes the bank's settings; this wallet must be its admin. `newAdmin` signs too and is the admin from then on; `null`
   * gives the settings up for ever.
   */
  configure(change: Partial<BankSettings> & { readonly newAdmin?: LedgerWallet | null }): Promise<TransactionResult>;
  /**
   * Finds out how long a transaction the ledger accepts, unless that is known. `receiptsThatFit` uses the answer. Costs nothing.
   * @throws LEDGER_UNREACHABLE
   */
  learnTransactionSize(): Promise<void>;
  /**
   * How many of the receipts, from the first on, fit one settle transaction together with those shares, by what is known of the
   * ledger now: fewer once it refused a long transaction. At least one does.
   */
  receiptsThatFit(receipts: readonly Receipt[], shares: readonly ShareNames[]): number;
  /**
   * Signs a settle transaction for the till of `payee`, this wallet's own when absent; nothing is sent. Anybody may
   * settle anybody's receipts, but shares are taken from a till's owner only. The signatures are merged, not verified: a
   * wrong one makes the ledger refuse all of them. `maxBid`: most to pay beside the base fee for a place in full blocks; the
   * ledger's own limit holds as well, and alone when absent.
   * @throws RECEIPT_INVALID when a message is no receipt; LIMIT_EXCEEDED when they do not fit.
   */
  prepareSettle(
    items: readonly SettleItem[],
    shares: readonly ContentShare[],
    payee?: LedgerAddress,
    maxBid?: Lamports,
  ): Promise<PreparedTransaction>;
  /** What `prepareSettle` would have to pay now if nothing but the ledger's own limit held its bid. */
  settleFees(): Promise<SettleFees>;
  /**
   * Sends (again). Sending what is already on chain is harmless. LEDGER_UNREACHABLE leaves open whether it arrived; any
   * other error says that it did not.
   */
  submit(transaction: PreparedTransaction): Promise<void>;
  /** Sends again now and then until the transaction is on chain for good, failed for good, or expired. */
  confirm(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus>;
  status(
    transaction: Pick<PreparedTransaction, 'signature' | 'lastValidBlockHeight'> & Partial<PreparedTransaction>,
  ): Promise<SubmissionStatus>;
  /**
   * The first half of registerName, for callers that have something to do while the commitment ages. Does nothing if one exists
   * that can still be used. @throws NAME_TAKEN
   */
  commitName(name: string): Promise<NameCommitment>;
  /**
   * Commits, waits as long as the bank asks, and reveals. After an interruption (a crash, the signal), calling it again
   * continues where it stopped. Takes a name whose grace period is over, after its former earners were paid.
   * @throws NAME_TAKEN; INSUFFICIENT_FUNDS before anything is sent; ABORTED.
   */
  registerName(record: NameRegistration, options?: RegistrationOptions): Promise<NamePurchase>;
  /** Any wallet may pay. @throws NAME_UNKNOWN, NAME_EXPIRED (its grace period is over), LIMIT_EXCEEDED (over 10 years ahead). */
  renewName(name: string, years: number, maxPrice?: Amount): Promise<NamePurchase>;
  /** Gives a name to another wallet, which also manages it. Root, royalty and splits stay as they are; the recovery key goes. */
  transferName(name: string, to: LedgerAddress): Promise<TransactionResult>;
  /**
   * Sets the wallet that may get this wallet's name to another one, after a delay of `RECOVERY_DELAYS`; undefined takes it away. Ends a
   * recovery that was begun. A name of before there was recovery grows, and this wallet pays for that.
   */
  setRecovery(name: string, recovery: Pick<NameRecovery, 'key' | 'delay'> | undefined): Promise<TransactionResult>;
  /** This wallet must be the name's recovery key. @throws NAME_UNKNOWN; PROGRAM_ERROR when it is not, or one was begun. */
  beginRecovery(name: string, to: LedgerAddress): Promise<TransactionResult>;
  /** By the owner, or the recovery key, which stays. */
  cancelRecovery(name: string): Promise<TransactionResult>;
  /** Any wallet may, once the delay is over. The new owner manages the name and has the former owner's split; the recovery key goes. */
  finishRecovery(name: string): Promise<TransactionResult>;
  updateName(
    name: string,
    change: {
      readonly root?: Uint8Array | undefined;
      readonly manifest?: Uint8Array | undefined;
      readonly royaltyBps?: number | undefined;
      readonly manager?: LedgerAddress | undefined;
      readonly splits?: readonly Split[] | undefined;
      readonly referrerBps?: number | undefined;
    },
  ): Promise<TransactionResult>;
  /**
   * Allocates a name's accrued revenue to its splits and mints it to those whose token account exists. The wallet's own
   * is created; those of the others, at this wallet's cost, when `createAccounts` says so: then nothing stays owed.
   */
  distributeName(name: string, options?: { readonly createAccounts?: boolean }): Promise<TransactionResult>;
}
