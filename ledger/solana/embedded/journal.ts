/** The ledger's state on disk: one LevelDB, every change synced before anybody is told of it. */
import { isRelaymintError, RelaymintError, messageOf } from '../../../core/errors.ts';
import { isDiskFull } from '../../../platform/disk/disk-error.ts';
import { makeFolder } from '../../../platform/disk/folder.ts';
import { DatabaseLocked, inUse, openDatabase } from '../../../platform/disk/level.ts';
import type { Database } from '../../../platform/disk/level.ts';

/** `value` undefined removes the key. */
export interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** Closed: `load` and `put` fail with CLOSED; what was put before is settled. */
export interface Journal {
  /** Everything stored by those before it, in key order; nothing where nothing outlives the process. Called once, at the start. @throws RelaymintError CLOSED; STORAGE_FAILED while it is read. */
  load(): AsyncIterable<readonly [string, Uint8Array]>;
  /** Queues changes; those of one call become durable together. @throws RelaymintError CLOSED. */
  put(changes: readonly Change[]): void;
  /** Resolves when all that was put is on the disk. @throws RelaymintError STORAGE_FAILED or STORAGE_FULL, from then on always. */
  settled(): Promise<void>;
  /** Waits for what was put. Harmless when repeated. @throws as `settled`. */
  close(): Promise<void>;
}

const NOTHING: AsyncIterable<never> = { async *[Symbol.asyncIterator]() {} };

/** For a ledger without `dataDir`. */
export function memoryJournal(): Journal {
  return new MemoryJournal();
}

class MemoryJournal implements Journal {
  #closed = false;

  load(): AsyncIterable<never> {
    this.#ensureOpen();
    return NOTHING;
  }

  put(): void {
    this.#ensureOpen();
  }

  async settled(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
  }

  #ensureOpen(): void {
    if (this.#closed) throw ledgerClosed();
  }
}

/** @throws RelaymintError FILE_IN_USE when another process has it open; STORAGE_FAILED. */
export async function openJournal(dataDir: string): Promise<Journal> {
  try {
    await makeFolder(dataDir);
    return new LevelJournal(await openDatabase(dataDir), dataDir);
  } catch (cause) {
    if (isRelaymintError(cause)) throw cause;
    throw cause instanceof DatabaseLocked
      ? inUse(`The ledger in ${dataDir} is`, cause)
      : storageFailure(cause, dataDir);
  }
}

class LevelJournal implements Journal {
  readonly #database: Database;
  readonly #dataDir: string;
  /** The batch that still takes changes; it is written when the one before it is on the disk. */
  #open: Change[] | undefined;
  #tail: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(database: Database, dataDir: string) {
    this.#database = database;
    this.#dataDir = dataDir;
  }

  load(): AsyncIterable<readonly [string, Uint8Array]> {
    if (this.#closed) throw ledgerClosed();
    return this.#stored();
  }

  async *#stored(): AsyncGenerator<readonly [string, Uint8Array]> {
    try {
      yield* this.#database.iterator();
    } catch (cause) {
      throw this.#closed ? ledgerClosed() : storageFailure(cause, this.#dataDir);
    }
  }

  put(changes: readonly Change[]): void {
    if (this.#closed) throw ledgerClosed();
    if (this.#open === undefined) {
      const batch: Change[] = [];
      this.#open = batch;
      // A failed write is never followed by another: what is on the disk stays a state that the ledger was in.
      this.#tail = this.#tail.then(() => this.#write(batch));
      this.#tail.catch(() => undefined);
    }
    for (const change of changes) this.#open.push(change);
  }

  settled(): Promise<void> {
    return this.#tail;
  }

  async close(): Promise<void> {
    this.#closed = true;
    try {
      await this.#tail;
    } finally {
      await this.#database.close();
    }
  }

  async #write(batch: Change[]): Promise<void> {
    this.#open = undefined;
    try {
      await this.#database.batch(
        batch.map(({ key, value }) =>
          value === undefined ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
        ),
        { sync: true },
      );
    } catch (cause) {
      throw storageFailure(cause, this.#dataDir);
    }
  }
}

function ledgerClosed(): RelaymintError {
  return new RelaymintError('CLOSED', 'The ledger was closed.');
}

function storageFailure(cause: unknown, dataDir: string): RelaymintError {
  const full = isDiskFull(cause);
  return new RelaymintError(
    full ? 'STORAGE_FULL' : 'STORAGE_FAILED',
    `The ledger in ${dataDir} cannot be read or written: ${messageOf(cause)}.`,
    { remedy: full ? 'Free some disk space and start again.' : 'Check the directory and its permissions.', cause },
  );
}
