/** What one host may send that is not news, before it is left. */
import { MAX_ENTRIES_PER_THREAD, MAX_THREAD_BYTES } from '../../core/limits.ts';
import { TokenBucket } from '../../core/rate.ts';
import type { Arrived } from './contract.ts';

/**
 * What one host may send that is not news, bytes and pages: a whole thread, for who follows it since before; and what little comes of waiting.
 */
const BARREN_BYTES = 2 * MAX_THREAD_BYTES + 256 * 1024;
const BARREN_BYTES_PER_SECOND = 256;
const BARREN_PAGES = 2 * MAX_ENTRIES_PER_THREAD;
const BARREN_PAGES_PER_SECOND = 1;
/** What a page takes beside its entries. */
const PAGE_OVERHEAD = 1024;

/** Pages of one host with nothing new in them: it is paid for each. */
export class Barren {
  readonly #bytes = new TokenBucket(BARREN_BYTES_PER_SECOND, () => performance.now(), BARREN_BYTES);
  readonly #pages = new TokenBucket(BARREN_PAGES_PER_SECOND, () => performance.now(), BARREN_PAGES);

  /** False: too much. */
  take(entries: readonly Arrived[]): boolean {
    const bytes = entries.reduce((sum, { signed }) => sum + signed.encoded.length, PAGE_OVERHEAD);
    return this.#pages.take() && this.#bytes.take(bytes);
  }
}
