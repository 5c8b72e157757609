/** `relaymint wallet balance` and `wallet buy` as a user types them, beside a ledger with the program. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { programFile } from '../../ledger/solana/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger, type EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { run, type Finished } from './program.ts';

/** Base58 of 32 other bytes. */
const ANOTHER = '4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi';
/** Many commands, each a process: took 11 s on a machine with far more work than processors. */
const LONG_MILLIS = 60_000;

let data: string;
let ledger: EmbeddedLedger;
beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), 'relaymint-balance-'));
  ledger = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  await run(['wallet', 'create', '--data', data]);
});
afterAll(async () => {
  await ledger.close();
  await rm(data, { recursive: true });
});

function balance(...more: readonly string[]): Promise<Finished> {
  return run(['wallet', 'balance', '--data', data, '--ledger', ledger.url, ...more]);
}

it('says what there is', async () => {
  const { code, stdout } = await balance('--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ credits: '0', lamports: '0' });
});

it('does not say 0 credits if the program has no bank', async () => {
  const { stdout } = await balance('--program', ANOTHER);
  expect(stdout).toContain(`unknown. There is no Relaymint bank of program ${ANOTHER} here.`);
  const asked = await balance('--program', ANOTHER, '--json');
  expect(JSON.parse(asked.stdout)).toMatchObject({ credits: null, lamports: '0' });
});

it(
  'keeps what settling costs, and says how to spend that too',
  async () => {
    const wallet = (...args: readonly string[]): Promise<Finished> =>
      run(['wallet', ...args, '--data', data, '--ledger', ledger.url, '--json']);
    expect((await wallet('airdrop', '1')).code).toBe(0);
    const refused = await wallet('buy', '0.99');
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({
      error: {
        code: 'INSUFFICIENT_FUNDS',
        message:
          'The wallet has 1 SOL, of which 0.01 are kept for the fees of settling and closing. Spend at most 0.98795572, or keep less with --keep.',
      },
    });
    const most = JSON.parse((await wallet('buy', '0.98795572')).stdout) as {
      readonly after: { readonly lamports: string };
    };
    expect(most.after.lamports).toBe('10000000');
    expect((await wallet('buy', '0.009', '--keep', '0')).code).toBe(0);
  },
  LONG_MILLIS,
);
