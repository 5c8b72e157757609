/**
 * The books on disk, twice: a journal that is appended to and LevelDB. Each write goes to both before it is confirmed, and
 * each copy has its own sums, which show whether it is complete. What one of them lost is in the other; what both lost is reported.
 *
 * Writes are grouped: while one is being synced, what comes next gathers, newest per key, and goes out as one write with one
 * sync. A write is atomic. One that fails (a full disk) is not given up: nothing is confirmed until it is on disk, and it is
 * tried again until it is.
 */
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { isRelaymintError, messageOf, RelaymintError } from '../../core/errors.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { amount } from '../../core/units.ts';
import { isDiskFull } from '../../platform/disk/disk-error.ts';
import { makeFolder, syncFolder } from '../../platform/disk/folder.ts';
import { inUse } from '../../platform/disk/level.ts';
import { hasErrno } from '../../platform/errno.ts';
import { merge } from './copy.ts';
import type { Copy, Merged, Missing } from './copy.ts';
import { Journal, readJournal } from './journal.ts';
import type { JournalCopy } from './journal.ts';
import { Level, LevelUnavailable } from './level.ts';
import { DELETE, Inventory, payloadOf, PUT, seal, seqOf } from './record.ts';
import type { Sealed, WorthOf } from './record.ts';

/** Called once the write is on disk, or when the store closes without it. A write overtaken by a newer one of the same topic is told nothing. */
export type Written = (error: RelaymintError | undefined) => void;

/** undefined deletes the key. */
export type Change = readonly [key: string, value: Uint8Array | undefined];

export interface StoreOptions {
  /** What a record is worth, base units, to report how much is missing if it is lost. Default nothing. */
  readonly worthOf?: WorthOf;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** What was wrong with the files when they were opened. */
export interface Findings {
  /** Damaged copies: what is wrong, and where the damaged files are kept. */
  readonly damaged: readonly Damage[];
  /** Nothing that was confirmed is missing. */
  readonly complete: boolean;
  readonly missing: Missing;
}

export interface Damage {
  readonly copy: 'journal' | 'level';
  readonly faults: readonly string[];
  /** undefined when there was nothing to keep. */
  readonly keptAs: string | undefined;
}

const LEVEL = 'level';
const JOURNAL = 'journal';
const READING = 'level.reading';
/** Version 1 was a LevelDB in the folder itself. */
const VERSION_1_FILE = 'CURRENT';
/** A journal is replaced once it has this many bytes, and this many times what it says: rarely, and bounded for ever. */
const REPLACE_BYTES = 4 * 1024 * 1024;
const REPLACE_PARTS = 3;
/** At the start, when nobody waits, it is replaced once it has this many bytes more than its content. */
const START_BYTES = 64 * 1024;
const LEVEL_SYNC_MILLIS = 1_000;
/** How long a late write waits for another write to join, milliseconds. */
const LATE_MILLIS = 1_000;
/** Pauses between attempts to write to a failing disk. */
const RETRIES: Backoff = { first: 250, last: 5_000 };

export class GroupedStore implements AsyncDisposable {
  readonly #directory: string;
  readonly #level: Level;
  readonly #journal: Journal;
  readonly #worthOf: WorthOf;
  readonly #clock: Clock;
  readonly #log: Log;
  /** All there is, as it is on disk or on its way there. */
  readonly #live = new Map<string, Sealed>();
  readonly #inventory: Inventory;
  #liveBytes = 0;
  #seq = 0;
  #replaceAt = REPLACE_BYTES;
  #levelSynced = 0;
  #pending = new Map<string, Uint8Array | undefined>();
  #waiting = new Map<string, Written>();
  /** Those that get a failure at once instead of waiting for room. */
  #impatient: Written[] = [];
  #sync = false;
  #late: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failing: RelaymintError | undefined;
  readonly #stop = new AbortController();
  #findings: Findings = { damaged: [], complete: true, missing: { records: 0, worth: amount(0n), keys: [] } };

  private constructor(directory: string, { worthOf = () => 0n, clock = systemClock, log = silentLog }: StoreOptions) {
    this.#directory = directory;
    this.#level = new Level(path.join(directory, LEVEL));
    this.#journal = new Journal(path.join(directory, JOURNAL));
    this.#worthOf = worthOf;
    this.#clock = clock;
    this.#log = log;
    this.#inventory = new Inventory(worthOf);
  }

