/** The benchmark of floods: a row says what it is said to say, and it leaves nothing behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { ROWS } from '../../bench/load/protocol.ts';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
/** A ledger, a relay and two nodes start, perhaps on a machine with other work. */
const PATIENCE_MILLIS = 300_000;

const reportSchema = z.strictObject({
  bench: z.literal('load'),
  roundTripMs: z.literal(100),
  rows: z.tuple([
    z.strictObject({
      name: z.enum(ROWS),
      unloadedMs: z.int().positive(),
      loadedMs: z.int().positive(),
      ratio: z.number().positive(),
      failed: z.int().nonnegative(),
      relayCpu: z.number().positive(),
      relayRssMb: z.int().positive(),
    }),
  ]),
});

async function bench(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string; left: string[] }> {
  const temporary = await mkdtemp(path.join(tmpdir(), 'relaymint-load-'));
  try {
    const child = spawn(process.execPath, [program, 'load', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1' },
    });
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code, stdout, stderr, left: await readdir(temporary) };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

it(
  'lets a slow node in during 300 silent connections per second, says so in JSON, and leaves no process and no file',
  async () => {
    const args = ['--json', '--only', 'silent-sockets', '--round-trip', '100', '--runs', '1'];
    const { code, stdout, stderr, left } = await bench(...args);
    expect({ code, stderr, left }).toEqual({ code: 0, stderr: '', left: [] });
    const [row] = reportSchema.parse(JSON.parse(stdout)).rows;
    expect(row.name).toBe('silent-sockets');
    // Two round trips for TCP, through the proxy, and one for TLS and the hello.
    expect(row.unloadedMs).toBeGreaterThanOrEqual(300);
    expect(row.failed).toBe(0);
  },
  PATIENCE_MILLIS,
);

it(
  'says how long a click takes during a download over a slow line: less than three times what it takes alone',
  async () => {
    const args = ['--json', '--only', 'bulk-download', '--round-trip', '100', '--runs', '1'];
    const { code, stdout, stderr, left } = await bench(...args);
    expect({ code, stderr, left }).toEqual({ code: 0, stderr: '', left: [] });
    const [row] = reportSchema.parse(JSON.parse(stdout)).rows;
    expect(row.unloadedMs).toBeGreaterThanOrEqual(100);
    expect(row.ratio).toBeLessThan(3);
    expect(row.failed).toBe(0);
  },
  PATIENCE_MILLIS,
);

it('refuses an unknown flood', async () => {
  const { code, stderr } = await bench('--only', 'rain');
  expect(code).toBe(2);
  expect(stderr).toContain('silent-sockets');
});
