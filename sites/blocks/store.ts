/**
 * The block store: what is kept for which name, and nothing half-written. See contract.ts for the promises.
 *
 * Disks lose files and change bytes. Damage is looked for where it would do harm or where it can be mended, and no block is read for it alone:
 *   - `get` hashes what it read, because a host must not sell wrong bytes (about 0.5 ms for a block of 1 MiB, which cost more to read and
 *     to encrypt). A damaged block is forgotten: its reader goes elsewhere, and the next publish brings it again.
 *   - A session asks for the length of the file of a block that has a record, so that each publish brings all that is missing or cut short.
 *     That takes 0.1 to 0.3 ms; importing 300 MB in 2,300 blocks again took 0.2 to 0.5 s longer. A new block has no record and costs nothing.
 *     Comparing bytes here would read the whole site at each publish.
 *   - Where one block was damaged, others may be. The roots kept at that time are in doubt until each of them was published again, and as
 *     long as any is, sessions read and hash the blocks that they rely on: one publish mends what is damaged with the right length too.
 */
import { join } from 'node:path';
import { base32upper } from 'multiformats/bases/base32';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCKS_PER_ROOT, MAX_BLOCK_BYTES, ORPHAN_BLOCK_MILLIS } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { bytes, formatBytes } from '../../core/units.ts';
import type { Bytes } from '../../core/units.ts';
import { blockKey, blockMissing, blockTooBig, blocksMissing, checkCarried, keyOfBytes } from './block.ts';
import { BlockFiles } from './block-files.ts';
import type { BlockStore, BlockStoreStats, ImportSession, Pin } from './contract.ts';
import { Records, type BlockRecord } from './records.ts';
import { walkDag } from './walk.ts';

