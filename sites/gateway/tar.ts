/** A file or a folder as a tar file: as fast as it is read, and unpacked nowhere but in its own folder. */
import { once } from 'node:events';
import { posix } from 'node:path';
import { pack, type Pack } from 'tar-stream';
import type { CID } from 'multiformats/cid';
import { following, orAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCKS_PER_ROOT, MAX_PATH_SEGMENTS } from '../../core/limits.ts';
import type { BlockReader } from '../blocks/index.ts';
import { openNode, readFile } from '../unixfs/index.ts';

const NO_BYTES = Buffer.alloc(0);
const HEADER_BYTES = 512;
/** Longer paths have a header of their own; file systems take none that are longer than this. */
const MAX_TAR_PATH = 4096;
const LONG_PATH = 256;
/** The library keeps heads of entries until they are read: no more of them than this are written ahead. */
const AHEAD_BYTES: number = 1024 * 1024;
/** The same content gives the same file. */
const NO_TIME: Date = new Date(0);

/** The chunks of a tar file in which everything is below `name`. @throws RelaymintError CONTENT_REFUSED, ABORTED, and the reader's errors. */
export async function* tarOf(
  blocks: BlockReader,
  root: CID,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  using ending = following(signal);
  const tar = pack();
  const packing = new Packing(tar, blocks, { name, signal: ending.signal });
  let failure: unknown;
  const packed = packing
    .add(root)
    .then(() => tar.finalize())
    .catch((error: unknown) => {
      failure = error;
      tar.destroy();
    });
  try {
    for await (const chunk of tar as AsyncIterable<Uint8Array>) {
      packing.taken(chunk.length);
      yield chunk;
    }
  } catch (error) {
    throw failure ?? error;
  } finally {
    ending.abort(new RelaymintError('ABORTED', 'Nobody reads the tar file any more.'));
    tar.destroy();
    await packed;
  }
  if (failure !== undefined) throw failure;
}

class Packing {
  readonly #tar: Pack;
  readonly #blocks: BlockReader;
  readonly #signal: AbortSignal;
  /** Of the folder that it is unpacked to. */
  readonly #name: string;
  /** Paths that were written: true for folders. */
  readonly #written = new Map<string, boolean>();
  /** Bytes that are in the tar file at least, and were not read yet. */
  #ahead = 0;
  #roomy: () => void = () => {};

  constructor(
    tar: Pack,
    blocks: BlockReader,
    { name, signal }: { readonly name: string; readonly signal: AbortSignal },
  ) {
    this.#tar = tar;
    this.#name = name;
    this.#blocks = blocks;
    this.#signal = signal;
  }

  /** Somebody read that much. */
  taken(bytes: number): void {
    this.#ahead = Math.max(0, this.#ahead - bytes);
    if (this.#ahead < AHEAD_BYTES) this.#roomy();
  }

  async add(cid: CID, path: string = this.#name): Promise<void> {
    const signal = this.#signal;
    const node = await openNode(this.#blocks, cid, { signal });
    this.#claim(path, node.type === 'directory');
    this.#ahead += HEADER_BYTES + (path.length > LONG_PATH ? path.length : 0);
    const common = { name: path, mtime: NO_TIME };
    if (node.type === 'symlink') {
      this.#tar.entry({ ...common, type: 'symlink', linkname: node.target.slice(0, MAX_TAR_PATH) }, NO_BYTES);
    } else if (node.type === 'directory') {
      this.#tar.entry({ ...common, name: `${path}/`, type: 'directory' }, NO_BYTES);
    } else {
      this.#ahead += node.size;
      const entry = this.#tar.entry({ ...common, size: node.size });
      for await (const chunk of readFile(this.#blocks, node, undefined, { signal })) {
        if (!entry.write(chunk)) await once(entry, 'drain', { signal });
      }
      entry.end(undefined);
    }
    if (this.#ahead >= AHEAD_BYTES) await this.#room();
    if (node.type !== 'directory') return;
    for await (const entry of node.entries({ signal }))
      await this.add(entry.cid, posix.normalize(`${path}/${entry.name}`));
  }

  async #room(): Promise<void> {
    const roomy = new Promise<void>((resolve) => {
      this.#roomy = resolve;
    });
    await orAborted(roomy, this.#signal, 'Packing');
  }

  /**
   * Whoever unpacks it must not write outside of the folder, through a link in it, or over what it just wrote.
   * @throws RelaymintError CONTENT_REFUSED
   */
  #claim(path: string, isFolder: boolean): void {
    const segments = path.split('/');
    const above = segments.slice(0, -1).map((_segment, index) => segments.slice(0, index + 1).join('/'));
    const isOdd =
      segments[0] !== this.#name ||
      segments.some((segment) => segment === '' || segment === '..' || /[\\\0]/.test(segment)) ||
      segments.length > MAX_PATH_SEGMENTS + 1 ||
      Buffer.byteLength(path) > MAX_TAR_PATH ||
      this.#written.has(path) ||
      above.some((folder) => this.#written.get(folder) !== true);
    // Folders that hold the same folders again and again are small, and their tar has no end.
    if (isOdd || this.#written.size >= MAX_BLOCKS_PER_ROOT) {
      throw new RelaymintError('CONTENT_REFUSED', `"${path.slice(-80)}" cannot be unpacked from a tar file.`, {
        remedy: 'Fetch it as a CAR file.',
      });
    }
    this.#written.set(path, isFolder);
  }
}
