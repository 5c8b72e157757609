/** From turns to what is reported: medians of the runs with the least and the most, and what the gateway makes of what nginx makes. */
import { median, rounded } from '../path/figures.ts';

export const ROWS = ['nginx-20k', 'gateway-20k', 'gateway-20k-cold', 'nginx-200m', 'gateway-200m'] as const;
export type RowName = (typeof ROWS)[number];

/** Which row each one of the gateway is compared with. */
const BESIDE: Readonly<Partial<Record<RowName, RowName>>> = {
  'gateway-20k': 'nginx-20k',
  'gateway-20k-cold': 'nginx-20k',
  'gateway-200m': 'nginx-200m',
};

/** One row's turn in one round. */
export interface Turn {
  readonly requestsPerSecond: number;
  readonly mbPerSecond: number;
  readonly ttfbP50Ms: number;
}

/** The median, and the runs that had the least and the most. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface RowFigures {
  readonly name: RowName;
  readonly runs: number;
  readonly requestsPerSecond: number;
  readonly requestsPerSecondLeast: number;
  readonly requestsPerSecondMost: number;
  /** 10^6 bytes. */
  readonly mbPerSecond: number;
  readonly mbPerSecondLeast: number;
  readonly mbPerSecondMost: number;
  readonly ttfbP50Ms: number;
  readonly ttfbP50LeastMs: number;
  readonly ttfbP50MostMs: number;
}

/** The gateway's figure by that of nginx in the same round. */
export interface Ratio {
  readonly name: RowName;
  readonly beside: RowName;
  /** Of requests per second. */
  readonly speed: Spread;
  readonly ttfb: Spread;
}

/** @throws TypeError without turns. */
export function summarize(name: RowName, turns: readonly Turn[]): RowFigures {
  const requests = spread(turns.map(({ requestsPerSecond }) => requestsPerSecond));
  const mb = spread(turns.map(({ mbPerSecond }) => mbPerSecond));
  const ttfb = spread(turns.map(({ ttfbP50Ms }) => ttfbP50Ms));
  return {
    name,
    runs: turns.length,
    requestsPerSecond: requests.median,
    requestsPerSecondLeast: requests.least,
    requestsPerSecondMost: requests.most,
    mbPerSecond: mb.median,
    mbPerSecondLeast: mb.least,
    mbPerSecondMost: mb.most,
    ttfbP50Ms: ttfb.median,
    ttfbP50LeastMs: ttfb.least,
    ttfbP50MostMs: ttfb.most,
  };
}

/** Of the rows that were measured beside each other: a round that was slow for all says the same. */
export function ratios(turns: ReadonlyMap<RowName, readonly Turn[]>): readonly Ratio[] {
  return ROWS.flatMap((name) => {
    const beside = BESIDE[name];
    const [ours, theirs] = [turns.get(name), beside && turns.get(beside)];
    if (beside === undefined || ours === undefined || theirs === undefined) return [];
    const each = (of: (turn: Turn) => number): Spread =>
      spread(ours.flatMap((turn, index) => (theirs[index] === undefined ? [] : [of(turn) / of(theirs[index])])));
    return [
      {
        name,
        beside,
        speed: each(({ requestsPerSecond }) => requestsPerSecond),
        ttfb: each(({ ttfbP50Ms }) => ttfbP50Ms),
      },
    ];
  });
}

function spread(values: readonly number[]): Spread {
  return { median: exact(median(values)), least: exact(Math.min(...values)), most: exact(Math.max(...values)) };
}

/** Figures between a thousandth and ten thousands stand in one report. */
function exact(value: number): number {
  return value < 1 ? Number(value.toPrecision(3)) : rounded(value, 3);
}
