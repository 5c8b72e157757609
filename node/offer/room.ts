/**
 * How much content a host still takes, in its offer: a power of two, so that what it says changes seldom and shows little of what it
 * keeps. One byte (docs/wire-format.md, "Room"): 0 for less than 1 MiB, or n from 20 to 40 for at least 2^n bytes.
 */
import { RelaymintError } from '../../core/errors.ts';
import { bytes, type Bytes } from '../../core/units.ts';

const LEAST_BITS = 20;
/** 1 TiB: a host with more says that much. Nobody publishes more at once. */
const MOST_BITS = 40;

/** What an offer says of this much room: that much, or up to half of it. */
export function roundedRoom(room: number): Bytes {
  if (room < 2 ** LEAST_BITS) return bytes(0);
  return bytes(2 ** Math.min(Math.floor(Math.log2(room)), MOST_BITS));
}

/** False only if `size` bytes surely do not fit: a host has less than twice what it says. */
export function fitsRoom(room: Bytes | undefined, size: number): boolean {
  if (room === undefined || room === 2 ** MOST_BITS) return true;
  return room > 0 && size < 2 * room;
}

/** @param room as `roundedRoom` gives it */
export function encodeRoom(room: Bytes): number {
  return room === 0 ? 0 : Math.round(Math.log2(room));
}

/** @throws RelaymintError INVALID_ENCODING */
export function decodeRoom(code: number): Bytes {
  if (code === 0) return bytes(0);
  if (code >= LEAST_BITS && code <= MOST_BITS) return bytes(2 ** code);
  throw new RelaymintError('INVALID_ENCODING', `Malformed offer: ${code} is no size of a room.`);
}
