/** How a command ends with its terminal, its reader or its disk. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { CONTROL_FILE } from '../../app/control/protocol.ts';
import { SETTLEMENTS_FILE } from '../../app/node/index.ts';
import { readSettlementHistory } from '../../ledger/settlement/index.ts';
import { startLedger } from '../ledger/settlement/world.ts';
import { EARNED, earnedWorld, relayOf } from './earned.ts';
import { run } from './program.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/relaymint.js', import.meta.url));
const LEDGER = ['ledger', 'start', '--memory', '--port', '0', '--json'];

const quiet = { ...process.env, RELAYMINT_LOG_LEVEL: 'warn' };

/** Resolves once it says that it is up. */
async function started(child: ChildProcess): Promise<ChildProcess> {
  if (child.stdout === null) throw new TypeError('pipe its output');
  await once(child.stdout, 'data');
  return child;
}

describe('a command that runs until it is stopped', () => {
  it('ends in order with its terminal', async () => {
    const child = await started(spawn(process.execPath, [PROGRAM, ...LEDGER], { stdio: ['ignore', 'pipe', 'ignore'] }));
    child.kill('SIGHUP');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

describe('a relay that earned something', () => {
  it('settles it and ends in order with its terminal, which takes no more output', async () => {
    await using server = await startLedger();
    const world = await earnedWorld(server, 'relay and terminal');
    const child = await started(spawn(process.execPath, [PROGRAM, ...relayOf(world, server.url)], { env: quiet }));
    expect(existsSync(path.join(world.directory, CONTROL_FILE))).toBe(true);
    expect(await world.settledOnChain()).toBe(0n);
    child.stdout?.destroy();
    child.stderr?.destroy();
    child.kill('SIGHUP');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await world.settledOnChain()).toBe(EARNED);
    const { entries } = await readSettlementHistory(path.join(world.directory, SETTLEMENTS_FILE));
    expect(entries).toMatchObject([{ kind: 'receipt', amount: EARNED }]);
    expect(existsSync(path.join(world.directory, CONTROL_FILE))).toBe(false);
    await world.reopen();
    expect(world.store.settlements().has('totals')).toBe(true);
    await world.close();
  });
});

describe('output that cannot be written', () => {
  it.skipIf(!existsSync('/dev/full'))('does not end a node whose log lines find no room on the disk', async () => {
    const full = openSync('/dev/full', 'w');
    const env = { ...process.env, RELAYMINT_LOG_LEVEL: 'debug' };
    const child = spawn(process.execPath, [PROGRAM, ...LEDGER], { stdio: ['ignore', 'pipe', full], env });
    closeSync(full);
    await started(child);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('does not end a node whose reader has left, which ends in order later', async () => {
    const options = { env: { ...process.env, RELAYMINT_LOG_LEVEL: 'debug' } };
    const child = await started(spawn(process.execPath, [PROGRAM, ...LEDGER], options));
    child.stdout?.destroy();
    child.stderr?.destroy();
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it.skipIf(!existsSync('/dev/full'))('is reported as a failure, without a stack trace', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [PROGRAM, '--help'], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^relaymint: cannot write the output: ENOSPC[^\n]*\n$/) as string,
    });
  });
});

describe('a wrong command line', () => {
  it('is reported on stdout too with --json', async () => {
    const { code, stdout, stderr } = await run(['wallet', 'balance', '--nope', '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      error: { code: 'INVALID_ARGUMENT', message: "unknown option '--nope'" },
    });
    expect(stderr).toContain('--nope');
  });

  it('prints nothing on stdout without --json', async () => {
    expect(await run(['wallet', 'balance', '--nope'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('a blank value, as an unset variable gives,', () => {
  it.each([
    ['relay', '--data', ''],
    ['relay', '--seed', ' '],
    ['start', '--data', ''],
    ['start', '--seed', ''],
    ['ledger start', '--data', ''],
    ['i2p address', '--data', ' '],
    ['watchtower', '--data', ''],
    ['ledger start', '--address', 'localhost'],
    ['ledger start', '--fee-share', '20'],
    ['ledger start', '--fee-share', '100%'],
    ['start', '--log-level', 'loud'],
  ])('or a wrong one is refused, and nothing is written: %s %s "%s"', async (command, option, value) => {
    const { code, stdout, stderr } = await run([...command.split(' '), option, value, '--json']);
    expect({ code, isJson: stdout.startsWith('{"ok":false,"error":{"code":"INVALID_ARGUMENT"') }).toEqual({
      code: 2,
      isJson: true,
    });
    expect(stderr).toContain(option);
  });

  it.each([
    ['publish', '', '--name', 'demo.web3'],
    ['start', '--site', ''],
  ])('is no folder to publish: %s', async (...args) => {
    const { code, stderr } = await run(args);
    expect(code).toBe(1);
    expect(stderr).toContain('"" is not a folder');
  });

  it('is not a ledger, and the text is not shown', async () => {
    await using folder = await temporaryFolder();
    const { code, stdout, stderr } = await run([
      'relay',
      '--data',
      `${folder.path}/relay`,
      '--ledger',
      'http://u:SECRET@',
      '--json',
    ]);
    expect(code).toBe(1);
    expect(stdout).toContain('INVALID_CONFIG');
    expect(`${stdout}${stderr}`).not.toContain('SECRET');
  });
});

describe('an option that has another name now', () => {
  it.each([
    ['start', '--hops', '2'],
    ['gateway', '--hops=2'],
    ['publish', '.', '--name', 'demo.web3', '--hops', '2'],
  ])('is said with that name: %s', async (...args) => {
    const { code, stdout, stderr } = await run([...args, '--json']);
    expect(code).toBe(2);
    const answer = JSON.parse(stdout) as { readonly error: { readonly message: string } };
    expect(answer.error.message).toMatch(/^unknown option '--hops(=2)?'\n\(Did you mean --relays\?\)$/);
    expect(stderr).toContain('(Did you mean --relays?)');
    expect(stderr).not.toContain('--host');
  });
});

describe('a data folder that cannot be created', () => {
  it.each(['relay', 'ledger start', 'start'])(
    'because a file is in its way is said to be that: %s',
    async (command) => {
      await using folder = await temporaryFolder();
      const file = path.join(folder.path, 'file');
      await writeFile(file, '');
      const { code, stderr } = await run([...command.split(' '), '--data', path.join(file, 'below')]);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `relaymint: ${file} is a file, not a folder. Give another folder, or move the file away. [STORAGE_FAILED]\n`,
      });
    },
  );

  it.skipIf(process.platform !== 'linux')('is reported at once, with a remedy', async () => {
    const { code, stderr } = await run(['relay', '--data', '/proc/relaymint', '--ledger', 'http://127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^relaymint: The data folder \/proc\/relaymint cannot be created.*--data.*\[STORAGE_FAILED\]$/m,
    );
  });
});
