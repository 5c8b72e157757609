/** Reads a PMTiles archive, and believes nothing that it says of itself before it has looked. */
import { open, type FileHandle } from 'node:fs/promises';
import { assertNotAborted } from '../../core/abort.ts';
import { isRelaymintError, messageOf } from '../../core/errors.ts';
import { MAX_MAP_DIRECTORY_BYTES, MAX_MAP_METADATA_BYTES } from '../../core/limits.ts';
import { bytes } from '../../core/units.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import type { MapMetadata, MapSummary } from './contract.ts';
import { decodeDirectory, type Entry } from './directory.ts';
import { HEADER_BYTES, broken, decodeHeader, type ArchiveHeader, type Section } from './header.ts';
import { unpacked } from './packing.ts';
import { ALL_TILES, zoomOf } from './tile-id.ts';

/** Leaves below leaves: makers use one level. */
const MAX_LEVELS = 3;

/** Reads header, metadata and all directories, and compares. @throws RelaymintError INVALID_ENCODING, VERSION_UNSUPPORTED, STORAGE_FAILED, ABORTED. */
export async function describeArchive(file: string, signal?: AbortSignal): Promise<MapSummary> {
  const handle = await open(file).catch((cause: unknown) => {
    throw diskError(cause, `Reading ${file}`);
  });
  try {
    return await new ArchiveWalk(handle, signal).describe();
  } catch (cause) {
    if (isRelaymintError(cause)) throw cause;
    throw diskError(cause, `Reading ${file}`);
  } finally {
    await handle.close();
  }
}

class ArchiveWalk {
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #zooms = new Map<number, number>();
  /** Different tiles, where they lie in the order of their ids: each begins where those before it end. */
  #contents = 0;
  #end = 0;
  #entries = 0;
  #tiles = 0;

  constructor(handle: FileHandle, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.#signal = signal;
  }

  async describe(): Promise<MapSummary> {
    const { size } = await this.#handle.stat();
    const header = decodeHeader(await this.#read({ offset: 0, length: Math.min(HEADER_BYTES, size) }), size);
    const metadata = await this.#metadata(header);
    await this.#directory(header, header.root, { from: 0, below: ALL_TILES, level: 0 });
    const counts = [
      [header.addressed, this.#tiles],
      [header.entries, this.#entries],
      [header.clustered ? header.contents : 0, this.#contents],
    ] as const;
    if (counts.some(([told, found]) => told !== 0 && told !== found))
      throw broken('it has not as many tiles as it says');
    const { type, minZoom, maxZoom, bounds, center } = header;
    const zooms = [...this.#zooms].toSorted(([one], [other]) => one - other);
    if (zooms[0]?.[0] !== minZoom || zooms.at(-1)?.[0] !== maxZoom) throw broken('it has not the zooms that it says');
    return {
      form: 'pmtiles',
      type,
      minZoom,
      maxZoom,
      bounds,
      center,
      tiles: this.#tiles,
      contents: header.clustered ? this.#contents : header.contents === 0 ? undefined : header.contents,
      bytes: bytes(size),
      zooms: zooms.map(([zoom, tiles]) => ({ zoom, tiles })),
      metadata,
      leftOut: [],
    };
  }

  /** Of the tiles from `from` on, before `below`. */
  async #directory(
    header: ArchiveHeader,
    section: Section,
    { from, below, level }: { readonly from: number; readonly below: number; readonly level: number },
  ): Promise<void> {
    assertNotAborted(this.#signal, 'Reading the map');
    const entries = decodeDirectory(await this.#unpacked(header, section, MAX_MAP_DIRECTORY_BYTES));
    for (const [index, entry] of entries.entries()) {
      const next = entries[index + 1]?.id ?? below;
      if (entry.id < from || entry.id + Math.max(entry.run, 1) > next) throw broken('a directory is out of order');
      if (entry.run > 0) {
        this.#count(header, entry);
        continue;
      }
      if (level >= MAX_LEVELS) throw broken('its directories lie too deep');
      const leaf = within(header.leaves, entry, 'a directory');
      await this.#directory(header, leaf, { from: entry.id, below: next, level: level + 1 });
    }
  }

  #count({ tiles }: ArchiveHeader, entry: Entry): void {
    within(tiles, entry, 'a tile');
    this.#entries += 1;
    this.#tiles += entry.run;
    if (entry.offset >= this.#end) {
      this.#contents += 1;
      this.#end = entry.offset + entry.length;
    }
    for (let id = entry.id; id < entry.id + entry.run;) {
      const zoom = zoomOf(id);
      const end = Math.min(entry.id + entry.run, (4 ** (zoom + 1) - 1) / 3);
      this.#zooms.set(zoom, (this.#zooms.get(zoom) ?? 0) + end - id);
      id = end;
    }
  }

  async #metadata(header: ArchiveHeader): Promise<MapMetadata> {
    if (header.metadata.length === 0) return {};
    const text = await this.#unpacked(header, header.metadata, MAX_MAP_METADATA_BYTES);
    try {
      const metadata: unknown = JSON.parse(Buffer.from(text).toString());
      if (typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)) return { ...metadata };
    } catch (cause) {
      throw broken(`its metadata is no JSON: ${messageOf(cause)}`, cause);
    }
    throw broken('its metadata is no object');
  }

  async #unpacked({ internal }: ArchiveHeader, section: Section, most: number): Promise<Uint8Array> {
    if (section.length > most) throw broken('a part of it is too large');
    return unpacked(await this.#read(section), internal, most);
  }

  async #read({ offset, length }: Section): Promise<Uint8Array> {
    const { bytesRead, buffer } = await this.#handle.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead < length) throw broken('it ends early');
    return buffer;
  }
}

/** Where in the file an entry lies. */
function within(section: Section, { offset, length }: Entry, what: string): Section {
  if (offset + length > section.length) throw broken(`${what} lies outside of its section`);
  return { offset: section.offset + offset, length };
}
