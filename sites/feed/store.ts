/**
 * What a host keeps of updates and posts, in LevelDB:
 *   NAME TOPIC/ARRIVAL AUTHOR -> CRC-32 u32 LE | entry    TOPIC is the base64url of the topic, ARRIVAL 14 digits
 * A topic is read into memory when it is asked for, and stays there while there is room.
 */
import { crc32 } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import { Reader, Writer, concatBytes, equalBytes } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import {
  MAX_ENTRIES_PER_AUTHOR,
  MAX_ENTRY_BYTES,
  MAX_THREAD_BYTES,
  MAX_ENTRIES_PER_THREAD,
  MAX_FEED_BYTES_PER_AUTHOR,
  MAX_FEED_BYTES_PER_NAME,
  MAX_FEED_CACHE_BYTES,
  MAX_PAGE_BYTES,
  MAX_PAGE_ENTRIES,
  MAX_THREADS_BEGUN,
  MAX_THREADS_PER_NAME,
  MAX_UPDATES_KEPT,
} from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { DatabaseLocked, inUse, openDatabase, type Database } from '../../platform/disk/level.ts';
import {
  LIVE_TOPIC,
  type Arrived,
  type Entry,
  type EntryId,
  type FeedStore,
  type SignedEntry,
  type Topic,
} from './contract.ts';
import { decodeEntry, entryInvalid, entryStale } from './entry.ts';
import { idOf } from './thread.ts';

const DIGITS = 14;
/** Sorts after every topic and arrival. */
const LAST = '~';
const CHECK_BYTES = 4;
/** What an entry takes in memory beside its bytes. */
const ENTRY_OVERHEAD = 512;

/** @throws RelaymintError FILE_IN_USE, STORAGE_FULL, STORAGE_FAILED. */
export async function openFeedStore(directory: string, log: Log): Promise<FeedStore> {
  try {
    return new LevelFeedStore(await openDatabase(directory), log);
  } catch (cause) {
    if (cause instanceof DatabaseLocked) throw inUse('The list of updates and posts is', cause);
    throw diskError(cause, `Opening the updates and posts in ${directory}`);
  }
}

/** What is kept of a name. */
interface NameUse {
  bytes: number;
  readonly topics: Set<string>;
  readonly authors: Map<string, AuthorUse>;
}

/** What one author has of it. */
interface AuthorUse {
  bytes: number;
  /** Threads in which nobody said anything before. */
  begun: number;
}

