/**
 * The cell: what the innermost layer of a RELAY frame protects. Little-endian:
 *
 *   type u8 | reserved u8 (0) | stream id u16 | data length u16 | data | zeros up to the size class
 *
 * Size classes of 1, 4, 16 and 60 KiB, header included, so that lengths say little. The largest is for bulk, only ever
 * sent full: it spreads the cost of a layer's cipher over more bytes.
 */
import { MAX_CELL_BYTES, MAX_STREAM_PARAMS } from '../../core/limits.ts';
import { violation, type RelaymintError } from '../../core/errors.ts';

export const CELL_HEADER_BYTES = 6;
/** Data of the largest cell. */
export const MAX_CELL_DATA: number = MAX_CELL_BYTES - CELL_HEADER_BYTES;
export const SMALL_CELL = 1024;
export const MEDIUM_CELL = 4096;
export const LARGE_CELL = 16_384;
const SMALL_DATA = SMALL_CELL - CELL_HEADER_BYTES;
const MEDIUM_DATA = MEDIUM_CELL - CELL_HEADER_BYTES;
const LARGE_DATA = LARGE_CELL - CELL_HEADER_BYTES;

/** Never renumbered. Stream id 0 is the circuit itself. */
export const CellType = {
  EXTEND: 1,
  EXTENDED: 2,
  BEGIN: 3,
  CONNECTED: 4,
  DATA: 5,
  END: 6,
  WINDOW: 7,
  PING: 8,
  PONG: 9,
  DATAGRAM: 10,
  DATAGRAM_WINDOW: 11,
  JOIN: 12,
  JOINED: 13,
} as const;
export type CellType = (typeof CellType)[keyof typeof CellType];

/** The smallest class that holds this much data. */
export function cellSize(dataLength: number): number {
  if (dataLength <= SMALL_DATA) return SMALL_CELL;
  if (dataLength <= MEDIUM_DATA) return MEDIUM_CELL;
  return dataLength <= LARGE_DATA ? LARGE_CELL : MAX_CELL_BYTES;
}

/**
 * How much of `queued` bytes the next DATA cell takes. Padding is paid for, so a larger class is used only where three
 * cells of the smaller one would not do. `limit`: the cell has at most so many bytes; 0 when not even the smallest fits.
 */
export function dataCellLength(queued: number, limit: number = MAX_CELL_BYTES): number {
  if (limit < MAX_CELL_BYTES) {
    if (limit >= LARGE_CELL) return dataCellLength(Math.min(queued, LARGE_DATA));
    if (limit >= MEDIUM_CELL) return dataCellLength(Math.min(queued, MEDIUM_DATA));
    return limit >= SMALL_CELL ? Math.min(queued, SMALL_DATA) : 0;
  }
  if (queued >= MAX_CELL_DATA) return MAX_CELL_DATA;
  if (queued > 3 * MEDIUM_DATA) return Math.min(queued, LARGE_DATA);
  if (queued > 3 * SMALL_DATA) return Math.min(queued, MEDIUM_DATA);
  return Math.min(queued, SMALL_DATA);
}

export function isCellSize(length: number): boolean {
  return length === SMALL_CELL || length === MEDIUM_CELL || length === LARGE_CELL || length === MAX_CELL_BYTES;
}

/** Writes the header at the start of `cell` and zeros behind the data. The data stands, or will stand, at CELL_HEADER_BYTES. @returns the cell's size. */
export function frameCell(cell: Buffer, type: CellType, stream: number, dataLength: number): number {
  const size = cellSize(dataLength);
  cell[0] = type;
  cell[1] = 0;
  cell[2] = stream & 0xff;
  cell[3] = stream >>> 8;
  cell[4] = dataLength & 0xff;
  cell[5] = dataLength >>> 8;
  const end = CELL_HEADER_BYTES + dataLength;
  if (end < size) cell.fill(0, end, size);
  return size;
}

export function cellType(cell: Buffer): number {
  return cell[0] ?? 0;
}

export function cellStream(cell: Buffer): number {
  return (cell[2] ?? 0) | ((cell[3] ?? 0) << 8);
}

/**
 * The data of a cell, a view. The one place that checks a received cell.
 * @throws RelaymintError PROTOCOL_VIOLATION for a size that is not a class, a reserved byte that is not 0, or a length beyond the cell.
 */
export function cellData(cell: Buffer): Buffer {
  if (!isCellSize(cell.length)) throw malformed(`it has ${cell.length} bytes`);
  if (cell[1] !== 0) throw malformed(`its reserved byte is ${cell[1]}`);
  const length = (cell[4] ?? 0) | ((cell[5] ?? 0) << 8);
  if (length > cell.length - CELL_HEADER_BYTES) throw malformed(`it claims ${length} bytes of data in ${cell.length}`);
  return cell.subarray(CELL_HEADER_BYTES, CELL_HEADER_BYTES + length);
}

/** The first byte of BEGIN and the only one of CONNECTED: 1 if its sender takes datagrams of the stream. */
const TAKES_DATAGRAMS = 1;
const BEGIN_FIXED_BYTES = 2;

export interface Begin {
  readonly service: string;
  readonly params: Buffer;
  readonly datagrams: boolean;
}

/** flags u8 | name length u8 | name | params */
export function encodeBegin(service: string, params: Uint8Array, datagrams = false): Buffer {
  const name = Buffer.from(service, 'latin1');
  return Buffer.concat([encodeConnected(datagrams), Buffer.of(name.length), name, params]);
}

/** @throws RelaymintError PROTOCOL_VIOLATION. `params` is a view. */
export function decodeBegin(data: Buffer): Begin {
  const nameEnd = BEGIN_FIXED_BYTES + (data[1] ?? 0);
  if (data.length < nameEnd || nameEnd === BEGIN_FIXED_BYTES || data.length - nameEnd > MAX_STREAM_PARAMS) {
    throw malformed('its BEGIN does not fit');
  }
  return {
    service: data.toString('latin1', BEGIN_FIXED_BYTES, nameEnd),
    params: data.subarray(nameEnd),
    datagrams: decodeConnected(data.subarray(0, 1)),
  };
}

/** flags u8 */
export function encodeConnected(datagrams: boolean): Buffer {
  return Buffer.of(datagrams ? TAKES_DATAGRAMS : 0);
}

/** @returns whether the other end takes datagrams. @throws RelaymintError PROTOCOL_VIOLATION. */
export function decodeConnected(data: Buffer): boolean {
  const [flags = 0] = data;
  if (data.length !== 1 || flags > TAKES_DATAGRAMS) throw malformed('its flags are unknown');
  return flags === TAKES_DATAGRAMS;
}

function malformed(detail: string): RelaymintError {
  return violation(`A malformed cell: ${detail}.`);
}
