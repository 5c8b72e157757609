/** Sites are told that somebody left; and who registers wants us to post somewhere else. */
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { createRemoteJWKSet, jwtVerify, type JWTPayload } from 'jose';
import * as oidc from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createPolicy,
  createTcpTransport,
  declarePurpose,
  fetchFromStrangers,
  fetchFromThisMachine,
} from '../../../node/transport/index.ts';
import { RelaymintError } from '../../../core/errors.ts';
import type { Outside } from '../../../sites/sso/index.ts';
import { answerByHand, readChallenge } from '../../../sites/siws/index.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';
import { Internet } from '../../strangers/internet.ts';
import {
  Browser,
  KeptLog,
  Names,
  ask,
  openPlace,
  proxyOf,
  redeem,
  register,
  send,
  signIn,
  startIssuer,
  wallet,
  type TestIssuer,
} from './kit.ts';

const PURPOSE = declarePurpose('sign-in-clients');
const HTML = { Accept: 'text/html' };
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const AT = '93.184.216.34';
const HOUR = 3_600_000;

/** As the command line puts them together, on this machine. */
function ownWays(): Outside & Disposable {
  const policy = createPolicy({ transports: [createTcpTransport()], purposes: [PURPOSE] });
  const ways = { policy, purpose: PURPOSE };
  const outside = { strangers: fetchFromStrangers(ways), thisMachine: fetchFromThisMachine(ways) };
  return { ...outside, [Symbol.dispose]: () => policy.close() };
}

/** A site's server: what it was posted, in order. */
class Site {
  readonly seen: string[] = [];
  readonly #waiting: ((token: string) => void)[] = [];

  readonly answer = async (request: IncomingMessage): Promise<void> => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    this.seen.push(`${request.method} ${request.url}`);
    this.#waiting.shift()?.(new URLSearchParams(body).get('logout_token') ?? '');
  };

  /** The next token. */
  told(): Promise<string> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

async function listening(site: Site): Promise<{ readonly origin: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    void site.answer(request).then(() => response.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** A public one believes no Host, and is asked behind its proxy. */
function listensAt({ url, port }: TestIssuer): URL {
  return url.protocol === 'http:' ? url : new URL(`http://127.0.0.1:${port}`);
}

async function verified(issuer: TestIssuer, client: oidc.Configuration, token: string): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL('/jwks', listensAt(issuer)));
  const { payload } = await jwtVerify(token, keys, {
    issuer: issuer.url.origin,
    audience: client.clientMetadata().client_id,
    typ: 'logout+jwt',
    maxTokenAge: 60,
  });
  return payload;
}

async function leave(issuer: TestIssuer, browser: Browser, hint: string, client: oidc.Configuration): Promise<void> {
  const page = await browser.send(oidc.buildEndSessionUrl(client, { id_token_hint: hint }), { headers: HTML });
  const xsrf = /name="xsrf" value="(\w+)"/.exec(page.text)?.[1] ?? '';
  const body = new URLSearchParams({ xsrf, logout: 'yes' }).toString();
  await browser.send(new URL('/session/end/confirm', issuer.url), { method: 'POST', headers: FORM, body });
}

/** Opens the account of a wallet. @returns what its forms hold. */
async function account(
  issuer: TestIssuer,
  signer: Signer,
): Promise<{ readonly token: string; readonly grants: readonly string[] }> {
  const page = await new Browser(HTML).get(new URL('/account', issuer.url));
  const path = /action="(\/account\/\w+\/login)"/.exec(page.text)?.[1] ?? '';
  const code = /sso sign ([\w-]+)/.exec(page.text)?.[1] ?? '';
  const answer = await answerByHand(readChallenge(code, issuer.clock.now()), signer, undefined);
  const shown = await post(issuer, path, { answer });
  const fields = (name: string): readonly string[] =>
    Array.from(shown.matchAll(new RegExp(`name="${name}" value="([\\w-]+)"`, 'g')), ([, value = '']) => value);
  return { token: fields('token')[0] ?? '', grants: fields('grant') };
}

