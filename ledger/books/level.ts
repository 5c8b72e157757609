/**
 * The copy of the books in LevelDB. Only its own sums are trusted: LevelDB itself silently drops what it cannot read. Nor
 * is it given what it would die of: its tables are checked before it opens them.
 */
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { messageOf, RelaymintError } from '../../core/errors.ts';
import { DatabaseLocked, openDatabase } from '../../platform/disk/level.ts';
import type { Database } from '../../platform/disk/level.ts';
import { hasErrno } from '../../platform/errno.ts';
import { ensureVersion } from './copy.ts';
import type { Copy, Version } from './copy.ts';
import { readFiles, tableFaults } from './level-files.ts';
import { COMMIT_KEY, committed, Inventory, recordOf, seqOf, valueOf } from './record.ts';
import type { Sealed, WorthOf } from './record.ts';

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

const NOTHING: Omit<Copy, 'absent' | 'faults'> = {
  versions: new Map(),
  whole: undefined,
  commit: undefined,
  spoiled: [],
};
const DATA_FILE = /\.(?:ldb|sst|log)$/;
/** LevelDB's errors that do not mean damage of the files. Any other error does, and the other copy takes its place. */
const NO_DAMAGE = /permission denied|no space left|too many open files|read-only file system|disk quota/i;

/** LevelDB is open in another process, or the disk does not let it be opened; its files may be well. */
export class LevelUnavailable extends Error {
  readonly locked: boolean;

  constructor(locked: boolean, cause: unknown) {
    super(messageOf(cause), { cause });
    this.locked = locked;
  }
}

