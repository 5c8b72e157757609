/** The books: what is kept of each channel, in memory and (by `ledger/books`) on disk. */
import { RelaymintError } from '../../core/errors.ts';
import { channelId, ledgerAddress, type ChannelId, type LedgerAddress, type NodeId } from '../../core/ids.ts';
import { MAX_ACCOUNTS, MAX_EARNING_NAMES } from '../../core/limits.ts';
import { amount, type Amount } from '../../core/units.ts';
import { GroupedStore, type Change, type Findings, type StoreOptions, type Written } from '../books/index.ts';
import type { ChannelState } from '../contract.ts';
import { type Receipt, type SignedReceipt, decodeSignedReceipt, isNewer } from '../receipt/index.ts';
import {
  addClosed,
  decodeClosed,
  decodeEntry,
  decodeOpenedFor,
  decodeWide,
  encodeClosed,
  encodeEntry,
  encodeOpenedFor,
  encodeWide,
  NO_CHANNELS,
  type ClosedTotals,
  type Entry,
  type OpenedFor,
} from './entry.ts';
import { KEY, worthOf } from './keys.ts';
import { droppable } from './room.ts';
import { takeOver } from './stale.ts';
import { WalletFigures } from './wallets.ts';

/** What a name earned since it was last settled: a numerator, bytes x price. */
export type Shares = ReadonlyMap<string, bigint>;

/**
 * Opens (or creates) the books in a directory. Damage is repaired as far as possible, and reported in the log and in
 * `findings`.
 * @throws RelaymintError FILE_IN_USE, STORAGE_FAILED, STORAGE_FULL, VERSION_UNSUPPORTED.
 */
