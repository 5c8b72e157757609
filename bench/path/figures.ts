/** From what was measured to what is reported. */

/** One row's turn in one round. */
export interface Turn {
  /** Application bytes, host to initiator. */
  readonly bytes: number;
  /** From the request to the last byte, milliseconds. */
  readonly millis: number;
  /** User and system time of all the row's processes meanwhile, microseconds. */
  readonly cpuMicros: number;
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