export interface BlockStoreOptions {
  /** Created when missing. Holds blocks/ and records/. */
  readonly directory: string;
  /** Most bytes of blocks on disk. */
  readonly quota?: Bytes;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** @throws RelaymintError FILE_IN_USE, STORAGE_FAILED. */
export async function openBlockStore(options: BlockStoreOptions): Promise<BlockStore> {
  const files = await BlockFiles.open(join(options.directory, 'blocks'));
  const records = await Records.open(join(options.directory, 'records'));
  const store = new LocalBlockStore(files, records, options);
  await store.load();
  return store;
}

const READING = 'Reading a block';

class LocalBlockStore implements BlockStore {
  readonly #files: BlockFiles;
  readonly #records: Records;
  readonly #quota: Bytes | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #pins = new Map<string, Pin[]>();
  /** Blocks that open sessions rely on, with how many do. */
  readonly #held = new Map<string, number>();
  readonly #writing = new Map<string, Promise<number>>();
  readonly #deleting = new Map<string, Promise<void>>();
  readonly #dropping = new Map<string, Promise<void>>();
  /** Roots that were kept when damage was found, and were not published again since. */
  readonly #doubted = new Set<string>();
  /** Changes of pins happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #blocks = 0;
  #bytes = 0;
  #closed = false;

  constructor(files: BlockFiles, records: Records, options: BlockStoreOptions) {
    this.#files = files;
    this.#records = records;
    this.#quota = options.quota;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
  }

  async load(): Promise<void> {
    for await (const block of this.#records.blocks()) {
      this.#blocks += 1;
      this.#bytes += block.bytes;
    }
    for (const pin of await this.#records.pins()) this.#remember(pin);
  }

  async get(cid: CID, options: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    assertNotAborted(options.signal, READING);
    this.#open();
    const key = blockKey(cid);
    const record = this.#records.block(key);
    if (record === undefined) throw blockMissing(cid);
    const block = await orAborted(this.#files.read(key), options.signal, READING);
    if (block !== undefined && keyOfBytes(block) === key) return block;
    await this.#forgetDamaged(key, record);
    throw blockMissing(cid);
  }

  has(cid: CID): boolean {
    this.#open();
    const key = blockKey(cid);
    return this.#records.block(key) !== undefined && !this.#dropping.has(key);
  }

  pinsWith(name: string, cid: CID): readonly Pin[] {
    this.#open();
    const key = blockKey(cid);
    return (this.#pins.get(name) ?? []).filter((pin) => this.#records.belongs(pin.root.toString(), key));
  }

  async bytesBeside(root: CID, other: CID): Promise<Bytes> {
    this.#open();
    let sum = 0;
    for await (const { key } of this.#records.members(root.toString())) {
      if (!this.#records.belongs(other.toString(), key)) sum += this.#records.block(key)?.bytes ?? 0;
    }
    return bytes(sum);
  }

  pins(name?: string): readonly Pin[] {
    if (name !== undefined) return [...(this.#pins.get(name) ?? [])];
    return [...this.#pins.values()].flat().sort((a, b) => a.pinnedAt - b.pinnedAt);
  }

  async *blocksOf(root: CID): AsyncGenerator<CID> {
    this.#open();
    for await (const { key, codec } of this.#records.members(root.toString())) {
      yield CID.createV1(codec, Digest.decode(base32upper.decode(key)));
    }
  }

  begin(): ImportSession {
    this.#open();
    return new Session(this);
  }

  stats(): BlockStoreStats {
    return { blocks: this.#blocks, bytes: bytes(this.#bytes), quota: this.#quota };
  }

  async unpin(name: string, root: CID): Promise<void> {
    await this.#inTurn(async () => {
      const pin = this.#pinOf(name, root);
      if (pin === undefined) return;
      const elsewhere = this.pins().some((other) => other !== pin && other.root.equals(root));
      const members: string[] = [];
      if (!elsewhere) for await (const { key } of this.#records.members(root.toString())) members.push(key);
      await this.#records.deletePin(pin, members);
      this.#forget(pin);
      if (!elsewhere) this.#doubted.delete(root.toString());
      for (const key of members) if (!(await this.#records.isKept(key))) await this.#delete(key);
    });
  }

  async collectGarbage(olderThanMillis: number = ORPHAN_BLOCK_MILLIS): Promise<{ blocks: number; bytes: Bytes }> {
    return await this.#inTurn(async () => {
      const before = this.#clock.now() - olderThanMillis;
      const gone = { blocks: 0, bytes: 0 };
      for await (const { key, bytes: size, addedAt } of this.#records.blocks()) {
        if (addedAt > before || (await this.#records.isKept(key)) || !(await this.#delete(key))) continue;
        gone.blocks += 1;
        gone.bytes += size;
      }
      // Files that a crash left without a record.
      for await (const { key, writtenAt } of this.#files.list()) {
        if (writtenAt <= before && !this.#writing.has(key) && this.#records.block(key) === undefined) {
          await this.#delete(key);
        }
      }
      return { blocks: gone.blocks, bytes: bytes(gone.bytes) };
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled([
      this.#turn,
      ...this.#writing.values(),
      ...this.#deleting.values(),
      ...this.#dropping.values(),
    ]);
    await this.#records.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- for sessions ---------------------------------------------------------------------------------------------------

  /** From here on nothing deletes the block; resolves once a deletion under way is over. */
  async hold(key: string): Promise<void> {
    this.#open();
    this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
    await this.#deleting.get(key);
  }