async function post(issuer: TestIssuer, path: string, fields: Readonly<Record<string, string>>): Promise<string> {
  const body = new URLSearchParams(fields).toString();
  return (await new Browser(HTML).send(new URL(path, issuer.url), { method: 'POST', headers: FORM, body })).text;
}

async function registration(issuer: TestIssuer, metadata: object): ReturnType<typeof send> {
  return await send(new URL('/reg', listensAt(issuer)), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(metadata),
  });
}

describe('a site of this machine', () => {
  it.each([false, true])('is told who left, at logout and at the account; by their visit: %s', async (byVisit) => {
    await using stack = new AsyncDisposableStack();
    const outside = stack.use(ownWays());
    const issuer = stack.use(await startIssuer({ outside }));
    const site = new Site();
    const { origin } = stack.use(await listening(site));
    const client = await register(issuer, {
      redirect_uris: [`${origin}/back`],
      backchannel_logout_uri: `${origin}/out`,
      backchannel_logout_session_required: byVisit,
    });
    const signer = wallet();
    const visit = async (): Promise<{ browser: Browser; hint: string; sub: string; sid: unknown }> => {
      const browser = new Browser();
      const asked = await ask(client, { redirectUri: `${origin}/back` });
      const tokens = await redeem(client, await signIn(browser, asked, signer), asked);
      const claims = tokens.claims();
      return { browser, hint: tokens.id_token ?? '', sub: claims?.sub ?? '', sid: claims?.['sid'] };
    };

    const first = await visit();
    let told = site.told();
    await leave(issuer, first.browser, first.hint, client);
    const expected = {
      sub: first.sub,
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      jti: expect.stringMatching(/./) as unknown,
    };
    const left = await verified(issuer, client, await told);
    expect(left).toMatchObject(expected);
    expect([left['nonce'], left['sid']]).toStrictEqual([undefined, first.sid]);
    expect(typeof first.sid).toBe(byVisit ? 'string' : 'undefined');

    const second = await visit();
    const { token, grants } = await account(issuer, signer);
    told = site.told();
    // The one of the first visit outlives it, since it may be used while nobody is there.
    expect(grants).toHaveLength(2);
    for (const grant of grants) await post(issuer, '/account/end', { token, grant });
    expect(await verified(issuer, client, await told)).toMatchObject({
      sub: first.sub,
      ...(byVisit && { sid: second.sid }),
    });

    await visit();
    told = site.told();
    await post(issuer, '/account/sign-out', { token });
    expect(await verified(issuer, client, await told)).toMatchObject({ sub: first.sub });
    expect(new Set(site.seen)).toStrictEqual(new Set(['POST /out']));
  });

  it('does not keep a person from leaving by being away, and what was ended is ended', async () => {
    await using stack = new AsyncDisposableStack();
    const log = new KeptLog();
    const outside = stack.use(ownWays());
    const issuer = stack.use(await startIssuer({ outside, log }));
    const gone = await listening(new Site());
    await gone[Symbol.asyncDispose]();
    const redirect = `${gone.origin}/back`;
    const client = await register(issuer, { redirect_uris: [redirect], backchannel_logout_uri: `${gone.origin}/out` });
    const [browser, signer] = [new Browser(), wallet()];
    const asked = await ask(client, { redirectUri: redirect });
    const tokens = await redeem(client, await signIn(browser, asked, signer), asked);
    const { token, grants } = await account(issuer, signer);
    const [grant = ''] = grants;
    expect(await post(issuer, '/account/end', { token, grant })).toContain('It is ended');
    await expect(oidc.refreshTokenGrant(client, tokens.refresh_token ?? '')).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    await leave(issuer, browser, tokens.id_token ?? '', client);
    await stack.disposeAsync();
    expect(log.lines.join('\n')).toContain('a site was not told that somebody left');
  });
});

