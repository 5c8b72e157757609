/** Clients that are not what they say, and what strangers may have an issuer keep. */
import * as oidc from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MAX_REGISTRATIONS_PER_ADDRESS, MAX_SIGN_IN_URL_LETTERS, SIGN_IN_COUNT_MILLIS } from '../../../core/limits.ts';
import { networkOf } from '../../../sites/sso/visitors.ts';
import {
  CALLBACK,
  GONE,
  Browser,
  KeptLog,
  MovedClock,
  answerTo,
  ask,
  begin,
  call,
  forCode,
  publicClient,
  redeem,
  register,
  send,
  signIn,
  startIssuer,
  wallet,
  type Told,
  type TestIssuer,
} from './kit.ts';

const DAY = 24 * 3_600_000;

let issuer: TestIssuer;
let client: oidc.Configuration;
const log = new KeptLog();

beforeAll(async () => {
  issuer = await startIssuer({ log });
  client = await register(issuer);
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});

/** By no library, which would not send most of this. */
async function registration(
  metadata: object,
  { url }: Pick<TestIssuer, 'url'> = issuer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Told> {
  return await send(new URL('/reg', url), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers },
    body: JSON.stringify({ redirect_uris: [CALLBACK], ...metadata }),
  });
}

/** Where a request with such an address leads: `page` is an error told here, `back` goes to the site. */
async function leads(of: oidc.Configuration, redirectUri: string): Promise<'interaction' | 'page' | 'back'> {
  const answer = await new Browser({ Accept: 'text/html' }).get((await ask(of, { redirectUri })).url);
  if (answer.location === undefined) return 'page';
  return answer.location.startsWith(`${issuer.url.origin}/interaction/`) ? 'interaction' : 'back';
}

describe('S17: other origins', () => {
  it('S17 read tokens and claims only where the client is registered', async () => {
    const asked = await ask(client);
    const back = await signIn(new Browser(), asked, wallet());
    const params = forCode(back, asked);
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.2:4711', 'http://localhost:4711']) {
      const told = await call(issuer, client, '/token', params, { Origin: origin });
      expect([origin, told.status, told.headers.get('Access-Control-Allow-Origin')]).toStrictEqual([origin, 400, null]);
    }
    const own = await call(issuer, client, '/token', params, { Origin: new URL(CALLBACK).origin });
    expect([own.status, own.headers.get('Access-Control-Allow-Origin')]).toStrictEqual([200, new URL(CALLBACK).origin]);
    const token = String(own.body['access_token']);
    for (const origin of ['https://evil.example', 'null']) {
      const told = await send(new URL('/me', issuer.url), {
        headers: { Authorization: `Bearer ${token}`, Origin: origin },
      });
      expect([told.status, told.headers.get('Access-Control-Allow-Origin'), told.body['sub']]).toStrictEqual([
        400,
        null,
        undefined,
      ]);
    }
  });

  it('S17 read nothing of pages where people decide', async () => {
    const browser = new Browser();
    const { page } = await begin(browser, await ask(client));
    for (const url of [page, (await ask(client)).url, new URL('/account', issuer.url), new URL('/', issuer.url)]) {
      for (const method of ['GET', 'OPTIONS']) {
        const answer = await browser.send(url, {
          method,
          headers: { Origin: new URL(CALLBACK).origin, 'Access-Control-Request-Method': 'POST' },
        });
        expect(answer.headers.get('Access-Control-Allow-Origin')).toBeNull();
      }
    }
  });
});

