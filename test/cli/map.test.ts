/** `relaymint map`, as people and scripts run it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { picture, writeTiles } from '../sites/map/kit.ts';
import { run } from './program.ts';

let folder: string;
let tiles: string;
let archive: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-map-'));
  tiles = path.join(folder, 'tiles');
  archive = path.join(folder, 'out.pmtiles');
  await writeTiles(
    tiles,
    [
      { z: 1, x: 0, y: 0, tile: picture('sea') },
      { z: 1, x: 1, y: 0, tile: picture('sea') },
    ],
    'png',
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const pack = (...args: string[]): ReturnType<typeof run> => run(['map', 'pack', tiles, archive, ...args]);
const show = (...args: string[]): ReturnType<typeof run> => run(['map', 'show', ...args]);

describe('relaymint map', () => {
  it('packs tiles, and says what is in the archive', async () => {
    await writeFile(path.join(tiles, 'a\u001b[2J.txt'), '');
    expect(await pack()).toEqual({
      code: 0,
      stdout: `2 tiles (1 different), zooms 1 to 1: 189 B in ${archive}\nLeft out, being no tiles: a?[2J.txt.\n`,
      stderr: '',
    });
    const { stdout } = await show(archive);
    expect(stdout.split('\n')).toEqual([
      'form       pmtiles',
      'tiles      2 of png, 1 different',
      'zooms      1 to 1',
      'bounds     -180.00000, 0.00000, 180.00000, 85.05113',
      'begins at  0.00000, 42.52556, zoom 1',
      'size       189 B',
      '',
    ]);
  });

  it('says all of it to scripts', async () => {
    const packed = await pack('--json');
    const shown = await show(archive, '--json');
    const { file, ...rest } = JSON.parse(packed.stdout) as Record<string, unknown>;
    expect(file).toBe(archive);
    expect(rest).toMatchObject({ tiles: 2, contents: 1, type: 'png', zooms: [{ zoom: 1, tiles: 2 }] });
    expect(JSON.parse(shown.stdout)).toEqual({ map: archive, form: 'pmtiles', ...rest });
  });

  it('replaces nothing unless it is told to', async () => {
    await writeFile(archive, 'mine');
    const refused = await pack();
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('[FILE_EXISTS]')]);
    expect(await readFile(archive, 'utf8')).toBe('mine');
    expect((await pack('--force')).code).toBe(0);
    expect((await show(archive)).code).toBe(0);
  });

  it('fails on what is no map, and says what would be one', async () => {
    await writeFile(archive, 'mine');
    const { code, stderr } = await show(archive);
    expect([code, stderr]).toEqual([1, expect.stringContaining('Give a folder of tiles')]);
  });
});