describe('S20 S21: who registers', () => {
  const SHOP = ['https://shop.example/back'];
  const HERE = ['http://127.0.0.1:4711/back'];
  const stack = new AsyncDisposableStack();
  let local: TestIssuer;
  beforeAll(async () => {
    local = stack.use(await startIssuer({ outside: stack.use(ownWays()) }));
  });
  afterAll(() => stack.disposeAsync());

  it.each([
    ['another host', SHOP, 'https://victim.example/out'],
    ['a host below', SHOP, 'https://shop.example.evil.example/out'],
    ['another port', SHOP, 'https://shop.example:8443/out'],
    ['no TLS', SHOP, 'http://shop.example/out'],
    ['a password', SHOP, 'https://ann:secret@shop.example/out'],
    ['a part of a page', SHOP, 'https://shop.example/out#x'],
    ['this machine', SHOP, 'https://127.0.0.1/out'],
    ['another program here', HERE, 'http://127.0.0.1:6379/out'],
    ['another name of this machine', HERE, 'http://localhost:4711/out'],
    ['a machine beside', HERE, 'http://192.168.1.1:4711/out'],
    ['the metadata of a cloud', HERE, 'http://169.254.169.254/latest'],
    ['TLS here, which has no certificate', ['https://localhost:4711/back'], 'https://localhost:4711/out'],
    ['nothing that is an address', HERE, 'out'],
    ['a file', HERE, 'file:///etc/passwd'],
  ])('has us post nowhere else: %s', async (_what, redirects, uri) => {
    const told = await registration(local, { redirect_uris: redirects, backchannel_logout_uri: uri });
    expect([told.status, told.body['error']]).toStrictEqual([400, 'invalid_client_metadata']);
  });

  it('has a public issuer post to no program of its own machine', async () => {
    await using stack = new AsyncDisposableStack();
    const outside = stack.use(ownWays());
    const issuer = stack.use(await startIssuer({ at: new URL('https://id.example.org'), outside }));
    const metadata = { redirect_uris: HERE, backchannel_logout_uri: 'http://127.0.0.1:4711/out' };
    expect((await registration(issuer, metadata)).status).toBe(400);
    expect((await registration(issuer, { redirect_uris: HERE })).status).toBe(201);
  });

  it('has an issuer that other machines reach post to none either', async () => {
    await using stack = new AsyncDisposableStack();
    const { strangers } = stack.use(ownWays());
    const issuer = stack.use(await startIssuer({ outside: { strangers } }));
    const metadata = { redirect_uris: HERE, backchannel_logout_uri: 'http://127.0.0.1:4711/out' };
    expect((await registration(issuer, metadata)).status).toBe(400);
    expect((await registration(issuer, { redirect_uris: HERE })).status).toBe(201);
  });

  it('moves it nowhere else later', async () => {
    const own = { redirect_uris: HERE, backchannel_logout_uri: 'http://127.0.0.1:4711/out' };
    const { body } = await registration(local, own);
    const change = { client_id: body['client_id'], client_secret: body['client_secret'], redirect_uris: HERE };
    const told = await send(new URL(String(body['registration_client_uri'])), {
      method: 'PUT',
      headers: {
        'Content-Type': 'application/json',
        Authorization: `Bearer ${String(body['registration_access_token'])}`,
      },
      body: JSON.stringify({ ...change, backchannel_logout_uri: 'http://127.0.0.1:6379/' }),
    });
    expect([told.status, told.body['error']]).toStrictEqual([400, 'invalid_client_metadata']);
  });

  it('has a public issuer look at the host again when it posts', async () => {
    await using stack = new AsyncDisposableStack();
    const internet = stack.use(new Internet(['shop.example']));
    const ways = { policy: internet, purpose: PURPOSE, authorities: internet.authorities };
    const outside = { strangers: fetchFromStrangers(ways), thisMachine: fetchFromThisMachine(ways) };
    const issuer = stack.use(await startIssuer({ at: new URL('https://id.example.org'), outside }));
    const through = proxyOf(issuer);
    const site = new Site();
    await internet.site('shop.example', AT, (request, response) => {
      void site.answer(request).then(() => response.end());
    });
    const client = await register(
      issuer,
      { redirect_uris: SHOP, backchannel_logout_uri: 'https://shop.example/out' },
      through,
    );
    client[oidc.customFetch] = (url, how) => through(url, how as RequestInit);
    const [browser, signer] = [new Browser(undefined, through), wallet()];
    const visit = async (): Promise<string> => {
      const asked = await ask(client, { redirectUri: SHOP[0] ?? '' });
      const tokens = await redeem(client, await signIn(browser, asked, signer), asked);
      return tokens.id_token ?? '';
    };
    const told = site.told();
    await leave(issuer, browser, await visit(), client);
    expect(await verified(issuer, client, await told)).toMatchObject({ iss: 'https://id.example.org' });
    const dialed = [...internet.dialed];
    internet.names.set('shop.example', [['127.0.0.1']]);
    issuer.clock.ahead = HOUR;
    await leave(issuer, browser, await visit(), client);
    expect([internet.dialed, site.seen]).toStrictEqual([dialed, ['POST /out']]);
  });
});

