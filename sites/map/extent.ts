/** What is told of a tile set besides its tiles: zooms, bounds, where to begin. */
import type { Bounds, Center, MapSummary } from './contract.ts';
import { placeOf, zoomOf } from './tile-id.ts';

export type Extent = Pick<MapSummary, 'minZoom' | 'maxZoom' | 'bounds' | 'center' | 'tiles' | 'zooms'>;

/** `ids`: ascending, at least one. What its makers say of bounds and centre counts. */
export function extentOf(
  ids: Float64Array,
  told: { readonly bounds: Bounds | undefined; readonly center: Center | undefined },
): Extent {
  const minZoom = zoomOf(ids[0] ?? 0);
  const maxZoom = zoomOf(ids.at(-1) ?? 0);
  const bounds = told.bounds ?? boundsOf(ids, maxZoom);
  const center = told.center ?? {
    longitude: exact((bounds.west + bounds.east) / 2),
    latitude: exact((bounds.south + bounds.north) / 2),
    zoom: minZoom,
  };
  return { minZoom, maxZoom, bounds, center, tiles: ids.length, zooms: zoomsOf(ids) };
}

function zoomsOf(ids: Iterable<number>): MapSummary['zooms'] {
  const counts = new Map<number, number>();
  for (const id of ids) {
    const zoom = zoomOf(id);
    counts.set(zoom, (counts.get(zoom) ?? 0) + 1);
  }
  return [...counts].map(([zoom, tiles]) => ({ zoom, tiles }));
}

/** Of the tiles of the deepest zoom, which follow what is on the map the closest. */
function boundsOf(ids: Float64Array, zoom: number): Bounds {
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  for (const id of ids) {
    const { x, y, z } = placeOf(id);
    if (z !== zoom) continue;
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + 1);
    bottom = Math.max(bottom, y + 1);
  }
  const side = 2 ** zoom;
  return {
    west: exact((left / side) * 360 - 180),
    south: exact(latitudeOf(bottom / side)),
    east: exact((right / side) * 360 - 180),
    north: exact(latitudeOf(top / side)),
  };
}

/** As exact as the header of an archive. */
function exact(degrees: number): number {
  return Math.round(degrees * 1e7) / 1e7;
}

/** Of a row of Web Mercator, 0 in the north to 1 in the south. */
function latitudeOf(row: number): number {
  return (Math.atan(Math.sinh(Math.PI * (1 - 2 * row))) * 180) / Math.PI;
}
