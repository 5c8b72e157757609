/** The commands for money, as people and as scripts use them, against a ledger process of its own. */
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import bs58 from 'bs58';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, start, type Finished, type Running, type Surroundings } from './program.ts';

interface Printed {
  readonly signature: string;
  readonly feeLamports: string;
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
}

interface Channel {
  readonly id: string;
  readonly side: 'pays' | 'earns';
  readonly peer: string;
  readonly deposit: string;
  readonly settled: string;
  readonly closeAt: string | null;
  readonly delegate: string;
}

/** A test runs dozens of commands, each a process of its own, on a machine that may be busy. */
const PATIENT_MILLIS = 300_000;

let folder: string;
let ledger: Running;
let url: string;
let payerAddress: string;
let payeeAddress: string;

const at = (...parts: string[]): string => path.join(folder, ...parts);

/** With the ledger and the payer's wallet in the environment. */
function relaymint(args: readonly string[], surroundings: Surroundings = {}): Promise<Finished> {
  const env = { RELAYMINT_LEDGER: url, RELAYMINT_DATA: at('payer'), ...surroundings.env };
  return run(args, { ...surroundings, env });
}

async function people(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await relaymint(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function scripts<T = Printed>(...args: readonly string[]): Promise<T> {
  return JSON.parse(await people(...args, '--json')) as T;
}

async function refused(...args: readonly string[]): Promise<string> {
  const { code, stderr } = await relaymint(args);
  expect(code).toBe(1);
  return stderr;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-money-'));
  ledger = start(['ledger', 'start', '--memory', '--port', '0', '--challenge-seconds', '10', '--json']);
  const { stdout } = ledger.child;
  if (stdout === null) throw new Error('the ledger has no standard output');
  const [line] = (await once(createInterface({ input: stdout }), 'line')) as [string];
  ({ url } = JSON.parse(line) as { url: string });
  ({ address: payerAddress } = await scripts<{ address: string }>('wallet', 'create'));
  ({ address: payeeAddress } = await scripts<{ address: string }>('wallet', 'create', '--data', at('payee')));
});

afterAll(async () => {
  ledger.child.kill('SIGTERM');
  await ledger.finished;
  await rm(folder, { recursive: true, force: true });
});

describe('money goes round by hand', { timeout: PATIENT_MILLIS }, () => {
  it('is asked for, bought and sent', async () => {
    await people('wallet', 'airdrop', '5');
    await people('wallet', 'airdrop', '5', '--data', at('payee'));
    const bought = await scripts('wallet', 'buy', '0.01');
    expect(bought).toMatchObject({ feeLamports: '5000', before: { credits: '0' }, after: { credits: '10000000' } });
    expect(bought.signature).toMatch(/^[1-9A-HJ-NP-Za-km-z]{80,90}$/);
    const spent = BigInt(bought.before['lamports'] ?? 0) - BigInt(bought.after['lamports'] ?? 0);
    // Price, fee, and the rent of the token account.
    expect(spent).toBe(10_000_000n + 5_000n + 2_039_280n);

    const sent = await people('wallet', 'send', payeeAddress, '1.5');
    expect(sent).toContain(`Sent 1.5 credits to ${payeeAddress}.`);
    expect(sent).toMatch(/^ {2}credits +10 +-> 8\.5$/m);
    expect(sent).toMatch(/^ {2}fee +0\.000005 SOL \(5000 lamports\)$/m);
    expect(sent).toMatch(/^ {2}signature +\w{80,90}$/m);
    expect(await scripts('wallet', 'balance', '--data', at('payee'))).toMatchObject({
      address: payeeAddress,
      credits: '1500000',
    });
    expect(await people('wallet', 'balance')).toBe(
      `${payerAddress}\n  credits  8.5\n  SOL      ${await solOf('payer')}\n`,
    );
  });

  it('goes into a channel and comes back', async () => {
    const payee = ['--wallet', at('payee', 'wallet.json')];
    expect(await refused('channel', 'open', payeeAddress, '2')).toContain('CHANNEL_UNKNOWN');
    expect(await refused('till', 'show', ...payee)).toContain('relaymint till open');
    const opened = await scripts<Printed & { till: string; slots: number }>('till', 'open', '--slots', '2', ...payee);
    expect(opened).toMatchObject({ slots: 2, feeLamports: '5000' });
    expect(await refused('till', 'open', ...payee)).toContain('has a till already');

    const { channel, ...printed } = await scripts<Printed & { channel: Channel }>('channel', 'open', payeeAddress, '2');
    expect(printed).toMatchObject({
      before: { credits: '8500000' },
      after: { credits: '6500000', deposit: '2000000' },
    });
    expect(channel).toMatchObject({ side: 'pays', peer: payeeAddress, deposit: '2000000', closeAt: null });
    // A node on that folder will sign for it: the delegate's key is there, for its owner alone.
    expect((await stat(at('payer', 'delegate.json'))).mode & 0o777).toBe(0o600);
    expect(channel.delegate).not.toBe(payerAddress);

    const filled = await people('channel', 'top-up', channel.id.slice(0, 8), '0.25');
    expect(filled).toMatch(/^ {2}deposit +2 +-> 2\.25$/m);

    const { channels } = await scripts<{ channels: Channel[] }>('channel', 'list');
    expect(channels).toMatchObject([{ id: channel.id, side: 'pays', deposit: '2250000', settled: '0' }]);
    const theirs = await scripts<{ channels: Channel[] }>('channel', 'list', ...payee);
    expect(theirs.channels).toMatchObject([{ id: channel.id, side: 'earns', peer: payerAddress }]);
    const table = await people('channel', 'list');
    expect(table).toMatch(new RegExp(`^ {2}${channel.id.slice(0, 8)} +pays +${payeeAddress.slice(0, 8)}`, 'm'));
    const shown = await people('till', 'show', ...payee);
    expect(shown).toContain('2, 1 taken');
    expect(shown).toContain(opened.till);

    expect(await refused('channel', 'close')).toContain('--all');
    expect(await refused('channel', 'close', 'ffffffff')).toContain('CHANNEL_UNKNOWN');
    const asked = await scripts<{ closed: number; pending: Channel[] }>('channel', 'close', channel.id.slice(0, 6));
    expect(asked).toMatchObject({ closed: 0, pending: [{ id: channel.id }] });
    expect(asked.pending[0]?.closeAt).toMatch(/^\d{10}$/);
    const closed = await people('channel', 'close', '--all', '--wait');
    expect(closed).toContain('Closed 1 channel, 2.25 credits came back.');
    expect(closed).toMatch(/^ {2}credits +6\.25 +-> 8\.5$/m);
    expect(await people('channel', 'list')).toContain('no open channel');
    expect(await people('channel', 'close', '--all')).toContain('no channel to close');

    expect(await people('till', 'withdraw', ...payee)).toContain('nothing to withdraw');
    expect(await scripts('wallet', 'redeem', '8.5')).toMatchObject({ after: { credits: '0' } });
  });

  it('is refused with a remedy when there is none', async () => {
    expect(await refused('wallet', 'redeem', '1')).toContain('Buy credits with "relaymint wallet buy".');
    expect(await refused('wallet', 'balance', '--data', at('nobody'))).toContain('relaymint wallet create');
    expect(await refused('wallet', 'balance', '--ledger', 'http://127.0.0.1:9')).toContain('LEDGER_UNREACHABLE');
    const { code, stdout } = await relaymint(['wallet', 'redeem', '1', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'INSUFFICIENT_FUNDS' } });
    expect((await relaymint(['wallet', 'buy', 'much'])).code).toBe(2);
    expect((await relaymint(['wallet', 'fly'])).code).toBe(2);
  });
});

