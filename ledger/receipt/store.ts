/**
 * The receipts and the books on disk (LevelDB). Only the latest receipt of each channel is kept, so that a channel
 * costs the same storage after a million receipts as after one. Writes are grouped: while one is being synced, what
 * comes next gathers, newest per key, and goes out as one batch with one sync. A batch is atomic.
 */
import { ClassicLevel } from 'classic-level';
import { messageOf, RelaymintError } from '../../core/errors.ts';

/** Called once the write is on disk, or with the error that kept it from there. A write overtaken by a newer one of the same keys is told nothing. */
export type Written = (error: RelaymintError | undefined) => void;

/** undefined deletes the key. */
export type Change = readonly [key: string, value: Uint8Array | undefined];

type Database = ClassicLevel<string, Uint8Array>;

export class GroupedStore implements AsyncDisposable {
  readonly #db: Database;
  #pending = new Map<string, Uint8Array | undefined>();
  #waiting = new Map<string, Written>();
  #sync = false;
  #running: Promise<void> | undefined;
  #failed: RelaymintError | undefined;

  private constructor(db: Database) {
    this.#db = db;
  }

  /** @throws RelaymintError FILE_IN_USE when another process has it open; STORAGE_FAILED. */
  static async open(directory: string): Promise<GroupedStore> {
    const db: Database = new ClassicLevel(directory, { keyEncoding: 'utf8', valueEncoding: 'view' });
    try {
      await db.open();
    } catch (cause) {
      throw openError(directory, cause);
    }
    return new GroupedStore(db);
  }

  /** Everything whose key begins with `prefix`, in key order. For start-up: it does not see writes still under way. */
  async *entries(prefix: string): AsyncGenerator<[key: string, value: Uint8Array]> {
    for await (const [key, value] of this.#db.iterator({ gte: prefix, lt: `${prefix}\uffff` })) yield [key, value];
  }

  /**
   * Writes all changes in one batch. `sync` makes it survive a power cut as well (and a process's death in any case).
   * `topic` names what `written` speaks of: a newer write of the same topic takes its place.
   */
  write(
    changes: readonly Change[],
    options: { readonly sync: boolean; readonly topic?: string },
    written?: Written,
  ): void {
    if (this.#failed !== undefined) {
      const failed = this.#failed;
      if (written !== undefined) queueMicrotask(() => written(failed));
      return;
    }
    for (const [key, value] of changes) this.#pending.set(key, value);
    if (written !== undefined) this.#waiting.set(options.topic ?? `write ${this.#waiting.size}`, written);
    this.#sync ||= options.sync;
    this.#running ??= this.#run();
  }

  /** Writes with sync. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL. */
  async writeNow(changes: readonly Change[]): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.write(changes, { sync: true }, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Resolves once everything written so far is on disk. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL. */
  async flushed(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    if (this.#failed !== undefined) throw this.#failed;
  }

  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.#failed ??= new RelaymintError('CLOSED', 'The books are closed.', { remedy: 'Restart the node.' });
    await this.#db.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#pending.size > 0 || this.#waiting.size > 0) {
      const changes = this.#pending;
      const waiting = this.#waiting;
      const sync = this.#sync;
      this.#pending = new Map();
      this.#waiting = new Map();
      this.#sync = false;
      try {
        await this.#db.batch(
          Array.from(changes, ([key, value]) =>
            value === undefined ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
          ),
          { sync },
        );
      } catch (cause) {
        this.#failed = writeError(this.#db.location, cause);
      }
      this.#tell(waiting);
      if (this.#failed !== undefined) break;
    }
    this.#tell(this.#waiting);
    this.#waiting = new Map();
    this.#pending.clear();
    this.#running = undefined;
  }

  /** Each in its own microtask, so that one that throws stops neither the others nor the writer. */
  #tell(waiting: ReadonlyMap<string, Written>): void {
    const failed = this.#failed;
    for (const written of waiting.values()) queueMicrotask(() => written(failed));
  }
}

function openError(directory: string, cause: unknown): RelaymintError {
  const detail = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  if (detail instanceof Error && 'code' in detail && detail.code === 'LEVEL_LOCKED') {
    return new RelaymintError('FILE_IN_USE', `The books in ${directory} are open in another process.`, {
      remedy: 'Stop that process, or give this one another data directory.',
      cause,
    });
  }
  return new RelaymintError('STORAGE_FAILED', `The books in ${directory} cannot be opened: ${messageOf(detail)}.`, {
    remedy: 'Check the directory, its permissions and the disk.',
    cause,
  });
}

function writeError(directory: string, cause: unknown): RelaymintError {
  const message = messageOf(cause);
  return /no space|ENOSPC/i.test(message)
    ? new RelaymintError('STORAGE_FULL', `The disk is full: the books in ${directory} could not be written.`, {
        remedy: 'Free some space and restart the node; nothing that was confirmed is lost.',
        cause,
      })
    : new RelaymintError('STORAGE_FAILED', `The books in ${directory} could not be written: ${message}.`, {
        remedy: 'Check the disk and restart the node; nothing that was confirmed is lost.',
        cause,
      });
}
