/** A film of 500 MB through three relays and the host: sought in at once, bit-exact, and no process grows with it. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { expect, test } from 'vitest';
import { MIB } from '../../core/units.ts';
import { startMarketplace, temporaryFolder } from './marketplace.ts';

const FILE_BYTES = 500_000_000;
/** What no process of the marketplace passes at any time, resident; docs/architecture.md promises it. */
const PEAK_RSS = 256 * MIB;
/** What is asked for first, as a player does that seeks. */
const END_BYTES = 50_000;
const HAS_PROC = process.platform === 'linux';

if (!HAS_PROC) process.stderr.write('skipped: the peak memory of a process is read from /proc, which Linux has\n');

/** Writes a file of random bytes piece by piece. @returns its SHA-256, and that of its last bytes. */
async function writeRandom(file: string, bytes: number): Promise<{ readonly whole: string; readonly end: string }> {
  const hash = createHash('sha256');
  let last: Uint8Array = new Uint8Array(0);
  await using handle = await open(file, 'w');
  for (let left = bytes; left > 0; left -= MIB) {
    last = randomBytes(Math.min(left, MIB));
    hash.update(last);
    await handle.write(last);
  }
  return { whole: hash.digest('hex'), end: createHash('sha256').update(last.subarray(-END_BYTES)).digest('hex') };
}

function hashOf(url: URL, more: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    request(
      { host: '127.0.0.1', port: url.port, path: url.pathname, headers: { host: url.host, ...more }, agent: false },
      (response) => {
        const hash = createHash('sha256');
        response.on('data', (part: Buffer) => hash.update(part));
        response.on('end', () => (response.complete ? resolve(hash.digest('hex')) : reject(new Error('it broke off'))));
        response.on('error', reject);
      },
    )
      .on('error', reject)
      .end();
  });
}

/** Highest resident size of a process since it began, bytes. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

test.skipIf(!HAS_PROC)(
  '500 MB through three relays and the host, with flat memory everywhere',
  async () => {
    await using folder = await temporaryFolder();
    const site = path.join(folder.path, 'site');
    await mkdir(site);
    const expected = await writeRandom(path.join(site, 'film.mp4'), FILE_BYTES);
    await using market = await startMarketplace(
      '--site',
      site,
      '--data',
      path.join(folder.path, 'data'),
      '--cache',
      '1G',
      '--log-level',
      'error',
    );
    const film = new URL('film.mp4', market.ready.site);
    const begun = performance.now();
    expect(await hashOf(film, { range: `bytes=-${END_BYTES}` })).toBe(expected.end);
    const sought = performance.now();
    expect(await hashOf(film)).toBe(expected.whole);
    const read = performance.now();
    // Nothing of what stands before it is fetched.
    expect((sought - begun) / (read - sought)).toBeLessThan(0.25);
    const peaks = await Promise.all([...market.pids].map(async ([label, pid]) => [label, await peakOf(pid)] as const));
    expect(peaks.filter(([, peak]) => !(peak < PEAK_RSS))).toEqual([]);
  },
  10 * 60_000,
);
