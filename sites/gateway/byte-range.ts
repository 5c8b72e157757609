/** Byte ranges of RFC 9110, section 14. */
export interface ByteRange {
  readonly start: number;
  /** Excluded. */
  readonly end: number;
}

/** More are not asked for by what plays or shows files; each could cost a block. */
const MAX_RANGES = 16;

/**
 * The ranges that are asked for, in that order, each within the file. `undefined`: the whole file, as the RFC asks for malformed ones and
 * allows for too many; also for an empty file. (The range-parser package calls a suffix longer than the file unsatisfiable; the RFC means
 * the whole file.)
 */
export function parseRanges(
  header: string | undefined,
  size: number,
): readonly ByteRange[] | 'unsatisfiable' | undefined {
  const [, list] = /^bytes=([\d,-]+)$/i.exec((header ?? '').replaceAll(/\s*,\s*/g, ',').trim()) ?? [];
  if (list === undefined || size === 0) return undefined;
  const specs = list.split(',').filter((spec) => spec !== '');
  if (specs.length > MAX_RANGES) return undefined;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = parseRange(spec, size);
    if (range === undefined) return undefined;
    if (range !== 'unsatisfiable') ranges.push(range);
  }
  if (ranges.length === 0) return specs.length === 0 ? undefined : 'unsatisfiable';
  // Who asks for the same bytes again and again would have them sent as often.
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0) > size ? undefined : ranges;
}

function parseRange(spec: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first, last] = /^(\d*)-(\d*)$/.exec(spec) ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  if (last !== '' && Number(last) < Number(first)) return undefined;
  if (Number(first) >= size) return 'unsatisfiable';
  return { start: Number(first), end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
