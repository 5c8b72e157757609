/** The number of a tile: zoom after zoom, and within each along a Hilbert curve, so that neighbours on the map are neighbours in the file. */
import type { TilePlace } from './contract.ts';

/** One more, and ids would not be whole numbers of JavaScript any more. */
export const MAX_ZOOM = 26;

/** The first id of a zoom: so many tiles lie above it. */
function firstOf(z: number): number {
  return (4 ** z - 1) / 3;
}

/** One past the last id. */
export const ALL_TILES: number = firstOf(MAX_ZOOM + 1);

/** `place` lies on the map, at most at MAX_ZOOM. */
export function idOf({ z, x, y }: TilePlace): number {
  let [column, row, id] = [x, y, firstOf(z)];
  for (let side = 2 ** (z - 1); side >= 1; side /= 2) {
    const right = column & side ? 1 : 0;
    const below = row & side ? 1 : 0;
    id += side * side * ((3 * right) ^ below);
    [column, row] = turned(side, column, row, right, below);
  }
  return id;
}

/** `id` is a whole number below ALL_TILES. */
export function placeOf(id: number): TilePlace {
  const z = zoomOf(id);
  let rest = id - firstOf(z);
  let [x, y] = [0, 0];
  for (let side = 1; side < 2 ** z; side *= 2) {
    const quarter = rest % 4;
    const right = quarter >= 2 ? 1 : 0;
    const below = quarter === 1 || quarter === 2 ? 1 : 0;
    [x, y] = turned(side, x, y, right, below);
    x += side * right;
    y += side * below;
    rest = Math.floor(rest / 4);
  }
  return { z, x, y };
}

export function zoomOf(id: number): number {
  let z = 0;
  while (id >= firstOf(z + 1)) z += 1;
  return z;
}

/** The curve in the upper quarters is turned. */
function turned(side: number, x: number, y: number, right: number, below: number): [x: number, y: number] {
  if (below === 1) return [x, y];
  return right === 1 ? [side - 1 - (y & (side - 1)), side - 1 - (x & (side - 1))] : [y, x];
}