class LevelFeedStore implements FeedStore {
  readonly #db: Database;
  readonly #log: Log;
  readonly #topics = new LRUCache<string, readonly Arrived[]>({
    maxSize: MAX_FEED_CACHE_BYTES,
    sizeCalculation: sizeOf,
  });
  readonly #uses = new LRUCache<string, NameUse>({ max: 256 });
  readonly #listeners = new Map<string, Set<() => void>>();
  /** Changes come one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(db: Database, log: Log) {
    this.#db = db;
    this.#log = log;
  }

  async add(signed: SignedEntry): Promise<number> {
    return await this.#inTurn(() => this.#add(signed));
  }

  async after(
    topic: Topic,
    arrival: number,
    counts: (signed: SignedEntry) => boolean = () => true,
  ): Promise<readonly Arrived[]> {
    const page: Arrived[] = [];
    let size = 0;
    const kept = await this.#kept(topic);
    for (const arrived of withoutHidden(kept.filter(({ signed }) => counts(signed)))) {
      if (arrived.arrival <= arrival) continue;
      size += arrived.signed.encoded.length;
      if (page.length === MAX_PAGE_ENTRIES || (page.length > 0 && size > MAX_PAGE_BYTES)) break;
      page.push(arrived);
    }
    return page;
  }

  async newest(topic: Topic): Promise<Arrived | undefined> {
    return (await this.#kept(topic)).at(-1);
  }

  onAdded(topic: Topic, tell: () => void): Disposable {
    const key = keyOf(topic);
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners);
    const mine = (): void => tell();
    listeners.add(mine);
    return {
      [Symbol.dispose]: () => {
        listeners.delete(mine);
        if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
      },
    };
  }

  async names(): Promise<readonly string[]> {
    const names: string[] = [];
    for (;;) {
      const after = names.at(-1);
      const [key] = await this.#db.keys({ gt: after === undefined ? '' : `${after} ${LAST}`, limit: 1 }).all();
      if (key === undefined) return names;
      names.push(key.slice(0, key.indexOf(' ')));
    }
  }

  async forget(name: string): Promise<void> {
    await this.#inTurn(async () => {
      for (const topic of (await this.#useOf(name)).topics) this.#topics.delete(topic);
      this.#uses.delete(name);
      await this.#write(() => this.#db.clear({ gt: `${name} `, lt: `${name} ${LAST}` }));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#db.close();
  }

  async known(signed: SignedEntry): Promise<number | undefined> {
    return await this.#inTurn(async () => knownIn(signed, await this.#read(signed.entry)));
  }

  async hasTarget({ entry }: SignedEntry): Promise<boolean> {
    const kept = await this.#kept(entry);
    return kept.some(({ signed: { entry: other } }) => other.kind === 'post' && isAbout(entry, other));
  }

  async #add(signed: SignedEntry): Promise<number> {
    const { entry, encoded } = signed;
    const key = keyOf(entry);
    const kept = await this.#read(entry);
    const known = knownIn(signed, kept);
    if (known !== undefined) return known;
    const dropped =
      entry.topic === LIVE_TOPIC
        ? kept.slice(0, Math.max(0, kept.length + 1 - MAX_UPDATES_KEPT))
        : replacedBy(entry, kept);
    const left = kept.filter((arrived) => !dropped.includes(arrived));
    const use = await this.#useOf(entry.name);
    assertRoom(signed, { kept, left, use });
    const arrival = (kept.at(-1)?.arrival ?? 0) + 1;
    await this.#write(() =>
      this.#db.batch(
        [
          ...dropped.map((old) => ({ type: 'del', key: recordKey(key, old) }) as const),
          { type: 'put', key: recordKey(key, { arrival, signed }), value: recordOf(encoded) },
        ],
        { sync: true },
      ),
    );
    for (const old of dropped) count(use, { key, author: old.signed.entry.author, bytes: -old.signed.encoded.length });
    count(use, { key, author: entry.author, bytes: encoded.length });
    this.#topics.set(key, [...left, { arrival, signed }]);
    for (const tell of this.#listeners.get(key) ?? []) tell();
    return arrival;
  }

  /** Read in turn where it is not in memory: what is added or forgotten meanwhile must not be missed. */
  async #kept(topic: Topic): Promise<readonly Arrived[]> {
    return this.#topics.get(keyOf(topic)) ?? (await this.#inTurn(() => this.#read(topic)));
  }

  async #read(topic: Topic): Promise<readonly Arrived[]> {
    const key = keyOf(topic);
    const known = this.#topics.get(key);
    if (known !== undefined) return known;
    const found: Arrived[] = [];
    for await (const [at, value] of this.#db.iterator({ gt: `${key}/`, lt: `${key}/${LAST}` })) {
      try {
        // Written by us, and read as strictly: damage must not reach visitors.
        found.push({
          arrival: Number(at.slice(key.length + 1, key.length + 1 + DIGITS)),
          signed: decodeEntry(entryIn(value)),
        });
      } catch (error) {
        if (!isRelaymintError(error, 'ENTRY_INVALID')) throw error;
        this.#log.error(
          { name: topic.name, topic: topic.topic, err: error },
          'An entry is damaged on disk; it is left out.',
        );
      }
    }
    this.#topics.set(key, found);
    return found;
  }

  async #useOf(name: string): Promise<NameUse> {
    const known = this.#uses.get(name);
    if (known !== undefined) return known;
    const use: NameUse = { bytes: 0, topics: new Set(), authors: new Map() };
    for await (const [at, value] of this.#db.iterator({ gt: `${name} `, lt: `${name} ${LAST}` })) {
      const end = at.lastIndexOf('/');
      count(use, { key: at.slice(0, end), author: at.slice(end + 2 + DIGITS), bytes: value.length - CHECK_BYTES });
    }
    this.#uses.set(name, use);
    return use;
  }

  async #write(change: () => Promise<void>): Promise<void> {
    try {
      await change();
    } catch (cause) {
      throw diskError(cause, 'Writing updates and posts');
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    return await mine;
  }
}

