/** Tiles in an MBTiles file: an SQLite database, rows from the south. It is read whole. */
import { readFile, stat } from 'node:fs/promises';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { MAX_MAP_TILES, MAX_MBTILES_BYTES } from '../../core/limits.ts';
import { bytes, formatBytes } from '../../core/units.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import type { TileSource } from './contract.ts';
import { tooMany } from './folder-source.ts';
import { toldMap } from './metadata.ts';
import { MAX_ZOOM, idOf, placeOf } from './tile-id.ts';
import { TYPE_OF } from './tiles.ts';

/** @throws RelaymintError INVALID_ENCODING, INVALID_ARGUMENT (no tiles), LIMIT_EXCEEDED, STORAGE_FAILED. */
export async function openMbtilesSource(file: string): Promise<TileSource> {
  const whole = await wholeFile(file);
  // Few need it, and it takes a while to load.
  const { default: start } = await import('sql.js');
  const { Database } = await start();
  const database = new Database(whole);
  try {
    const rows: Record<string, string> = {};
    const told = database.prepare('SELECT name, value FROM metadata');
    while (told.step()) {
      const [name, value] = told.get();
      rows[String(name)] = String(value);
    }
    told.free();
    const format = rows['format'] ?? '';
    const type = TYPE_OF[format.toLowerCase()];
    if (type === undefined) throw unsound(file, `its format is "${format}"`);
    const ids: number[] = [];
    let total = 0;
    const tiles = database.prepare(
      'SELECT zoom_level, tile_column, tile_row, length(tile_data) FROM tiles WHERE tile_data IS NOT NULL',
    );
    while (tiles.step()) {
      const [z, x, row, length] = tiles.get().map(Number);
      const side = 2 ** (z ?? Number.NaN);
      if (z === undefined || !isIn(z, MAX_ZOOM + 1) || !isIn(x, side) || !isIn(row, side)) {
        throw unsound(file, `it has a tile ${z}/${x}/${row}, which is not on the map`);
      }
      if (ids.length >= MAX_MAP_TILES) throw tooMany();
      ids.push(idOf({ z, x, y: side - 1 - row }));
      total += length ?? 0;
    }
    tiles.free();
    if (ids.length === 0) {
      throw new RelaymintError('INVALID_ARGUMENT', `${file} has no tiles.`, { remedy: 'Make it again.' });
    }
    const sorted = Float64Array.from(ids).sort();
    if (sorted.some((id, index) => id === sorted[index - 1])) throw unsound(file, 'it has a tile twice');
    const one = database.prepare(
      'SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ? AND tile_data IS NOT NULL',
    );
    return {
      form: 'mbtiles',
      type,
      ...toldMap(rows),
      ids: sorted,
      bytes: bytes(total),
      leftOut: [],
      read(id) {
        const { z, x, y } = placeOf(id);
        const [data] = one.get([z, x, 2 ** z - 1 - y]);
        if (data instanceof Uint8Array) return Promise.resolve(data);
        return Promise.reject(unsound(file, `its tile ${z}/${x}/${y} is no bytes`));
      },
      [Symbol.asyncDispose]() {
        database.close();
        return Promise.resolve();
      },
    };
  } catch (cause) {
    database.close();
    if (cause instanceof RelaymintError) throw cause;
    throw unsound(file, messageOf(cause), cause);
  }
}

async function wholeFile(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size <= MAX_MBTILES_BYTES) return await readFile(file);
  } catch (cause) {
    throw diskError(cause, `Reading ${file}`);
  }
  throw new RelaymintError('LIMIT_EXCEEDED', `${file} is larger than ${formatBytes(MAX_MBTILES_BYTES)}.`, {
    remedy: 'Have the tiles written into a folder by the tool that made them, and pack that.',
  });
}

function isIn(value: number | undefined, below: number): value is number {
  return Number.isInteger(value) && value !== undefined && value >= 0 && value < below;
}

function unsound(file: string, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `${file} is no sound MBTiles file: ${why}.`, {
    remedy: 'Make it again with the tool that made it.',
    cause,
  });
}