describe('S18, S19: where a request leads', () => {
  it('S18 S19 an address that was not registered is told here, not followed', async () => {
    const shop = await register(issuer, {
      redirect_uris: ['https://shop.example/back?x=1'],
      post_logout_redirect_uris: ['https://shop.example/gone'],
    });
    expect(await leads(shop, 'https://shop.example/back?x=1')).toBe('interaction');
    for (const address of [
      'https://shop.example/back',
      'https://shop.example/back?x=1&y=2',
      'https://shop.example/back?x=1#f',
      'https://shop.example/back?x=%31',
      'https://shop.example/b%61ck?x=1',
      'https://shop.example/back/../back?x=1',
      'https://shop.example/./back?x=1',
      'https://shop.example./back?x=1',
      'https://SHOP.example/back?x=1',
      'HTTPS://shop.example/back?x=1',
      'https://shop.example:443/back?x=1',
      'https://shop.example:8443/back?x=1',
      'http://shop.example/back?x=1',
      'https://evil@shop.example/back?x=1',
      'https://shop.example@evil.example/back?x=1',
      'https://shop.example\\@evil.example/back?x=1',
      ' https://shop.example/back?x=1',
      'https://shop.example/back?x=1\n',
      'javascript:alert(1)',
      '//shop.example/back?x=1',
      '/back',
      '',
    ]) {
      expect([address, await leads(shop, address)]).toStrictEqual([address, 'page']);
    }
  });

  it('S18 the port is free on loopback, and nothing else is', async () => {
    for (const address of ['http://127.0.0.1:1/back', 'http://127.0.0.1/back', CALLBACK]) {
      expect([address, await leads(client, address)]).toStrictEqual([address, 'interaction']);
    }
    for (const address of [
      'http://localhost:4711/back',
      'http://127.0.0.2:4711/back',
      'http://127.1:4711/back',
      'http://2130706433:4711/back',
      'http://[::1]:4711/back',
      'http://127.0.0.1:4711/back/',
      'http://127.0.0.1:4711/back?x',
      'http://127.0.0.1:4711/back?',
      'http://127.0.0.1:4711/back#',
      'http://127.0.0.1:4711//back',
      'http://127.0.0.1:04711/back',
      'http://127.0.0.1:80/back',
      'http://127.0.0.1:99999/back',
      'http://me@127.0.0.1:4711/back',
      'http://127.0.0.1.:4711/back',
      'http://127.0.0.1:4711.evil.example/back',
      'http://127.0.0.1.evil.example:4711/back',
      'https://127.0.0.1:4711/back',
    ]) {
      expect([address, await leads(client, address)]).toStrictEqual([address, 'page']);
    }
  });

  it('S19 a client that nobody knows is told here, whatever address it names', async () => {
    for (const id of ['nobody', '', '../x', 'nobody.web3', 'https://evil.example/client', 'x'.repeat(600)]) {
      const nobody = await publicClient(issuer, id || 'x');
      const asked = await ask(nobody);
      asked.url.searchParams.set('client_id', id);
      const answer = await new Browser({ Accept: 'text/html' }).get(asked.url);
      expect([id, answer.status, answer.location]).toStrictEqual([id, 400, undefined]);
    }
  });
});

