/** Sets of tiles, and the reader that judges what is made of them. */
import { open } from 'node:fs/promises';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PMTiles, type RangeResponse, type Source } from 'pmtiles';
import initSqlJs from 'sql.js';
import { bytes } from '../../../core/units.ts';
import type { TilePlace, TileSource, TileType } from '../../../sites/map/contract.ts';
import { idOf } from '../../../sites/map/tile-id.ts';

/** A vector tile with one layer of that name, and nothing in it. */
export function vectorTile(layer: string): Uint8Array {
  const name = Buffer.from(layer);
  const fields = Buffer.concat([Buffer.from([0x78, 2, 0x0a, name.length]), name]);
  return Buffer.concat([Buffer.from([0x1a, fields.length]), fields]);
}

/** A picture, as far as is looked at. */
export function picture(text: string): Uint8Array {
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.from(text)]);
}

export interface PlacedTile extends TilePlace {
  readonly tile: Uint8Array;
}

/** Tiles as one who made them would hand them over, without a disk. */
export function sourceOf(tiles: readonly PlacedTile[], type: TileType = 'png'): TileSource {
  const byId = new Map(tiles.map(({ tile, ...place }) => [idOf(place), tile]));
  return {
    form: 'folder',
    type,
    metadata: {},
    bounds: undefined,
    center: undefined,
    ids: Float64Array.from(byId.keys()).sort(),
    bytes: bytes(tiles.reduce((sum, { tile }) => sum + tile.length, 0)),
    leftOut: [],
    read: (id) => Promise.resolve(byId.get(id) ?? new Uint8Array()),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export async function writeTiles(folder: string, tiles: readonly PlacedTile[], ending: string): Promise<void> {
  for (const { z, x, y, tile } of tiles) {
    const file = path.join(folder, String(z), String(x), `${y}.${ending}`);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, tile);
  }
}

/** The same as makers of MBTiles write it. */
export async function mbtilesOf(
  tiles: readonly PlacedTile[],
  metadata: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const { Database } = await initSqlJs();
  const database = new Database();
  database.run('CREATE TABLE metadata (name text, value text)');
  database.run('CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)');
  for (const [name, value] of Object.entries(metadata))
    database.run('INSERT INTO metadata VALUES (?, ?)', [name, value]);
  for (const { z, x, y, tile } of tiles) {
    database.run('INSERT INTO tiles VALUES (?, ?, ?, ?)', [z, x, 2 ** z - 1 - y, tile]);
  }
  const file = database.export();
  database.close();
  return file;
}

/** An archive of the disk, for the reader that browsers use. */
export function readerOf(file: string): PMTiles {
  const source: Source = {
    getKey: () => file,
    async getBytes(offset, length): Promise<RangeResponse> {
      const handle = await open(file);
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, offset);
      await handle.close();
      return { data: new Uint8Array(buffer.subarray(0, bytesRead)).buffer };
    },
  };
  return new PMTiles(source);
}
