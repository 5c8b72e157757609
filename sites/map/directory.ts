/** Directories of PMTiles: which tiles are where. Columns of varints, so that what repeats packs well. */
import { broken } from './header.ts';
import { ALL_TILES } from './tile-id.ts';

/** So many tiles from `id` on are the same one; 0: a directory of the tiles from `id` on. */
export interface Entry {
  readonly id: number;
  readonly run: number;
  readonly offset: number;
  readonly length: number;
}

/** Of one entry: a byte in each of the four columns. */
const LEAST_ENTRY_BYTES = 4;
const MAX_VARINT_BYTES = 8;

export function encodeDirectory(entries: readonly Entry[]): Uint8Array {
  const bytes: number[] = [];
  const put = (value: number): void => {
    let rest = value;
    while (rest >= 128) {
      bytes.push((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    bytes.push(rest);
  };
  put(entries.length);
  let last = 0;
  for (const { id } of entries) {
    put(id - last);
    last = id;
  }
  for (const { run } of entries) put(run);
  for (const { length } of entries) put(length);
  let end = -1;
  for (const { offset, length } of entries) {
    put(offset === end ? 0 : offset + 1);
    end = offset + length;
  }
  return Uint8Array.from(bytes);
}

/** `bytes`: unpacked. @throws RelaymintError INVALID_ENCODING. */
export function decodeDirectory(bytes: Uint8Array): Entry[] {
  let at = 0;
  const take = (): number => {
    let value = 0;
    for (let index = 0, scale = 1; index < MAX_VARINT_BYTES; index += 1, scale *= 128) {
      const byte = bytes[at];
      if (byte === undefined) throw broken('a directory ends early');
      at += 1;
      value += (byte % 128) * scale;
      if (byte < 128) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw broken('a directory holds a number that is too large');
  };
  const count = take();
  if (count === 0 || count > bytes.length / LEAST_ENTRY_BYTES) throw broken('a directory counts its entries wrongly');
  const column = (): number[] => Array.from({ length: count }, take);
  const [steps, runs, lengths, places] = [column(), column(), column(), column()];
  if (at !== bytes.length) throw broken('a directory is longer than its entries');
  const entries: Entry[] = [];
  /** One past the last tile that was named. */
  let free = 0;
  let last = 0;
  let end: number | undefined;
  for (const [index, step] of steps.entries()) {
    const id = last + step;
    const run = runs[index] ?? 0;
    const length = lengths[index] ?? 0;
    const place = places[index] ?? 0;
    if ((index > 0 && id < free) || id + Math.max(run, 1) > ALL_TILES) throw broken('a directory is out of order');
    if (length === 0) throw broken('a tile is empty');
    if (place === 0 && end === undefined) throw broken('a directory begins nowhere');
    const offset = place === 0 ? (end ?? 0) : place - 1;
    entries.push({ id, run, offset, length });
    last = id;
    free = id + Math.max(run, 1);
    end = offset + length;
  }
  return entries;
}
