/** The books: what is kept of each channel, in memory and (by `ledger/books`) on disk. */
import { RelaymintError } from '../../core/errors.ts';
import type { ChannelId, LedgerAddress, NodeId } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import { amount, type Amount } from '../../core/units.ts';
import { GroupedStore, type Change, type Findings, type StoreOptions, type Written } from '../books/index.ts';
import type { ChannelState } from '../contract.ts';
import { type Receipt, type SignedReceipt, decodeSignedReceipt, isNewer } from '../receipt/index.ts';
import { Debts } from './debts.ts';
import {
  addClosed,
  decodeClosed,
  decodeEntry,
  decodeWide,
  encodeClosed,
  encodeEntry,
  NO_CHANNELS,
  type ClosedTotals,
  type Entry,
} from './entry.ts';
import { KEY, worthOf } from './keys.ts';
import { droppable } from './room.ts';
import { NameShares, type Shares } from './shares.ts';
import { takeOver } from './stale.ts';

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
  readonly #debts = new Debts(() => this.#withoutChannel());
  readonly #shares = new NameShares();
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
      } else if (key.startsWith(KEY.share)) this.#shares.load(name, decodeWide(value));
      else if (key.startsWith(KEY.settlement)) this.#settlements.set(name, Uint8Array.from(value));
      else if (key === KEY.closed + 'payer') this.#closed.payer = decodeClosed(value);
      else if (key === KEY.closed + 'payee') this.#closed.payee = decodeClosed(value);
      else this.#debts.load(key, name, value);
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

  /** What names earned and was not settled yet, by who showed them: by `earnersKey`. */
  get shares(): Shares {
    return this.#shares.all;
  }

  /** The user of the entries. Set by the account book; one at a time. */
  users: EntryUsers = { isLive: () => false, isPromised: () => false, forgotten: () => {} };

  /** Forgets what a name earned: it is not registered, so nobody can be paid. */
  dropShare(name: string): void {
    this.#write(this.#shares.drop(name));
  }

  /** What is kept by this `earnersKey` is the name's alone: nobody registered the name of its referrer. */
  dropReferrer(key: string): void {
    this.#write(this.#shares.withoutReferrer(key));
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
    const returned = (known?.channel.opening ?? 0n) - entry.channel.opening;
    const good = role === 'payer' && returned > 0n ? this.#debts.comesBack(entry.channel, returned) : [];
    this.#write([this.#entryChange(entry), ...good]);
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
    this.#write([...this.#drop(id), [KEY.closed + role, encodeClosed(this.#closed[role])]]);
  }

  /** What this wallet left unpaid in all its channels to us, and what we paid onward for it without being paid; base units. */
  arrearsOf(wallet: LedgerAddress): bigint {
    return this.#debts.arrearsOf(wallet);
  }

  /** What was burned on chain for circuits of this wallet, less what was taken off it; base units. */
  advancedTo(wallet: LedgerAddress): bigint {
    return this.#debts.advancedTo(wallet);
  }

  /**
   * This much is about to be burned for circuits of this wallet. It counts at once; resolves once it is synced to disk.
   * @throws RelaymintError STORAGE_FAILED, STORAGE_FULL: it does not count.
   */
  async advance(wallet: LedgerAddress, units: Amount): Promise<void> {
    try {
      await this.#store.writeNow(this.#debts.advance(wallet, units));
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
    this.#write(this.#debts.forfeit(wallet, kept));
  }

  /** This much of it was not burned after all, or was earned with this wallet's circuits. */
  recoup(wallet: LedgerAddress, units: Amount): void {
    this.#write([this.#debts.recoup(wallet, units)]);
  }

  /** Payer: a channel that was opened for circuits of this wallet, for which `units` were advanced. */
  openedFor(id: ChannelId, wallet: LedgerAddress, units: Amount): void {
    this.#write([this.#debts.openedFor(id, wallet, units)]);
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
    this.#write([this.#entryChange({ ...known, owed })]);
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
      changes.push(this.#entryChange({ ...known, latest: receipt, owed: amount(0n) }));
      changes.push(this.#debts.makeGood(known.channel.payer, madeGood));
    }
    for (const [key, numerator] of earned) changes.push(...this.#shares.add(key, numerator));
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
    if (unpaid > 0n) changes.push(...this.#debts.addArrears(known.channel.payer, unpaid));
    if (changes.length > 0) this.#store.write(changes, { sync: true });
  }

  /** Payee: we had to pay this much onward for this wallet without being paid; base units. */
  lose(wallet: LedgerAddress, lost: bigint): void {
    this.#store.write(this.#debts.addArrears(wallet, lost), { sync: true });
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
    for (const [key, numerator] of paid) changes.push(...this.#shares.pay(key, numerator));
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

  /** Without a sync: a power cut may take it. */
  #write(changes: readonly Change[]): void {
    if (changes.length > 0) this.#store.write(changes, { sync: false });
  }

  #known(id: ChannelId): Entry {
    const known = this.#entries.get(id);
    if (known === undefined) throw new TypeError(`channel ${id} was never entered in the books`);
    return known;
  }

  #drop(id: ChannelId): Change[] {
    this.#entries.delete(id);
    const gone = [KEY.channel, KEY.held, KEY.given].map((prefix): Change => [prefix + id, undefined]);
    return [...gone, this.#debts.drop(id)];
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
    else this.#write(this.#drop(id));
    this.users.forgotten(id);
    return true;
  }
}