describe('S20: whoever registers', () => {
  it('S20 S21 names nothing that would be fetched', async () => {
    for (const metadata of [
      { jwks_uri: 'https://evil.example/jwks', token_endpoint_auth_method: 'private_key_jwt' },
      { jwks_uri: 'https://evil.example/jwks' },
      { sector_identifier_uri: 'https://evil.example/sector' },
    ]) {
      const told = await registration(metadata);
      expect([told.status, told.body['error']]).toStrictEqual([400, 'invalid_client_metadata']);
    }
    const told = await registration({
      request_uris: ['https://evil.example/request'],
      backchannel_logout_uri: 'https://evil.example/out',
      logo_uri: 'https://evil.example/logo.png',
      policy_uri: 'https://evil.example/policy',
      tos_uri: 'https://evil.example/terms',
    });
    expect(told.status).toBe(201);
    expect(told.body).not.toHaveProperty('request_uris');
    expect(told.body).not.toHaveProperty('backchannel_logout_uri');
    const shop = await publicClient(issuer, String(told.body['client_id']));
    const { answer } = await new Browser({ Accept: 'text/html' }).follow((await ask(shop)).url);
    expect(answer?.status).toBe(200);
    expect(answer?.text).not.toContain('evil.example');
  });

  it('S20 has one host, says little, and is called as we call it', async () => {
    for (const metadata of [
      { redirect_uris: ['https://a.example/', 'https://b.example/'] },
      { redirect_uris: ['http://127.0.0.1:1/', 'http://localhost:1/'] },
      // Shown as the bank, and sent to whoever has the scheme.
      { redirect_uris: ['com.evil.app://bank.example/back'], application_type: 'native' },
      { redirect_uris: ['http://shop.example/back'] },
      { redirect_uris: ['https://shop.example/back#f'] },
      { redirect_uris: [] },
      { redirect_uris: 'https://shop.example' },
      { redirect_uris: ['back'] },
      { redirect_uris: [1] },
      { redirect_uris: undefined, response_types: [], grant_types: ['refresh_token'] },
      { redirect_uris: Array.from({ length: 1_000 }, (_, index) => `https://shop.example/${index}`) },
      { subject_type: 'public' },
      { response_types: ['id_token'] },
      { grant_types: ['client_credentials'], response_types: [] },
    ]) {
      const { status } = await registration(metadata);
      expect([JSON.stringify(metadata).slice(0, 60), status]).toStrictEqual([
        JSON.stringify(metadata).slice(0, 60),
        400,
      ]);
    }
    const told = await registration({ client_id: 'shop.web3', client_secret: 'mine' });
    expect(told.body['client_id']).not.toBe('shop.web3');
    expect(told.body['client_secret']).not.toBe('mine');
  });

  it('S15 S20 cannot move to the host of another site, whose visitors it would know by their numbers there', async () => {
    const { body } = await registration({ redirect_uris: ['https://evil.example/back'] });
    const change = async (uri: string): Promise<number> =>
      (
        await send(new URL(String(body['registration_client_uri'])), {
          method: 'PUT',
          headers: {
            Authorization: `Bearer ${String(body['registration_access_token'])}`,
            'Content-Type': 'application/json',
          },
          body: JSON.stringify({
            client_id: body['client_id'],
            client_secret: body['client_secret'],
            redirect_uris: [uri],
          }),
        })
      ).status;
    expect(await change('https://bank.example/back')).toBe(400);
    expect(await change('https://evil.example/other')).toBe(200);
  });

  it('S20 cannot change, read or end what another registered', async () => {
    const [mine, theirs] = [(await registration({})).body, (await registration({})).body];
    const at = new URL(String(theirs['registration_client_uri']));
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const told = await send(at, {
        method,
        headers: {
          Authorization: `Bearer ${String((await registration({})).body['registration_access_token'])}`,
          'Content-Type': 'application/json',
        },
        ...(method === 'PUT' && { body: JSON.stringify({ client_id: theirs['client_id'], redirect_uris: [GONE] }) }),
      });
      expect([method, told.status]).toStrictEqual([method, 401]);
    }
    expect(mine['client_id']).not.toBe(theirs['client_id']);
    const own = await send(at, { headers: { Authorization: `Bearer ${String(theirs['registration_access_token'])}` } });
    expect(own.body['client_id']).toBe(theirs['client_id']);
  });

  it('S20 is forgotten after a day in which nobody signed in there, and not afterwards', async () => {
    const clock = new MovedClock();
    await using other = await startIssuer({ clock });
    const [used, unused] = [await register(other), await register(other)];
    const asked = await ask(used);
    await redeem(used, await signIn(new Browser(), asked, wallet()), asked);
    clock.ahead = DAY + 60_000;
    const open = async (one: oidc.Configuration): Promise<number | undefined> =>
      (await new Browser().follow((await ask(one)).url)).answer?.status;
    expect(await open(used)).toBe(200);
    expect(await open(unused)).toBe(400);
    const managed = z.object({ registration_client_uri: z.string(), registration_access_token: z.string() });
    const { registration_client_uri: at, registration_access_token: token } = managed.parse(used.clientMetadata());
    const told = await send(new URL(at), { headers: { Authorization: `Bearer ${token}` } });
    expect(told.status).toBe(200);
  });

  it('S20 registers so many from one address, counted behind a proxy by what the proxy saw', async () => {
    const at = new URL('https://id.example.org');
    const clock = new MovedClock();
    await using proxied = await startIssuer({ at, clock, isBehindProxy: true });
    const direct = { url: new URL(`http://127.0.0.1:${proxied.port}`) };
    const from = (address: string): Promise<Told> => registration({}, direct, { 'X-Forwarded-For': address });
    for (let time = 0; time < MAX_REGISTRATIONS_PER_ADDRESS; time += 1) {
      // What a visitor writes itself stands in front, and counts for nothing.
      expect((await from(`10.0.0.${time}, 203.0.113.7`)).status).toBe(201);
    }
    const refused = await from('203.0.113.7');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect((await from('203.0.113.8')).status).toBe(201);
    clock.ahead = SIGN_IN_COUNT_MILLIS + 1;
    expect((await from('203.0.113.7')).status).toBe(201);
  });

  it('S20 is counted by the socket where no proxy was configured', async () => {
    await using plain = await startIssuer({ at: new URL('https://id.example.org') });
    const direct = { url: new URL(`http://127.0.0.1:${plain.port}`) };
    for (let time = 0; time <= MAX_REGISTRATIONS_PER_ADDRESS; time += 1) {
      const told = await registration({}, direct, { 'X-Forwarded-For': '203.0.113.7', Forwarded: 'for=203.0.113.7' });
      expect(told.status).toBe(201);
    }
  });

  it('S20 an address is an IPv4 address or an IPv6 /64, however it is written', () => {
    expect(networkOf('203.0.113.7')).toBe('203.0.113.7');
    expect(networkOf('::ffff:203.0.113.7')).toBe('203.0.113.7');
    const same = ['2001:db8:1:2::1', '2001:DB8:1:2:ffff::', '2001:0db8:0001:0002:0:0:0:9', '2001:db8:1:2::1%eth0'];
    expect(new Set(same.map(networkOf)).size).toBe(1);
    expect(networkOf('2001:db8:1:3::1')).not.toBe(networkOf('2001:db8:1:2::1'));
    expect(networkOf('::2')).toBe('0:0:0:0');
    for (const local of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) expect(networkOf(local)).toBeUndefined();
    expect(networkOf('<script>')).toBe('others');
  });
});

