/** The map of the town in a browser: tiles of one name in the page of another, over three relays. */
import { execFile } from 'node:child_process';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeUnless, missingPrograms } from '../programs.ts';
import { relaymint, startMarketplace, temporaryFolder, type Marketplace } from './marketplace.ts';

const MINUTES = 60_000;
const run = promisify(execFile);
const TOWN = fileURLToPath(new URL('../../examples/town', import.meta.url));
const ARCHIVE = path.join(TOWN, 'map/pellan.pmtiles');
/** WebGL by the processor: there is no other here. */
const WITH_WEBGL = ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
const WITHOUT_WEBGL = ['--no-sandbox', '--disable-3d-apis'];

interface Fetched {
  readonly status: number;
  readonly type: string | undefined;
  readonly packed: string | undefined;
  readonly tag: string | undefined;
}

/** What a page asked for, and what it said. */
interface Watched {
  readonly page: Page;
  readonly tiles: Fetched[];
  /** Origins. */
  readonly asked: Set<string>;
  readonly complaints: string[];
}

describeUnless(missingPrograms(['chromium']), 'The map of the town')('the map of the town', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let market: Marketplace;
  let browser: Browser;
  beforeAll(async () => {
    folder = await temporaryFolder();
    market = await startMarketplace('--example', 'town', '--data', folder.path, '--log-level', 'error');
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: WITH_WEBGL });
  }, 5 * MINUTES);
  afterAll(async () => {
    await browser.close();
    await market[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  }, MINUTES);

  const addressOf = (label: string, file = ''): string => {
    const url = new URL(file, market.ready.site);
    url.hostname = `${label}.localhost`;
    return url.href;
  };

  async function opened(address: string, width: number, with3d: Browser = browser): Promise<Watched> {
    const page = await with3d.newPage({ viewport: { width, height: 900 } });
    const watched: Watched = { page, tiles: [], asked: new Set(), complaints: [] };
    page.on('pageerror', (error) => watched.complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') watched.complaints.push(message.text());
    });
    page.on('request', (request) => watched.asked.add(new URL(request.url()).origin));
    page.on('response', (response) => {
      if (!response.url().endsWith('.pmtiles')) return;
      const { 'content-type': type, 'content-encoding': packed, etag: tag } = response.headers();
      watched.tiles.push({ status: response.status(), type, packed, tag });
    });
    await page.goto(address);
    await page.locator('.harbour').scrollIntoViewIfNeeded();
    return watched;
  }

  const stateOf = (page: Page): Promise<unknown> => page.evaluate('document.querySelector(".harbour").dataset.state');

  test(
    'is drawn in the paper from tiles of its owner, and of nobody else',
    async () => {
      const { page, tiles, asked, complaints } = await opened(addressOf('news-web3', 'map.html'), 1280);
      await expect.poll(() => stateOf(page)).toBe('drawn');
      const { land, sea, houses } = await coloursOf(browser, page);
      expect([land > 0.2, sea > 0.2, houses > 0.001]).toEqual([true, true, true]);
      expect(await page.locator('.harbour .maplibregl-ctrl-attrib').innerText()).toContain('Wen Marlow');
      expect(tiles.length).toBeGreaterThan(1);
      expect(tiles.filter(({ status, packed }) => status !== 206 || packed !== undefined)).toEqual([]);
      expect(new Set(tiles.map(({ type }) => type))).toEqual(new Set(['application/vnd.pmtiles']));
      const [paper, map] = [addressOf('news-web3'), addressOf('pellan-map')].map((one) => new URL(one).origin);
      const office = new URL(addressOf('ferry-route')).origin;
      asked.delete('null');
      expect(asked).toEqual(new Set([office, paper, map]));
      // By the keyboard, into tiles that were not needed before.
      const before = tiles.length;
      await page.locator('.harbour canvas').press('=');
      await expect.poll(() => tiles.length).toBeGreaterThan(before);
      await expect.poll(() => stateOf(page)).toBe('drawn');
      expect(complaints).toEqual([]);
      await page.close();
    },
    2 * MINUTES,
  );

  test(
    'is drawn on a narrow page too',
    async () => {
      const { page, complaints } = await opened(addressOf('news-web3', 'map.html'), 320);
      await expect.poll(() => stateOf(page)).toBe('drawn');
      const { land, sea } = await coloursOf(browser, page);
      expect([land > 0.1, sea > 0.1]).toEqual([true, true]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320);
      expect(complaints).toEqual([]);
      await page.close();
    },
    2 * MINUTES,
  );

  test(
    'is told in a sentence where a browser cannot draw it',
    async () => {
      const without = await chromium.launch({ executablePath: '/usr/bin/chromium', args: WITHOUT_WEBGL });
      try {
        const { page, tiles } = await opened(addressOf('news-web3', 'map.html'), 1280, without);
        await expect.poll(() => stateOf(page)).toBe('failed');
        expect(await page.locator('.harbour .instead').innerText()).toContain('no WebGL');
        expect(tiles).toEqual([]);
      } finally {
        await without.close();
      }
    },
    2 * MINUTES,
  );

  test(
    'is not drawn from what its host spoiled: an error is shown, and nothing of it',
    async () => {
      const host = market.ready.nodes.find(({ role }) => role === 'host');
      const spoiled = await spoil(path.join(host?.dataDir ?? '', 'content/blocks'));
      expect(spoiled).toBe(1);
      // The map's own page: what was fetched for the paper is not found by it.
      const { page, tiles } = await opened(addressOf('pellan-map'), 1280);
      await expect.poll(() => stateOf(page), { timeout: MINUTES }).toBe('failed');
      expect(await page.locator('.harbour .instead').innerText()).toMatch(
        /^The map did not arrive: .* answered 502\.$/,
      );
      const { land, houses } = await coloursOf(browser, page);
      expect([land, houses]).toEqual([0, 0]);
      expect(tiles.filter(({ status }) => status < 400)).toEqual([]);
      await page.close();
    },
    3 * MINUTES,
  );

  test(
    'is drawn anew as a whole when another one is published while it is shown',
    async () => {
      const { page, tiles, complaints } = await opened(addressOf('news-web3', 'map.html'), 1280);
      await expect.poll(() => stateOf(page)).toBe('drawn');
      const before = tiles.at(-1)?.tag;
      await publishAnother(folder.path, market);
      const own = await browser.newPage();
      await own.goto(addressOf('pellan-map', 'icon.svg'));
      // Gateways remember for some seconds what a name points to.
      const tagNow = `fetch('/pellan.pmtiles', { method: 'HEAD', cache: 'no-store' }).then((one) => one.headers.get('etag'))`;
      await expect.poll(() => own.evaluate(tagNow)).not.toBe(before);
      const after: unknown = await own.evaluate(tagNow);
      await page.locator('.harbour canvas').press('=');
      const since = (): readonly Fetched[] => {
        const first = tiles.findIndex(({ status }) => status === 412);
        return first < 0 ? [] : tiles.slice(first).filter(({ status }) => status === 206);
      };
      // Its directory and more than one tile.
      await expect.poll(() => since().length).toBeGreaterThan(2);
      await expect.poll(() => stateOf(page)).toBe('drawn');
      expect(new Set(since().map(({ tag }) => tag))).toEqual(new Set([after]));
      const { land, sea, houses } = await coloursOf(browser, page);
      expect([land > 0.1, sea > 0.1, houses > 0.001]).toEqual([true, true, true]);
      // Browsers tell the console of each 412.
      expect(complaints.filter((one) => !one.includes('412'))).toEqual([]);
      await page.close();
    },
    3 * MINUTES,
  );

  test(
    'shows the boats of another owner where they are, in its own page and in the paper',
    async () => {
      for (const address of [addressOf('pellan-map'), addressOf('news-web3', 'map.html')]) {
        const { page, complaints } = await opened(address, 1280);
        await expect.poll(() => page.evaluate('document.querySelector(".harbour").dataset.boats')).toBe('3');
        await expect.poll(() => stateOf(page)).toBe('drawn');
        expect(complaints).toEqual([]);
        await page.close();
      }
    },
    2 * MINUTES,
  );
});

