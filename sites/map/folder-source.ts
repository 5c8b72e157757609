/** Tiles in a folder: `z/x/y.EXT`, rows from the north, and `metadata.json` beside them. */
import { readFile, readdir, lstat } from 'node:fs/promises';
import path from 'node:path';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { MAX_MAP_METADATA_BYTES, MAX_MAP_TILES, MAX_TILE_BYTES } from '../../core/limits.ts';
import { bytes } from '../../core/units.ts';
import { readWhole } from '../../platform/disk/atomic-file.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import type { TileSource, TileType } from './contract.ts';
import { toldMap } from './metadata.ts';
import { MAX_ZOOM, idOf, placeOf } from './tile-id.ts';
import { TYPE_OF } from './tiles.ts';

const METADATA = 'metadata.json';
const TILE = /^(0|[1-9]\d{0,8})\/(0|[1-9]\d{0,8})\/(0|[1-9]\d{0,8})\.([a-z]+)$/;

interface Found {
  readonly ids: Float64Array;
  readonly ending: string;
  readonly type: TileType;
  readonly total: number;
  readonly leftOut: readonly string[];
}

/** @throws RelaymintError INVALID_ARGUMENT (no tiles, or of several kinds, or off the map), LIMIT_EXCEEDED, STORAGE_FAILED, ABORTED. */
export async function openFolderSource(folder: string, signal?: AbortSignal): Promise<TileSource> {
  const { ids, ending, type, total, leftOut } = await tilesIn(folder, signal);
  const { metadata, bounds, center } = toldMap(await metadataIn(folder));
  return {
    form: 'folder',
    type,
    metadata,
    bounds,
    center,
    ids,
    bytes: bytes(total),
    leftOut,
    async read(id) {
      const { z, x, y } = placeOf(id);
      const file = path.join(folder, String(z), String(x), `${y}.${ending}`);
      try {
        return await readFile(file);
      } catch (cause) {
        throw diskError(cause, `Reading ${file}`);
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function tilesIn(folder: string, signal: AbortSignal | undefined): Promise<Found> {
  const ids: number[] = [];
  const leftOut: string[] = [];
  const endings = new Set<string>();
  let total = 0;
  for await (const name of filesIn(folder, '')) {
    assertNotAborted(signal, 'Reading the folder');
    const [, z, x, y, ending = ''] = TILE.exec(name) ?? [];
    if (z === undefined || TYPE_OF[ending] === undefined) {
      if (name !== METADATA) leftOut.push(name);
      continue;
    }
    const found = await lstat(path.join(folder, name)).catch((cause: unknown) => {
      throw diskError(cause, `Reading ${name}`);
    });
    // A link may lead out of the folder, to what nobody wanted to publish, and a pipe has no end.
    if (!found.isFile()) {
      leftOut.push(name);
      continue;
    }
    const { size } = found;
    const place = { z: Number(z), x: Number(x), y: Number(y) };
    const side = 2 ** place.z;
    if (place.z > MAX_ZOOM || place.x >= side || place.y >= side) throw offTheMap(name, place.z);
    endings.add(ending);
    if (endings.size > 1) throw mixed([...endings]);
    if (ids.length >= MAX_MAP_TILES) throw tooMany();
    if (size > MAX_TILE_BYTES) {
      throw new RelaymintError('LIMIT_EXCEEDED', `${name} is larger than ${MAX_TILE_BYTES} bytes.`, {
        remedy: 'Split it into deeper zooms.',
      });
    }
    total += size;
    ids.push(idOf(place));
  }
  const [ending = ''] = endings;
  const type = TYPE_OF[ending];
  if (type === undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', `${folder} has no tiles.`, {
      remedy: `Tiles are files like 12/2020/1310.mvt: zoom, column, row; ${Object.keys(TYPE_OF).join(', ')}.`,
    });
  }
  return { ids: Float64Array.from(ids).sort(), ending, type, total, leftOut: leftOut.toSorted() };
}

/** Relative, with slashes. What begins with a dot is nobody's tile. */
async function* filesIn(folder: string, below: string): AsyncGenerator<string> {
  const entries = await readdir(path.join(folder, below), { withFileTypes: true }).catch((cause: unknown) => {
    throw diskError(cause, `Reading ${path.join(folder, below)}`);
  });
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory() && below.split('/').length < 3) yield* filesIn(folder, name);
    else yield name;
  }
}

async function metadataIn(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const file = path.join(folder, METADATA);
  const found = await readWhole(file, (size) => {
    if (size > MAX_MAP_METADATA_BYTES) throw badMetadata(file, `it is larger than ${MAX_MAP_METADATA_BYTES} bytes`);
  });
  if (found === undefined) return {};
  try {
    const told: unknown = JSON.parse(found.toString());
    if (typeof told === 'object' && told !== null && !Array.isArray(told)) return { ...told };
  } catch (cause) {
    throw badMetadata(file, messageOf(cause), cause);
  }
  throw badMetadata(file, 'it is no object');
}

function badMetadata(file: string, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `${file} does not describe a map: ${why}.`, {
    remedy: 'Correct it, or remove it.',
    cause,
  });
}

function offTheMap(name: string, zoom: number): RelaymintError {
  const why = zoom > MAX_ZOOM ? `zooms end at ${MAX_ZOOM}` : `zoom ${zoom} has columns and rows 0 to ${2 ** zoom - 1}`;
  return new RelaymintError('INVALID_ARGUMENT', `${name} is not on the map: ${why}.`, { remedy: 'Remove it.' });
}

function mixed(endings: readonly string[]): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `The tiles are of several kinds: .${endings.join(', .')}.`, {
    remedy: 'A map has tiles of one kind, whose files end alike: pack each kind by itself.',
  });
}

export function tooMany(): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', `There are more than ${MAX_MAP_TILES} tiles.`, {
    remedy: 'Make several maps, or fewer zooms.',
  });
}
