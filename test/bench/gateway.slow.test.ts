/** The benchmark of the gateway beside nginx: a whole one with small sizes says what is said of it, and leaves nothing behind. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { ROWS } from '../../bench/gateway/figures.ts';
import { describeUnless, missingPrograms } from '../programs.ts';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
/** A marketplace starts in it, perhaps on a machine with other work. */
const PATIENCE_MILLIS = 300_000;

const figure = z.number().positive();
const spread = z.strictObject({ median: figure, least: figure, most: figure });
const reportSchema = z.strictObject({
  bench: z.literal('gateway'),
  pageBytes: z.literal(20_480),
  largeBytes: z.literal(2_000_000),
  rows: z.array(
    z.strictObject({
      name: z.enum(ROWS),
      runs: z.literal(1),
      requestsPerSecond: figure,
      requestsPerSecondLeast: figure,
      requestsPerSecondMost: figure,
      mbPerSecond: figure,
      mbPerSecondLeast: figure,
      mbPerSecondMost: figure,
      ttfbP50Ms: figure,
      ttfbP50LeastMs: figure,
      ttfbP50MostMs: figure,
    }),
  ),
  ratios: z.array(z.strictObject({ name: z.enum(ROWS), beside: z.enum(ROWS), speed: spread, ttfb: spread })),
});

describeUnless(missingPrograms(['nginx', 'setpriv', 'wrk']), 'Tests of the benchmark beside nginx')(
  'the benchmark of the gateway',
  () => {
    let temporary: string;
    beforeEach(async () => {
      temporary = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-test-'));
    });
    afterEach(() => rm(temporary, { recursive: true, force: true }));

    const start = (args: readonly string[], environment: object = {}): ChildProcessByStdio<null, Readable, Readable> =>
      spawn(process.execPath, [program, 'gateway', ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1', ...environment },
      });

    /** Command lines of processes that still know the folder. */
    const left = async (): Promise<readonly string[]> => {
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
      // One may end while it is looked at.
      const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''));
      return (await Promise.all(lines)).filter((line) => line.includes(temporary));
    };

    it(
      'prints one JSON object with all rows and ratios, and leaves no process and no file',
      async () => {
        const small = ['--runs', '1', '--seconds', '1', '--connections', '2', '--pages', '30', '--size', '2'];
        const child = start(['--json', ...small]);
        const said = Promise.all([text(child.stdout), text(child.stderr)]);
        const [code] = (await once(child, 'close')) as [number | null];
        const [stdout, stderr] = await said;
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const { rows, ratios } = reportSchema.parse(JSON.parse(stdout));
        expect(rows.map(({ name }) => name)).toEqual(ROWS);
        expect(ratios.map(({ name, beside }) => `${name} / ${beside}`)).toEqual([
          'gateway-20k / nginx-20k',
          'gateway-20k-cold / nginx-20k',
          'gateway-200m / nginx-200m',
        ]);
        // Each answer is a page and its head.
        const [page] = rows;
        expect((page?.mbPerSecond ?? 0) / (page?.requestsPerSecond ?? 0)).toBeCloseTo(0.0207, 3);
        expect(await readdir(temporary)).toEqual([]);
        expect(await left()).toEqual([]);
      },
      PATIENCE_MILLIS,
    );

    it(
      'leaves nothing when it is stopped',
      async () => {
        const child = start(['--size', '1', '--pages', '1']);
        const said = text(child.stdout);
        const closed = once(child, 'close');
        const made = async (): Promise<readonly string[]> => {
          const [root = ''] = await readdir(temporary);
          return readdir(path.join(temporary, root, 'market'));
        };
        await expect.poll(made, { timeout: PATIENCE_MILLIS, interval: 50 }).toContain('relay-1');
        expect((await left()).some((line) => line.includes('nginx.conf'))).toBe(true);
        child.kill('SIGINT');
        expect(await closed).toEqual([130, null]);
        expect(await said).toBe('');
        expect(await readdir(temporary)).toEqual([]);
        expect(await left()).toEqual([]);
      },
      PATIENCE_MILLIS,
    );

    it('says how to get a program that is missing', async () => {
      const child = start([], { PATH: temporary });
      const [said] = await Promise.all([text(child.stderr), once(child, 'close')]);
      expect(said).toContain('The program wrk is not installed.');
      expect(said).toContain('apt-get install wrk');
      expect(child.exitCode).toBe(1);
    });
  },
);