export async function openBookStore(
  directory: string,
  options: Omit<StoreOptions, 'worthOf'> = {},
): Promise<BookStore> {
  const store = await GroupedStore.open(directory, { ...options, worthOf });
  try {
    return new BookStore(store);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The user of a store's entries. */
export interface EntryUsers {
  /** A link carries this channel now: its entry stays. */
  isLive(id: ChannelId): boolean;
  /** More is granted onward for this wallet than its channel with a live link covers: it may come to owe it. */
  isPromised(wallet: LedgerAddress): boolean;
  /** The entry made room for another. */
  forgotten(id: ChannelId): void;
}

export class BookStore implements AsyncDisposable {
  readonly #store: GroupedStore;
  readonly #entries = new Map<ChannelId, Entry>();
  /** What wallets left unpaid, base units. */
  readonly #arrears = new WalletFigures(KEY.arrears);
  /** What was burned on chain for circuits of wallets, base units. */
  readonly #advances = new WalletFigures(KEY.advance);
  /** Channels of ours that were opened for circuits of a wallet. */
  readonly #opened = new Map<ChannelId, OpenedFor>();
  readonly #shares = new Map<string, bigint>();
  readonly #settlements = new Map<string, Uint8Array>();
  readonly #closed: Record<Entry['role'], ClosedTotals> = { payer: NO_CHANNELS, payee: NO_CHANNELS };
  /** Receipts whose channel's record was lost: they wait for the channel to be entered again. */
  readonly #receipts = new Map<string, SignedReceipt>();

  /** Use `openBookStore`. @throws RelaymintError INVALID_ENCODING. */
  constructor(store: GroupedStore) {
    this.#store = store;
    const entries: Pick<Entry, 'role' | 'peer' | 'channel' | 'owed'>[] = [];
    for (const [key, value] of store.entries()) {
      const name = key.slice(key.indexOf('/') + 1);
      if (key.startsWith(KEY.channel)) entries.push(decodeEntry(value));
      else if (key.startsWith(KEY.held) || key.startsWith(KEY.given)) {
        this.#receipts.set(key, decodeSignedReceipt(value));
      } else if (key.startsWith(KEY.arrears)) {
        this.#arrears.set(ledgerAddress(name), decodeWide(value));
      } else if (key.startsWith(KEY.advance)) {
        this.#advances.set(ledgerAddress(name), decodeWide(value));
      } else if (key.startsWith(KEY.opened)) {
        this.#opened.set(channelId(name), decodeOpenedFor(value));
      } else if (key.startsWith(KEY.share)) this.#shares.set(name, decodeWide(value));
      else if (key.startsWith(KEY.settlement)) this.#settlements.set(name, Uint8Array.from(value));
      else if (key === KEY.closed + 'payer') this.#closed.payer = decodeClosed(value);
      else if (key === KEY.closed + 'payee') this.#closed.payee = decodeClosed(value);
    }
    for (const entry of entries) {
      this.#entries.set(entry.channel.id, { ...entry, latest: this.#takeReceipt(entry.role, entry.channel.id) });
    }
  }

  /** What was wrong with the files when they were opened. */
  get findings(): Findings {
    return this.#store.findings;
  }

  /** @throws RelaymintError STORAGE_FULL, STORAGE_FAILED while nothing can be written: no new credit may be given. */
  ensureWritable(): void {
    if (this.#store.failing !== undefined) throw this.#store.failing;
  }

  entry(id: ChannelId): Entry | undefined {
    return this.#entries.get(id);
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** What names earned and was not settled yet; `MAX_EARNING_NAMES` at most. */
  get shares(): Shares {
    return this.#shares;
  }

  /** The user of the entries. Set by the account book; one at a time. */
  users: EntryUsers = { isLive: () => false, isPromised: () => false, forgotten: () => {} };

  /** Forgets what a name earned: it is not registered, so nobody can be paid. */
  dropShare(name: string): void {
    if (this.#shares.delete(name)) this.#store.write([[KEY.share + name, undefined]], { sync: false });
  }

  /** Makes or refreshes the entry of a channel. @throws RelaymintError LIMIT_EXCEEDED. */
  enter(role: Entry['role'], peer: NodeId, channel: ChannelState): Entry {
    const known = this.#entries.get(channel.id);
    if (known !== undefined && known.role !== role) {
      throw new RelaymintError(
        'INVALID_ARGUMENT',
        `This node is the ${known.role} of channel ${channel.id}, not its ${role}.`,
        {
          remedy: 'Use a separate wallet for each node.',
        },
      );
    }
    if (known === undefined && this.#entries.size >= MAX_ACCOUNTS && !this.#makeRoom()) {
      throw new RelaymintError('LIMIT_EXCEEDED', `The books hold ${MAX_ACCOUNTS} channels and each still has value.`, {
        remedy: 'Settle and close channels that are no longer used.',
      });
    }
    const entry: Entry = {
      role,
      peer,
      channel: known === undefined ? channel : takeOver(known.channel, channel),
      latest: known === undefined ? this.#takeReceipt(role, channel.id) : known.latest,
      owed: known?.owed ?? amount(0n),
    };
    this.#store.write([this.#entryChange(entry)], { sync: false });
    const returned = (known?.channel.opening ?? 0n) - entry.channel.opening;
    if (role === 'payer' && returned > 0n) this.#comesBack(entry.channel, returned);
    return entry;
  }

  /** Takes over what the ledger shows. Does nothing for a channel the books do not know. */
  update(channel: ChannelState): void {
    const known = this.#entries.get(channel.id);
    if (known === undefined) return;
    this.enter(known.role, known.peer, channel);
  }

  /** What the channels that were forgotten because they are over carried and paid, by our side of them. */
  closed(role: Entry['role']): ClosedTotals {
    return this.#closed[role];
  }

  /**
   * Forgets a channel: the ledger closed it and nothing more can come of it. What its wallet left unpaid stays with the wallet, and
   * what it carried and paid with the totals of its side.
   */
  forget(id: ChannelId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { role } = entry;
    this.#closed[role] = addClosed(this.#closed[role], entry);
    this.#store.write([...this.#drop(id), [KEY.closed + role, encodeClosed(this.#closed[role])]], { sync: false });
  }

  /** What this wallet left unpaid in all its channels to us, and what we paid onward for it without being paid; base units. */
  arrearsOf(wallet: LedgerAddress): bigint {
    return this.#arrears.get(wallet);
  }

  /** What was burned on chain for circuits of this wallet, less what was taken off it; base units. */
  advancedTo(wallet: LedgerAddress): bigint {
    return this.#advances.get(wallet);
  }

  /**
   * This much is about to be burned for circuits of this wallet. It counts at once; resolves once it is synced to disk.
   * @throws RelaymintError STORAGE_FAILED, STORAGE_FULL: it does not count.
   */
  async advance(wallet: LedgerAddress, units: Amount): Promise<void> {
    const changes = this.#advances.add(wallet, units, () => this.#withoutChannel());
    try {
      await this.#store.writeNow(changes);
    } catch (error) {
      this.recoup(wallet, units);
      throw error;
    }
  }

  /**
   * Payee: a channel is over whose opening payment was not returned, at least not this part of it. Its payer lost it, so that it owes so
   * much less: nothing is kept back for the same debt twice.
   */
  forfeit(wallet: LedgerAddress, kept: Amount): void {
    const [arrears, advanced] = [this.arrearsOf(wallet), this.advancedTo(wallet)];
    const changes: Change[] = [];
    if (arrears > 0n) changes.push(this.#arrears.set(wallet, arrears - kept));
    if (advanced > 0n && kept > arrears) changes.push(this.#advances.set(wallet, advanced - (kept - arrears)));
    if (changes.length > 0) this.#store.write(changes, { sync: false });
  }

  /** This much of it was not burned after all, or was earned with this wallet's circuits. */
  recoup(wallet: LedgerAddress, units: Amount): void {
    this.#store.write([this.#advances.set(wallet, this.advancedTo(wallet) - units)], { sync: false });
  }

  /** Payer: a channel that was opened for circuits of this wallet, for which `units` were advanced. */
  openedFor(id: ChannelId, wallet: LedgerAddress, units: Amount): void {
    const opened = { wallet, units };
    this.#opened.set(id, opened);
    this.#store.write([[KEY.opened + id, encodeOpenedFor(opened)]], { sync: false });
  }

  /**
   * The payee returned this much of what we staked; the rest may follow. All of it makes good what was advanced for the channel, the
   * fee too: see ADR 29.
   */
  #comesBack({ id, opening }: ChannelState, returned: bigint): void {
    const opened = this.#opened.get(id);
    if (opened === undefined) return;
    const { wallet, units } = opened;
    const good = opening === 0n || returned > units ? units : amount(returned);
    this.recoup(wallet, good);
    if (good < units) {
      this.openedFor(id, wallet, amount(units - good));
      return;
    }
    this.#opened.delete(id);
    this.#store.write([[KEY.opened + id, undefined]], { sync: false });
  }

  /** Payer: the receipt that is being given. Written late: if the process dies before, the payee presents it. */
  give(receipt: SignedReceipt): void {
    this.#entries.set(receipt.channel, { ...this.#known(receipt.channel), latest: receipt });
    this.#store.writeLate([[KEY.given + receipt.channel, receipt.bytes]]);
  }

  /** Payer: what we may owe beyond our newest receipt, from now on. */
  setOwed(id: ChannelId, owed: Amount): void {
    const known = this.#entries.get(id);
    if (known === undefined || known.owed === owed) return;
    this.#store.write([this.#entryChange({ ...known, owed })], { sync: false });
  }

  /**
   * Payee: a receipt, what names earned by it, and what of the arrears it made good (what the last link left unpaid, at most; the
   * rest of that cannot be made good any more), in one synced write. `written` speaks of the newest only.
   */
  hold(receipt: SignedReceipt, madeGood: bigint, earned: Shares, written: Written): void {
    const known = this.#known(receipt.channel);
    const changes: Change[] = [[KEY.held + receipt.channel, receipt.bytes]];
    this.#entries.set(receipt.channel, { ...known, latest: receipt });
    if (madeGood > 0n) {
      const { payer } = known.channel;
      changes.push(this.#entryChange({ ...known, latest: receipt, owed: amount(0n) }));
      changes.push(this.#arrears.set(payer, this.arrearsOf(payer) - madeGood));
    }
    for (const [name, numerator] of earned) changes.push(this.#share(name, numerator));
    this.#store.write(changes, { sync: true, topic: receipt.channel }, written);
  }

  /**
   * Payee: the link ended, and this much of what it carried was not paid; base units. 0 also when a link begins without paying for
   * what the last one left: that stays in the arrears, and cannot be made good any more.
   */
  leaveUnpaid(id: ChannelId, unpaid: bigint): void {
    const known = this.#entries.get(id);
    if (known === undefined) return;
    const changes: Change[] = [];
    if (known.owed !== unpaid) changes.push(this.#entryChange({ ...known, owed: amount(unpaid) }));
    if (unpaid > 0n) changes.push(...this.#addArrears(known.channel.payer, unpaid));
    if (changes.length > 0) this.#store.write(changes, { sync: true });
  }

  /** Payee: we had to pay this much onward for this wallet without being paid; base units. */
  lose(wallet: LedgerAddress, lost: bigint): void {
    this.#store.write(this.#addArrears(wallet, lost), { sync: true });
  }

  /**
   * Imports receipts from a file: those that are newer than what is held, each with the ledger's state of its channel.
   * Resolves with how many they are once they are on disk. Their signatures are the caller's to verify.
   * @throws RelaymintError LIMIT_EXCEEDED, STORAGE_FAILED, STORAGE_FULL.
   */
  async takeUp(
    receipts: readonly { readonly peer: NodeId; readonly channel: ChannelState; readonly receipt: SignedReceipt }[],
  ): Promise<number> {
    let taken = 0;
    for (const { peer, channel, receipt } of receipts) {
      const entry = this.enter('payee', this.#entries.get(channel.id)?.peer ?? peer, channel);
      if (!isNewer(receipt, entry.latest)) continue;
      this.hold(receipt, 0n, new Map(), () => {});
      taken += 1;
    }
    await this.#store.flushed();
    return taken;
  }

  /** Unfinished and finished settlements, as `ledger/settlement` encoded them. */
  settlements(): ReadonlyMap<string, Uint8Array> {
    return this.#settlements;
  }

  /** Keeps a settlement's record; undefined drops it. Resolves once it is on disk. */
  async saveSettlement(id: string, record: Uint8Array | undefined): Promise<void> {
    await this.#store.writeNow([this.#settlementChange(id, record)]);
  }

  /**
   * A settlement is on chain: its records, what its channels now have settled, and what its names were paid change in
   * one batch, so that it is booked exactly once whenever the process dies.
   */
  async book(
    records: readonly (readonly [id: string, record: Uint8Array | undefined])[],
    settled: readonly Pick<Receipt, 'channel' | 'amount' | 'up' | 'down'>[],
    paid: Shares,
  ): Promise<void> {
    const changes = records.map(([id, record]) => this.#settlementChange(id, record));
    for (const item of settled) {
      const known = this.#entries.get(item.channel);
      if (known === undefined || known.channel.settled >= item.amount) continue;
      const channel = { ...known.channel, settled: item.amount, settledUp: item.up, settledDown: item.down };
      changes.push(this.#entryChange({ ...known, channel }));
    }
    for (const [name, numerator] of paid) changes.push(this.#share(name, -numerator));
    await this.#store.writeNow(changes);
  }

  /** Resolves once everything so far is on disk. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL. */
  async flushed(): Promise<void> {
    await this.#store.flushed();
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #known(id: ChannelId): Entry {
    const known = this.#entries.get(id);
    if (known === undefined) throw new TypeError(`channel ${id} was never entered in the books`);
    return known;
  }

  #drop(id: ChannelId): Change[] {
    this.#entries.delete(id);
    this.#opened.delete(id);
    return [KEY.channel, KEY.held, KEY.given, KEY.opened].map((prefix): Change => [prefix + id, undefined]);
  }

  #takeReceipt(role: Entry['role'], id: ChannelId): SignedReceipt | undefined {
    const key = (role === 'payee' ? KEY.held : KEY.given) + id;
    const receipt = this.#receipts.get(key);
    this.#receipts.delete(key);
    return receipt;
  }

  #entryChange(entry: Entry): Change {
    this.#entries.set(entry.channel.id, entry);
    return [KEY.channel + entry.channel.id, encodeEntry(entry)];
  }

  #share(name: string, numerator: bigint): Change {
    const known = this.#shares.get(name);
    const full = known === undefined && this.#shares.size >= MAX_EARNING_NAMES;
    const total = full ? 0n : (known ?? 0n) + numerator;
    if (total > 0n) this.#shares.set(name, total);
    else this.#shares.delete(name);
    return [KEY.share + name, total > 0n ? encodeWide(total) : undefined];
  }

  #addArrears(wallet: LedgerAddress, more: bigint): Change[] {
    return this.#arrears.add(wallet, more, () => this.#withoutChannel());
  }

  /** Tells which wallets have no channel to us. */
  #withoutChannel(): (wallet: LedgerAddress) => boolean {
    const present = new Set<LedgerAddress>();
    for (const { role, channel } of this.#entries.values()) if (role === 'payee') present.add(channel.payer);
    return (wallet) => !present.has(wallet);
  }

  #settlementChange(id: string, record: Uint8Array | undefined): Change {
    if (record === undefined) this.#settlements.delete(id);
    else this.#settlements.set(id, record);
    return [KEY.settlement + id, record];
  }

  /** Drops a channel of which nothing more can come. */
  #makeRoom(): boolean {
    const dropped = droppable(
      this.#entries,
      (wallet) => this.arrearsOf(wallet),
      (id) => this.users.isLive(id),
    );
    if (dropped === undefined) return false;
    const { id } = dropped.entry.channel;
    if (dropped.over) this.forget(id);
    else this.#store.write(this.#drop(id), { sync: false });
    this.users.forgotten(id);
    return true;
  }
}
