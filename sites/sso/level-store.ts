/**
 * An issuer's records in LevelDB, for one process (LevelDB itself sees to that):
 *   KEY -> until u64 LE, milliseconds | text
 */
import { Reader, Writer, utf8 } from '../../core/codec.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import type { UnixMillis } from '../../core/units.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { DatabaseLocked, inUse, openDatabase, type Database } from '../../platform/disk/level.ts';
import type { IssuerStore } from './contract.ts';

const UNTIL_BYTES = 8;
const SWEEP_MILLIS = 10 * 60_000;
/** Sorts after every key, which are printable ASCII. */
const AFTER_ALL = '\u007f';

export interface LevelStoreOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** @throws RelaymintError FILE_IN_USE, STORAGE_FULL, STORAGE_FAILED. */
export async function openLevelStore(directory: string, options: LevelStoreOptions): Promise<IssuerStore> {
  try {
    return new LevelIssuerStore(await openDatabase(directory), options);
  } catch (cause) {
    if (cause instanceof DatabaseLocked) throw inUse(`The sign-in records in ${directory} are`, cause);
    throw diskError(cause, `Opening the sign-in records in ${directory}`);
  }
}

class LevelIssuerStore implements IssuerStore {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #sweeping: AsyncDisposable;
  /** Claims come one after the other: each looks before it writes. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(db: Database, { clock, log }: LevelStoreOptions) {
    this.#db = db;
    this.#clock = clock;
    this.#sweeping = repeat({
      everyMillis: SWEEP_MILLIS,
      work: (signal) => this.#sweep(signal),
      what: 'Deleting old sign-in records',
      log,
    });
  }

  async get(key: string): Promise<string | undefined> {
    const kept = await this.#told(this.#db.get(key), 'Reading');
    if (kept === undefined || untilOf(kept) <= this.#clock.now()) return undefined;
    return new TextDecoder().decode(kept.subarray(UNTIL_BYTES));
  }

  async put(key: string, value: string, until: UnixMillis): Promise<void> {
    await this.#told(this.#db.put(key, encode(value, until)), 'Writing');
  }

  async claim(key: string, until: UnixMillis): Promise<boolean> {
    const claimed = this.#last.then(async () => {
      if ((await this.get(key)) !== undefined) return false;
      // On disk before anything is given for it: a power cut must not give it twice.
      await this.#told(this.#db.put(key, encode('', until), { sync: true }), 'Writing');
      return true;
    });
    this.#last = claimed.catch(() => {});
    return await claimed;
  }

  async delete(key: string): Promise<void> {
    await this.#told(this.#db.del(key), 'Deleting');
  }

  async keys(prefix: string, most: number): Promise<readonly string[]> {
    return await this.#told(this.#keys(prefix, most), 'Listing');
  }

  async #keys(prefix: string, most: number): Promise<readonly string[]> {
    const found: string[] = [];
    const now = this.#clock.now();
    for await (const [key, kept] of this.#db.iterator({ gte: prefix, lt: prefix + AFTER_ALL })) {
      if (untilOf(kept) > now) found.push(key);
      if (found.length === most) break;
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeping[Symbol.asyncDispose]();
    await this.#last;
    await this.#db.close();
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    for await (const [key, kept] of this.#db.iterator()) {
      if (signal.aborted) return;
      if (untilOf(kept) <= this.#clock.now()) await this.#db.del(key);
    }
  }

  async #told<T>(done: Promise<T>, doing: string): Promise<T> {
    try {
      return await done;
    } catch (cause) {
      throw diskError(cause, `${doing} sign-in records`);
    }
  }
}

function encode(value: string, until: UnixMillis): Uint8Array {
  return new Writer(UNTIL_BYTES + utf8(value).length).u64(BigInt(until)).bytes(utf8(value)).finish();
}

function untilOf(kept: Uint8Array): number {
  return Number(new Reader(kept, 'a sign-in record').u64());
}
