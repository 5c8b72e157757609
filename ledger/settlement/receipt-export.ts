/** Keeps a receipt file as new as the books, so that a copy of it can be settled while this node is away. */
import { messageOf } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import type { BookStore } from '../accounting/index.ts';
import type { SignedReceipt } from '../receipt/index.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { encodeReceiptFile } from './receipt-file.ts';
import type { FiledReceipt } from './receipt-file.ts';

export interface ReceiptExportOptions {
  readonly store: Pick<BookStore, 'entries' | 'flushed'>;
  readonly program: LedgerAddress;
  /** Whose till the receipts are for. */
  readonly payee: LedgerAddress;
  /** Replaced as a whole each time; its folder must exist. */
  readonly file: string;
  /** How often it is written while receipts change, milliseconds. Default 1,000. What it lacks is what came since. */
  readonly everyMillis?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

const EVERY_MILLIS = 1_000;

/** Writes the file at once and then whenever receipts changed; once more when it is disposed. @throws RelaymintError STORAGE_FAILED when it cannot be written at all. */
export async function startReceiptExport(options: ReceiptExportOptions): Promise<AsyncDisposable> {
  const exporter = new ReceiptExport(options);
  await exporter.write();
  exporter.start();
  return exporter;
}

class ReceiptExport implements AsyncDisposable {
  readonly #options: ReceiptExportOptions;
  readonly #log: Log;
  #running: AsyncDisposable | undefined;
  #written: readonly SignedReceipt[] | undefined;
  /** What was said last to have gone wrong: the same is not said again each time. */
  #trouble: string | undefined;

  constructor(options: ReceiptExportOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  start(): void {
    const { everyMillis = EVERY_MILLIS } = this.#options;
    this.#running = repeat({
      everyMillis,
      work: () => this.#attempt(),
      what: 'the export of receipts',
      log: this.#log,
    });
  }

  async write(): Promise<void> {
    const { store, program, payee, file, clock = systemClock } = this.#options;
    const receipts: FiledReceipt[] = [];
    for (const { role, channel, latest } of store.entries()) {
      if (role !== 'payee' || latest === undefined) continue;
      const { slot, generation, delegate } = channel;
      receipts.push({ slot, generation, delegate, receipt: latest });
    }
    const now = receipts.map(({ receipt }) => receipt);
    const before = this.#written;
    if (before?.length === now.length && now.every((receipt, index) => receipt === before[index])) return;
    // A receipt must be on disk before it leaves.
    await store.flushed();
    await replaceFile(file, encodeReceiptFile({ program, payee, writtenAt: clock.now(), receipts }));
    this.#written = now;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.[Symbol.asyncDispose]();
    await this.#attempt();
  }

  async #attempt(): Promise<void> {
    try {
      await this.write();
      this.#trouble = undefined;
    } catch (error) {
      const trouble = messageOf(error);
      if (trouble !== this.#trouble)
        this.#log.warn({ err: error }, 'the receipts could not be exported; it is tried again');
      this.#trouble = trouble;
    }
  }
}
