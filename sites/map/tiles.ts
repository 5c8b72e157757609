/** Kinds of tiles: how their files are called, how they begin, and how they stand in an archive. */
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { MAX_TILE_BYTES } from '../../core/limits.ts';
import type { TilePlace, TileType } from './contract.ts';
import type { Compression } from './header.ts';
import { layersOf } from './mvt.ts';
import { isGzip, packed, unpacked } from './packing.ts';

/** Endings of files, and what MBTiles call the formats. */
export const TYPE_OF: Readonly<Record<string, TileType>> = {
  mvt: 'mvt',
  pbf: 'mvt',
  png: 'png',
  jpg: 'jpeg',
  jpeg: 'jpeg',
  webp: 'webp',
  avif: 'avif',
};

/** Bytes at a place by which pictures are known. */
const SIGNS: Readonly<Record<Exclude<TileType, 'mvt'>, readonly [at: number, sign: string]>> = {
  png: [0, '\u0089PNG\r\n\u001a\n'],
  jpeg: [0, '\u00ff\u00d8\u00ff'],
  webp: [8, 'WEBP'],
  avif: [4, 'ftyp'],
};

/** Of what is in an archive of such tiles. Pictures are packed by themselves. */
export function compressionOf(type: TileType): Compression {
  return type === 'mvt' ? 'gzip' : 'none';
}

export interface ReadyTile {
  /** As it stands in the archive. */
  readonly bytes: Uint8Array;
  /** Of a vector tile. */
  readonly layers: readonly string[];
}

/**
 * A tile as it stands in an archive. Vector tiles are packed anew, whoever packed them: the same tiles give the same archive.
 * @throws RelaymintError INVALID_ENCODING, LIMIT_EXCEEDED, with the place of the tile.
 */
export function readyTile(bytes: Uint8Array, type: TileType, place: TilePlace): ReadyTile {
  const where = `${place.z}/${place.x}/${place.y}`;
  if (bytes.length === 0) throw notSuch(where, type, 'it is empty');
  if (bytes.length > MAX_TILE_BYTES) throw tooLarge(where);
  if (type !== 'mvt') {
    const [at, sign] = SIGNS[type];
    const found = Buffer.from(bytes.subarray(at, at + sign.length)).toString('latin1');
    if (found !== sign) throw notSuch(where, type, 'it does not begin like one');
    return { bytes, layers: [] };
  }
  try {
    const plain = isGzip(bytes) ? unpacked(bytes, 'gzip', MAX_TILE_BYTES) : bytes;
    return { bytes: packed(plain), layers: layersOf(plain) };
  } catch (cause) {
    if (!isRelaymintError(cause)) throw cause;
    throw notSuch(where, type, messageOf(cause), cause);
  }
}

function tooLarge(at: string): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', `Tile ${at} is larger than ${MAX_TILE_BYTES} bytes.`, {
    remedy: 'Split it into deeper zooms.',
  });
}

function notSuch(at: string, type: TileType, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Tile ${at} is not ${type}: ${why}`.replace(/\.?$/, '.'), {
    remedy: 'Remove it, or make it again.',
    cause,
  });
}
