/**
 * Packs tiles into a PMTiles archive: header, root directory, metadata, leaf directories, tiles. The same tiles and metadata give the
 * same bytes, and so the same address; nothing of the machine or the time is in it.
 */
import { createHash } from 'node:crypto';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_MAP_METADATA_BYTES } from '../../core/limits.ts';
import { MIB, bytes } from '../../core/units.ts';
import { replaceFileBy } from '../../platform/disk/atomic-file.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { openNamelessFile } from '../../platform/disk/new-file.ts';
import type { MapMetadata, PackOptions, PackedMap, TileSource } from './contract.ts';
import { encodeDirectory, type Entry } from './directory.ts';
import { extentOf } from './extent.ts';
import { HEADER_BYTES, ROOT_END, encodeHeader } from './header.ts';
import { packed } from './packing.ts';
import { placeOf } from './tile-id.ts';
import { compressionOf, readyTile } from './tiles.ts';

/** Entries of a leaf to begin with; more where the root would not fit. */
const LEAF_ENTRIES = 4096;
const PACKING = 'Packing the map';

/**
 * Writes `file` whole or not at all; what is there is replaced.
 * @throws RelaymintError INVALID_ENCODING (a tile is something else), LIMIT_EXCEEDED, STORAGE_FAILED, STORAGE_FULL, ABORTED.
 */
export async function packTiles(source: TileSource, file: string, options: PackOptions = {}): Promise<PackedMap> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openTileStore(file));
  const { entries, contents, vectorLayers } = await storeTiles(source, store, options);
  const extent = extentOf(source.ids, source);
  const metadata: MapMetadata =
    vectorLayers === undefined ? source.metadata : { vector_layers: vectorLayers, ...source.metadata };
  const metadataBytes = packedMetadata(metadata);
  const { root, leaves } = directoriesOf(entries);
  let offset = HEADER_BYTES;
  const section = (length: number): { readonly offset: number; readonly length: number } => {
    const found = { offset, length };
    offset += length;
    return found;
  };
  const header = encodeHeader({
    root: section(root.length),
    metadata: section(metadataBytes.length),
    leaves: section(leaves.reduce((sum, leaf) => sum + leaf.length, 0)),
    tiles: section(store.size),
    addressed: extent.tiles,
    entries: entries.length,
    contents,
    clustered: true,
    internal: 'gzip',
    compression: compressionOf(source.type),
    type: source.type,
    minZoom: extent.minZoom,
    maxZoom: extent.maxZoom,
    bounds: extent.bounds,
    center: extent.center,
  });
  assertNotAborted(options.signal, PACKING);
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield* [header, root, metadataBytes, ...leaves];
    for await (const chunk of store.read()) {
      assertNotAborted(options.signal, PACKING);
      yield chunk;
    }
  };
  const size = await replaceFileBy(file, chunks());
  return { ...extent, type: source.type, contents, bytes: bytes(size), metadata, leftOut: source.leftOut };
}

interface Stored {
  readonly entries: readonly Entry[];
  readonly contents: number;
  /** Of vector tiles: each layer, and the zooms that have it. */
  readonly vectorLayers: readonly object[] | undefined;
}

/** Each different tile once, in the order in which it is needed first. */
async function storeTiles(source: TileSource, store: TileStore, options: PackOptions): Promise<Stored> {
  const { ids, type } = source;
  const places = new Map<string, { readonly offset: number; readonly length: number }>();
  const layers = new Map<string, { minzoom: number; maxzoom: number }>();
  const entries: Entry[] = [];
  for (const [index, id] of ids.entries()) {
    assertNotAborted(options.signal, PACKING);
    const place = placeOf(id);
    const tile = readyTile(await source.read(id), type, place);
    for (const name of tile.layers) {
      const known = layers.get(name);
      if (known === undefined) layers.set(name, { minzoom: place.z, maxzoom: place.z });
      else known.maxzoom = place.z;
    }
    const digest = createHash('sha256').update(tile.bytes).digest('base64');
    let content = places.get(digest);
    if (content === undefined) {
      content = { offset: store.size, length: tile.bytes.length };
      places.set(digest, content);
      await store.append(tile.bytes);
    }
    const last = entries.at(-1);
    if (last !== undefined && last.offset === content.offset && last.id + last.run === id) {
      entries[entries.length - 1] = { ...last, run: last.run + 1 };
    } else {
      entries.push({ id, run: 1, ...content });
    }
    options.onProgress?.(index + 1, ids.length);
  }
  const vectorLayers = [...layers]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, zooms]) => ({ id, fields: {}, ...zooms }));
  return { entries, contents: places.size, vectorLayers: type === 'mvt' ? vectorLayers : undefined };
}

function packedMetadata(metadata: MapMetadata): Uint8Array {
  const text = Buffer.from(JSON.stringify(metadata));
  if (text.length <= MAX_MAP_METADATA_BYTES) return packed(text);
  throw new RelaymintError(
    'LIMIT_EXCEEDED',
    `What the map says of itself takes more than ${MAX_MAP_METADATA_BYTES} bytes.`,
    {
      remedy: 'Leave out its statistics (tilestats).',
    },
  );
}

/** All entries in the root, or in leaves that it names: as large as is needed for it to fit. */
function directoriesOf(entries: readonly Entry[]): {
  readonly root: Uint8Array;
  readonly leaves: readonly Uint8Array[];
} {
  const alone = packed(encodeDirectory(entries));
  if (HEADER_BYTES + alone.length <= ROOT_END) return { root: alone, leaves: [] };
  for (let size = LEAF_ENTRIES; ; size *= 2) {
    const leaves: Uint8Array[] = [];
    const named: Entry[] = [];
    let offset = 0;
    for (let start = 0; start < entries.length; start += size) {
      const leaf = packed(encodeDirectory(entries.slice(start, start + size)));
      named.push({ id: entries[start]?.id ?? 0, run: 0, offset, length: leaf.length });
      leaves.push(leaf);
      offset += leaf.length;
    }
    const root = packed(encodeDirectory(named));
    if (HEADER_BYTES + root.length <= ROOT_END) return { root, leaves };
  }
}

/** Tiles that wait until it is known how long what stands before them is. */
interface TileStore extends AsyncDisposable {
  readonly size: number;
  append(tile: Uint8Array): Promise<void>;
  read(): AsyncGenerator<Uint8Array>;
}

/** Beside the file, where there has to be room anyway. */
async function openTileStore(beside: string): Promise<TileStore> {
  const failed = (cause: unknown): never => {
    throw diskError(cause, `Writing the tiles beside ${beside}`);
  };
  const handle = await openNamelessFile(beside).catch(failed);
  let size = 0;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  const flush = async (): Promise<void> => {
    if (waitingBytes === 0) return;
    await handle.appendFile(Buffer.concat(waiting)).catch(failed);
    waiting = [];
    waitingBytes = 0;
  };
  return {
    get size() {
      return size;
    },
    async append(tile) {
      waiting.push(tile);
      waitingBytes += tile.length;
      size += tile.length;
      if (waitingBytes >= MIB) await flush();
    },
    async *read() {
      await flush();
      for (let at = 0; at < size;) {
        const { bytesRead, buffer } = await handle
          .read(Buffer.alloc(Math.min(MIB, size - at)), 0, null, at)
          .catch(failed);
        if (bytesRead === 0) throw diskError(new Error('it is shorter than what was written'), 'Reading the tiles');
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    async [Symbol.asyncDispose]() {
      await handle.close();
    },
  };
}
