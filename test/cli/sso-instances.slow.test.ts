/** B6: one issuer as two programs on one server, as operators run it. Whoever stole a code or a token tries it at both at once. */
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import * as oidc from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLedger } from '../ledger/settlement/world.ts';
import { freePort } from '../port.ts';
import { Browser, answerTo, ask, begin, forCode, redeem, register, signIn, wallet } from '../sites/sso/kit.ts';
import { hasPostgres, hasRedis, startPostgres, startRedis } from '../sites/sso/servers.ts';
import { start } from './program.ts';

const PASSWORD = 'a-word-nobody-may-see';
/** Two starts of the program, and a database. */
const PATIENCE_MILLIS = 180_000;
const TRIES = 20;

const SERVERS = [
  { what: 'Redis', install: 'redis-server', has: hasRedis, open: startRedis },
  { what: 'PostgreSQL', install: 'postgresql', has: hasPostgres, open: startPostgres },
];

/** To both programs in turn, each time as if it were the one address. */
function inTurn(ports: readonly number[]): typeof fetch {
  let next = 0;
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const port = ports[(next += 1) % ports.length];
    const headers = { ...Object.fromEntries(new Headers(init?.headers)), host: url.host };
    const { method = 'GET', body } = init ?? {};
    const sent = request({ host: '127.0.0.1', port, path: url.pathname + url.search, method, headers, agent: false });
    // What forms and JSON are, here.
    const said = body instanceof URLSearchParams ? body.toString() : ((body ?? '') as string);
    if (body instanceof URLSearchParams) sent.setHeader('Content-Type', 'application/x-www-form-urlencoded');
    sent.end(said);
    const [message] = await once(sent, 'response');
    const answered = new Headers();
    const { rawHeaders, statusCode } = message as { rawHeaders: string[]; statusCode: number };
    for (let at = 0; at + 1 < rawHeaders.length; at += 2)
      answered.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
    const came = await text(message as NodeJS.ReadableStream & AsyncIterable<Uint8Array>);
    const isBare = statusCode === 204 || statusCode === 304;
    return new Response(isBare ? null : came, { status: statusCode, headers: answered });
  };
}

describe.each(SERVERS.filter(({ has }) => !has()))('two issuers on $what', ({ install }) => {
  it.skipIf(true)(`needs: apt-get install ${install}`, () => expect.unreachable());
});

describe.each(SERVERS.filter(({ has }) => has()))('two issuers on $what', ({ open }) => {
  const stack = new AsyncDisposableStack();
  let url: URL;
  let both: typeof fetch;
  let client: oidc.Configuration;

  beforeAll(async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-sso-'));
    stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
    const ledger = stack.use(await startLedger());
    const server = stack.use(await open(PASSWORD));
    const ports = [await freePort(), await freePort()];
    url = new URL(`http://localhost:${ports[0]}`);
    const serve = async (data: string, port: number | undefined): Promise<void> => {
      const running = start(
        [
          'sso',
          'serve',
          '--issuer',
          url.origin,
          '--data',
          data,
          '--port',
          String(port),
          '--ledger',
          ledger.url,
          '--json',
        ],
        { env: { RELAYMINT_SSO_STORE: server.url.href } },
      );
      stack.defer(async () => {
        running.child.kill('SIGKILL');
        await running.finished;
      });
      const { stdout } = running.child;
      if (stdout === null) throw new Error('it has no output');
      const lines = createInterface({ input: stdout });
      await Promise.race([
        once(lines, 'line'),
        running.finished.then(({ stderr }) => {
          throw new Error(stderr);
        }),
      ]);
    };
    const [first, second] = [path.join(folder, 'first'), path.join(folder, 'second')];
    await serve(first, ports[0]);
    await mkdir(second, { mode: 0o700 });
    for (const file of (await readdir(first)).filter((one) => /^sso-.*\.json$/.test(one))) {
      await copyFile(path.join(first, file), path.join(second, file));
    }
    await serve(second, ports[1]);
    both = inTurn(ports);
    client = await register({ url }, {}, both);
    client[oidc.customFetch] = (target, how) => both(target, how as RequestInit);
  }, PATIENCE_MILLIS);
  afterAll(() => stack.disposeAsync(), PATIENCE_MILLIS);

  const post = async (
    params: Readonly<Record<string, string>>,
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const { client_id: id, client_secret: secret } = client.clientMetadata();
    const basic = `Basic ${Buffer.from(`${id}:${String(secret)}`).toString('base64')}`;
    const response = await both(new URL('/token', url), {
      method: 'POST',
      headers: { Authorization: basic },
      body: new URLSearchParams(params),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const userinfo = async (token: unknown): Promise<number> =>
    (await both(new URL('/me', url), { headers: { Authorization: `Bearer ${String(token)}` } })).status;
  const tries = <T>(once: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: TRIES }, () => once()));

  it('B6: of twenty that redeem a code one gets tokens, and whoever comes later ends them', async () => {
    const asked = await ask(client);
    const params = forCode(await signIn(new Browser(undefined, both), asked, wallet()), asked);
    const told = await tries(() => post(params));
    const winners = told.filter(({ status }) => status === 200);
    const losers = told.filter(({ body }) => body['error'] === 'invalid_grant');
    expect([winners.length, losers.length]).toStrictEqual([1, TRIES - 1]);
    expect((await post(params)).body['error']).toBe('invalid_grant');
    const [{ body }] = winners as [(typeof told)[0]];
    expect(await userinfo(body['access_token'])).toBe(401);
    const refresh = { grant_type: 'refresh_token', refresh_token: String(body['refresh_token']) };
    expect((await post(refresh)).body['error']).toBe('invalid_grant');
  });

  it('B6: of twenty that use a refresh token one gets the next, and whoever comes later ends it', async () => {
    const asked = await ask(client);
    const tokens = await redeem(client, await signIn(new Browser(undefined, both), asked, wallet()), asked);
    const params = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '' };
    const told = await tries(() => post(params));
    const winners = told.filter(({ status }) => status === 200);
    const losers = told.filter(({ body }) => body['error'] === 'invalid_grant');
    expect([winners.length, losers.length]).toStrictEqual([1, TRIES - 1]);
    expect((await post(params)).body['error']).toBe('invalid_grant');
    const [{ body }] = winners as [(typeof told)[0]];
    expect(await userinfo(body['access_token'])).toBe(401);
    const next = { grant_type: 'refresh_token', refresh_token: String(body['refresh_token']) };
    expect((await post(next)).body['error']).toBe('invalid_grant');
  });

  it('B6: of twenty that hand in one signature one signs in, and nobody later', async () => {
    const browser = new Browser(undefined, both);
    const { page, challenge } = await begin(browser, await ask(client));
    const answer = answerTo(challenge, wallet());
    const told = await tries(() => browser.post(`${page}/login`, answer));
    const winners = told.filter(({ status, text: said }) => status === 200 && said.includes('"next"'));
    expect([winners.length, told.filter(({ status }) => status === 403 || status === 400).length]).toStrictEqual([
      1,
      TRIES - 1,
    ]);
    expect((await browser.post(`${page}/login`, answer)).text).not.toContain('"next"');
  });

  it('are one issuer: both sign with the same keys', async () => {
    const keys = await both(new URL('/jwks', url));
    const other = await both(new URL('/jwks', url));
    expect(await keys.json()).toStrictEqual(await other.json());
  });
});
