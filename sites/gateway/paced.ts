/**
 * Blocks for one answer, fetched as its visitor takes them. Who keeps up has several read ahead; who reads slowly has the one that is being
 * sent, and no other is fetched before that one is gone: what is held for a slow visitor is small, however long it takes.
 */
import type { ServerResponse } from 'node:http';
import type { CID } from 'multiformats/cid';
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import { MAX_READERS_AHEAD, SLOW_VISITOR_MILLIS } from '../../core/limits.ts';
import type { BlockReader } from '../blocks/index.ts';

const FETCHING = 'Fetching a block';
/** After so long, milliseconds, whatever else the process does has its turn: blocks that are in memory come without any wait. */
const SLICE_MILLIS = 5;

/** How many answers may be read ahead at once. The others are read block by block. */
export class ReadersAhead {
  #left: number = MAX_READERS_AHEAD;

  /** undefined when all places are taken; else what gives the place back. */
  take(): (() => void) | undefined {
    if (this.#left === 0) return undefined;
    this.#left -= 1;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#left += 1;
    };
  }
}

/** What a visitor takes of an answer, and when it last did. Times are milliseconds of a monotonic clock. */
export class Pace implements Disposable {
  readonly #response: ServerResponse;
  readonly #ahead: ReadersAhead;
  readonly #now: () => number;
  /** Fetches that wait for the visitor. */
  readonly #deferred = new Set<() => void>();
  #running = 0;
  /** Since then nothing was taken, and nothing came that could be. */
  #since: number;
  #isSlow = false;
  #endAhead: (() => void) | undefined;
  #isLooking = false;
  /** When others had their turn last. */
  #turnedAt: number;

  constructor(response: ServerResponse, ahead: ReadersAhead, now: () => number) {
    this.#response = response;
    this.#ahead = ahead;
    this.#now = now;
    this.#since = now();
    this.#turnedAt = this.#since;
    response.on('drain', this.#onDrain);
  }

  /** How long the answer has waited for its visitor and for nothing else; 0 if it does not. */
  get stalledMillis(): number {
    const { writableEnded, writableFinished } = this.#response;
    return this.#isBehind || (writableEnded && !writableFinished) ? this.#now() - this.#since : 0;
  }

  /** Something happened. */
  touch(): void {
    this.#since = this.#now();
  }

  of(blocks: BlockReader): BlockReader {
    return { get: (cid, options) => this.#get(blocks, cid, options) };
  }

  [Symbol.dispose](): void {
    this.#response.off('drain', this.#onDrain);
    this.#endAhead?.();
    this.#endAhead = undefined;
  }

  get #isBehind(): boolean {
    return this.#response.writableNeedDrain;
  }

  readonly #onDrain = (): void => {
    this.#isSlow = this.#now() - this.#since > SLOW_VISITOR_MILLIS;
    this.touch();
    this.#lookLater();
  };

  async #get(blocks: BlockReader, cid: CID, options: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    await this.#begin(options.signal);
    try {
      await this.#letOthers();
      return await blocks.get(cid, options);
    } finally {
      this.#running -= 1;
      this.touch();
      this.#lookLater();
    }
  }

  async #letOthers(): Promise<void> {
    if (this.#now() - this.#turnedAt < SLICE_MILLIS) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#turnedAt = this.#now();
  }

  /** Resolves when a block may be fetched. @throws RelaymintError ABORTED. */
  async #begin(signal: AbortSignal | undefined): Promise<void> {
    assertNotAborted(signal, FETCHING);
    if (this.#deferred.size === 0 && this.#mayReadAhead()) {
      this.#running += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        this.#deferred.delete(begin);
        tie[Symbol.dispose]();
        this.#running += 1;
        resolve();
      };
      this.#deferred.add(begin);
      const tie = onAbort(signal, () => {
        this.#deferred.delete(begin);
        if (signal !== undefined) reject(abortError(signal, FETCHING));
      });
      this.#lookLater();
    });
  }

  /** The visitor keeps up, and this is the only block, or there is a place to read ahead. */
  #mayReadAhead(): boolean {
    if (this.#isSlow || this.stalledMillis > SLOW_VISITOR_MILLIS) return false;
    if (this.#running === 0 && !this.#isBehind) return true;
    this.#endAhead ??= this.#ahead.take();
    return this.#endAhead !== undefined;
  }

  /** On a later turn: what has just come is written first, and then it shows whether the visitor is behind. */
  #lookLater(): void {
    if (this.#deferred.size === 0 || this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(() => {
      this.#isLooking = false;
      this.#look();
    });
  }

  #look(): void {
    for (const begin of this.#deferred) {
      if (!this.#mayReadAhead()) {
        // All that was read ahead is gone: the answer waits for this block.
        if (this.#running > 0 || this.#isBehind) return;
        this.#endAhead?.();
        this.#endAhead = undefined;
      }
      begin();
    }
  }
}
