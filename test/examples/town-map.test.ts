/** The map of the town is what its sources give, to the byte. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { describeMap, packMap } from '../../sites/map/index.ts';

const TOWN = fileURLToPath(new URL('../../examples/town', import.meta.url));
const run = promisify(execFile);

it('draws the map that is published', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-town-map-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [tiles, archive] = [path.join(folder, 'tiles'), path.join(folder, 'pellan.pmtiles')];
  await run(process.execPath, [path.join(TOWN, 'draw-map.js'), tiles]);
  await packMap(tiles, archive);
  const published = path.join(TOWN, 'map/pellan.pmtiles');
  expect((await readFile(archive)).equals(await readFile(published))).toBe(true);
  const { metadata, minZoom, maxZoom } = await describeMap(published);
  expect([metadata['name'], minZoom, maxZoom]).toEqual(['Pellan Harbour', 11, 15]);
});
