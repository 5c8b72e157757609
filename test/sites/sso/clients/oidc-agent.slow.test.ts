/** oidc-agent: a program on a person's own machine that registers itself, keeps their refresh token, and hands tokens to their other programs. */
import { existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Signer } from '../../../../ledger/receipt/index.ts';
import { endGrants } from '../../../../sites/sso/records.ts';
import { freePort } from '../../../port.ts';
import { describeUnless } from '../../../programs.ts';
import { Cleanup, temporaryFolder } from '../../kit.ts';
import { Browser, signIn, startIssuer, userinfo, wallet, type TestIssuer } from '../kit.ts';
import { startProgram } from './programs.ts';

const [AGENT, GENERATE, TOKEN] = ['/usr/bin/oidc-agent', '/usr/bin/oidc-gen', '/usr/bin/oidc-token'] as const;
/** They write by whole buffers into a pipe, and would be silent until they end. */
const BY_LINES = ['stdbuf', '-oL'] as const;
const lacking = existsSync(AGENT) ? undefined : 'apt-get install oidc-agent-cli';

interface Ended {
  readonly code: number | null;
  readonly said: readonly string[];
}

describeUnless(lacking, 'journeys with oidc-agent')('oidc-agent before our issuer', () => {
  const cleanup = new Cleanup();
  let issuer: TestIssuer;
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    issuer = await startIssuer();
    cleanup.add(() => issuer[Symbol.asyncDispose]());
    const directory = await temporaryFolder(cleanup);
    const [OIDC_SOCK, OIDC_CONFIG_DIR] = [path.join(directory, 'socket'), path.join(directory, 'accounts')];
    await mkdir(OIDC_CONFIG_DIR, { mode: 0o700 });
    env = { OIDC_SOCK, OIDC_CONFIG_DIR, HOME: directory, OIDC_ENCRYPTION_PW: 'a person keeps it' };
    const [program, ...args] = [...BY_LINES, AGENT, '--console', '--log-stderr', `--socket-path=${OIDC_SOCK}`];
    await startProgram({ program, args, directory, env, ready: /OIDC_SOCK=/ }, cleanup);
  });
  afterAll(() => cleanup.run());

  async function run(
    program: string,
    args: readonly string[],
    hear: (line: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<Ended> {
    const [stdbuf, ...first] = BY_LINES;
    const child = spawn(stdbuf, [...first, program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    });
    const ended = once(child, 'close') as Promise<[number | null]>;
    const said: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
    try {
      // There it speaks to people.
      for await (const line of createInterface({ input: child.stderr })) await hear(line);
    } finally {
      child.kill('SIGTERM');
    }
    const [code] = await ended;
    return { code, said };
  }

  /** As a person does it: in a browser to where the program says, and back to the program. */
  async function generate(name: string, signer: Signer): Promise<Ended> {
    const back = `http://localhost:${await freePort()}`;
    const scope = '--scope=openid wallet offline_access';
    const how = ['--pw-env', '--no-url-call', '--confirm-default', '--prompt=none', '--flow=code'];
    const args = [name, `--issuer=${issuer.url.origin}`, scope, `--redirect-uri=${back}`, ...how];
    return await run(GENERATE, args, async (line) => {
      if (!line.startsWith(`${issuer.url.origin}/auth?`)) return;
      const asked = { url: new URL(line), verifier: '', state: '', nonce: '' };
      await (await fetch(await signIn(new Browser(), asked, signer))).text();
    });
  }

  async function token(name: string, ...how: readonly string[]): Promise<string> {
    const { said } = await run(TOKEN, [...how, name]);
    return said[0] ?? '';
  }

  async function walletOf(access: string): Promise<unknown> {
    return (await userinfo(issuer, access)).body['wallet_address'];
  }

  it('registers itself, and has a token of the person who signed', async () => {
    const signer = wallet();
    expect((await generate('first', signer)).code).toBe(0);
    expect(await walletOf(await token('first'))).toBe(signer.address);
  });

  it('refreshes as often as it is asked to, each time with the refresh token that came last', async () => {
    const signer = wallet();
    await generate('second', signer);
    const tokens = [await token('second'), await token('second', '--force-new'), await token('second', '--force-new')];
    expect(new Set(tokens).size).toBe(3);
    expect(await walletOf(tokens[2] ?? '')).toBe(signer.address);
  });

  it('has nothing any more, and gets nothing new, after the person ended it at the issuer', async () => {
    const signer = wallet();
    await generate('third', signer);
    const access = await token('third');
    await endGrants(issuer.store, signer.address);
    expect((await userinfo(issuer, access)).status).toBe(401);
    expect(await run(TOKEN, ['--force-new', 'third'])).toMatchObject({ code: 1, said: [] });
  });
});