export class Level {
  readonly #directory: string;
  #db: Database | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Opens it and reads all of it. What LevelDB cannot open is damaged and stays closed.
   * @throws LevelUnavailable; RelaymintError VERSION_UNSUPPORTED.
   */
  async open(worthOf: WorthOf): Promise<Copy> {
    const files = await filesIn(this.#directory);
    if (files.length === 0) {
      await this.#openDatabase();
      return { ...NOTHING, absent: true, faults: [] };
    }
    // Without CURRENT, LevelDB would start an empty database and delete the rest.
    const isHeadless = !files.includes('CURRENT') && files.some((file) => DATA_FILE.test(file));
    const faults = isHeadless ? ['its file CURRENT is missing'] : await tableFaults(this.#directory);
    if (faults.length > 0) {
      await this.#requireUnlocked();
      return { ...NOTHING, absent: false, faults };
    }
    try {
      await this.#openDatabase();
    } catch (error) {
      if (error instanceof LevelUnavailable) throw error;
      return { ...NOTHING, absent: false, faults: [`LevelDB cannot open it: ${messageOf(error)}`] };
    }
    return this.#read(worthOf);
  }

  /** undefined deletes the key. @throws LevelDB's error. */
  async write(
    changes: readonly (readonly [key: string, record: Sealed | undefined])[],
    commit: Sealed,
    sync: boolean,
  ): Promise<void> {
    const operations: Operation[] = changes.map(([key, record]) =>
      record === undefined ? { type: 'del', key } : { type: 'put', key, value: valueOf(record) },
    );
    operations.push({ type: 'put', key: COMMIT_KEY, value: valueOf(commit) });
    await this.#database.batch(operations, { sync });
  }

  async close(): Promise<void> {
    const db = this.#db;
    this.#db = undefined;
    await db?.close();
  }

  /** Closes it, keeps its files under another name, and begins an empty one. */
  async startAnew(keptAs: string): Promise<void> {
    await this.close();
    await rename(this.#directory, keptAs);
    await this.#openDatabase();
  }

  /** Closes it, and finds what its files still hold, without LevelDB; they stay as they are. */
  async salvage(): Promise<Copy> {
    await this.close();
    const versions = new Map<string, Version>();
    let commit: Sealed | undefined;
    for (const [key, record] of await readFiles(this.#directory)) {
      if (key === COMMIT_KEY) commit = record;
      else versions.set(key, { seq: seqOf(record), record });
    }
    if (commit !== undefined) ensureVersion(this.#directory, committed(commit).version);
    return { ...NOTHING, versions, commit, absent: false, faults: [] };
  }

  /**
   * Reads one that nobody has open, and changes nothing: LevelDB writes as it opens, so it is given a copy. The lock is the real
   * one's. @throws LevelUnavailable; RelaymintError VERSION_UNSUPPORTED.
   */
  static async inspect(directory: string, worthOf: WorthOf): Promise<Copy> {
    const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-books-'));
    const level = new Level(path.join(folder, 'level'));
    try {
      const files = await filesIn(directory);
      await mkdir(path.join(folder, 'level'));
      for (const file of files) {
        const from = path.join(directory, file);
        const to = path.join(folder, 'level', file);
        if (file === 'LOCK') await symlink(path.resolve(from), to);
        else await copyFile(from, to);
      }
      return await level.open(worthOf);
    } finally {
      await level.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** A database that is not opened is not locked: opens an empty one beside it, with the same lock. @throws LevelUnavailable. */
  async #requireUnlocked(): Promise<void> {
    const beside = `${this.#directory}.lock`;
    await rm(beside, { recursive: true, force: true });
    try {
      await mkdir(beside);
      await symlink(path.resolve(this.#directory, 'LOCK'), path.join(beside, 'LOCK'));
      await (await databaseIn(beside)).close();
    } finally {
      await rm(beside, { recursive: true, force: true });
    }
  }

  async #openDatabase(): Promise<void> {
    this.#db = await databaseIn(this.#directory);
  }
  async #read(worthOf: WorthOf): Promise<Copy> {
    const versions = new Map<string, Version>();
    const faults: string[] = [];
    const spoiled: string[] = [];
    let commit: Sealed | undefined;
    const found = new Inventory(worthOf);
    const take = (key: string, value: Uint8Array): void => {
      if (versions.has(key)) return;
      const record = recordOf(key, value);
      if (record === undefined) spoiled.push(key);
      else if (key === COMMIT_KEY) commit = record;
      else {
        versions.set(key, { seq: seqOf(record), record });
        found.add(key, record);
      }
    };
    // If it stops in the middle, reads from the other end as well: a block that cannot be read hides only itself.
    for (const reverse of [false, true]) {
      try {
        for await (const [key, value] of this.#database.iterator({ reverse })) take(key, value);
        break;
      } catch (error) {
        faults.push(messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error));
      }
    }
    if (commit === undefined && versions.size === 0 && spoiled.length === 0 && faults.length === 0) {
      return { ...NOTHING, absent: true, faults };
    }
    if (commit !== undefined) ensureVersion(this.#directory, committed(commit).version);
    if (spoiled.length > 0) faults.push(`${spoiled.length} records fail their checksum`);
    if (commit === undefined) faults.push('its commit is missing');
    else if (faults.length === 0 && !found.agreesWith(commit)) faults.push('records are missing');
    const whole = faults.length === 0 && commit !== undefined ? seqOf(commit) : undefined;
    return { versions, whole, commit, absent: false, faults, spoiled };
  }

  get #database(): Database {
    if (this.#db === undefined) throw new TypeError('LevelDB is not open');
    return this.#db;
  }
}

/** @throws LevelUnavailable; what LevelDB says of damage. */
async function databaseIn(directory: string): Promise<Database> {
  try {
    return await openDatabase(directory);
  } catch (error) {
    const locked = error instanceof DatabaseLocked;
    if (locked || NO_DAMAGE.test(messageOf(error))) throw new LevelUnavailable(locked, error);
    throw error;
  }
}

async function filesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw new RelaymintError('STORAGE_FAILED', `The books in ${directory} cannot be read: ${messageOf(error)}.`, {
      remedy: 'Check the directory, its permissions and the disk.',
      cause: error,
    });
  }
}
