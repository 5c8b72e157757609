/** The ledger benchmark: unlike the others its figures are the chain's own, the same on every machine, so they are tests. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const HAS_TOOL_CHAIN = existsSync('/usr/bin/rustc') && existsSync('/usr/lib/rustlib/bpfel-unknown-none');
const PATIENCE_MILLIS = 300_000;

const figure = z.number().positive();
const settlement = z.strictObject({
  name: z.string(),
  receiptsPerTransaction: figure,
  lamportsPerReceipt: figure,
  computeUnitsPerReceipt: figure,
  bytesPerReceipt: figure,
});
const reportSchema = z.strictObject({ bench: z.literal('ledger'), rows: z.array(z.looseObject({ name: z.string() })) });

beforeAll(() => {
  if (!existsSync(program)) {
    throw new Error('The benchmark is not built: run this test with npm test, which builds first.');
  }
});

const run = (...args: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [program, 'ledger', ...args], { env: { ...process.env, NO_COLOR: '1' } });

describe('the ledger benchmark', () => {
  it(
    'prints one JSON object with every way of settling, and the figures that are aimed at',
    async () => {
      const { stdout, stderr } = await run('--json');
      expect(stderr).toBe('');
      const rows = new Map(reportSchema.parse(JSON.parse(stdout)).rows.map((row) => [row.name, row]));
      const row = (name: string): z.infer<typeof settlement> => settlement.parse(rows.get(name));
      expect(row('precompile-single')).toMatchObject({ receiptsPerTransaction: 1, lamportsPerReceipt: 10_000 });
      expect(row('precompile-batch')).toMatchObject({ receiptsPerTransaction: 5, lamportsPerReceipt: 6_000 });
      const aggregated = row('half-aggregated');
      expect(aggregated.receiptsPerTransaction).toBeGreaterThanOrEqual(17);
      expect(aggregated.lamportsPerReceipt).toBeLessThanOrEqual(300);
      expect(aggregated.computeUnitsPerReceipt).toBeLessThanOrEqual(10_000);
      expect(aggregated.bytesPerReceipt * aggregated.receiptsPerTransaction).toBeLessThanOrEqual(1232);
      const large = row('half-aggregated-4096');
      expect(large.receiptsPerTransaction).toBe(64);
      expect(large.lamportsPerReceipt).toBeLessThanOrEqual(80);
      const sent = row('half-aggregated-v1');
      expect(sent.receiptsPerTransaction).toBe(64);
      expect(sent.lamportsPerReceipt).toBeLessThanOrEqual(80);
      expect(sent.computeUnitsPerReceipt).toBeLessThanOrEqual(10_000);
      expect(sent.bytesPerReceipt * sent.receiptsPerTransaction).toBeLessThanOrEqual(4096);
      expect(rows.has('half-aggregated-sha512')).toBe(HAS_TOOL_CHAIN);
      const variant = HAS_TOOL_CHAIN ? row('half-aggregated-sha512').computeUnitsPerReceipt : 0;
      expect(variant).toBeLessThanOrEqual(4_000);
    },
    PATIENCE_MILLIS,
  );

  it('explains itself', async () => {
    const { stdout } = await run('--help');
    expect(stdout).toContain('--json');
  });
});
