/** `relaymint bank` and the size of tills, as one would type them, against a ledger of its own. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

const PROGRAM = fileURLToPath(new URL('../../bin/relaymint.js', import.meta.url));
const run = promisify(execFile);
const answer = z.record(z.string(), z.unknown());

let folder: string;
let ledger: ChildProcess;
let url: string;

const file = (name: string): string => path.join(folder, name);

/** Runs a command with --json and gives back what it printed. */
async function relaymint(...words: readonly string[]): Promise<z.infer<typeof answer>> {
  const args = [PROGRAM, ...words, '--ledger', url, '--json', '--log-level', 'silent'];
  const { stdout } = await run(process.execPath, args);
  return answer.parse(JSON.parse(stdout));
}

/** Runs a command that fails and gives back its error's code and message. */
async function refused(...words: readonly string[]): Promise<unknown> {
  const failure = await relaymint(...words).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { stdout } = z.object({ stdout: z.string() }).parse(failure);
  return answer.parse(JSON.parse(stdout))['error'];
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-bank-'));
  const args = ['ledger', 'start', '--memory', '--port', '0', '--json', '--admin-key', file('admin.json')];
  const settings = [
    '--fee-share',
    '0.5%',
    '--name-year-price',
    '2.5',
    '--commit-seconds',
    '3',
    '--challenge-seconds',
    '1',
  ];
  ledger = spawn(process.execPath, [PROGRAM, ...args, ...settings], { stdio: ['ignore', 'pipe', 'ignore'] });
  if (ledger.stdout === null) throw new TypeError('no stdout');
  const [line] = (await once(createInterface({ input: ledger.stdout }), 'line')) as [string];
  url = z.object({ url: z.string() }).parse(JSON.parse(line)).url;
  for (const name of ['seller.json', 'heir.json']) {
    await run(process.execPath, [PROGRAM, 'wallet', 'create', '--wallet', file(name)]);
    await relaymint('wallet', 'airdrop', '5', '--wallet', file(name));
  }
});

afterAll(async () => {
  const ended = once(ledger, 'exit');
  ledger.kill('SIGTERM');
  await ended;
  await rm(folder, { recursive: true, force: true });
});

describe('relaymint bank', () => {
  test('shows what the ledger was started with', async () => {
    const bank = await relaymint('bank', 'show');
    expect(bank).toMatchObject({ feeBps: 50, nameYearPrice: '2500000', commitSeconds: 3, fees: '0', supply: '0' });
    expect(bank['treasury']).toBe(bank['admin']);
    const { stdout } = await run(process.execPath, [PROGRAM, 'bank', 'show', '--ledger', url]);
    expect(stdout).toMatch(/fee +0\.5% of every settlement/);
    expect(stdout).toMatch(/name, a year +2\.5 credits/);
  });

  test('is configured by its admin, handed over and given up', async () => {
    const admin = ['--wallet', file('admin.json')];
    const heir = ['--wallet', file('heir.json')];
    expect(await refused('bank', 'configure', '--fee-share', '1bps', ...heir)).toMatchObject({ code: 'PROGRAM_ERROR' });
    expect(await refused('bank', 'configure', ...admin)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const changed = await relaymint('bank', 'configure', '--fee-share', '0.75%', '--name-year-price', '0', ...admin);
    expect(changed).toMatchObject({
      signature: expect.any(String),
      feeLamports: expect.any(String),
      bank: { feeBps: 75, nameYearPrice: '0', commitSeconds: 3 },
    });
    const handed = await relaymint('bank', 'configure', '--new-admin', file('heir.json'), ...admin);
    expect(handed).toMatchObject({ feeLamports: '10000' });
    expect(await refused('bank', 'configure', '--fee-share', '1bps', ...admin)).toMatchObject({
      message: expect.stringContaining('not the bank'),
    });
    const both = ['--new-admin', file('admin.json'), '--give-up-for-ever'];
    expect(await refused('bank', 'configure', ...both, ...heir)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await relaymint('bank', 'configure', '--give-up-for-ever', ...heir)).toMatchObject({
      bank: { admin: null, feeBps: 75 },
    });
    expect(await refused('bank', 'configure', '--fee-share', '1bps', ...heir)).toMatchObject({
      message: expect.stringContaining('final'),
    });
  });

  test('says so when there are no fees to collect', async () => {
    const nothing = await relaymint('bank', 'collect-fees', '--wallet', file('seller.json'));
    expect(nothing).toMatchObject({ collected: '0', transactions: [] });
  });
});

describe('relaymint till', () => {
  const wallet = (): readonly string[] => ['--wallet', file('seller.json')];

  test('grows, and closes with its rent back', async () => {
    expect(await refused('till', 'grow', '4', ...wallet())).toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    await relaymint('till', 'open', '--slots', '2', ...wallet());
    const grown = await relaymint('till', 'grow', '100', ...wallet());
    expect(grown).toMatchObject({ slots: 100, signature: expect.any(String), feeLamports: '5000' });
    expect(await relaymint('till', 'show', ...wallet())).toMatchObject({ slots: 100 });
    expect(await refused('till', 'grow', '100', ...wallet())).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const closed = await relaymint('till', 'close', ...wallet());
    const figures = z.object({ before: z.object({ lamports: z.string() }), after: z.object({ lamports: z.string() }) });
    const { before, after } = figures.parse(closed);
    expect(BigInt(after.lamports) - BigInt(before.lamports)).toBeGreaterThan(50_000_000n);
    expect(await refused('till', 'close', ...wallet())).toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  });
});
