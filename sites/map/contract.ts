/** Tile sets: what they are made of, and what is said of them. */
import type { Bytes } from '../../core/units.ts';

/** What one tile is. */
export type TileType = 'mvt' | 'png' | 'jpeg' | 'webp' | 'avif';

/** Where a tile lies: rows count from the north (XYZ). */
export interface TilePlace {
  readonly z: number;
  readonly x: number;
  readonly y: number;
}

/** Degrees. */
export interface Bounds {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

/** What a map shows first. */
export interface Center {
  readonly longitude: number;
  readonly latitude: number;
  readonly zoom: number;
}

/** JSON that stands in a tile set beside its tiles: name, attribution, description, vector_layers, ... */
export type MapMetadata = Readonly<Record<string, unknown>>;

/** What tiles are read from. Dispose it when they are read. */
export interface TileSource extends AsyncDisposable {
  readonly form: 'folder' | 'mbtiles';
  readonly type: TileType;
  readonly metadata: MapMetadata;
  /** What its metadata says, if that is sound. */
  readonly bounds: Bounds | undefined;
  readonly center: Center | undefined;
  /** Ids of the tiles, ascending, each once, at least one. */
  readonly ids: Float64Array;
  /** Of all tiles, as they are stored. */
  readonly bytes: Bytes;
  /** Files that are no tiles, relative to the folder. */
  readonly leftOut: readonly string[];
  /** A tile as it is stored. @throws RelaymintError STORAGE_FAILED, LIMIT_EXCEEDED. */
  read(id: number): Promise<Uint8Array>;
}

export interface MapSummary {
  readonly form: 'pmtiles' | 'folder' | 'mbtiles';
  readonly type: TileType | 'unknown';
  readonly minZoom: number;
  readonly maxZoom: number;
  readonly bounds: Bounds;
  readonly center: Center;
  readonly tiles: number;
  /** Different tiles; undefined where that is only known by reading all of them. */
  readonly contents: number | undefined;
  /** Of a file: all of it; of a folder: its tiles. */
  readonly bytes: Bytes;
  /** How many tiles each zoom has. */
  readonly zooms: readonly { readonly zoom: number; readonly tiles: number }[];
  readonly metadata: MapMetadata;
  readonly leftOut: readonly string[];
}

export interface PackOptions {
  readonly signal?: AbortSignal;
  /** `done` of `total` tiles. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PackedMap extends Omit<MapSummary, 'form' | 'contents'> {
  readonly contents: number;
}
