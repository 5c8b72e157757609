/** The books: what is kept of each channel, in memory and (by `ledger/receipt/store.ts`) on disk. */
import { RelaymintError } from '../../core/errors.ts';
import type { ChannelId, NodeId } from '../../core/ids.ts';
import { MAX_ACCOUNTS, MAX_EARNING_NAMES } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState } from '../contract.ts';
import type { Receipt, SignedReceipt } from '../receipt/index.ts';
import { decodeSignedReceipt } from '../receipt/index.ts';
import { GroupedStore } from '../receipt/store.ts';
import type { Change, Written } from '../receipt/store.ts';
import { decodeEntry, decodeWide, encodeEntry, encodeWide } from './entry.ts';
import type { Entry } from './entry.ts';

/** What a name earned since it was last settled: a numerator, bytes x price. */
export type Shares = ReadonlyMap<string, bigint>;

const FORMAT = Uint8Array.of(1);
/** Keys on disk. A channel has at most three records. */
const KEY = {
  format: 'format',
  channel: 'channel/',
  receipt: 'receipt/',
  arrears: 'arrears/',
  share: 'share/',
  settlement: 'settlement/',
} as const;

/** Opens (or creates) the books in a directory. @throws RelaymintError FILE_IN_USE, STORAGE_FAILED, VERSION_UNSUPPORTED. */
export async function openBookStore(directory: string): Promise<BookStore> {
  const store = await GroupedStore.open(directory);
  try {
    const book = new BookStore(store);
    await book.load(directory);
    return book;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Whoever works with the entries of a store. */
export interface EntryUsers {
  /** A link carries this channel now: its entry stays. */
  isLive(id: ChannelId): boolean;
  /** The entry made room for another. */
  forgotten(id: ChannelId): void;
}

export class BookStore implements AsyncDisposable {
  readonly #store: GroupedStore;
  readonly #entries = new Map<ChannelId, Entry>();
  readonly #shares = new Map<string, bigint>();
  readonly #settlements = new Map<string, Uint8Array>();

  /** Use `openBookStore`. */
  constructor(store: GroupedStore) {
    this.#store = store;
  }

  async load(directory: string): Promise<void> {
    let known = false;
    const receipts = new Map<string, SignedReceipt>();
    const arrears = new Map<string, bigint>();
    const channels: [string, Uint8Array][] = [];
    for await (const [key, value] of this.#store.entries('')) {
      if (key === KEY.format) known = value.length === 1 && value[0] === FORMAT[0];
      else if (key.startsWith(KEY.receipt)) receipts.set(key.slice(KEY.receipt.length), decodeSignedReceipt(value));
      else if (key.startsWith(KEY.arrears)) arrears.set(key.slice(KEY.arrears.length), decodeWide(value));
      else if (key.startsWith(KEY.channel)) channels.push([key.slice(KEY.channel.length), value]);
      else if (key.startsWith(KEY.share)) this.#shares.set(key.slice(KEY.share.length), decodeWide(value));
      else if (key.startsWith(KEY.settlement)) this.#settlements.set(key.slice(KEY.settlement.length), value);
    }
    if (!known && channels.length > 0) {
      throw new RelaymintError('VERSION_UNSUPPORTED', `The books in ${directory} are of another version.`, {
        remedy: 'Use the version of Relaymint that wrote them.',
      });
    }
    if (!known) await this.#store.writeNow([[KEY.format, FORMAT]]);
    for (const [id, value] of channels) {
      const entry = decodeEntry(value);
      this.#entries.set(entry.channel.id, { ...entry, latest: receipts.get(id), arrears: arrears.get(id) ?? 0n });
    }
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

  /** Who works with the entries. Set by the account book; one at a time. */
  users: EntryUsers = { isLive: () => false, forgotten: () => {} };

  /** Forgets what a name earned: nobody registered it, so that nobody can be paid. */
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
      channel: known === undefined ? channel : advance(known.channel, channel),
      latest: known?.latest,
      exposed: known?.exposed ?? amount(0n),
      arrears: known?.arrears ?? 0n,
    };
    this.#entries.set(channel.id, entry);
    this.#store.write([[KEY.channel + channel.id, encodeEntry(entry)]], { sync: false });
    return entry;
  }

  /** Takes over what the ledger shows. Does nothing for a channel the books do not know. */
  update(channel: ChannelState): void {
    const known = this.#entries.get(channel.id);
    if (known !== undefined) this.enter(known.role, known.peer, channel);
  }

  /** Forgets a channel: the ledger closed it and nothing more can come of it. */
  forget(id: ChannelId): void {
    if (!this.#entries.delete(id)) return;
    const changes = [KEY.channel, KEY.receipt, KEY.arrears].map((prefix): Change => [prefix + id, undefined]);
    this.#store.write(changes, { sync: false });
  }

  /** Payer: the receipt that is being given. Survives the death of the process once written, without a sync of its own. */
  give(receipt: SignedReceipt): void {
    this.#keep(receipt, undefined);
    this.#store.write([[KEY.receipt + receipt.channel, receipt.bytes]], { sync: false });
  }

  /** Payer: what we may owe beyond our newest receipt, from now on. */
  setExposed(id: ChannelId, exposed: Amount): void {
    const known = this.#entries.get(id);
    if (known === undefined || known.exposed === exposed) return;
    const entry = { ...known, exposed };
    this.#entries.set(id, entry);
    this.#store.write([[KEY.channel + id, encodeEntry(entry)]], { sync: false });
  }

  /** Payee: a receipt, what remains of the arrears and what names earned, in one synced batch. `written` speaks of the newest only. */
  hold(receipt: SignedReceipt, arrears: bigint, earned: Shares, written: Written): void {
    const changes: Change[] = [[KEY.receipt + receipt.channel, receipt.bytes]];
    if (this.#entries.get(receipt.channel)?.arrears !== arrears)
      changes.push(this.#arrearsChange(receipt.channel, arrears));
    for (const [name, numerator] of earned) changes.push(this.#share(name, numerator));
    this.#keep(receipt, arrears);
    this.#store.write(changes, { sync: true, topic: receipt.channel }, written);
  }

  /** Payee: what a payer left unpaid, in sixteenths of a base unit. */
  setArrears(id: ChannelId, arrears: bigint): void {
    const known = this.#entries.get(id);
    if (known === undefined || known.arrears === arrears) return;
    this.#entries.set(id, { ...known, arrears });
    this.#store.write([this.#arrearsChange(id, arrears)], { sync: true });
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
      const entry = { ...known, channel };
      this.#entries.set(item.channel, entry);
      changes.push([KEY.channel + item.channel, encodeEntry(entry)]);
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

  #keep(receipt: SignedReceipt, arrears: bigint | undefined): void {
    const known = this.#entries.get(receipt.channel);
    if (known === undefined) throw new TypeError(`channel ${receipt.channel} was never entered in the books`);
    this.#entries.set(receipt.channel, { ...known, latest: receipt, arrears: arrears ?? known.arrears });
  }

  #share(name: string, numerator: bigint): Change {
    const known = this.#shares.get(name);
    const full = known === undefined && this.#shares.size >= MAX_EARNING_NAMES;
    const total = full ? 0n : (known ?? 0n) + numerator;
    if (total > 0n) this.#shares.set(name, total);
    else this.#shares.delete(name);
    return [KEY.share + name, total > 0n ? encodeWide(total) : undefined];
  }

  #arrearsChange(id: ChannelId, arrears: bigint): Change {
    return [KEY.arrears + id, arrears > 0n ? encodeWide(arrears) : undefined];
  }

  #settlementChange(id: string, record: Uint8Array | undefined): Change {
    if (record === undefined) this.#settlements.delete(id);
    else this.#settlements.set(id, record);
    return [KEY.settlement + id, record];
  }

  /** Drops the oldest channel that nobody uses and that has nothing left to settle or to remember. */
  #makeRoom(): boolean {
    for (const [id, entry] of this.#entries) {
      const done = entry.arrears === 0n && (entry.latest?.amount ?? amount(0n)) <= entry.channel.settled;
      if (!done || this.users.isLive(id)) continue;
      this.forget(id);
      this.users.forgotten(id);
      return true;
    }
    return false;
  }
}

/** What the ledger shows now, unless it is a stale read: what was settled or deposited never shrinks. */
function advance(known: ChannelState, read: ChannelState): ChannelState {
  const newer = read.settled >= known.settled ? read : known;
  return {
    ...read,
    deposit: read.deposit > known.deposit ? read.deposit : known.deposit,
    settled: newer.settled,
    settledUp: newer.settledUp,
    settledDown: newer.settledDown,
    closeAt: read.closeAt ?? known.closeAt,
  };
}