describe('S22: sites by their names', () => {
  const NAME = 'shop.web3';
  const back = 'http://shop-web3.localhost:8402/signed-in';

  it('S22 are sent back to their own origin only, with what their manifest says now', async () => {
    issuer.names.hold(NAME, wallet().address);
    issuer.names.clients.set(NAME, { title: 'The shop', redirects: ['/signed-in'], signedOut: ['/'] });
    const shop = await publicClient(issuer, NAME);
    expect(await leads(shop, back)).toBe('interaction');
    expect(await leads(shop, 'http://shop-web3.localhost/signed-in')).toBe('interaction');
    for (const address of [
      'http://other-web3.localhost:8402/signed-in',
      'http://evil.shop-web3.localhost:8402/signed-in',
      'http://shop-web3.localhost.:8402/signed-in',
      'http://shop-web3.localhost.evil.example:8402/signed-in',
      'http://SHOP-web3.localhost:8402/signed-in',
      'http://shop-web3.localhost:8402/other',
      'http://localhost:8402/signed-in',
      'https://other.web3/signed-in',
    ]) {
      expect([address, await leads(shop, address)]).toStrictEqual([address, 'page']);
    }
    issuer.names.clients.set(NAME, { redirects: ['/new'], signedOut: [] });
    expect(await leads(shop, back)).toBe('page');
    issuer.names.clients.delete(NAME);
    expect(await leads(shop, back)).toBe('page');
  });

  it('S22 whose name lapsed sign nobody in, and what they were given is over', async () => {
    const name = 'lapsing.web3';
    const holding = { name, owner: wallet().address, registeredAt: 1n as never, transfers: 0, isActive: true };
    issuer.names.holdings.set(name, holding);
    issuer.names.clients.set(name, { redirects: ['/back'], signedOut: [] });
    const shop = await publicClient(issuer, name);
    const redirectUri = 'http://lapsing-web3.localhost/back';
    const asked = await ask(shop, { redirectUri });
    const at = await signIn(new Browser(), asked, wallet());
    const given = await call(issuer, shop, '/token', { ...forCode(at, asked), redirect_uri: redirectUri });
    expect(given.status).toBe(200);
    issuer.names.holdings.set(name, { ...holding, isActive: false });
    expect(await leads(shop, redirectUri)).toBe('page');
    const refresh = { grant_type: 'refresh_token', refresh_token: String(given.body['refresh_token']) };
    expect((await call(issuer, shop, '/token', refresh)).status).toBe(401);
    expect((await userinfoOf(given)).status).toBe(401);
    // Whoever has the name then is another site, and gets nothing of what was allowed to the one before.
    issuer.names.holdings.set(name, { ...holding, registeredAt: 2n as never, owner: wallet().address });
    expect((await call(issuer, shop, '/token', refresh)).status).toBe(400);
    expect((await userinfoOf(given)).status).toBe(401);
  });

  async function userinfoOf({ body }: Told): Promise<Told> {
    return await send(new URL('/me', issuer.url), {
      headers: { Authorization: `Bearer ${String(body['access_token'])}` },
    });
  }
});

