/**
 * The two copies of the books in their folder, a journal that is appended to and LevelDB. Each write goes to both, and each
 * copy has its own sums, which show whether it is complete. What one of them lost is in the other; what both lost is reported.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { amount } from '../../core/units.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { isDiskFull } from '../../platform/disk/disk-error.ts';
import { makeFolder, syncFolder } from '../../platform/disk/folder.ts';
import { isRunning } from '../../platform/process.ts';
import { merge } from './copy.ts';
import type { Copy, Merged } from './copy.ts';
import { openError } from './failure.ts';
import { exists, FILES, refuseVersion1, sayFindings } from './findings.ts';
import type { Damage, Findings } from './findings.ts';
import { Journal, readJournal } from './journal.ts';
import type { JournalCopy } from './journal.ts';
import { Level } from './level.ts';
import { DELETE, Inventory, payloadOf, PUT, seal, seqOf } from './record.ts';
import type { Sealed, WorthOf } from './record.ts';

/** A journal is replaced once it has this many bytes, and this many times what it says: rarely, and bounded for ever. */
const REPLACE_BYTES = 4 * 1024 * 1024;
const REPLACE_PARTS = 3;
/** At the start, when nobody waits, it is replaced once it has this many bytes more than its content. */
const START_BYTES = 64 * 1024;
const LEVEL_SYNC_MILLIS = 1_000;

export interface CopiesOptions {
  /** What a record is worth, base units: so much is said to be missing when it is. */
  readonly worthOf: WorthOf;
  readonly clock: Clock;
  readonly log: Log;
}

const NOTHING = new Uint8Array();

export class Copies {
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
  #findings: Findings = { damaged: [], complete: true, missing: { records: 0, worth: amount(0n), keys: [] } };

  private constructor(directory: string, { worthOf, clock, log }: CopiesOptions) {
    this.#directory = directory;
    this.#level = new Level(path.join(directory, FILES.level));
    this.#journal = new Journal(path.join(directory, FILES.journal));
    this.#worthOf = worthOf;
    this.#clock = clock;
    this.#log = log;
    this.#inventory = new Inventory(worthOf);
  }

  /** @throws what `GroupedStore.open` throws. */
  static async open(directory: string, options: CopiesOptions): Promise<Copies> {
    const copies = new Copies(directory, options);
    try {
      await refuseVersion1(directory);
      await makeFolder(directory, 0o777);
      await copies.#load();
      return copies;
    } catch (error) {
      await copies.close();
      throw openError(directory, error);
    }
  }

  get findings(): Findings {
    return this.#findings;
  }

  *entries(): Generator<[key: string, value: Uint8Array]> {
    for (const [key, record] of this.#live) yield [key, payloadOf(record)];
  }

  /** Writes all changes at once to both. When it fails, nothing may be written until `restore` has succeeded. */
  async write(changes: ReadonlyMap<string, Uint8Array | undefined>, sync: boolean): Promise<void> {
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

  /** After a failed write: both copies hold all there is once it resolves. LevelDB may be rebuilt for it once. */
  async restore(mayStartAnew: boolean): Promise<void> {
    await this.#replaceJournal();
    await this.#reopenLevel(mayStartAnew);
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#journal.close(), this.#level.close()]);
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
      await this.#level.startAnew(await this.#freeName(FILES.level));
      await this.#fillLevel();
    }
  }

  async #load(): Promise<void> {
    const level = await this.#readLevel();
    const journal = await readJournal(path.join(this.#directory, FILES.journal), this.#worthOf);
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
    sayFindings(this.#findings, this.#log);
  }

  /**
   * LevelDB ends the whole process over damage that it does not expect. Its tables are checked before; for what may be left, a file
   * says that it is being read: if the process that wrote it is gone, LevelDB is not read again but rebuilt.
   */
  async #readLevel(): Promise<Copy> {
    const mark = path.join(this.#directory, FILES.reading);
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
      keptAs = await this.#freeName(FILES.journal);
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
      keptAs = await this.#freeName(FILES.level);
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

  /** An unused name beside the damaged one. */
  async #freeName(name: string): Promise<string> {
    const time = new Date(this.#clock.now()).toISOString().replace(/[-:]|\.\d+/g, '');
    for (let number = 0; ; number += 1) {
      const candidate = path.join(this.#directory, `${name}.damaged-${time}${number === 0 ? '' : `-${number}`}`);
      if (!(await exists(candidate))) return candidate;
    }
  }
}

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
