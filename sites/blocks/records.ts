/**
 * The block store's records in LevelDB:
 *   block/KEY        -> size u32 | added i64 (ms)
 *   pin/NAME/ROOT    -> blocks u32 | bytes u64 | pinned at i64 (ms)
 *   in/ROOT/KEY      -> codec u32           which blocks a root has
 *   of/KEY/ROOT      -> nothing             which roots a block has
 * KEY is the base32 multihash, ROOT the CID as text; neither contains a slash.
 */
import { CID } from 'multiformats/cid';
import { Reader, Writer } from '../../core/codec.ts';
import { bytes, unixMillis } from '../../core/units.ts';
import { RelaymintError } from '../../core/errors.ts';
import { diskError, isDiskFull } from '../../platform/disk/disk-error.ts';
import { DatabaseLocked, inUse, openDatabase, type Database } from '../../platform/disk/level.ts';
import type { Pin } from './contract.ts';

export interface BlockRecord {
  readonly bytes: number;
  readonly addedAt: number;
}

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

const NOTHING = new Uint8Array(0);
/** Sorts after every KEY, ROOT and NAME. */
const LAST = '~';

export class Records {
  readonly #db: Database;

  private constructor(db: Database) {
    this.#db = db;
  }

  /** @throws RelaymintError FILE_IN_USE, STORAGE_FAILED. */
  static async open(directory: string): Promise<Records> {
    try {
      return new Records(await openDatabase(directory));
    } catch (cause) {
      if (cause instanceof DatabaseLocked) throw inUse('This block store is', cause);
      if (isDiskFull(cause)) throw diskError(cause, 'Opening the records of the block store');
      throw new RelaymintError('STORAGE_FAILED', `The records of the block store in ${directory} cannot be read.`, {
        remedy:
          'Check the permissions and the disk. If they are damaged, delete this one folder and publish again: the blocks are beside it. Which roots were kept is forgotten.',
        cause,
      });
    }
  }

  block(key: string): BlockRecord | undefined {
    const value = this.#db.getSync(`block/${key}`);
    return value === undefined ? undefined : decodeBlock(value);
  }

  async putBlock(key: string, record: BlockRecord): Promise<void> {
    const value = new Writer(12).u32(record.bytes).i64(BigInt(record.addedAt)).finish();
    await this.#write([{ type: 'put', key: `block/${key}`, value }], false);
  }

  async deleteBlock(key: string): Promise<void> {
    await this.#write([{ type: 'del', key: `block/${key}` }], false);
  }

  async *blocks(): AsyncGenerator<{ readonly key: string } & BlockRecord> {
    for await (const [key, value] of this.#db.iterator({ gt: 'block/', lt: `block/${LAST}` })) {
      yield { key: key.slice('block/'.length), ...decodeBlock(value) };
    }
  }

  belongs(root: string, key: string): boolean {
    return this.#db.getSync(`in/${root}/${key}`) !== undefined;
  }

  /** True when some kept root has the block. */
  async isKept(key: string): Promise<boolean> {
    const found = await this.#db.keys({ gt: `of/${key}/`, lt: `of/${key}/${LAST}`, limit: 1 }).all();
    return found.length > 0;
  }

  async *members(root: string): AsyncGenerator<{ readonly key: string; readonly codec: number }> {
    for await (const [key, value] of this.#db.iterator({ gt: `in/${root}/`, lt: `in/${root}/${LAST}` })) {
      yield { key: key.slice(`in/${root}/`.length), codec: new Reader(value, 'block store record').u32() };
    }
  }

  async pins(): Promise<Pin[]> {
    const found: Pin[] = [];
    for await (const [key, value] of this.#db.iterator({ gt: 'pin/', lt: `pin/${LAST}` })) {
      const [, name = '', root = ''] = key.split('/');
      const reader = new Reader(value, 'pin record');
      found.push({
        name,
        root: CID.parse(root),
        blocks: reader.u32(),
        bytes: bytes(Number(reader.u64())),
        pinnedAt: unixMillis(Number(reader.i64())),
      });
    }
    return found;
  }

  /** Everything about a pin at once, synced: after this returns the root is kept whatever happens. */
  async putPin(pin: Pin, members: ReadonlyMap<string, number>): Promise<void> {
    const root = pin.root.toString();
    const operations: Operation[] = [{ type: 'put', key: `pin/${pin.name}/${root}`, value: encodePin(pin) }];
    for (const [key, codec] of members) {
      operations.push({ type: 'put', key: `in/${root}/${key}`, value: new Writer(4).u32(codec).finish() });
      operations.push({ type: 'put', key: `of/${key}/${root}`, value: NOTHING });
    }
    await this.#write(operations, true);
  }

  /** Forgets a pin; its blocks' membership too when `members` are given (no other name keeps the root). */
  async deletePin(pin: Pin, members: readonly string[]): Promise<void> {
    const root = pin.root.toString();
    const operations: Operation[] = [{ type: 'del', key: `pin/${pin.name}/${root}` }];
    for (const key of members) {
      operations.push({ type: 'del', key: `in/${root}/${key}` }, { type: 'del', key: `of/${key}/${root}` });
    }
    await this.#write(operations, true);
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  async #write(operations: Operation[], sync: boolean): Promise<void> {
    try {
      await this.#db.batch(operations, { sync });
    } catch (cause) {
      throw diskError(cause, 'Writing the records of the block store');
    }
  }
}

function decodeBlock(value: Uint8Array): BlockRecord {
  const reader = new Reader(value, 'block record');
  return { bytes: reader.u32(), addedAt: Number(reader.i64()) };
}

function encodePin(pin: Pin): Uint8Array {
  return new Writer(20).u32(pin.blocks).u64(BigInt(pin.bytes)).i64(BigInt(pin.pinnedAt)).finish();
}