/** Who did not hear that it was taken brings it again. @throws RelaymintError ENTRY_STALE, ENTRY_INVALID */
function knownIn({ entry, encoded }: SignedEntry, kept: readonly Arrived[]): number | undefined {
  const same = kept.find((arrived) => equalBytes(arrived.signed.encoded, encoded));
  if (same === undefined) assertNew(entry, kept);
  return same?.arrival;
}

/** By one author in one topic numbers only rise: what was taken back or corrected does not come back. */
function assertNew(entry: Entry, kept: readonly Arrived[]): void {
  const newest = Math.max(
    0,
    ...kept.filter(({ signed }) => signed.entry.author === entry.author).map(({ signed }) => signed.entry.sequence),
  );
  if (entry.sequence <= newest)
    throw entryStale(`has the number ${entry.sequence}, and ${entry.author} said ${newest} before`);
  if (entry.target === undefined) return;
  const wanted = idOf(entry.target);
  if (kept.some(({ signed }) => signed.entry.kind === 'post' && idOf(signed.entry) === wanted)) return;
  // A post that did not come yet never does: its author's numbers only rise.
  if (entry.kind !== 'remove') {
    throw entryInvalid(`is about the post ${entry.target.sequence} of ${entry.target.author}, which is not there`);
  }
  if (kept.some(({ signed: { entry: other } }) => other.kind === 'remove' && isAbout(other, entry.target)))
    throw entryStale(`removes the post ${entry.target.sequence}, which is removed`);
}

/** What needs not be kept beside it: earlier words of the author on the same post, or of the owner; and what is taken back itself. */
function replacedBy(entry: Entry, kept: readonly Arrived[]): readonly Arrived[] {
  const { kind, target } = entry;
  if (target === undefined || kind === 'post') return [];
  const kinds = kind === 'hide' || kind === 'show' ? ['hide', 'show'] : ['edit'];
  return kept.filter(
    ({ signed: { entry: other } }) =>
      (kinds.includes(other.kind) && isAbout(other, target)) ||
      (kind === 'remove' && other.kind === 'post' && idOf(other) === idOf(target)),
  );
}

/** Without the words of posts that the owner hides: that they are hidden stays. */
function withoutHidden(kept: readonly Arrived[]): readonly Arrived[] {
  const hidden = new Set<string>();
  for (const { signed } of kept) {
    const { kind, target } = signed.entry;
    if (target !== undefined && kind === 'hide') hidden.add(idOf(target));
  }
  if (hidden.size === 0) return kept;
  return kept.filter(({ signed: { entry } }) => {
    if (entry.kind === 'post') return !hidden.has(idOf(entry));
    return entry.kind !== 'edit' || entry.target === undefined || !hidden.has(idOf(entry.target));
  });
}

function isAbout({ target }: Entry, id: EntryId | undefined): boolean {
  return target !== undefined && id !== undefined && idOf(target) === idOf(id);
}

