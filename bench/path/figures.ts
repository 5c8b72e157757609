/** From what was measured to what is reported. */

/** One transfer of a row. */
export interface Carried {
  /** Application bytes, host to initiator. */
  readonly bytes: number;
  /** From the request to the last byte, milliseconds. */
  readonly millis: number;
  /** User and system time of all the row's processes meanwhile, microseconds. */
  readonly cpuMicros: number;
}

/** One row's turn in one round. */
export interface Turn extends Carried {
  readonly rttP50Us: number;
  readonly rttP99Us: number;
}

/** Medians over the runs. MB and GB are powers of ten, RTTs microseconds. */
export interface RowFigures {
  readonly name: string;
  readonly runs: number;
  readonly mbPerSecond: number;
  readonly cpuSecondsPerGB: number;
  readonly rttP50Us: number;
  readonly rttP99Us: number;
}

/** Each figure is the median of its own: the middle run for speed need not be the middle one for CPU. @throws TypeError without turns. */
export function summarize(name: string, turns: readonly Turn[]): RowFigures {
  return {
    name,
    runs: turns.length,
    mbPerSecond: rounded(median(turns.map(({ bytes, millis }) => bytes / 1000 / millis)), 3),
    cpuSecondsPerGB: rounded(median(turns.map(({ bytes, cpuMicros }) => (cpuMicros * 1000) / bytes)), 3),
    rttP50Us: rounded(median(turns.map(({ rttP50Us }) => rttP50Us)), 1),
    rttP99Us: rounded(median(turns.map(({ rttP99Us }) => rttP99Us)), 1),
  };
}

/** Two transfers of one path around two of another. */
export interface Block {
  readonly first: readonly [Carried, Carried];
  readonly second: readonly [Carried, Carried];
}

/** The processor time that the first path takes for a byte, as a multiple of the second's. */
export interface Comparison {
  readonly blocks: number;
  /** The median of the blocks, and what half of them lie between. */
  readonly cpuRatio: number;
  readonly cpuRatioQ1: number;
  readonly cpuRatioQ3: number;
  /** Between these the median of ever more blocks would lie, 19 times of 20. */
  readonly cpuRatioLow: number;
  readonly cpuRatioHigh: number;
}

/** @throws TypeError without blocks. */
export function comparison(blocks: readonly Block[]): Comparison {
  const ratios = blocks.map(({ first, second }) => cpuOf(first) / cpuOf(second)).toSorted((a, b) => a - b);
  const rank = rankOfInterval(ratios.length);
  const at = (index: number): number => rounded(ratios[index] ?? Number.NaN, 4);
  return {
    blocks: ratios.length,
    cpuRatio: rounded(median(ratios), 4),
    cpuRatioQ1: rounded(percentile(ratios, 0.25), 4),
    cpuRatioQ3: rounded(percentile(ratios, 0.75), 4),
    cpuRatioLow: at(rank),
    cpuRatioHigh: at(ratios.length - 1 - rank),
  };
}

/** Values are on either side of their median as coins fall: 1.96 standard deviations of that, whatever their own distribution. */
function rankOfInterval(count: number): number {
  return Math.max(0, Math.floor(count / 2 - 0.98 * Math.sqrt(count)) - 1);
}

function cpuOf(turns: readonly Carried[]): number {
  const sum = (of: (turn: Carried) => number): number => turns.reduce((all, turn) => all + of(turn), 0);
  return sum(({ cpuMicros }) => cpuMicros) / sum(({ bytes }) => bytes);
}

/** MB/s of the row with this name. @throws TypeError when there is none. */
export function speedOf(rows: readonly RowFigures[], name: string): number {
  const row = rows.find((candidate) => candidate.name === name);
  if (row === undefined) throw new TypeError(`no row ${name}`);
  return row.mbPerSecond;
}

/** @throws TypeError without values. */
export function median(values: readonly number[]): number {
  return (
    (percentile(values, 0.5) +
      -percentile(
        values.map((value) => -value),
        0.5,
      )) /
    2
  );
}

/** The smallest value that at least this share (0 < share <= 1) of the values does not exceed. @throws TypeError without values. */
export function percentile(values: readonly number[], share: number): number {
  const value = values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1];
  if (value === undefined) throw new TypeError('no values');
  return value;
}

export function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