describe('relaymint wallet import', { timeout: PATIENT_MILLIS }, () => {
  const secretOf = async (name: string): Promise<number[]> =>
    JSON.parse(await readFile(at(name, 'wallet.json'), 'utf8')) as number[];

  it('takes a key file, and never overwrites one', async () => {
    const imported = await scripts<{ address: string; file: string }>(
      'wallet',
      'import',
      at('payer', 'wallet.json'),
      '--wallet',
      at('copy.json'),
    );
    expect(imported).toEqual({ address: payerAddress, file: at('copy.json') });
    expect((await stat(at('copy.json'))).mode & 0o777).toBe(0o600);
    expect(await readFile(at('copy.json'), 'utf8')).toBe(await readFile(at('payer', 'wallet.json'), 'utf8'));
    expect(await refused('wallet', 'import', at('payer', 'wallet.json'), '--wallet', at('copy.json'))).toContain(
      'FILE_EXISTS',
    );
  });

  it('takes a base58 secret from standard input, and says nothing of it', async () => {
    const input = `${bs58.encode(Uint8Array.from(await secretOf('payee')))}\n`;
    const { code, stdout, stderr } = await relaymint(['wallet', 'import', '--wallet', at('piped.json')], { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(payeeAddress);
    expect(stdout).not.toContain(input.trim().slice(0, 20));
  });

  it('takes a 32-byte seed only together with its address', async () => {
    const seed = bs58.encode(Uint8Array.from((await secretOf('payee')).slice(0, 32)));
    await writeFile(at('seed.txt'), seed, { mode: 0o600 });
    const target = ['--wallet', at('seeded.json')];
    expect(await refused('wallet', 'import', at('seed.txt'), ...target)).toContain('--address');
    expect(await refused('wallet', 'import', at('seed.txt'), '--address', payerAddress, ...target)).toContain('not of');
    expect(await people('wallet', 'import', at('seed.txt'), '--address', payeeAddress, ...target)).toContain(
      payeeAddress,
    );
  });

  it('refuses a secret on the command line, a file that others can read, and what is not a key, without quoting them', async () => {
    const secret = bs58.encode(Uint8Array.from(await secretOf('payee')));
    const target = ['--wallet', at('never.json')];
    const onTheLine = await refused('wallet', 'import', secret, ...target);
    expect(onTheLine).toContain('command line');
    expect(onTheLine).not.toContain(secret.slice(0, 16));

    await writeFile(at('open.txt'), secret);
    await chmod(at('open.txt'), 0o644);
    expect(await refused('wallet', 'import', at('open.txt'), ...target)).toContain('KEY_FILE_UNSAFE');

    const spoiled = await secretOf('payee');
    spoiled[40] = (spoiled[40] ?? 0) ^ 1;
    for (const input of [JSON.stringify(spoiled), bs58.encode(Uint8Array.from(spoiled)), 'x'.repeat(5000), '']) {
      const { code, stdout, stderr } = await relaymint(['wallet', 'import', ...target], { input });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain('INVALID_ENCODING');
      expect(input !== '' && stderr.includes(input.slice(0, 16))).toBe(false);
    }
    await expect(stat(at('never.json'))).rejects.toThrow('ENOENT');
  });
});

async function solOf(name: string): Promise<string> {
  const { lamports } = await scripts<{ lamports: string }>('wallet', 'balance', '--data', at(name));
  return (Number(lamports) / 1e9).toString();
}
