/** The first 127 bytes of a PMTiles archive, version 3: where its sections are, and what is in them. */
import { RelaymintError } from '../../core/errors.ts';
import type { Bounds, Center, TileType } from './contract.ts';
import { MAX_ZOOM } from './tile-id.ts';

export const HEADER_BYTES = 127;
/** Header and root directory are in the first request of a reader. */
export const ROOT_END = 16_384;

const MAGIC = Buffer.from('PMTiles');
const VERSION = 3;
const E7 = 1e7;
const TYPES: readonly (TileType | 'unknown')[] = ['unknown', 'mvt', 'png', 'jpeg', 'webp', 'avif'];
const COMPRESSIONS = ['unknown', 'none', 'gzip', 'brotli', 'zstd'] as const;

export type Compression = (typeof COMPRESSIONS)[number];

export interface Section {
  readonly offset: number;
  readonly length: number;
}

export interface ArchiveHeader {
  readonly root: Section;
  readonly metadata: Section;
  readonly leaves: Section;
  readonly tiles: Section;
  /** 0: the archive does not say. */
  readonly addressed: number;
  /** 0: the archive does not say. */
  readonly entries: number;
  /** 0: the archive does not say. */
  readonly contents: number;
  /** Tiles lie in the order of their ids. */
  readonly clustered: boolean;
  /** Of directories and metadata. */
  readonly internal: Compression;
  readonly compression: Compression;
  readonly type: TileType | 'unknown';
  readonly minZoom: number;
  readonly maxZoom: number;
  readonly bounds: Bounds;
  readonly center: Center;
}

export function encodeHeader(header: ArchiveHeader): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes);
  bytes[7] = VERSION;
  const { root, metadata, leaves, tiles, bounds, center } = header;
  const wide = [root, metadata, leaves, tiles].flatMap(({ offset, length }) => [offset, length]);
  for (const [index, value] of [...wide, header.addressed, header.entries, header.contents].entries()) {
    bytes.writeBigUInt64LE(BigInt(value), 8 + 8 * index);
  }
  bytes[96] = header.clustered ? 1 : 0;
  bytes[97] = COMPRESSIONS.indexOf(header.internal);
  bytes[98] = COMPRESSIONS.indexOf(header.compression);
  bytes[99] = TYPES.indexOf(header.type);
  bytes[100] = header.minZoom;
  bytes[101] = header.maxZoom;
  for (const [index, degrees] of [bounds.west, bounds.south, bounds.east, bounds.north].entries()) {
    bytes.writeInt32LE(Math.round(degrees * E7), 102 + 4 * index);
  }
  bytes[118] = center.zoom;
  bytes.writeInt32LE(Math.round(center.longitude * E7), 119);
  bytes.writeInt32LE(Math.round(center.latitude * E7), 123);
  return bytes;
}

/** `fileBytes`: how long the whole archive is. @throws RelaymintError INVALID_ENCODING, VERSION_UNSUPPORTED. */
export function decodeHeader(head: Uint8Array, fileBytes: number): ArchiveHeader {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 7).equals(MAGIC)) throw broken('it does not begin like one');
  if (bytes[7] !== VERSION) {
    throw new RelaymintError('VERSION_UNSUPPORTED', `This is PMTiles version ${bytes[7]}; ${VERSION} is read.`, {
      remedy: 'Convert it with the tools that made it.',
    });
  }
  const wide = (index: number, what: string): number => {
    const value = bytes.readBigUInt64LE(8 + 8 * index);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw broken(`${what} is too large`);
    return Number(value);
  };
  const section = (index: number, what: string): Section => {
    const offset = wide(index, what);
    const length = wide(index + 1, what);
    if (offset + length > fileBytes) throw broken(`${what} ends behind the end of the file`);
    return { offset, length };
  };
  const degrees = (at: number, limit: number): number => {
    const value = bytes.readInt32LE(at) / E7;
    if (Math.abs(value) > limit) throw broken('it lies beyond the world');
    return value;
  };
  const root = section(0, 'its root directory');
  if (root.offset < HEADER_BYTES || root.offset + root.length > ROOT_END || root.length === 0) {
    throw broken(`its root directory is not within the first ${ROOT_END} bytes`);
  }
  const minZoom = bytes[100] ?? 0;
  const maxZoom = bytes[101] ?? 0;
  if (minZoom > maxZoom || maxZoom > MAX_ZOOM) throw broken(`it has the zooms ${minZoom} to ${maxZoom}`);
  return {
    root,
    metadata: section(2, 'its metadata'),
    leaves: section(4, 'the section of its directories'),
    tiles: section(6, 'the section of its tiles'),
    addressed: wide(8, 'its count of tiles'),
    entries: wide(9, 'its count of entries'),
    contents: wide(10, 'its count of different tiles'),
    clustered: bytes[96] === 1,
    internal: COMPRESSIONS[bytes[97] ?? 0] ?? 'unknown',
    compression: COMPRESSIONS[bytes[98] ?? 0] ?? 'unknown',
    type: TYPES[bytes[99] ?? 0] ?? 'unknown',
    minZoom,
    maxZoom,
    bounds: {
      west: degrees(102, 180),
      south: degrees(106, 90),
      east: degrees(110, 180),
      north: degrees(114, 90),
    },
    center: { zoom: bytes[118] ?? 0, longitude: degrees(119, 180), latitude: degrees(123, 90) },
  };
}

/** What an archive does wrong. `why` is a clause. */
export function broken(why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `This is no sound PMTiles archive: ${why}.`, {
    remedy: 'Get it again, or pack its tiles anew with "relaymint map pack".',
    cause,
  });
}
