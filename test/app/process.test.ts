/** What the marketplace makes of a child that does not start. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { silentLog } from '../../core/ports.ts';
import { MarketProcess } from '../../app/market/process.ts';

const [, program] = process.argv;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-process-'));
  const file = path.join(folder, 'fails.mjs');
  await writeFile(file, 'console.log(process.argv[2]); console.error("last words"); process.exitCode = 1;\n');
  // What is started is this program again, whichever that is.
  process.argv[1] = file;
});
afterAll(async () => {
  process.argv[1] = program ?? '';
  await rm(folder, { recursive: true });
});

function started(says: string): Promise<unknown> {
  const { signal } = new AbortController();
  const child = new MarketProcess(
    { label: 'gateway', args: () => [says], log: silentLog, onLogLine: () => {}, signal },
    z.looseObject({ event: z.string() }),
  );
  return child.start();
}

const saying = (code: string): string => JSON.stringify({ ok: false, error: { code, message: 'Port 8402 is taken.' } });

it('recognises the one whose port is taken: another port can be used', async () => {
  await expect(started(saying('ADDRESS_IN_USE'))).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
});

it('takes everything else for a fault, and keeps its last output', async () => {
  for (const says of [saying('LEDGER_UNREACHABLE'), 'nonsense', '{"ok":false}']) {
    await expect(started(says)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining('last words') as string,
    });
  }
});
