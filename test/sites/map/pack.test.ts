/** Tiles that were packed, as the reader of browsers finds them; and what is no set of tiles. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { tileIdToZxy, zxyToTileId, type PMTiles } from 'pmtiles';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { describeMap, packMap } from '../../../sites/map/index.ts';
import type { TilePlace } from '../../../sites/map/contract.ts';
import { packTiles } from '../../../sites/map/pack.ts';
import { idOf, placeOf } from '../../../sites/map/tile-id.ts';
import { Chance, SEED_TITLE, TEST_SEED } from '../../chance.ts';
import { Cleanup, temporaryFolder } from '../kit.ts';
import { mbtilesOf, picture, readerOf, sourceOf, vectorTile, writeTiles, type PlacedTile } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());
let folder: string;
let tiles: string;
let archive: string;
beforeEach(async () => {
  folder = await temporaryFolder(cleanup);
  tiles = path.join(folder, 'tiles');
  archive = path.join(folder, 'out.pmtiles');
  await mkdir(tiles);
});

/** 2 x 2 of zoom 1, of which two are the same, and one of zoom 3. */
const FEW: readonly PlacedTile[] = [
  { z: 1, x: 0, y: 0, tile: vectorTile('sea') },
  { z: 1, x: 0, y: 1, tile: vectorTile('sea') },
  { z: 1, x: 1, y: 1, tile: vectorTile('land') },
  { z: 1, x: 1, y: 0, tile: vectorTile('sea') },
  { z: 3, x: 2, y: 5, tile: vectorTile('land') },
];

/** As it was before it was packed. */
const bytesOf = async (reader: PMTiles, { z, x, y }: TilePlace): Promise<Buffer | undefined> => {
  const found = await reader.getZxy(z, x, y);
  return found && Buffer.from(found.data);
};

describe('the number of a tile', () => {
  const place = fc.integer({ min: 0, max: 26 }).chain((z) =>
    fc.record({
      z: fc.constant(z),
      x: fc.integer({ min: 0, max: 2 ** z - 1 }),
      y: fc.integer({ min: 0, max: 2 ** z - 1 }),
    }),
  );

  it(`is the one of the specification, and leads back, to zoom 26 (${SEED_TITLE})`, () => {
    fc.assert(
      fc.property(place, ({ z, x, y }) => {
        const id = idOf({ z, x, y });
        expect([id, placeOf(id)]).toEqual([zxyToTileId(z, x, y), { z, x, y }]);
      }),
      { seed: TEST_SEED },
    );
  });

  it('is so at the corners', () => {
    const last = 2 ** 26 - 1;
    for (const corner of [
      [0, 0, 0],
      [1, 1, 1],
      [26, 0, 0],
      [26, last, 0],
      [26, 0, last],
      [26, last, last],
    ] as const) {
      const [z, x, y] = corner;
      expect([idOf({ z, x, y }), tileIdToZxy(idOf({ z, x, y }))]).toEqual([zxyToTileId(z, x, y), [z, x, y]]);
    }
  });
});

