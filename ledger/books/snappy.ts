/** Snappy, as LevelDB packs the blocks of its tables: a length, then pieces that are given or repeat what came before. */
import { ByteCursor } from './byte-cursor.ts';

/** A block has 4 KiB, or one record where that is longer. What claims to be longer is damage. */
const MAX_UNPACKED_BYTES = 8 * 1024 * 1024;

/** @throws RangeError unless it is such a packet. */
export function unpacked(bytes: Buffer): Buffer {
  const from = new ByteCursor(bytes);
  const length = from.varint();
  if (length > MAX_UNPACKED_BYTES) throw new RangeError('too long to be a block');
  const to = Buffer.alloc(length);
  let at = 0;
  while (!from.isAtEnd) {
    const tag = from.u8();
    const upper = tag >> 2;
    if ((tag & 3) === 0) {
      const piece = from.bytes((upper < 60 ? upper : from.little(upper - 59)) + 1);
      if (at + piece.length > length) throw new RangeError('longer than it says');
      to.set(piece, at);
      at += piece.length;
      continue;
    }
    const count = (tag & 3) === 1 ? (upper & 7) + 4 : upper + 1;
    const back = (tag & 3) === 1 ? ((upper >> 3) << 8) | from.u8() : from.little((tag & 3) === 2 ? 2 : 4);
    if (back === 0 || back > at || at + count > length) throw new RangeError('copies from before its beginning');
    // Byte by byte: a piece may repeat itself.
    for (const end = at + count; at < end; at += 1) to[at] = to[at - back] ?? 0;
  }
  if (at !== length) throw new RangeError('shorter than it says');
  return to;
}