describe('S14: consent', () => {
  it('S14 shows who asks by where it sends people, the end of it above all, and its name as text', async () => {
    const host = `accounts.example.com.${'a'.repeat(60)}.evil.example`;
    const shop = await register(issuer, {
      redirect_uris: [`https://${host}/back`],
      client_name: `\u202ekcehc\u202c <b>Bank</b> ${'x'.repeat(200)}`,
    });
    const browser = new Browser({ Accept: 'text/html' });
    const asked = await ask(shop, { redirectUri: `https://${host}/back` });
    const { answer } = await browser.follow(asked.url);
    const text = answer?.text ?? '';
    expect(text).toContain('.evil.example</strong>');
    expect(text).not.toContain('\u202e');
    expect(text).not.toContain('<b>Bank');
    expect(text).not.toContain('x'.repeat(64));
  });

  it('S14 a public client is asked for each time, and one that wants more too', async () => {
    const shop = await register(issuer, { token_endpoint_auth_method: 'none' });
    const browser = new Browser();
    const signer = wallet();
    for (const scope of ['openid', 'openid', 'openid wallet']) {
      const { page, challenge } = await begin(browser, await ask(shop, { scope, prompt: 'login' }));
      const login = z
        .object({ next: z.string() })
        .parse(JSON.parse((await browser.post(`${page}/login`, answerTo(challenge, signer))).text));
      const consent = await browser.follow(login.next);
      expect(consent.answer?.text).toContain('"prompt":"consent"');
      await browser.post(`${consent.url}/consent`, { decision: 'allow' });
    }
  });

  it('S14 tells claim by claim what is given, and gives exactly that', async () => {
    const signer = wallet();
    issuer.names.hold('carol.sso', signer.address);
    const browser = new Browser();
    const asked = await ask(client, { scope: 'openid wallet posts' });
    const { page, challenge } = await begin(browser, asked);
    const login = z
      .object({ next: z.string() })
      .parse(
        JSON.parse((await browser.post(`${page}/login`, answerTo(challenge, signer, { profile: 'carol.sso' }))).text),
      );
    const consent = await browser.follow(login.next);
    const { claims, scopes } = z
      .looseObject({ claims: z.record(z.string(), z.string()), scopes: z.array(z.string()) })
      .parse(JSON.parse(consent.answer?.text ?? ''));
    expect(scopes).toStrictEqual(['openid', 'wallet', 'posts']);
    const decided = z
      .object({ next: z.string() })
      .parse(JSON.parse((await browser.post(`${consent.url}/consent`, { decision: 'allow' })).text));
    const tokens = await redeem(client, new URL((await browser.follow(decided.next)).url), asked);
    const { sub: _sub, ...told } = await oidc.fetchUserInfo(client, tokens.access_token, tokens.claims()?.sub ?? '');
    expect(told).toStrictEqual(claims);
    expect(Object.keys(told).toSorted()).toStrictEqual([
      'posts_author',
      'posts_payout',
      'wallet_address',
      'wallet_did',
    ]);
  });
});

describe('S28, S30: where the issuer is', () => {
  it('S28 nothing that a request says of it counts', async () => {
    await using elsewhere = await startIssuer({ at: new URL('https://id.example.org') });
    const told = await send(new URL('/.well-known/openid-configuration', `http://127.0.0.1:${elsewhere.port}`), {
      headers: {
        'X-Forwarded-Host': 'evil.example',
        'X-Forwarded-Proto': 'http',
        'X-Forwarded-Port': '1',
        Forwarded: 'host=evil.example;proto=http',
      },
    });
    expect(JSON.stringify(told.body)).not.toContain('evil');
    expect(told.body['issuer']).toBe('https://id.example.org');
    expect(told.body['token_endpoint']).toBe('https://id.example.org/token');
    const rebound = await overSocket(issuer.port, 'GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n');
    expect(rebound).toContain('421');
    const named = await overSocket(
      issuer.port,
      `GET http://evil.example/ HTTP/1.1\r\nHost: ${issuer.url.host}\r\nConnection: close\r\n\r\n`,
    );
    expect(named).toContain(' 400 ');
    const none = await overSocket(issuer.port, 'POST /token HTTP/1.0\r\n\r\n');
    expect(none).toContain(' 421 ');
  });

  it('S30 by another address of this machine people come to the one that counts, before anything is kept', async () => {
    const asked = await ask(client);
    const other = new URL(asked.url);
    other.hostname = '127.0.0.1';
    const answer = await new Browser().get(other);
    expect([answer.status, answer.location]).toStrictEqual([308, asked.url.href]);
    expect(answer.headers.getSetCookie()).toStrictEqual([]);
  });
});

describe('requests that are too much', () => {
  it('are refused without a fault of ours', async () => {
    const long = await ask(client, { state: 'x'.repeat(MAX_SIGN_IN_URL_LETTERS) });
    expect((await new Browser().get(long.url)).status).toBe(414);
    const { page } = await begin(new Browser(), await ask(client));
    const body = { nonce: 'x'.repeat(10_000) };
    expect((await new Browser().post(`${page}/login`, body)).status).toBe(413);
    const broken = await send(new URL(`${page}/login`), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{',
    });
    expect(broken.status).toBe(400);
    for (const path of ['/token', '/reg', '/token/introspection']) {
      const told = await send(new URL(path, issuer.url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
        body: `{"x":"${'x'.repeat(100_000)}"}`,
      });
      expect([path, [400, 401, 413].includes(told.status)]).toStrictEqual([path, true]);
    }
    expect(log.lines).toStrictEqual([]);
  });
});

async function overSocket(port: number, text: string): Promise<string> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  socket.end(text);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}
