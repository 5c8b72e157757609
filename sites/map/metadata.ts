/** What a tile set says of itself, in the words of MBTiles (which folders of tiles use too) and in those of PMTiles. */
import type { Bounds, Center, MapMetadata } from './contract.ts';
import { MAX_ZOOM } from './tile-id.ts';

export interface ToldMap {
  readonly metadata: MapMetadata;
  /** What stands in the header of an archive; undefined where it is not told, or wrong. */
  readonly bounds: Bounds | undefined;
  readonly center: Center | undefined;
}

/** What the header of an archive says. */
const IN_HEADER: ReadonlySet<string> = new Set(['bounds', 'center', 'format', 'json', 'maxzoom', 'minzoom', 'scheme']);

/** `told`: the rows of MBTiles, or metadata.json of a folder. What is in `json` stands beside the rest. */
export function toldMap(told: Readonly<Record<string, unknown>>): ToldMap {
  const all = { ...told, ...objectIn(told['json']) };
  const kept = Object.entries(all).filter(([key]) => !IN_HEADER.has(key));
  return {
    metadata: Object.fromEntries(kept.toSorted(([one], [other]) => (one < other ? -1 : 1))),
    bounds: boundsIn(told['bounds']),
    center: centerIn(told['center']),
  };
}

function objectIn(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  if (typeof value !== 'string') return {};
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

/** `-9.1,38.6,-9.0,38.8`, or the numbers in an array. */
function numbersIn(value: unknown): number[] {
  if (typeof value === 'string') return value.split(',').map(Number);
  return Array.isArray(value) ? value.map(Number) : [];
}

function boundsIn(value: unknown): Bounds | undefined {
  const [west = Number.NaN, south = Number.NaN, east = Number.NaN, north = Number.NaN] = numbersIn(value);
  const isSound = west >= -180 && west <= east && east <= 180 && south >= -90 && south <= north && north <= 90;
  return isSound ? { west, south, east, north } : undefined;
}

function centerIn(value: unknown): Center | undefined {
  const [longitude = Number.NaN, latitude = Number.NaN, zoom = Number.NaN] = numbersIn(value);
  const isSound = Math.abs(longitude) <= 180 && Math.abs(latitude) <= 90 && zoom >= 0 && zoom <= MAX_ZOOM;
  return isSound ? { longitude, latitude, zoom: Math.round(zoom) } : undefined;
}
