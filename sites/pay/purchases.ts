/**
 * What was bought, in LevelDB: MEMO -> JSON. A purchase is there, synced, before its payment is sent. What was sent of a quota follows
 * within QUOTA_WRITE_MILLIS, so that a crash gives away what was sent in that time and never takes from who has paid.
 */
import { z } from 'zod';
import { MAX_PURCHASES, QUOTA_WRITE_MILLIS } from '../../core/limits.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { diskError, isDiskFull } from '../../platform/disk/disk-error.ts';
import { DatabaseLocked, inUse, openDatabase, type Database } from '../../platform/disk/level.ts';
import type { Quota } from './contract.ts';

const count: z.ZodNumber = z.number().int().nonnegative();
export interface StoredPurchase {
  readonly version: 1;
  readonly site: string;
  /** SHA-256 of the token, base64url. */
  readonly token: string;
  readonly mint: string;
  /** Base units. */
  readonly amount: string;
  readonly payer: string;
  /** Of the payment. */
  readonly signature: string;
  /** The payment itself, base64, while it is not known to be on chain. */
  readonly wire?: string | undefined;
  readonly lastValidBlockHeight: string;
  readonly isPaid: boolean;
  readonly bytes: number;
  readonly sent: number;
  /** Milliseconds: after it the bytes cannot be fetched any more, and it is forgotten when there is need of room. */
  readonly until: number;
}

const stored: z.ZodType<StoredPurchase> = z.object({
  version: z.literal(1),
  site: z.string(),
  token: z.string(),
  mint: z.string(),
  amount: z.string(),
  payer: z.string(),
  signature: z.string(),
  wire: z.string().optional(),
  lastValidBlockHeight: z.string().regex(/^\d+$/),
  isPaid: z.boolean(),
  bytes: count,
  sent: count,
  until: count,
});

export class Purchase implements Quota {
  readonly memo: string;
  #record: StoredPurchase;
  readonly #onSent: (purchase: Purchase) => void;

  constructor(memo: string, record: StoredPurchase, onSent: (purchase: Purchase) => void) {
    this.memo = memo;
    this.#record = record;
    this.#onSent = onSent;
  }

  get record(): StoredPurchase {
    return this.#record;
  }

  get left(): number {
    return this.#record.bytes - this.#record.sent;
  }

  take(bytes: number): number {
    const granted = Math.min(bytes, this.left);
    if (granted <= 0) return 0;
    this.#record = { ...this.#record, sent: this.#record.sent + granted };
    this.#onSent(this);
    return granted;
  }

  paid(until: number): StoredPurchase {
    const { wire: _sent, ...rest } = this.#record;
    this.#record = { ...rest, isPaid: true, until };
    return this.#record;
  }
}

export class Purchases implements AsyncDisposable {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #byMemo = new Map<string, Purchase>();
  readonly #byToken = new Map<string, Purchase>();
  /** Sent more of than is written. */
  #unwritten = new Set<Purchase>();
  readonly #writing: AsyncDisposable;

