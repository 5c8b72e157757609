/** The benchmark of issuers works and says what it promises. How fast anything is, is no test's business. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const PATIENCE_MILLIS = 300_000;

const figure = z.number().positive();
const reportSchema = z.strictObject({
  bench: z.literal('sso'),
  rows: z.array(
    z.strictObject({ name: z.string(), perSecond: figure, p50Ms: figure, p99Ms: figure, ofLibrary: figure }),
  ),
  memory: z.strictObject({
    grants: z.literal(200),
    beforeMiB: figure,
    writtenMiB: figure,
    readMiB: figure,
    bytesPerGrant: z.number(),
  }),
});

it(
  'prints one JSON object with every row, and leaves no file',
  async () => {
    const temporary = await mkdtemp(path.join(tmpdir(), 'rm-bench-'));
    const child = spawn(process.execPath, [program, 'sso', '--json', '--logins', '2', '--grants', '200'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1' },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    await once(child, 'close');
    expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: '' });
    const { rows } = reportSchema.parse(JSON.parse(stdout));
    expect(rows.map(({ name, ofLibrary }) => [name, ofLibrary === 1])).toEqual([
      ['issuer-logins', false],
      ['library-logins', true],
      ['issuer-refreshes', false],
      ['library-refreshes', true],
    ]);
    expect(await readdir(temporary)).toEqual([]);
    await rm(temporary, { recursive: true });
  },
  PATIENCE_MILLIS,
);
