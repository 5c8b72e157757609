/** The example runs as it stands, through the package's public entry, on its own ledger and on one that is given. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { EMBEDDED_PROGRAM_ID, programFile, startEmbeddedLedger } from '../../ledger/solana/index.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/settle-a-receipt.js', import.meta.url));
const run = promisify(execFile);

it('opens a channel, signs a receipt and settles it', async () => {
  const { stdout, stderr } = await run(process.execPath, [EXAMPLE]);
  expect(stdout).toMatch(/^confirmed: \w+\nthe till \w+ earned 1\.25 credits\n$/);
  expect(stderr).toBe('');
});

it('does so on the ledger that it is given', async () => {
  const server = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  const { stdout } = await run(process.execPath, [EXAMPLE, server.url]);
  expect(stdout).toContain('earned 1.25 credits');
  await server.close();
});