describe('a packed map', () => {
  const placed = fc.integer({ min: 0, max: 26 }).chain((z) =>
    fc.record({
      z: fc.constant(z),
      // Near the corner, so that there are runs, and gaps in them.
      x: fc.integer({ min: 0, max: Math.min(2 ** z - 1, 5) }),
      y: fc.integer({ min: 0, max: Math.min(2 ** z - 1, 5) }),
      tile: fc.constantFrom('a', 'b', 'c', 'a longer one').map(picture),
    }),
  );
  const sets = fc.uniqueArray(placed, { minLength: 1, maxLength: 60, selector: (one) => idOf(one) });

  it(`gives every tile back, and no other (${SEED_TITLE})`, async () => {
    await fc.assert(
      fc.asyncProperty(sets, placed, async (set, other) => {
        await packTiles(sourceOf(set), archive);
        const reader = readerOf(archive);
        for (const one of set) expect(await bytesOf(reader, one)).toEqual(one.tile);
        const isThere = set.some((one) => idOf(one) === idOf(other));
        expect((await bytesOf(reader, other)) !== undefined).toBe(isThere);
        const { tiles: count, contents } = await describeMap(archive);
        expect([count, contents]).toEqual([set.length, new Set(set.map(({ tile }) => String(tile))).size]);
      }),
      { seed: TEST_SEED, numRuns: 60 },
    );
  });

  it(`has directories below its root when it is large (${SEED_TITLE})`, async () => {
    const chance = new Chance();
    const set = Array.from({ length: 30_000 }, (_none, index) => {
      const { z, x, y } = placeOf(400_000_000 + index * 7);
      return { z, x, y, tile: picture('x'.repeat(chance.between(0, 99)) + String(index)) };
    });
    await packTiles(sourceOf(set), archive);
    const reader = readerOf(archive);
    const { rootDirectoryOffset, rootDirectoryLength, leafDirectoryLength } = await reader.getHeader();
    expect([rootDirectoryOffset + rootDirectoryLength <= 16_384, (leafDirectoryLength ?? 0) > 0]).toEqual([true, true]);
    for (const one of [...set.slice(0, 9), ...set.slice(4090, 4100), ...set.slice(-9)]) {
      expect(await bytesOf(reader, one)).toEqual(one.tile);
    }
    expect(await describeMap(archive)).toMatchObject({ tiles: 30_000, contents: 30_000 });
  });

  it('says what is in it, as the reader of browsers understands it', async () => {
    await writeTiles(tiles, FEW, 'pbf');
    const told = { name: 'Few', attribution: 'Somebody', bounds: '-9,38,-8.5,39', center: [-8.75, 38.5, 3] };
    await writeFile(path.join(tiles, 'metadata.json'), JSON.stringify(told));
    const packed = await packMap(tiles, archive);
    expect(await readerOf(archive).getHeader()).toMatchObject({
      specVersion: 3,
      numAddressedTiles: 5,
      numTileEntries: 4,
      numTileContents: 2,
      clustered: true,
      internalCompression: 2,
      tileCompression: 2,
      tileType: 1,
      minZoom: 1,
      maxZoom: 3,
      minLon: -9,
      minLat: 38,
      maxLon: -8.5,
      maxLat: 39,
      centerZoom: 3,
      centerLon: -8.75,
      centerLat: 38.5,
    });
    const metadata = {
      name: 'Few',
      attribution: 'Somebody',
      vector_layers: [
        { id: 'land', fields: {}, minzoom: 1, maxzoom: 3 },
        { id: 'sea', fields: {}, minzoom: 1, maxzoom: 1 },
      ],
    };
    expect(await readerOf(archive).getMetadata()).toEqual(metadata);
    const { bytes, ...rest } = packed;
    expect(await describeMap(archive)).toEqual({ form: 'pmtiles', bytes, ...rest });
    expect(bytes).toBe((await readFile(archive)).length);
  });

  it('is the same whoever packed its tiles before, in whatever form they come, and on every machine', async () => {
    await writeTiles(tiles, FEW, 'mvt');
    await writeFile(path.join(tiles, 'metadata.json'), '{"name":"Few"}');
    await packMap(tiles, archive);
    const first = await readFile(archive);
    const packed = FEW.toReversed().map((one) => ({ ...one, tile: gzipSync(one.tile, { level: 1 }) }));
    const database = path.join(folder, 'few.mbtiles');
    await writeFile(database, await mbtilesOf(packed, { format: 'pbf', name: 'Few', minzoom: '1', maxzoom: '3' }));
    await packMap(database, archive);
    expect(await readFile(archive)).toEqual(first);
    expect(createHash('sha256').update(first).digest('hex')).toBe(
      '1a9c58206321dd3b2261c724a2663547f1ac19562703f70697274e25406accad',
    );
  });

  it('has the bounds of its tiles where nobody says which', async () => {
    await packTiles(sourceOf([{ z: 2, x: 1, y: 1, tile: picture('a') }]), archive);
    const { bounds, center } = await describeMap(archive);
    expect([bounds.west, bounds.south, bounds.east]).toEqual([-90, 0, 0]);
    expect(bounds.north).toBeCloseTo(66.51326, 5);
    expect([center.longitude, center.zoom]).toEqual([-45, 2]);
  });
});

