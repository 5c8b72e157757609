/** A packed map behind a gateway, for the reader that browsers use: its ranges, and what happens when it is replaced in between. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { FetchSource, PMTiles } from 'pmtiles';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { packTiles } from '../../../sites/map/pack.ts';
import { Cleanup, temporaryFolder } from '../kit.ts';
import { picture, sourceOf } from '../map/kit.ts';
import { letEmbed, startFront, type Front } from './kit.ts';

const cleanup = new Cleanup();
const NAME = 'town.map';
const AT = { host: 'town-map.localhost' };
const FILE = '/town.pmtiles';
const ZOOM = 4;
const ROWS = 2 ** ZOOM;
/** What the gateway was asked for, and what it answered. */
let asked: { readonly range: string | undefined; readonly status: number }[];
let front: Front;

beforeEach(async () => {
  front = await startFront(cleanup);
  asked = [];
  // As a browser asks, to whatever address the name has.
  vi.stubGlobal('fetch', async (_address: string, { headers }: { headers: Headers }) => {
    const { status, headers: told, body } = await front.get(FILE, { ...AT, headers: Object.fromEntries(headers) });
    asked.push({ range: headers.get('range') ?? undefined, status });
    return new Response(status === 412 ? null : new Uint8Array(body), {
      status,
      headers: told as Record<string, string>,
    });
  });
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await cleanup.run();
});

/** A map whose tiles all say which state of it they are of, and where they are; of other lengths in each state. */
function tileOf(state: string, x: number, y: number): Uint8Array {
  return picture(`${state} ${x}/${y} ${'.'.repeat((x * 7 + y * state.charCodeAt(0)) % 40)}`);
}

async function archiveOf(state: string): Promise<Buffer> {
  const file = path.join(await temporaryFolder(cleanup), 'town.pmtiles');
  const places = Array.from(
    { length: ROWS * ROWS },
    (_none, index) => [Math.floor(index / ROWS), index % ROWS] as const,
  );
  await packTiles(sourceOf(places.map(([x, y]) => ({ z: ZOOM, x, y, tile: tileOf(state, x, y) }))), file);
  return await readFile(file);
}

async function publish(state: string): Promise<Buffer> {
  const archive = await archiveOf(state);
  await front.publish(NAME, { 'town.pmtiles': archive, 'index.html': 'a map' });
  await letEmbed(front, NAME, 'anybody');
  return archive;
}

describe('a map behind a gateway', () => {
  it('comes in ranges of what it is, whatever the visitor would take packed', async () => {
    const archive = await publish('a');
    const headers = { 'accept-encoding': 'gzip, br' };
    const whole = await front.get(FILE, { ...AT, headers });
    expect(whole.body.equals(archive)).toBe(true);
    const part = await front.get(FILE, { ...AT, headers: { ...headers, range: 'bytes=100-199' } });
    expect([part.status, part.body.equals(archive.subarray(100, 200))]).toEqual([206, true]);
    for (const { headers: told } of [whole, part]) {
      expect(told).toMatchObject({ 'content-type': 'application/vnd.pmtiles', 'accept-ranges': 'bytes' });
      expect(told).not.toHaveProperty('content-encoding');
    }
    expect(part.headers['content-range']).toBe(`bytes 100-199/${archive.length}`);
  });

  it('gives every tile to the reader of browsers', async () => {
    await publish('a');
    const reader = new PMTiles(new FetchSource('http://town-map.localhost/town.pmtiles'));
    for (const [x, y] of [
      [0, 0],
      [3, 9],
      [15, 15],
    ] as const) {
      const found = await reader.getZxy(ZOOM, x, y);
      expect(Buffer.from(found?.data ?? new ArrayBuffer(0)).equals(tileOf('a', x, y))).toBe(true);
    }
  });

  it('that is replaced while it is read gives tiles of the one or of the other, and never a piece that belongs to none', async () => {
    await publish('a');
    const reader = new PMTiles(new FetchSource('http://town-map.localhost/town.pmtiles'));
    const states: string[] = [];
    for (const state of ['a', 'b', 'c']) {
      if (state !== 'a') await publish(state);
      // Several at once, with a directory that was read before it was replaced.
      const tiles = await Promise.all(
        [1, 4, 9, 13].map(async (x) => {
          const found = await reader.getZxy(ZOOM, x, 5);
          return {
            x,
            text: Buffer.from(found?.data ?? new ArrayBuffer(0))
              .subarray(8)
              .toString(),
          };
        }),
      );
      states.push(
        ...tiles.map(({ x, text }) =>
          Buffer.from(tileOf(text[0] ?? '', x, 5))
            .subarray(8)
            .toString() === text
            ? (text[0] ?? '')
            : 'none',
        ),
      );
    }
    expect(states).toEqual(['a', 'b', 'c'].flatMap((state) => [state, state, state, state]));
  });

  it('that was replaced sends nothing to who wants the one before', async () => {
    const archive = await publish('a');
    const { etag = '' } = (await front.get(FILE, { ...AT, headers: { range: 'bytes=0-9' } })).headers;
    const wanted = { range: 'bytes=200-299', 'if-match': etag };
    const same = await front.get(FILE, { ...AT, headers: wanted });
    expect([same.status, same.body.equals(archive.subarray(200, 300))]).toEqual([206, true]);
    await publish('b');
    const other = await front.get(FILE, { ...AT, headers: wanted });
    expect([other.status, other.body.length, other.headers.etag === etag]).toEqual([412, 0, false]);
    const page = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'cross-site' };
    const origin = `http://news-web3.localhost:${front.port}`;
    const embedded = await front.get(FILE, { ...AT, headers: { ...wanted, ...page, origin } });
    // The page is told, so that it can begin anew.
    expect([embedded.status, embedded.headers['access-control-allow-origin']]).toEqual([412, origin]);
    expect(embedded.headers['access-control-expose-headers']).toContain('ETag');
  });
});
