/**
 * The books on disk, twice (`copies.ts`). Each write goes to both copies before it is confirmed.
 *
 * Writes are grouped: while one is being synced, what comes next gathers, newest per key, and goes out as one write with one
 * sync. A write is atomic. One that fails (a full disk) is not given up: nothing is confirmed until it is on disk, and it is
 * tried again until it is.
 */
import { elapsed } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import type { RelaymintError } from '../../core/errors.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { isDiskFull } from '../../platform/disk/disk-error.ts';
import { Copies } from './copies.ts';
import { closedError, writeError } from './failure.ts';
import type { Findings } from './findings.ts';
import type { WorthOf } from './record.ts';

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

/** How long a late write waits for another write to join, milliseconds. */
const LATE_MILLIS = 1_000;
/** Pauses between attempts to write to a failing disk. */
const RETRIES: Backoff = { first: 250, last: 5_000 };

export class GroupedStore implements AsyncDisposable {
  readonly #directory: string;
  readonly #copies: Copies;
  readonly #log: Log;
  #pending = new Map<string, Uint8Array | undefined>();
  #waiting = new Map<string, Written>();
  /** Those that get a failure at once instead of waiting for room. */
  #impatient: Written[] = [];
  #sync = false;
  #late: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failing: RelaymintError | undefined;
  readonly #stop = new AbortController();

  private constructor(directory: string, copies: Copies, log: Log) {
    this.#directory = directory;
    this.#copies = copies;
    this.#log = log;
  }

  /**
   * Opens or creates the books. A copy that is damaged or behind is rebuilt from the other; the files of a damaged one are kept
   * beside it. `findings` says what was wrong.
   * @throws RelaymintError FILE_IN_USE when another process has them open; VERSION_UNSUPPORTED; STORAGE_FAILED, STORAGE_FULL.
   */
  static async open(
    directory: string,
    { worthOf = () => 0n, clock = systemClock, log = silentLog }: StoreOptions = {},
  ): Promise<GroupedStore> {
    return new GroupedStore(directory, await Copies.open(directory, { worthOf, clock, log }), log);
  }

  /** What was wrong when it was opened. */
  get findings(): Findings {
    return this.#copies.findings;
  }

  /** Everything there is, in no order. For start-up: it does not see writes that have not begun. */
  entries(): Iterable<[key: string, value: Uint8Array]> {
    return this.#copies.entries();
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
    await this.#copies.close();
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
        if (changes.size > 0) await this.#copies.write(changes, sync);
      } catch (cause) {
        tell(impatient, writeError(this.#directory, cause));
        failure = await this.#mendWrites(cause);
      }
      tell(waiting.values(), failure);
      tell(impatient, failure);
    }
    this.#running = undefined;
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
        await this.#copies.restore(mayStartAnew);
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
      await elapsed(backoff(failures, RETRIES), this.#stop.signal);
    }
  }
}

function tell(listeners: Iterable<Written>, error: RelaymintError | undefined): void {
  // Each in its own microtask, so that one that throws stops neither the others nor the writer.
  for (const written of listeners) queueMicrotask(() => written(error));
}
