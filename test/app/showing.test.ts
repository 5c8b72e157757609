/** The town as it is published: each site in its folder, with what it brings beside it. */
import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { composed, readTown } from '../../app/market/index.ts';

const TOWN = fileURLToPath(new URL('../../examples/town', import.meta.url));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-showing-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function townOf(kits: object, more: object = {}): Promise<string> {
  const town = path.join(folder, 'town');
  await mkdir(path.join(town, 'paper'), { recursive: true });
  await writeFile(path.join(town, 'paper/index.html'), 'news');
  await writeFile(path.join(town, 'draw.js'), 'draw()');
  const site = { name: 'news.web3', folder: 'paper', owner: 'news', brings: ['kit'] };
  await writeFile(path.join(town, 'town.json'), JSON.stringify({ front: 'news.web3', kits, sites: [site], ...more }));
  return town;
}

describe('a town', () => {
  it('brings files of packages and of its own folder, in a copy that is made anew each time', async () => {
    const kit = [
      { file: 'draw.js', as: 'draw.js' },
      { package: 'pmtiles', file: 'dist/pmtiles.js', as: 'maplibre/pmtiles.js' },
    ];
    const { showings } = await readTown(await townOf({ kit }));
    const [showing] = showings;
    const scratch = path.join(folder, 'scratch');
    await mkdir(path.join(scratch, 'news.web3'), { recursive: true });
    await writeFile(path.join(scratch, 'news.web3/old.html'), 'of an earlier start');
    const { directory } = await composed(showing, scratch);
    expect((await readdir(directory, { recursive: true })).toSorted()).toEqual([
      'draw.js',
      'index.html',
      'maplibre',
      'maplibre/pmtiles.js',
    ]);
    expect(await readFile(path.join(directory, 'maplibre/pmtiles.js'), 'utf8')).toContain('PMTiles');
    expect(await readdir(showing.directory)).toEqual(['index.html']);
  });

  it('is published from its own folders where nothing is brought', async () => {
    const {
      showings: [front],
    } = await readTown(await townOf({ kit: [] }));
    expect(await composed(front, folder)).toBe(front);
    expect(front.directory).toBe(path.join(folder, 'town/paper'));
  });

  it('knows the owners of what is said in it and of what moves', async () => {
    const { showings, posts, live } = await readTown(TOWN);
    const ownerOf = new Map(showings.map(({ name, owner }) => [name, owner]));
    expect(posts.length).toBeGreaterThan(0);
    expect(posts.filter(({ as, owner }) => owner !== ownerOf.get(as))).toEqual([]);
    expect(live.map(({ name, owner }) => [name, owner])).toEqual([['ferry.route', ownerOf.get('ferry.route')]]);
  });

  it.each([
    [{ posts: [{ name: 'forum.web3', path: '/', as: 'news.web3', text: 'a' }] }, /it has no site forum\.web3/],
    [{ posts: [{ name: 'news.web3', path: '/', as: 'ada.sso', text: 'a' }] }, /it has no site ada\.sso/],
    [
      { posts: [{ name: 'news.web3', path: '/', as: 'news.web3', text: 'a', answers: 0 }] },
      /answers one that is not before it/,
    ],
    [{ live: [{ name: 'news.web3', timetable: 'ferries.json' }] }, /ferries\.json does not describe/],
  ])('says what of it does not fit together: %j', async (more, why) => {
    await expect(readTown(await townOf({ kit: [] }, more))).rejects.toThrow(why);
  });

  it('says which package or kit is missing', async () => {
    const kit = [{ package: 'no-such-package', file: 'a.js', as: 'a.js' }];
    await expect(readTown(await townOf({ kit }))).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringContaining('the package no-such-package'),
    });
    await expect(readTown(await townOf({}))).rejects.toThrow(/it has no kit kit/);
    const outside = [{ file: '../secret', as: 'a.js' }];
    await expect(readTown(await townOf({ kit: outside }))).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });
});