describe('a site that is not what it was', () => {
  it('keeps nobody from signing out, and no other site from being told', async () => {
    await using stack = new AsyncDisposableStack();
    const place = stack.use(await openPlace());
    const internet = stack.use(new Internet(['shop.example']));
    const ways = { policy: internet, purpose: PURPOSE, authorities: internet.authorities };
    const outside = { strangers: fetchFromStrangers(ways), thisMachine: fetchFromThisMachine(ways) };
    const [names, log, signer] = [new Names(), new KeptLog(), wallet()];
    const start = async (): Promise<TestIssuer> =>
      await startIssuer({ at: new URL('https://id.example.org'), place, outside, names, log });
    const site = new Site();
    const back = 'https://shop.example/back';
    const described = { client_id: 'https://shop.example/client.json', token_endpoint_auth_method: 'none' };
    let document: object = { ...described, redirect_uris: [back] };
    await internet.site('shop.example', AT, (request, response) => {
      if (request.method === 'GET')
        response.setHeader('Content-Type', 'application/json').end(JSON.stringify(document));
      else void site.answer(request).then(() => response.end());
    });
    names.hold('news.web3', wallet().address);
    names.clients.set('news.web3', { redirects: ['/in'], signedOut: [] });

    const first = await start();
    const through = proxyOf(first);
    const execute = [oidc.allowInsecureRequests];
    const known = async (id: string): Promise<oidc.Configuration> =>
      await oidc.discovery(first.url, id, undefined, oidc.None(), {
        execute,
        [oidc.customFetch]: (url, how) => through(url, how as RequestInit),
      });
    const told = { redirect_uris: [back], backchannel_logout_uri: 'https://shop.example/out' };
    const shop = await register(first, told, through);
    shop[oidc.customFetch] = (url, how) => through(url, how as RequestInit);
    const browser = new Browser(undefined, through);
    const visit = async (client: oidc.Configuration, redirectUri: string): Promise<string> => {
      const asked = await ask(client, { redirectUri, prompt: 'login consent' });
      const tokens = await redeem(client, await signIn(browser, asked, signer), asked);
      return tokens.id_token ?? '';
    };
    await visit(await known('news.web3'), 'http://news-web3.localhost:8402/in');
    await visit(await known(described.client_id), back);
    const hint = await visit(shop, back);
    await first[Symbol.asyncDispose]();

    const again = stack.use(await start());
    names.client = () => Promise.reject(new RelaymintError('CONNECTION_LOST', 'The gateway is away.'));
    document = { ...described, redirect_uris: ['https://victim.example/back'] };
    const kept = browser.withOnly('session');
    const heard = site.told();
    await leave(again, browser, hint, shop);
    expect(browser.cookie('__Host-relaymint-session')).toBeUndefined();
    expect(site.seen).toStrictEqual(['POST /out']);
    expect(await verified(again, shop, await heard)).toMatchObject({ iss: 'https://id.example.org' });
    const { url } = await kept.follow((await ask(shop, { redirectUri: back, prompt: 'none' })).url);
    expect(new URL(url).searchParams.get('error')).toBe('login_required');
    expect(log.lines.join('\n')).toContain('a site was not told that somebody left');
  });
});