  release(key: string): void {
    const holders = (this.#held.get(key) ?? 0) - 1;
    if (holders > 0) this.#held.set(key, holders);
    else this.#held.delete(key);
  }

  /** The roots that a session which begins now reads as far as it relies on their blocks. */
  doubted(): ReadonlySet<string> {
    return new Set(this.#doubted);
  }

  /** Every block of it was read since. */
  trust(root: CID): void {
    this.#doubted.delete(root.toString());
  }

  /** Whether a held block is here; one that is damaged is not any more. */
  async isSound(key: string): Promise<boolean> {
    this.#open();
    await this.#dropping.get(key);
    const record = this.#records.block(key);
    if (record === undefined) return false;
    if (this.#doubted.size === 0) {
      if ((await this.#files.size(key)) === record.bytes) return true;
    } else {
      const block = await this.#files.read(key);
      if (block !== undefined && keyOfBytes(block) === key) return true;
    }
    await this.#forgetDamaged(key, record);
    return false;
  }

  /** Writes a held block unless it is here and sound. Returns the bytes that the disk gained. */
  async add(key: string, block: Uint8Array): Promise<number> {
    if (await this.isSound(key)) return 0;
    this.#open();
    // Another session was faster.
    if (this.#records.block(key) !== undefined) return 0;
    if (this.#records.block(key) !== undefined) return 0;
    const other = this.#writing.get(key);
    if (other !== undefined) {
      await other;
      return 0;
    }
    const writing = this.#write(key, block).finally(() => this.#writing.delete(key));
    this.#writing.set(key, writing);
    return await writing;
  }

  async pin(name: string, root: CID): Promise<Pin> {
    return await this.#inTurn(async () => {
      const known = this.#pinOf(name, root);
      if (known !== undefined) {
        // Already kept: it counts as new again, so that going back to an earlier version works.
        const renewed = { ...known, pinnedAt: this.#clock.now() };
        await this.#records.putPin(renewed, new Map());
        this.#forget(known);
        this.#remember(renewed);
        await this.#assertWhole(root);
        return renewed;
      }
      const { members, bytes: size } = await walkDag(root, {
        size: (cid) => this.#records.block(blockKey(cid))?.bytes,
        get: (cid) => this.get(cid),
      });
      await this.#settle(root, members.keys());
      const pin = { name, root, blocks: members.size, bytes: bytes(size), pinnedAt: this.#clock.now() };
      await this.#records.putPin(pin, members);
      this.#remember(pin);
      return pin;
    });
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  async #write(key: string, block: Uint8Array): Promise<number> {
    if (block.length > MAX_BLOCK_BYTES) throw blockTooBig(block.length);
    if (this.#quota !== undefined && this.#bytes + block.length > this.#quota) {
      throw new RelaymintError('STORAGE_FULL', `The block store may hold ${formatBytes(this.#quota)} and is full.`, {
        remedy: 'Raise its quota, or unpublish something.',
      });
    }
    // Counted before it is written, so that concurrent writes cannot pass the quota together.
    this.#blocks += 1;
    this.#bytes += block.length;
    try {
      await this.#files.write(key, block);
      // It repairs a root that is kept already: nothing settles it later.
      if (await this.#records.isKept(key)) await this.#files.settle([{ key, bytes: block.length }]);
      await this.#records.putBlock(key, { bytes: block.length, addedAt: this.#clock.now() });
    } catch (error) {
      this.#blocks -= 1;
      this.#bytes -= block.length;
      throw error;
    }
    return block.length;
  }

  /**
   * A root is kept only once its blocks would survive a power cut. Those of roots that are kept already do.
   * @throws RelaymintError CONTENT_NOT_FOUND (an earlier power cut took some; `details.missing`), STORAGE_FAILED.
   */
  async #settle(root: CID, members: Iterable<string>): Promise<void> {
    const fresh: { key: string; bytes: number }[] = [];
    for (const key of members) {
      if (!(await this.#records.isKept(key))) fresh.push({ key, bytes: this.#records.block(key)?.bytes ?? 0 });
    }
    const lost = await this.#files.settle(fresh);
    for (const key of lost) await this.#drop(key);
    if (lost.length > 0) throw blocksMissing(root, lost.length);
  }

  /** @throws RelaymintError CONTENT_NOT_FOUND: blocks of a kept root were damaged since (`details.missing`). It stays kept. */
  async #assertWhole(root: CID): Promise<void> {
    let missing = 0;
    for await (const { key } of this.#records.members(root.toString())) {
      if (this.#records.block(key) === undefined) missing += 1;
    }
    if (missing > 0) throw blocksMissing(root, missing);
  }

  /** `record` was there when the file was found to be damaged. */
  async #forgetDamaged(key: string, record: BlockRecord): Promise<void> {
    // Written anew meanwhile, or forgotten already.
    if (this.#writing.has(key) || this.#records.block(key)?.addedAt !== record.addedAt) return;
    if (!this.#dropping.has(key)) {
      for (const { root } of this.pins()) this.#doubted.add(root.toString());
      this.#log.warn({ block: key }, 'a block on disk is damaged and is not served any more: publish the site again');
    }
    await this.#drop(key);
  }

  /** False when a session holds the block. */
  async #delete(key: string): Promise<boolean> {
    if (this.#held.has(key)) return false;
    const deleting = this.#drop(key)
      .then(() => this.#files.remove(key))
      .finally(() => this.#deleting.delete(key));
    this.#deleting.set(key, deleting);
    await deleting;
    return true;
  }

  /** Forgets the record of a block, once for all who find that it must go. */
  #drop(key: string): Promise<void> {
    const under = this.#dropping.get(key);
    if (under !== undefined) return under;
    const dropping = this.#dropRecord(key).finally(() => this.#dropping.delete(key));
    this.#dropping.set(key, dropping);
    return dropping;
  }

  async #dropRecord(key: string): Promise<void> {
    const record = this.#records.block(key);
    if (record === undefined) return;
    await this.#records.deleteBlock(key);
    this.#blocks -= 1;
    this.#bytes -= record.bytes;
  }

  #pinOf(name: string, root: CID): Pin | undefined {
    return this.#pins.get(name)?.find((pin) => pin.root.equals(root));
  }

  #remember(pin: Pin): void {
    const others = this.#pins.get(pin.name) ?? [];
    this.#pins.set(
      pin.name,
      [...others, pin].sort((a, b) => a.pinnedAt - b.pinnedAt),
    );
  }

  #forget(pin: Pin): void {
    const rest = (this.#pins.get(pin.name) ?? []).filter((other) => other !== pin);
    if (rest.length > 0) this.#pins.set(pin.name, rest);
    else this.#pins.delete(pin.name);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#open();
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return await turn;
  }

  #open(): void {
    if (this.#closed) {
      throw new RelaymintError('CLOSED', 'The block store was closed.', { remedy: 'Open it again.' });
    }
  }
}

class Session implements ImportSession {
  readonly #store: LocalBlockStore;
  readonly #held = new Set<string>();
  /** Roots whose blocks this session reads, from its first block on. */
  readonly #read: ReadonlySet<string>;
  #added = 0;
  #closed = false;

  constructor(store: LocalBlockStore) {
    this.#store = store;
    this.#read = store.doubted();
  }

  get added(): Bytes {
    return bytes(this.#added);
  }

  async put(cid: CID, block: Uint8Array): Promise<void> {
    const key = blockKey(checkCarried(cid));
    await this.#hold(key);
    this.#added += await this.#store.add(key, block);
  }

  async hold(cid: CID): Promise<boolean> {
    const key = blockKey(checkCarried(cid));
    await this.#hold(key);
    return await this.#store.isSound(key);
  }

  async pin(name: string, root: CID): Promise<Pin> {
    this.#open();
    const pin = await this.#store.pin(name, root);
    if (this.#read.has(root.toString()) && (await this.#holdsAll(root))) this.#store.trust(root);
    return pin;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const key of this.#held) this.#store.release(key);
    this.#held.clear();
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #holdsAll(root: CID): Promise<boolean> {
    for await (const cid of this.#store.blocksOf(root)) if (!this.#held.has(blockKey(cid))) return false;
    return true;
  }

  async #hold(key: string): Promise<void> {
    this.#open();
    if (this.#held.has(key)) return;
    if (this.#held.size >= MAX_BLOCKS_PER_ROOT) {
      throw new RelaymintError('LIMIT_EXCEEDED', `More than ${MAX_BLOCKS_PER_ROOT} blocks at once.`, {
        remedy: 'Split the content over several names.',
      });
    }
    this.#held.add(key);
    await this.#store.hold(key);
  }

  #open(): void {
    if (this.#closed)
      throw new RelaymintError('CLOSED', 'The import session was closed.', { remedy: 'Start another.' });
  }
}
