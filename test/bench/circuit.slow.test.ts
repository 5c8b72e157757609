/** The benchmark itself works, says what it promises and leaves nothing behind. How fast anything is, is no test's business. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
/** Fourteen processes and a ledger start in it, perhaps on a machine with other work. */
const PATIENCE_MILLIS = 300_000;

const figure = z.number().positive();
const reportSchema = z.strictObject({
  bench: z.literal('circuit'),
  rows: z.array(
    z.strictObject({
      name: z.string(),
      runs: z.literal(1),
      mbPerSecond: figure,
      cpuSecondsPerGB: figure,
      rttP50Us: figure,
      rttP99Us: figure,
    }),
  ),
  metering: z.strictObject({
    blocks: z.literal(2),
    cpuRatio: figure,
    cpuRatioQ1: figure,
    cpuRatioQ3: figure,
    cpuRatioLow: figure,
    cpuRatioHigh: figure,
  }),
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let temporary: string;

beforeAll(() => {
  if (!existsSync(program)) {
    throw new Error('The benchmark is not built: run this test with npm test, which builds first.');
  }
});
beforeEach(async () => {
  temporary = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-test-'));
});
afterEach(async () => {
  await rm(temporary, { recursive: true, force: true });
});

function start(...args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1' },
  });
}

/** Resolves when the benchmark has ended and every process of its rows too: they hold its stderr. */
async function ended(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

describe('the circuit benchmark', () => {
  it(
    'prints one JSON object with every row, and leaves no process and no file',
    async () => {
      const short = ['--blocks', '2', '--block-megabytes', '1'];
      const args = ['circuit', '--json', '--megabytes', '4', '--runs', '1', '--warm-up', '4', ...short];
      const { code, stdout, stderr } = await ended(start(...args));
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const report = reportSchema.parse(JSON.parse(stdout));
      expect(report.rows.map(({ name }) => name)).toEqual([
        'tcp',
        'tls',
        'hops-1',
        'hops-3',
        'hops-3-unmetered',
        'hops-4',
      ]);
      expect(await readdir(temporary)).toEqual([]);
    },
    PATIENCE_MILLIS,
  );

  it.each([
    { signal: 'SIGINT', code: 130 },
    { signal: 'SIGKILL', code: null },
  ] as const)(
    'leaves nothing when it is ended by $signal',
    async ({ signal, code }) => {
      const child = start('circuit', '--megabytes', '100000');
      const over = ended(child);
      const made = async (): Promise<readonly string[]> => {
        const [root = ''] = await readdir(temporary);
        return readdir(path.join(temporary, root));
      };
      await expect.poll(made, { timeout: PATIENCE_MILLIS, interval: 50 }).toContain('hops-1-host');
      child.kill(signal);
      expect(await over).toMatchObject({ code, stdout: '' });
      expect(await readdir(temporary)).toEqual([]);
    },
    PATIENCE_MILLIS,
  );
});

describe('npm run bench', () => {
  it('lists the benchmarks when none is named', async () => {
    const { code, stdout } = await ended(start());
    expect(code).toBe(0);
    for (const name of ['circuit', 'ledger']) expect(stdout).toContain(`npm run bench -- ${name}`);
  });

  it('explains a benchmark', async () => {
    const { code, stdout } = await ended(start('circuit', '--help'));
    expect(code).toBe(0);
    for (const option of ['--json', '--megabytes', '--runs']) expect(stdout).toContain(option);
  });

  it('refuses what it does not know', async () => {
    const { code, stderr } = await ended(start('flight'));
    expect(code).toBe(2);
    expect(stderr).toContain('flight');
  });
});