describe('tiles that are packed', () => {
  it('come from a folder in which other files lie, which are said', async () => {
    await writeTiles(tiles, FEW, 'mvt');
    await writeTiles(tiles, [{ z: 1, x: 0, y: 7, tile: vectorTile('x') }], 'txt');
    await mkdir(path.join(tiles, '01', '0', '0', '0'), { recursive: true });
    for (const name of ['.DS_Store', 'readme.md', '01/0/0.mvt', '01/0/0/0/1.mvt'])
      await writeFile(path.join(tiles, name), 'x');
    // What lies elsewhere is not published by a link to it.
    await mkdir(path.join(tiles, '9', '1'), { recursive: true });
    await symlink(path.join(tiles, 'readme.md'), path.join(tiles, '9', '1', '2.mvt'));
    expect(await packMap(tiles, archive)).toMatchObject({
      tiles: 5,
      leftOut: ['01/0/0.mvt', '01/0/0/0', '1/0/7.txt', '9/1/2.mvt', 'readme.md'],
    });
  });

  it.each([
    ['when there are none', [], /tiles has no tiles\. Tiles are files like 12/],
    [
      'of two kinds',
      [
        ['0/0/0.png', picture('a')],
        ['1/0/0.webp', picture('a')],
      ],
      /of several kinds: \.png, \.webp/,
    ],
    [
      'when one lies beside the map',
      [['1/0/2.png', picture('a')]],
      /1\/0\/2\.png is not on the map: zoom 1 has columns and rows 0 to 1/,
    ],
    ['when one lies too deep', [['27/0/2.png', picture('a')]], /27\/0\/2\.png is not on the map: zooms end at 26/],
    [
      'that are no pictures',
      [['0/0/0.png', Buffer.from('<!doctype html>')]],
      /Tile 0\/0\/0 is not png: it does not begin like one/,
    ],
    [
      'that are no vector tiles',
      [['0/0/0.mvt', Buffer.from('<!doctype html>')]],
      /Tile 0\/0\/0 is not mvt: This is no vector tile/,
    ],
    ['that are cut', [['0/0/0.mvt', vectorTile('land').subarray(0, 6)]], /Tile 0\/0\/0 is not mvt: .*it ends early/],
    ['that are empty', [['0/0/0.webp', Buffer.alloc(0)]], /Tile 0\/0\/0 is not webp: it is empty/],
    [
      'that do not unpack',
      [['0/0/0.mvt', Buffer.from([0x1f, 0x8b, 8, 0, 0])]],
      /Tile 0\/0\/0 is not mvt: .*does not unpack/,
    ],
    [
      'with metadata that are none',
      [
        ['0/0/0.png', picture('a')],
        ['metadata.json', Buffer.from('[1]')],
      ],
      /metadata\.json does not describe a map/,
    ],
  ] as const)('are refused %s, and what is there stays', async (_what, files, why) => {
    await writeFile(archive, 'what was there');
    for (const [name, content] of files) {
      await mkdir(path.dirname(path.join(tiles, name)), { recursive: true });
      await writeFile(path.join(tiles, name), content);
    }
    await expect(packMap(tiles, archive)).rejects.toThrow(why);
    expect(await readFile(archive, 'utf8')).toBe('what was there');
    expect((await readdir(folder)).toSorted()).toEqual(['out.pmtiles', 'tiles']);
  });

  it.each([
    ['no database', Buffer.from('SQLite format 3\0and then something else'), /no sound MBTiles file/],
    ['a format that is unknown', { format: 'tiff' }, /its format is "tiff"/],
    ['no tiles', { format: 'png' }, /has no tiles/],
  ] as const)('are refused from MBTiles with %s', async (_what, content, why) => {
    const database = path.join(folder, 'a.mbtiles');
    await writeFile(database, Buffer.isBuffer(content) ? content : await mbtilesOf([], { ...content }));
    await expect(packMap(database, archive)).rejects.toThrow(why);
  });

  it('are refused from MBTiles that have one twice, or one beside the map', async () => {
    const database = path.join(folder, 'a.mbtiles');
    const one = { z: 0, x: 0, y: 0, tile: picture('a') };
    await writeFile(database, await mbtilesOf([one, one], { format: 'png' }));
    await expect(packMap(database, archive)).rejects.toThrow(/it has a tile twice/);
    await writeFile(database, await mbtilesOf([{ ...one, y: -1 }], { format: 'png' }));
    await expect(packMap(database, archive)).rejects.toThrow(/a tile 0\/0\/1, which is not on the map/);
  });

  it('leave nothing when packing is aborted', async () => {
    await writeTiles(tiles, FEW, 'mvt');
    const stop = new AbortController();
    const packing = packMap(tiles, archive, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(packing).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await readdir(folder)).toEqual(['tiles']);
  });

  it('are refused as an archive that is packed already, and as nothing', async () => {
    await packTiles(sourceOf(FEW, 'mvt'), archive);
    await expect(packMap(archive, `${archive}.2`)).rejects.toThrow(/is a PMTiles archive already/);
    await expect(packMap(path.join(folder, 'no'), archive)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe('what is told of a map', () => {
  it('is told of a folder and of MBTiles too', async () => {
    await writeTiles(tiles, FEW, 'mvt');
    const database = path.join(folder, 'few.mbtiles');
    await writeFile(database, await mbtilesOf(FEW, { format: 'pbf' }));
    const zooms = [
      { zoom: 1, tiles: 4 },
      { zoom: 3, tiles: 1 },
    ];
    const same = { type: 'mvt', minZoom: 1, maxZoom: 3, tiles: 5, contents: undefined, zooms };
    expect(await describeMap(tiles)).toMatchObject({ form: 'folder', ...same });
    expect(await describeMap(database)).toMatchObject({ form: 'mbtiles', ...same });
  });

  it(`is refused of an archive that was spoiled, and nothing else happens (${SEED_TITLE})`, async () => {
    await packTiles(sourceOf(FEW, 'mvt'), archive);
    const sound = await readFile(archive);
    const spoiled = path.join(folder, 'spoiled.pmtiles');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(sound.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(sound.length),
        async (at, by, cut) => {
          const bytes = Buffer.from(sound);
          bytes[at] = (bytes[at] ?? 0) ^ by;
          await writeFile(spoiled, by % 3 === 0 ? bytes.subarray(0, cut) : bytes);
          const outcome = await describeMap(spoiled).catch((error: unknown) => error);
          expect(!(outcome instanceof Error) || isRelaymintError(outcome)).toBe(true);
        },
      ),
      { seed: TEST_SEED, numRuns: 200 },
    );
    await rm(spoiled);
  });

  it.each([
    ['counts other tiles', 72, 6, /not as many tiles as it says/],
    ['has other zooms', 101, 9, /not the zooms that it says/],
    ['ends early', 64, 255, /the section of its tiles ends behind the end of the file/],
    ['is of another version', 7, 2, /PMTiles version 2/],
    ['is packed with zstd', 97, 4, /packed with zstd/],
    ['lies beyond the world', 105, 127, /it lies beyond the world/],
    ['has its root elsewhere', 8, 1, /not within the first 16384 bytes/],
  ])('is refused of an archive that %s', async (_what, at, value, why) => {
    await packTiles(sourceOf(FEW, 'mvt'), archive);
    const bytes = await readFile(archive);
    bytes[at] = value;
    await writeFile(archive, bytes);
    await expect(describeMap(archive)).rejects.toThrow(why);
  });
});
