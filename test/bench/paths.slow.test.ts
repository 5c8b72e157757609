/** The benchmark of path choice: its figures are simulated and repeat with their seed, so they are tests. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
/** Alone it takes some seconds; the machine may have other work. */
const PATIENCE_MILLIS = 300_000;

const row = z.strictObject({
  name: z.enum(['honest', 'refusing', 'expensive', 'sybil']),
  relays: z.literal(20),
  malicious: z.literal(4),
  bothEnds: z.number().min(0).max(1),
  innocentBlamed: z.int().min(0),
  maliciousBlamed: z.int().min(0),
});
const reportSchema = z.strictObject({ bench: z.literal('paths'), rows: z.array(row).length(4) });

beforeAll(() => {
  if (!existsSync(program)) {
    throw new Error('The benchmark is not built: run this test with npm test, which builds first.');
  }
});

const run = (...args: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [program, 'paths', ...args], { env: { ...process.env, NO_COLOR: '1' } });

describe('the benchmark of paths', () => {
  it(
    'repeats with its seed, and prints one JSON object with a row for each behaviour',
    async () => {
      const few = ['--json', '--clients', '20', '--days', '1', '--seed', 'a'];
      const [first, second] = [await run(...few), await run(...few)];
      expect(first.stderr).toBe('');
      expect(first.stdout).toBe(second.stdout);
      const { rows } = reportSchema.parse(JSON.parse(first.stdout));
      expect(rows.map(({ name }) => name)).toEqual(['honest', 'refusing', 'expensive', 'sybil']);
      expect((await run('--clients', '2', '--days', '1')).stdout).toMatch(/both ends.*of honest/);
    },
    PATIENCE_MILLIS,
  );

  it(
    'shows that no behaviour gains, and that no innocent relay is blamed',
    async () => {
      const { stdout } = await run('--json', '--clients', '200', '--circuits-per-day', '20');
      const rows = new Map(reportSchema.parse(JSON.parse(stdout)).rows.map((one) => [one.name, one]));
      const of = (name: string): number => rows.get(name as 'honest')?.bothEnds ?? 1;
      // 4 of 20 and 3 of 19; of 200 first guards, chance makes it differ by this much.
      const chance = (4 / 20) * (3 / 19);
      const noise = 0.0135;
      expect(Math.abs(of('honest') - chance)).toBeLessThan(noise);
      expect(of('refusing')).toBeLessThan(1.2 * of('honest'));
      expect(of('expensive')).toBeLessThan(of('honest'));
      expect(of('sybil')).toBeLessThan(chance + noise);
      expect(rows.get('refusing')?.maliciousBlamed).toBeGreaterThan(20);
      for (const { innocentBlamed } of rows.values()) expect(innocentBlamed).toBe(0);
    },
    PATIENCE_MILLIS,
  );

  it(
    'ends in silence when nobody reads it any more',
    async () => {
      const args = [program, 'paths', '--json', '--clients', '2', '--days', '1'];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.destroy();
      child.stderr.setEncoding('utf8');
      let said = '';
      child.stderr.on('data', (text: string) => (said += text));
      expect(await once(child, 'close')).toEqual([0, null]);
      expect(said).toBe('');
    },
    PATIENCE_MILLIS,
  );

  it(
    'says what is wrong with an option',
    async () => {
      await expect(run('--relays', '0')).rejects.toMatchObject({ code: 2 });
      await expect(run('--seed', '')).rejects.toMatchObject({ code: 2 });
    },
    PATIENCE_MILLIS,
  );
});
