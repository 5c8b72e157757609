/** Looks at a CBOR block before it is decoded: how deep it is, without going deep itself. */

const ARRAY = 4;
const MAP = 5;
const TAG = 6;

/**
 * The most lists, maps and tags that are in one another; undefined where it has parts that deterministic CBOR does not have, or ends
 * before its end.
 */
export function cborDepth(block: Uint8Array): number | undefined {
  /** Items that are still to come in each list that is open. */
  const open: number[] = [1];
  let deepest = 0;
  let at = 0;
  while (open.length > 0) {
    const left = open.at(-1) ?? 0;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[open.length - 1] = left - 1;
    const head = headAt(block, at);
    if (head === undefined) return undefined;
    at = head.end;
    const { major, value } = head;
    if (major === 2 || major === 3) at += value;
    if (at > block.length) return undefined;
    if (major === ARRAY || major === MAP || major === TAG) {
      open.push(major === TAG ? 1 : major === MAP ? value * 2 : value);
      deepest = Math.max(deepest, open.length - 1);
    }
  }
  return at === block.length ? deepest : undefined;
}

/** The first byte of an item and the number that follows it. */
function headAt(
  block: Uint8Array,
  at: number,
): { readonly major: number; readonly value: number; readonly end: number } | undefined {
  const first = block[at];
  if (first === undefined) return undefined;
  const major = first >> 5;
  const short = first & 31;
  if (short < 24) return { major, value: short, end: at + 1 };
  // 28 to 30 mean nothing; 31 is a list without a length.
  if (short > 27) return undefined;
  const end = at + 1 + 2 ** (short - 24);
  if (end > block.length) return undefined;
  let value = 0;
  for (const byte of block.subarray(at + 1, end)) value = value * 256 + byte;
  return { major, value, end };
}