  private constructor(db: Database, clock: Clock, log: Log) {
    this.#db = db;
    this.#clock = clock;
    this.#writing = repeat({
      everyMillis: QUOTA_WRITE_MILLIS,
      work: () => this.#writeSent(),
      what: 'Writing down what was sent of quotas',
      log,
    });
  }

  /** @throws RelaymintError FILE_IN_USE, STORAGE_FAILED, STORAGE_FULL. */
  static async open(
    directory: string,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
  ): Promise<Purchases> {
    const purchases = new Purchases(await opened(directory), clock, log);
    try {
      await purchases.#read(log);
      return purchases;
    } catch (cause) {
      await purchases[Symbol.asyncDispose]();
      throw diskError(cause, 'Reading what was sold');
    }
  }

  get(memo: string): Purchase | undefined {
    return this.#byMemo.get(memo);
  }

  /** `hash`: of the token. */
  find(hash: string): Purchase | undefined {
    return this.#byToken.get(hash);
  }

  isOver({ record }: Purchase): boolean {
    return record.until < this.#clock.now();
  }

  /** Synced. @throws RelaymintError LIMIT_EXCEEDED when there is no room for one more; STORAGE_FULL, STORAGE_FAILED. */
  async add(memo: string, record: StoredPurchase): Promise<Purchase> {
    if (this.#byMemo.size >= MAX_PURCHASES) await this.#forget();
    if (this.#byMemo.size >= MAX_PURCHASES) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'This gateway has sold as much as it can remember.', {
        remedy: 'Come back later.',
      });
    }
    // Known before it is written: the same offer, shown meanwhile, finds it.
    const purchase = this.#remember(memo, record);
    try {
      await this.#put(memo, record);
    } catch (error) {
      this.#drop(purchase);
      throw error;
    }
    return purchase;
  }

  /** Synced. @throws RelaymintError STORAGE_FULL, STORAGE_FAILED: it counts as paid all the same, and is found out anew after a restart. */
  async setPaid(purchase: Purchase, until: number): Promise<void> {
    await this.#put(purchase.memo, purchase.paid(until));
  }

  /** It came to nothing. */
  async remove(purchase: Purchase): Promise<void> {
    this.#drop(purchase);
    try {
      await this.#db.del(purchase.memo);
    } catch (cause) {
      throw diskError(cause, 'Forgetting a purchase');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing[Symbol.asyncDispose]();
    try {
      await this.#writeSent();
    } finally {
      await this.#db.close();
    }
  }

  async #read(log: Log): Promise<void> {
    for await (const [memo, value] of this.#db.iterator()) {
      const record = parse(value);
      if (record !== undefined) this.#remember(memo, record);
      else log.warn({ memo }, 'What is written of a purchase cannot be read, so its bytes are lost.');
    }
  }

  #remember(memo: string, record: StoredPurchase): Purchase {
    const purchase = new Purchase(memo, record, (sent) => void this.#unwritten.add(sent));
    this.#byMemo.set(memo, purchase);
    this.#byToken.set(record.token, purchase);
    return purchase;
  }

  #drop(purchase: Purchase): void {
    this.#byMemo.delete(purchase.memo);
    this.#byToken.delete(purchase.record.token);
    this.#unwritten.delete(purchase);
  }

  /** Those whose time is over. What is used up stays: shown again, its payment must not look new. */
  async #forget(): Promise<void> {
    const over = [...this.#byMemo.values()].filter((purchase) => this.isOver(purchase));
    for (const purchase of over) this.#drop(purchase);
    await this.#db.batch(over.map(({ memo }) => ({ type: 'del', key: memo })));
  }

  async #put(memo: string, record: StoredPurchase): Promise<void> {
    try {
      await this.#db.put(memo, Buffer.from(JSON.stringify(record)), { sync: true });
    } catch (cause) {
      throw diskError(cause, 'Writing down a purchase');
    }
  }

  async #writeSent(): Promise<void> {
    const written = this.#unwritten;
    if (written.size === 0) return;
    this.#unwritten = new Set();
    try {
      await this.#db.batch(
        Array.from(written, ({ memo, record }) => ({
          type: 'put' as const,
          key: memo,
          value: Buffer.from(JSON.stringify(record)),
        })),
      );
    } catch (cause) {
      for (const purchase of written) this.#unwritten.add(purchase);
      throw diskError(cause, 'Writing down what was sent of quotas');
    }
  }
}

async function opened(directory: string): Promise<Database> {
  try {
    return await openDatabase(directory);
  } catch (cause) {
    if (cause instanceof DatabaseLocked) throw inUse('What this gateway has sold is', cause);
    if (isDiskFull(cause)) throw diskError(cause, 'Opening what was sold');
    throw new RelaymintError('STORAGE_FAILED', `What was sold, in ${directory}, cannot be read.`, {
      remedy: 'Check the permissions and the disk. Without this folder visitors lose what they have bought.',
      cause,
    });
  }
}

function parse(value: Uint8Array): StoredPurchase | undefined {
  try {
    const { success, data } = stored.safeParse(JSON.parse(Buffer.from(value).toString()));
    return success ? data : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