/** A map of the same town without its farthest zooms, by the owner of the first one. */
async function publishAnother(data: string, { ready }: Marketplace): Promise<void> {
  const site = path.join(data, 'composed/pellan.map');
  const tiles = path.join(data, 'tiles');
  await run(process.execPath, [path.join(TOWN, 'draw-map.js'), tiles]);
  for (const zoom of ['11', '12']) await rm(path.join(tiles, zoom), { recursive: true });
  await relaymint('map', 'pack', tiles, path.join(site, 'pellan.pmtiles'), '--force');
  const relay = ready.nodes.find(({ role }) => role === 'relay');
  const place = ['--data', path.join(data, 'owner-map'), '--ledger', ready.ledger, '--program', ready.programId];
  const peers = ['--bootstrap', `${relay?.nodeId}@${relay?.addresses[0]}`, '--log-level', 'error'];
  const published = await relaymint('site', 'publish', site, '--name', 'pellan.map', ...place, ...peers, '--json');
  if (published.code !== 0) throw new Error(published.stdout + published.stderr);
}

/** How much of the map on a page has which colour, 0 to 1. */
async function coloursOf(browser: Browser, page: Page): Promise<{ land: number; sea: number; houses: number }> {
  const picture = (await page.locator('.harbour canvas').screenshot()).toString('base64');
  const counter = await browser.newPage();
  const counted = await counter.evaluate(`(async () => {
    const image = new Image();
    image.src = 'data:image/png;base64,${picture}';
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    const near = (at, ...wanted) => wanted.every((value, index) => Math.abs(data[at + index] - value) < 4);
    const found = { land: 0, sea: 0, houses: 0 };
    for (let at = 0; at < data.length; at += 4) {
      if (near(at, 0xef, 0xd9, 0xa7)) found.land += 1;
      if (near(at, 0xb4, 0xd8, 0xda)) found.sea += 1;
      if (near(at, 0xa8, 0x32, 0x2c)) found.houses += 1;
    }
    const all = data.length / 4;
    return { land: found.land / all, sea: found.sea / all, houses: found.houses / all };
  })()`);
  await counter.close();
  return counted as { land: number; sea: number; houses: number };
}

/** Turns one bit of the map's tiles, where a host keeps them. @returns in how many blocks. */
async function spoil(blocks: string): Promise<number> {
  const archive = await readFile(ARCHIVE);
  let spoiled = 0;
  for (const name of await readdir(blocks, { recursive: true })) {
    const file = path.join(blocks, name);
    const found = name.endsWith('.data') ? await readFile(file) : undefined;
    if (found?.equals(archive) !== true) continue;
    const at = archive.length - 100;
    found[at] = (found[at] ?? 0) ^ 1;
    await writeFile(file, found);
    spoiled += 1;
  }
  return spoiled;
}