  /**
   * Opens or creates the books. A copy that is damaged or behind is rebuilt from the other; the files of a damaged one are kept
   * beside it. `findings` says what was wrong.
   * @throws RelaymintError FILE_IN_USE when another process has them open; VERSION_UNSUPPORTED; STORAGE_FAILED, STORAGE_FULL.
   */
  static async open(directory: string, options: StoreOptions = {}): Promise<GroupedStore> {
    const store = new GroupedStore(directory, options);
    try {
      await refuseVersion1(directory);
      await makeFolder(directory, 0o777);
      await store.#load();
      return store;
    } catch (error) {
      await store.#closeFiles();
      throw openError(directory, error);
    }
  }

  /** What was wrong when it was opened. */
  get findings(): Findings {
    return this.#findings;
  }

  /** Everything there is, in no order. For start-up: it does not see writes that have not begun. */
  *entries(): Generator<[key: string, value: Uint8Array]> {
    for (const [key, record] of this.#live) yield [key, payloadOf(record)];
  }

  /** Why nothing can be written now; undefined if writes work. */
  get failing(): RelaymintError | undefined {
    return this.#failing;
  }

  /**
   * Writes all changes in one write. `sync` makes it survive a power cut as well (and a process's death in any case).
   * `topic` names what `written` speaks of: a newer write of the same topic takes its place.
   */
  write(
    changes: readonly Change[],
    options: { readonly sync: boolean; readonly topic?: string },
    written?: Written,
  ): void {
    if (this.#stop.signal.aborted) {
      if (written !== undefined) queueMicrotask(() => written(closedError()));
      return;
    }
    for (const [key, value] of changes) this.#pending.set(key, value);
    if (written !== undefined) this.#waiting.set(options.topic ?? `write ${this.#waiting.size}`, written);
    this.#sync ||= options.sync;
    this.#start();
  }

  /**
   * Writes the changes with the next write, within a second at the latest. For what the death of the process may take with it: as often
   * as it changes, it costs no write of its own.
   */
  writeLate(changes: readonly Change[]): void {
    if (this.#stop.signal.aborted) return;
    for (const [key, value] of changes) this.#pending.set(key, value);
    this.#late ??= setTimeout(() => this.#start(), LATE_MILLIS).unref();
  }

  /** Writes with sync. It is written all the same, later, when this fails. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL, CLOSED. */
  async writeNow(changes: readonly Change[]): Promise<void> {
    this.write(changes, { sync: true });
    await this.flushed();
  }

  /** Resolves once everything written so far is on disk. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL, CLOSED. */
  async flushed(): Promise<void> {
    if (this.#failing !== undefined) throw this.#failing;
    if (this.#running === undefined) {
      if (this.#stop.signal.aborted) throw closedError();
      if (this.#pending.size === 0) return;
      this.#start();
    }
    await new Promise<void>((resolve, reject) => {
      this.#impatient.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Writes what is under way and closes. What the disk has not taken by then is lost, and reported. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#start();
    await this.#running;
    await this.#closeFiles();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #start(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#pending.size > 0 || this.#waiting.size > 0 || this.#impatient.length > 0) {
      const changes = this.#pending;
      const waiting = this.#waiting;
      const impatient = this.#impatient;
      const sync = this.#sync || impatient.length > 0;
      this.#pending = new Map();
      this.#waiting = new Map();
      this.#impatient = [];
      this.#sync = false;
      clearTimeout(this.#late);
      this.#late = undefined;
      let failure: RelaymintError | undefined;
      try {
        if (changes.size > 0) await this.#writeGroup(changes, sync);
      } catch (cause) {
        tell(impatient, writeError(this.#directory, cause));
        failure = await this.#mendWrites(cause);
      }
      tell(waiting.values(), failure);
      tell(impatient, failure);
    }
    this.#running = undefined;
  }

  async #writeGroup(changes: ReadonlyMap<string, Uint8Array | undefined>, sync: boolean): Promise<void> {
    this.#seq += 1;
    const bytes: Sealed[] = [];
    const records: [string, Sealed | undefined][] = [];
    for (const [key, value] of changes) {
      const before = this.#live.get(key);
      if (before !== undefined) this.#drop(key, before);
      else if (value === undefined) continue;
      const record = seal(value === undefined ? DELETE : PUT, key, this.#seq, value ?? NOTHING);
      if (value !== undefined) this.#keep(key, record);
      bytes.push(record);
      records.push([key, value === undefined ? undefined : record]);
    }
    const commit = this.#inventory.commit(this.#seq);
    bytes.push(commit);
    const [journal, level] = await Promise.allSettled([
      this.#journal.append(Buffer.concat(bytes), sync),
      this.#level.write(records, commit, sync && this.#isLevelDue()),
    ]);
    if (journal.status === 'rejected') throw journal.reason;
    if (level.status === 'rejected') throw level.reason;
    if (this.#journal.size > this.#replaceAt) await this.#shortenJournal();
  }

  /** The journal survives a power cut; LevelDB is synced often enough that afterwards little is in one copy alone. */
  #isLevelDue(): boolean {
    const now = this.#clock.now();
    if (now - this.#levelSynced < LEVEL_SYNC_MILLIS) return false;
    this.#levelSynced = now;
    return true;
  }

  /** A failure (a nearly full disk) is no reason to stop. */
  async #shortenJournal(): Promise<void> {
    this.#replaceAt = 2 * this.#journal.size;
    try {
      await this.#replaceJournal();
    } catch (error) {
      this.#log.warn({ err: error }, 'the journal of the books could not be shortened; it is tried again');
    }
  }

  async #replaceJournal(): Promise<void> {
    await this.#journal.replace([...this.#live.values(), this.#inventory.commit(this.#seq)]);
    this.#replaceAt = Math.max(REPLACE_BYTES, REPLACE_PARTS * this.#liveBytes);
  }

  /** Tries until both copies hold everything, and logs the beginning and the end. */
  async #mendWrites(first: unknown): Promise<RelaymintError | undefined> {
    let cause = first;
    this.#failing = writeError(this.#directory, cause);
    this.#log.error(
      { code: this.#failing.code, err: cause },
      'the books cannot be written: until they can, no receipt is accepted and no new credit is given; the node keeps trying',
    );
    let mayStartAnew = true;
    for (let failures = 1; ; failures += 1) {
      const last = this.#stop.signal.aborted;
      try {
        await this.#replaceJournal();
        await this.#reopenLevel(mayStartAnew);
        this.#failing = undefined;
        this.#log.info({}, 'the books can be written again: credit is given as before');
        return undefined;
      } catch (error) {
        cause = error;
        this.#failing = writeError(this.#directory, cause);
        mayStartAnew &&= isDiskFull(error);
      }
      // Callers that ask meanwhile get the error at once.
      const asking = this.#impatient;
      this.#impatient = [];
      tell(asking, this.#failing);
      if (last) {
        this.#log.error({ err: cause }, 'the books were closed without the latest writes');
        return this.#failing;
      }
      await delay(backoff(failures, RETRIES), undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /**
   * After a failed write LevelDB accepts no other: it is opened again. If that is not enough, it is damaged, and is
   * rebuilt, once.
   */
  async #reopenLevel(mayStartAnew: boolean): Promise<void> {
    await this.#level.close();
    const copy = await this.#level.open(this.#worthOf);
    try {
      await this.#bringUpLevel(copy);
    } catch (error) {
      if (!mayStartAnew || isDiskFull(error)) throw error;
      await this.#level.startAnew(await this.#freeName(LEVEL));
      await this.#fillLevel();
    }
  }

  async #load(): Promise<void> {
    const level = await this.#readLevel();
    const journal = await readJournal(path.join(this.#directory, JOURNAL), this.#worthOf);
    let merged = merge(level, journal, this.#worthOf);
    if (!merged.complete && level.whole === undefined && !level.absent) {
      const salvaged = await this.#level.salvage();
      merged = merge(together(level, salvaged), journal, this.#worthOf);
    }
    // Copied: what was read is a part of a whole file, which would stay in memory with it.
    for (const [key, record] of merged.live) this.#keep(key, Buffer.from(record));
    this.#seq = merged.seq;
    const news = level.absent && journal.absent;
    const damaged: Damage[] = [];
    const journalIs = await this.#makeJournalWhole(journal, merged);
    if (journalIs !== undefined && !news) damaged.push(journalIs);
    const levelIs = await this.#makeLevelWhole(level);
    if (levelIs !== undefined && !news) damaged.push(levelIs);
    this.#findings = { damaged, complete: merged.complete, missing: merged.missing };
    this.#sayFindings();
  }

  /**
   * LevelDB ends the whole process over damage that it does not expect. Its tables are checked before; for what may be left, a file
   * says that it is being read: if the process that wrote it is gone, LevelDB is not read again but rebuilt.
   */
  async #readLevel(): Promise<Copy> {
    const mark = path.join(this.#directory, READING);
    const reader = Number(await readFile(mark, 'utf8').catch(() => ''));
    if (reader > 0 && !isRunning(reader)) {
      await rm(mark, { force: true });
      const faults = ['LevelDB ended the process that read it'];
      return { versions: new Map(), whole: undefined, commit: undefined, absent: false, faults, spoiled: [] };
    }
    await writeFile(mark, String(process.pid));
    try {
      return await this.#level.open(this.#worthOf);
    } finally {
      await rm(mark, { force: true });
    }
  }

  /** The journal first: while LevelDB is rebuilt, everything must be in the journal. */
  async #makeJournalWhole(copy: JournalCopy, merged: Merged): Promise<Damage | undefined> {
    if (copy.whole === merged.seq && copy.torn === 0) {
      await this.#journal.resume(copy.end);
      if (copy.end > this.#liveBytes + START_BYTES) await this.#shortenJournal();
      return undefined;
    }
    let keptAs: string | undefined;
    const damaged = copy.whole === undefined;
    if (!damaged) {
      this.#log.info(
        { tornBytes: copy.torn, writesBehind: merged.seq - (copy.whole ?? 0) },
        'the journal of the books ended in an unfinished write; LevelDB was checked, and nothing is missing',
      );
    }
    if (damaged && !copy.absent) {
      keptAs = await this.#freeName(JOURNAL);
      await this.#journal.setAside(keptAs);
    }
    if (damaged) this.#seq += 1;
    await this.#replaceJournal();
    return damaged ? { copy: 'journal', faults: copy.absent ? ['it is missing'] : copy.faults, keptAs } : undefined;
  }

  async #makeLevelWhole(copy: Copy): Promise<Damage | undefined> {
    if (copy.whole !== undefined) {
      if (copy.whole !== this.#seq) await this.#bringUpLevel(copy);
      return undefined;
    }
    let keptAs: string | undefined;
    if (!copy.absent) {
      keptAs = await this.#freeName(LEVEL);
      await this.#level.startAnew(keptAs);
    }
    await this.#fillLevel();
    await syncFolder(this.#directory);
    return { copy: 'level', faults: copy.absent ? ['it is missing'] : copy.faults, keptAs };
  }

  /** Gives LevelDB what it lacks, or rebuilds it if it is damaged. */
  async #bringUpLevel(copy: Copy): Promise<void> {
    if (copy.whole === undefined && !copy.absent) throw new Error(`LevelDB is damaged: ${copy.faults.join('; ')}`);
    const records: [string, Sealed | undefined][] = [];
    for (const [key, record] of this.#live) {
      const there = copy.versions.get(key);
      if (there === undefined || there.seq !== seqOf(record)) records.push([key, record]);
    }
    for (const key of copy.versions.keys()) if (!this.#live.has(key)) records.push([key, undefined]);
    await this.#level.write(records, this.#inventory.commit(this.#seq), true);
  }

  async #fillLevel(): Promise<void> {
    await this.#level.write([...this.#live], this.#inventory.commit(this.#seq), true);
  }

  #keep(key: string, record: Sealed): void {
    this.#live.set(key, record);
    this.#inventory.add(key, record);
    this.#liveBytes += record.length;
  }

  #drop(key: string, record: Sealed): void {
    this.#live.delete(key);
    this.#inventory.remove(key, record);
    this.#liveBytes -= record.length;
  }

  #sayFindings(): void {
    const { damaged, complete, missing } = this.#findings;
    for (const { copy, faults, keptAs } of damaged) {
      this.#log.warn(
        { copy, faults: faults.slice(0, 8), ...(keptAs === undefined ? {} : { keptAs }) },
        `one copy of the books was damaged; it was rebuilt${complete ? ' from the other, and nothing is missing' : ''}`,
      );
    }
    if (complete) return;
    this.#log.error(
      {
        missingRecords: missing.records,
        missingUnits: String(missing.worth),
        unreadable: missing.keys.slice(0, 32),
      },
      'both copies of the books are damaged and at least this much of them is missing: payers bring their newest receipts when they connect; import a receipt file with "relaymint books import"',
    );
  }

  /** An unused name beside the damaged one. */
  async #freeName(name: string): Promise<string> {
    const time = new Date(this.#clock.now()).toISOString().replace(/[-:]|\.\d+/g, '');
    for (let number = 0; ; number += 1) {
      const candidate = path.join(this.#directory, `${name}.damaged-${time}${number === 0 ? '' : `-${number}`}`);
      if (!(await exists(candidate))) return candidate;
    }
  }

  async #closeFiles(): Promise<void> {
    await Promise.allSettled([this.#journal.close(), this.#level.close()]);
  }
}

/** What is on disk. */
export interface Inspected extends Findings {
  /** There are no books there. */
  readonly absent: boolean;
  /** The newest of either copy. */
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

/** Reads both copies without changing them. Nobody may have them open. */
export async function inspect(directory: string, worthOf: WorthOf): Promise<Inspected> {
  await refuseVersion1(directory);
  try {
    const level = await Level.inspect(path.join(directory, LEVEL), worthOf);
    const journal = await readJournal(path.join(directory, JOURNAL), worthOf);
    const { live, complete, missing } = merge(level, journal, worthOf);
    const damaged: Damage[] = [];
    const news = level.absent && journal.absent;
    for (const [copy, read] of [
      ['journal', journal],
      ['level', level],
    ] as const) {
      if (read.whole !== undefined || news) continue;
      damaged.push({ copy, faults: read.absent ? ['it is missing'] : read.faults, keptAs: undefined });
    }
    const entries = new Map(Array.from(live, ([key, record]) => [key, payloadOf(record)] as const));
    return { damaged, complete, missing, entries, absent: news };
  } catch (error) {
    throw openError(directory, error);
  }
}

const NOTHING = new Uint8Array();

/** What LevelDB returned, and what else was found in its files. */
function together(level: Copy, salvaged: Copy): Copy {
  const versions = new Map(salvaged.versions);
  for (const [key, version] of level.versions) {
    if ((versions.get(key)?.seq ?? -1) < version.seq) versions.set(key, version);
  }
  const [one, other] = [level.commit, salvaged.commit];
  const commit = one !== undefined && (other === undefined || seqOf(one) > seqOf(other)) ? one : other;
  return { ...level, versions, commit };
}

function tell(listeners: Iterable<Written>, error: RelaymintError | undefined): void {
  // Each in its own microtask, so that one that throws stops neither the others nor the writer.
  for (const written of listeners) queueMicrotask(() => written(error));
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}

async function refuseVersion1(directory: string): Promise<void> {
  if (!(await exists(path.join(directory, VERSION_1_FILE)))) return;
  throw new RelaymintError('VERSION_UNSUPPORTED', `The books in ${directory} have format version 1, not 2.`, {
    remedy: 'Use the version of Relaymint that wrote them, or give this one another --data directory.',
  });
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasErrno(error, 'EPERM');
  }
}

function closedError(): RelaymintError {
  return new RelaymintError('CLOSED', 'The books are closed.', { remedy: 'Restart the node.' });
}

function openError(directory: string, cause: unknown): RelaymintError {
  if (isRelaymintError(cause)) return cause;
  if (cause instanceof LevelUnavailable && cause.locked) {
    return inUse(`The books in ${directory} are`, cause);
  }
  if (isDiskFull(cause)) return writeError(directory, cause);
  return new RelaymintError('STORAGE_FAILED', `The books in ${directory} cannot be opened: ${messageOf(cause)}.`, {
    remedy: 'Check the directory, its permissions and the disk.',
    cause,
  });
}

function writeError(directory: string, cause: unknown): RelaymintError {
  return isDiskFull(cause)
    ? new RelaymintError('STORAGE_FULL', `The disk is full: the books in ${directory} could not be written.`, {
        remedy: 'Free some space: the node then goes on by itself, and nothing that was confirmed is lost.',
        cause,
      })
    : new RelaymintError('STORAGE_FAILED', `The books in ${directory} could not be written: ${messageOf(cause)}.`, {
        remedy: 'Check the disk: the node tries again by itself, and nothing that was confirmed is lost.',
        cause,
      });
}
