/** The benchmark of first pages: its proxies keep distance and order, its figures are what is said, and it leaves nothing behind. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DelayProxy } from '../../bench/page/delay.ts';
import { neededForFirst, pageFigures } from '../../bench/page/figures.ts';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
/** Two marketplaces start in it, perhaps on a machine with other work. */
const PATIENCE_MILLIS = 300_000;

/** Something behind a proxy, and a connection to it. */
async function distant(
  roundTripMillis: number,
  serve: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly socket: Socket }> {
  const server = createServer({ allowHalfOpen: true }, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const proxy = await DelayProxy.open({ roundTripMillis, target: () => port });
  const socket = connect({ host: '127.0.0.1', port: proxy.port });
  return {
    socket,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      server.close();
    },
  };
}

const echoes = (socket: Socket): void => void socket.pipe(socket);

describe('a proxy that delays', () => {
  it('costs a round trip for the connection and one for each question', async () => {
    const began = performance.now();
    await using echo = await distant(40, echoes);
    echo.socket.write('first');
    await once(echo.socket, 'data');
    const connected = performance.now();
    expect(connected - began).toBeGreaterThanOrEqual(80);
    echo.socket.write('second');
    await once(echo.socket, 'data');
    expect(performance.now() - connected).toBeGreaterThanOrEqual(40);
  });

  it('delivers everything in order, and the end after it', async () => {
    await using echo = await distant(10, echoes);
    const sent = Buffer.from(Array.from({ length: 6 * 1024 * 1024 }, (_, index) => (index * 31) >> 8));
    const came = buffer(echo.socket);
    for (let at = 0; at < sent.length; at += 50_000) echo.socket.write(sent.subarray(at, at + 50_000));
    echo.socket.end();
    expect((await came).equals(sent)).toBe(true);
  });

  it('breaks at one end when the other one breaks', async () => {
    const resets = (socket: Socket): void => void socket.once('data', () => socket.resetAndDestroy());
    await using broken = await distant(0, resets);
    broken.socket.write('anything');
    await once(broken.socket, 'close');
    expect(broken.socket.destroyed).toBe(true);
  });
});

describe('the figures of first pages', () => {
  it('counts what a new path needs: each link, each hop through those before it, and the site', () => {
    expect(neededForFirst(1)).toBe(8 + 2);
    expect(neededForFirst(4)).toBe((4 * 8 + 1 + 2 + 3) / 4 + 2);
  });

  it('takes medians, the extremes, and both references', () => {
    const far = [5000, 4000, 6000].map((firstMillis) => ({ firstMillis, nextMillis: [300, 200, 250] }));
    const near = [400, 200, 300].map((firstMillis) => ({ firstMillis, nextMillis: [50] }));
    const [first, next] = pageFigures({ far, near }, 200);
    expect(first).toEqual({
      name: 'first',
      pages: 3,
      farMs: 5000,
      farLeastMs: 4000,
      farMostMs: 6000,
      nearMs: 300,
      roundTrips: 23.5,
      neededRoundTrips: 11.5,
      ofNeeded: 2.174,
    });
    expect(next).toMatchObject({ name: 'next', pages: 9, farMs: 250, nearMs: 50, roundTrips: 1, ofNeeded: 1.25 });
  });
});

const figure = z.number().positive();
const reportSchema = z.strictObject({
  bench: z.literal('first-page'),
  pathMs: z.literal(40),
  rows: z.array(
    z.strictObject({
      name: z.string(),
      pages: z.number().int().positive(),
      farMs: figure,
      farLeastMs: figure,
      farMostMs: figure,
      nearMs: figure,
      roundTrips: z.number(),
      neededRoundTrips: figure,
      ofNeeded: figure,
    }),
  ),
});

describe('the benchmark of first pages', () => {
  let temporary: string;
  beforeEach(async () => {
    temporary = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-test-'));
  });
  afterEach(() => rm(temporary, { recursive: true, force: true }));

  const start = (...args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> =>
    spawn(process.execPath, [program, 'first-page', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1' },
    });

  it(
    'prints one JSON object with both rows, and leaves no process and no file',
    async () => {
      const child = start('--json', '--path', '40', '--runs', '1', '--pages', '2');
      const said = Promise.all([text(child.stdout), text(child.stderr)]);
      const [code] = (await once(child, 'close')) as [number | null];
      const [stdout, stderr] = await said;
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { rows } = reportSchema.parse(JSON.parse(stdout));
      expect(rows.map(({ name, pages }) => ({ name, pages }))).toEqual([
        { name: 'first', pages: 1 },
        { name: 'next', pages: 2 },
      ]);
      // Whoever waits for fewer round trips than there are has not opened a channel on the way.
      expect(rows[0]?.ofNeeded).toBeGreaterThan(1);
      expect(await readdir(temporary)).toEqual([]);
    },
    PATIENCE_MILLIS,
  );

  it(
    'leaves nothing when it is stopped',
    async () => {
      const child = start();
      const said = text(child.stdout);
      const closed = once(child, 'close');
      const made = async (): Promise<readonly string[]> => {
        const [root = ''] = await readdir(temporary);
        return readdir(path.join(temporary, root, 'far-1'));
      };
      await expect.poll(made, { timeout: PATIENCE_MILLIS, interval: 50 }).toContain('relay-1');
      child.kill('SIGINT');
      expect(await closed).toEqual([130, null]);
      expect(await said).toBe('');
      expect(await readdir(temporary)).toEqual([]);
    },
    PATIENCE_MILLIS,
  );
});