/** Before and after what is replaced is gone. @throws RelaymintError LIMIT_EXCEEDED. */
function assertRoom(
  { entry, encoded }: SignedEntry,
  { kept, left, use }: { readonly kept: readonly Arrived[]; readonly left: readonly Arrived[]; readonly use: NameUse },
): void {
  const { name, author, topic, kind } = entry;
  // The owner of the name is always heard: there are as many of these as updates are kept.
  if (topic === LIVE_TOPIC) return;
  // Who takes back what is here, and who moderates, is always heard: of each post there is one such word at most.
  const isThere = kept.some(({ signed: { entry: other } }) => other.kind === 'post' && isAbout(entry, other));
  if (isThere && kind !== 'edit' && kind !== 'post') return;
  const bytes = encoded.length + bytesOf(left) - bytesOf(kept);
  if (use.bytes + bytes > MAX_FEED_BYTES_PER_NAME)
    throw full(`All that is kept of ${name}'s updates and posts may have ${MAX_FEED_BYTES_PER_NAME} bytes.`);
  const isNew = !use.topics.has(keyOf(entry));
  if (isNew && use.topics.size >= MAX_THREADS_PER_NAME)
    throw full(`${name} has ${MAX_THREADS_PER_NAME} threads, as many as it may.`);
  // What the owner hid takes no place away.
  const shown = withoutHidden(left).filter(({ signed }) => signed.entry.kind !== 'hide');
  if (shown.length >= MAX_ENTRIES_PER_THREAD || bytesOf(shown) + MAX_ENTRY_BYTES > MAX_THREAD_BYTES)
    throw full(`The thread about ${topic} is full.`);
  if (author === name) return;
  const own = left.filter(({ signed }) => signed.entry.author === author).length;
  if (own >= MAX_ENTRIES_PER_AUTHOR)
    throw full(`${author} has said ${MAX_ENTRIES_PER_AUTHOR} things in this thread, as many as one may.`);
  const used = use.authors.get(author);
  if ((used?.bytes ?? 0) + bytes > MAX_FEED_BYTES_PER_AUTHOR)
    throw full(`${author} has said ${MAX_FEED_BYTES_PER_AUTHOR} bytes below ${name}, as much as one may.`);
  if (isNew && (used?.begun ?? 0) >= MAX_THREADS_BEGUN)
    throw full(`${author} has begun ${MAX_THREADS_BEGUN} threads of ${name}, as many as one may.`);
}

/** Takes note of what was written, or removed: then `bytes` is negative. */
function count(
  use: NameUse,
  { key, author, bytes }: { readonly key: string; readonly author: string; readonly bytes: number },
): void {
  use.bytes += bytes;
  const own = use.authors.get(author) ?? { bytes: 0, begun: 0 };
  use.authors.set(author, own);
  own.bytes += bytes;
  if (use.topics.has(key)) return;
  use.topics.add(key);
  own.begun += 1;
}

function bytesOf(entries: readonly Arrived[]): number {
  return entries.reduce((sum, { signed }) => sum + signed.encoded.length, 0);
}

function full(why: string): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', why, { remedy: 'Begin another thread, or remove what is old.' });
}

function sizeOf(entries: readonly Arrived[]): number {
  return ENTRY_OVERHEAD * (entries.length + 1) + bytesOf(entries);
}

function recordOf(encoded: Uint8Array): Uint8Array {
  return concatBytes(new Writer(CHECK_BYTES).u32(crc32(encoded)).finish(), encoded);
}

/** @throws RelaymintError ENTRY_INVALID. */
function entryIn(record: Uint8Array): Uint8Array {
  const encoded = record.subarray(CHECK_BYTES);
  if (record.length > CHECK_BYTES && new Reader(record, 'entry').u32() === crc32(encoded)) return encoded;
  throw entryInvalid('is not what was written');
}

function keyOf({ name, topic }: Topic): string {
  return `${name} ${Buffer.from(topic).toString('base64url')}`;
}

/** With the author, so that what each has of a name is counted without reading it. */
function recordKey(key: string, { arrival, signed }: Arrived): string {
  return `${key}/${String(arrival).padStart(DIGITS, '0')} ${signed.entry.author}`;
}
