/** `relaymint sso`, as people and scripts run it: an issuer, a program that signs in by its documented steps, and a wallet on the command line. */
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import * as oidc from 'openid-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { delegateFromSeed } from '../../ledger/receipt/index.ts';
import { startLedger } from '../ledger/settlement/world.ts';
import { freePort } from '../port.ts';
import { Browser, ask, begin, redeem, register, signIn } from '../sites/sso/kit.ts';
import { run, start, type Running } from './program.ts';

/** Each start of the program takes seconds on a busy machine. */
const PATIENCE_MILLIS = 120_000;

let folder: string;
let ledger: Awaited<ReturnType<typeof startLedger>>;
let issuer: Running | undefined;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-sso-'));
  ledger = await startLedger();
});
afterEach(async () => {
  issuer?.child.kill('SIGKILL');
  await issuer?.finished;
  issuer = undefined;
  await ledger[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function serve(port: number, ...as: readonly string[]): Promise<Record<string, unknown>> {
  const data = path.join(folder, 'sso');
  const [command = 'serve', ...more] = as;
  const place = ['--port', String(port), '--data', data, '--ledger', ledger.url];
  issuer = start(['sso', command, ...place, ...more, '--json']);
  const { stdout } = issuer.child;
  if (stdout === null) throw new Error('it has no output');
  const [line] = (await once(createInterface({ input: stdout }), 'line')) as [string];
  return JSON.parse(line) as Record<string, unknown>;
}

describe('relaymint sso', () => {
  it(
    'serves an issuer where a program registers, signs in with a new key, and refreshes',
    { timeout: PATIENCE_MILLIS },
    async () => {
      const port = await freePort();
      const url = new URL(`http://localhost:${port}`);
      expect(await serve(port)).toMatchObject({ issuer: url.origin, ready: true });
      const client = await register({ url });
      const asked = await ask(client, { scope: 'openid wallet offline_access' });
      const signer = delegateFromSeed(crypto.getRandomValues(new Uint8Array(32)));
      const tokens = await redeem(client, await signIn(new Browser(), asked, signer), asked);
      expect(tokens.claims()).toMatchObject({ wallet_address: signer.address });
      // Its records and keys outlive it, and nobody else reads them.
      issuer?.child.kill('SIGTERM');
      expect((await issuer?.finished)?.code).toBe(0);
      const files = (await readdir(path.join(folder, 'sso'))).filter((file) => file.endsWith('.json'));
      expect(files).toHaveLength(1);
      expect((await stat(path.join(folder, 'sso', files[0] ?? ''))).mode & 0o777).toBe(0o600);
      await serve(port);
      const fresh = await oidc.refreshTokenGrant(client, tokens.refresh_token ?? '');
      expect(fresh.claims()?.sub).toBe(tokens.claims()?.sub);
    },
  );

  it('signs in by a wallet on this machine, and nothing but a sign-in', { timeout: PATIENCE_MILLIS }, async () => {
    const port = await freePort();
    const url = new URL(`http://localhost:${port}`);
    await serve(port);
    const made = await run(['wallet', 'create', '--data', folder, '--json']);
    expect(made.code).toBe(0);
    const client = await register({ url });
    const asked = await ask(client, { scope: 'openid wallet' });
    const browser = new Browser();
    const { page } = await begin(browser, asked);
    const shown = await browser.send(page, { headers: { Accept: 'text/html' } });
    const [, code = ''] = /relaymint sso sign ([\w-]+)/.exec(shown.text) ?? [];

    const sign = (text: string, ...more: string[]): ReturnType<typeof run> =>
      run(['sso', 'sign', text, '--data', folder, ...more]);
    const [unsure, wrong, signed] = await Promise.all([
      sign(code),
      sign(Buffer.from(JSON.stringify({ domain: 'x' })).toString('base64url'), '--yes'),
      sign(code, '--yes', '--json'),
    ]);
    expect([unsure.code, unsure.stderr]).toEqual([1, expect.stringContaining('give --yes') as unknown]);
    expect([wrong.code, wrong.stdout]).toEqual([1, '']);
    const { answer, address } = JSON.parse(signed.stdout) as { answer: string; address: string };
    const login = await browser.post(`${page}/login`, { answer });
    expect(JSON.parse(login.text)).toHaveProperty('next');
    expect(address).toMatch(/^[1-9A-HJ-NP-Za-km-z]{32,44}$/);
    // It is over with its first answer.
    expect((await browser.post(`${page}/login`, { answer })).status).toBe(403);
  });

  it('signs in with the wallet of this machine, for who has its link', { timeout: PATIENCE_MILLIS }, async () => {
    const made = await run(['wallet', 'create', '--data', folder, '--json']);
    const { address: created } = JSON.parse(made.stdout) as { address: string };
    const port = await freePort();
    const url = new URL(`http://localhost:${port}`);
    const { walletLink } = await serve(
      port,
      'wallet',
      '--wallet',
      path.join(folder, 'wallet.json'),
      '--log-level',
      'trace',
    );
    const [page, token = ''] = String(walletLink).split('#');
    expect([page, token.length]).toEqual([new URL('/wallet', url).href, 43]);

    const client = await register({ url });
    const asked = await ask(client, { scope: 'openid wallet' });
    const { challenge } = await begin(new Browser(), asked);
    const sign = async (bearer: string): Promise<Response> =>
      await fetch(new URL('/wallet/sign-in', url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${bearer}` },
        body: JSON.stringify({ requestId: challenge.requestId, nonce: challenge.nonce }),
      });
    expect((await sign('A'.repeat(43))).status).toBe(401);
    expect(await (await sign(token)).json()).toMatchObject({ address: created });

    issuer?.child.kill('SIGTERM');
    const { stdout, stderr } = (await issuer?.finished) ?? { stdout: '', stderr: '' };
    expect(stdout.split(token)).toHaveLength(2);
    expect(stderr).not.toContain(token);
  });

  it.each([
    [['--issuer', 'https://id.example.org'], 'cannot have a wallet of this machine'],
    [['--address', '0.0.0.0'], 'does not listen on 0.0.0.0'],
    [['--wallet', 'nowhere.json'], 'nowhere.json'],
  ])('has no wallet of this machine with %j', async (args, words) => {
    await run(['wallet', 'create', '--data', folder, '--json']);
    const wallet = ['--wallet', path.join(folder, 'wallet.json')];
    const place = ['--data', path.join(folder, 'sso'), '--port', '0', '--ledger', ledger.url];
    const refused = await run(['sso', 'wallet', ...place, ...wallet, ...args]);
    expect(refused.code).toBeGreaterThan(0);
    expect(refused.stderr).toContain(words);
    expect(refused.stdout).toBe('');
  });

  it.each([
    [['--issuer', 'http://id.example.org'], 'https://HOST'],
    [['--issuer', 'https://id.example.org/path'], 'without a path'],
    [['--store', 'redis://ann:hunter2@127.0.0.1/x?y'], 'Write redis://'],
  ])('says what is wrong with %j', async (args, words) => {
    const refused = await run(['sso', 'serve', '--data', folder, '--ledger', ledger.url, ...args]);
    expect(refused.code).toBeGreaterThan(0);
    expect(refused.stderr).toContain(words);
    expect(refused.stderr).not.toContain('hunter2');
  });
});
