/** The benchmark over Tor and I2P works and says what it promises. How fast anything is, is no test's business. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { requirePrograms } from '../network.ts';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const PATIENCE_MILLIS = 600_000;

const figure = z.number().positive();
const reportSchema = z.strictObject({
  bench: z.literal('onion'),
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
});

requirePrograms('tor', 'i2pd')('the onion benchmark', () => {
  it(
    'prints one JSON object with every row, and leaves no file',
    async () => {
      const temporary = await mkdtemp(path.join(tmpdir(), 'rm-bench-'));
      const args = ['onion', '--json', '--megabytes', '2', '--runs', '1', '--warm-up', '2'];
      const child = spawn(process.execPath, [program, ...args], {
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
      expect(rows.map(({ name }) => name)).toEqual([
        'tor-socket',
        'tor-link',
        'tor-link-metered',
        'i2p-socket',
        'i2p-link-metered',
      ]);
      expect(await readdir(temporary)).toEqual([]);
      await rm(temporary, { recursive: true });
    },
    PATIENCE_MILLIS,
  );
});
