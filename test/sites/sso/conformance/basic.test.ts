/** The Basic plan (`oidcc-basic-certification-test-plan`), module by module, for response type `code`. */
import * as oidc from 'openid-client';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import {
  BACK,
  REFUSED,
  claimsAt,
  client,
  codeGrant,
  errorPage,
  known,
  openJudged,
  person,
  post,
  redeem,
  request,
  signIn,
  unsigned,
  userinfo,
  verified,
  visit,
  visitByPost,
  type Judged,
  type Params,
} from './kit.ts';

let judged: Judged;
let rp: oidc.Configuration;

beforeAll(async () => {
  judged = await openJudged();
  rp = await client(judged);
});
afterAll(() => judged[Symbol.asyncDispose]());
afterEach(() => {
  vi.useRealTimers();
});

/** Later, for the issuer and for its client: whole seconds, as tokens count them. */
function pass(seconds: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
}

/** With something in the request that may stand there without changing anything. */
async function signedInWith(params: Params): Promise<{ readonly same: boolean; readonly told: readonly string[] }> {
  const who = person(judged);
  const plain = await signIn(rp, who);
  const { claims, back } = await signIn(rp, who, params);
  return { same: claims.sub === plain.claims.sub, told: [...back.searchParams.keys()].toSorted() };
}
const AS_WITHOUT = { same: true, told: ['code', 'iss', 'state'] };

it('oidcc-server: a person signs in, and the tokens and what userinfo says are theirs', async () => {
  const { tokens, claims, back } = await signIn(rp, person(judged));
  expect(back.origin + back.pathname).toBe(BACK);
  expect(tokens.token_type.toLowerCase()).toBe('bearer');
  expect(claims.iss).toBe(judged.issuer.url.origin);
  expect(claims.sub).toMatch(/^[\x21-\x7e]{1,255}$/);
  expect(claims.exp).toBeGreaterThan(claims.iat);
  expect((await claimsAt(judged, tokens.access_token))['sub']).toBe(claims.sub);
});

it('oidcc-response-type-missing: the client is told, with its state', async () => {
  const ask = request(rp, { response_type: undefined });
  const { back } = await visit(person(judged), ask.url);
  expect(back.searchParams.get('error')).toBe('invalid_request');
  expect(back.searchParams.get('state')).toBe(ask.state);
});

it('oidcc-idtoken-signature: by a key that is published, of the kind that the client registered', async () => {
  const { tokens } = await signIn(rp, person(judged));
  const { protectedHeader } = await verified(judged, rp, tokens.id_token);
  expect(protectedHeader.alg).toBe('RS256');
});

it('oidcc-idtoken-unsigned: a client cannot have tokens that nobody signed', async () => {
  const asked = client(judged, { id_token_signed_response_alg: 'none' });
  await expect(asked).rejects.toMatchObject({ error: 'invalid_client_metadata' });
  expect(rp.serverMetadata().id_token_signing_alg_values_supported).not.toContain('none');
});

it('oidcc-userinfo-get', async () => {
  const { tokens, claims } = await signIn(rp, person(judged));
  const response = await userinfo(judged, { headers: { Authorization: `Bearer ${tokens.access_token}` } });
  expect(response.headers.get('Content-Type')).toMatch(/^application\/json/);
  expect(await response.json()).toStrictEqual({ sub: claims.sub });
});

it('oidcc-userinfo-post-header', async () => {
  const { tokens, claims } = await signIn(rp, person(judged));
  const response = await userinfo(judged, {
    method: 'POST',
    headers: { Authorization: `Bearer ${tokens.access_token}` },
  });
  expect(await response.json()).toStrictEqual({ sub: claims.sub });
});

it('oidcc-userinfo-post-body', async () => {
  const { tokens, claims } = await signIn(rp, person(judged));
  const body = new URLSearchParams({ access_token: tokens.access_token });
  expect(await (await userinfo(judged, { method: 'POST', body })).json()).toStrictEqual({ sub: claims.sub });
});

it('oidcc-ensure-request-without-nonce-succeeds-for-code-flow', async () => {
  const { claims } = await signIn(rp, person(judged), { nonce: undefined });
  expect(claims.nonce).toBeUndefined();
});

it('oidcc-scope-profile: what a profile has, at userinfo', async () => {
  const { tokens, claims } = await signIn(rp, known(judged, 'ana.sso'), { scope: 'openid profile' });
  expect(await claimsAt(judged, tokens.access_token)).toStrictEqual({
    sub: claims.sub,
    name: 'Ana',
    preferred_username: 'ana.sso',
    picture: 'ana.image',
    website: 'https://ana.example.org/',
    updated_at: expect.any(Number) as number,
  });
});

// A wallet has none of these: nothing is offered, and asking for it does no harm (OpenID Connect Core, 5.4; RFC 6749, 3.3).
for (const scope of ['email', 'address', 'phone']) {
  it(`oidcc-scope-${scope}: which is not offered, gives nothing and harms nothing`, async () => {
    const { tokens, claims } = await signIn(rp, known(judged, `${scope}.sso`), { scope: `openid ${scope}` });
    expect(await claimsAt(judged, tokens.access_token)).toStrictEqual({ sub: claims.sub });
    expect(tokens.scope).toBe('openid');
    expect(rp.serverMetadata().scopes_supported).not.toContain(scope);
  });
}

it('oidcc-scope-all: what there is of them', async () => {
  const scope = 'openid profile email address phone';
  const { tokens } = await signIn(rp, known(judged, 'all.sso'), { scope });
  expect(tokens.scope).toBe('openid profile');
  const names = Object.keys(await claimsAt(judged, tokens.access_token)).toSorted();
  expect(names).toStrictEqual(['name', 'picture', 'preferred_username', 'sub', 'updated_at', 'website']);
});

it('oidcc-ensure-other-scope-order-succeeds', async () => {
  const { tokens, claims } = await signIn(rp, known(judged, 'order.sso'), { scope: 'profile openid' });
  expect(await claimsAt(judged, tokens.access_token)).toMatchObject({
    sub: claims.sub,
    preferred_username: 'order.sso',
  });
});

it('oidcc-display-page', async () => {
  expect(await signedInWith({ display: 'page' })).toStrictEqual(AS_WITHOUT);
});

it('oidcc-display-popup', async () => {
  expect(await signedInWith({ display: 'popup' })).toStrictEqual(AS_WITHOUT);
});

it('oidcc-prompt-login: who is signed in signs again, and the second token says when', async () => {
  const who = person(judged);
  const first = await signIn(rp, who, { max_age: '10000' });
  pass(2);
  const second = await signIn(rp, who, { prompt: 'login', max_age: '10000' });
  expect(second.steps).toContain('login');
  expect(second.claims.sub).toBe(first.claims.sub);
  expect(second.claims.auth_time).toBeGreaterThan(first.claims.auth_time ?? Infinity);
});

it('oidcc-prompt-none-not-logged-in: nobody is asked, and the client is told', async () => {
  const ask = request(rp, { prompt: 'none' });
  const { back, steps } = await visit(person(judged), ask.url);
  expect(steps).toStrictEqual([]);
  expect(back.searchParams.get('error')).toBe('login_required');
  expect(back.searchParams.get('state')).toBe(ask.state);
});

it('oidcc-prompt-none-logged-in: nobody is asked, and it is the same person, who signed in then', async () => {
  const who = person(judged);
  const first = await signIn(rp, who, { max_age: '10000' });
  pass(2);
  const second = await signIn(rp, who, { prompt: 'none', max_age: '10000' });
  expect(second.steps).toStrictEqual([]);
  expect(second.claims.sub).toBe(first.claims.sub);
  expect(second.claims.auth_time).toBe(first.claims.auth_time);
});

it('oidcc-max-age-1: who signed in longer ago signs again', async () => {
  const who = person(judged);
  const first = await signIn(rp, who, { max_age: '10000' });
  pass(2);
  const second = await signIn(rp, who, { max_age: '1' });
  expect(second.steps).toContain('login');
  expect(second.claims.sub).toBe(first.claims.sub);
  expect(second.claims.auth_time).toBeGreaterThan(first.claims.auth_time ?? Infinity);
});

it('oidcc-max-age-10000: who signed in a moment ago does not, and the token says when that was', async () => {
  const who = person(judged);
  const first = await signIn(rp, who, { max_age: '10000' });
  pass(2);
  const second = await signIn(rp, who, { max_age: '10000' });
  expect(second.steps).toStrictEqual([]);
  expect(second.claims.auth_time).toBe(first.claims.auth_time);
});

it('oidcc-ensure-request-with-unknown-parameter-succeeds', async () => {
  expect(await signedInWith({ extra: 'foobar' })).toStrictEqual(AS_WITHOUT);
});

it('oidcc-id-token-hint: whose it is comes back without a question, and nobody else in their place', async () => {
  const [who, other] = [person(judged), person(judged)];
  const { tokens, claims } = await signIn(rp, who);
  await signIn(rp, other);
  const hint = { prompt: 'none', id_token_hint: tokens.id_token };
  expect((await signIn(rp, who, hint)).claims.sub).toBe(claims.sub);
  const { back } = await visit(other, request(rp, hint).url);
  expect(back.searchParams.get('error')).toBe('login_required');
});

it('oidcc-login-hint', async () => {
  expect(await signedInWith({ login_hint: 'ana.sso' })).toStrictEqual(AS_WITHOUT);
});

it('oidcc-ui-locales', async () => {
  expect(await signedInWith({ ui_locales: 'se fr' })).toStrictEqual(AS_WITHOUT);
});

it('oidcc-claims-locales', async () => {
  expect(await signedInWith({ claims_locales: 'se' })).toStrictEqual(AS_WITHOUT);
});

it('oidcc-ensure-request-with-acr-values-succeeds: none is claimed', async () => {
  const { claims } = await signIn(rp, person(judged), { acr_values: '1 2' });
  expect(claims['acr']).toBeUndefined();
});

it('oidcc-codereuse: a code counts once', async () => {
  const { back } = await signIn(rp, person(judged));
  expect(await post(judged, rp, codeGrant(back))).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
});

it('oidcc-codereuse-30seconds: also later, and what it gave is good for nothing then', async () => {
  const { back, tokens } = await signIn(rp, person(judged));
  pass(30);
  expect(await post(judged, rp, codeGrant(back))).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  const response = await userinfo(judged, { headers: { Authorization: `Bearer ${tokens.access_token}` } });
  expect(response.status).toBe(401);
});

it('oidcc-ensure-registered-redirect-uri: nobody is sent anywhere else', async () => {
  const { url } = request(rp, { redirect_uri: `${BACK}/elsewhere` });
  expect(await errorPage(judged, url)).toStrictEqual(REFUSED);
});

it('oidcc-ensure-post-request-succeeds', async () => {
  const ask = request(rp);
  const { back } = await visitByPost(person(judged), ask);
  expect((await redeem(rp, back, ask)).claims()?.sub).toBeDefined();
});

it('oidcc-server-client-secret-post', async () => {
  const posting = await client(judged, { token_endpoint_auth_method: 'client_secret_post' }, oidc.ClientSecretPost());
  const ask = request(posting);
  const { back } = await visit(person(judged), ask.url);
  const guess = { client_id: posting.clientMetadata().client_id, client_secret: 'x'.repeat(43), ...codeGrant(back) };
  const refused = await judged.fetch(new URL('/token', judged.issuer.url), {
    method: 'POST',
    body: new URLSearchParams(guess),
  });
  expect(await refused.json()).toMatchObject({ error: 'invalid_client' });
  const tokens = await redeem(posting, back, ask);
  expect((await claimsAt(judged, tokens.access_token))['sub']).toBe(tokens.claims()?.sub);
});

it('oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported: rejected', async () => {
  const ask = request(rp, { request_uri: 'https://rp.example.org/request.jwt' });
  const { back } = await visit(person(judged), ask.url);
  expect(back.searchParams.get('error')).toBe('request_uri_not_supported');
  expect(back.searchParams.get('state')).toBe(ask.state);
  expect(rp.serverMetadata().request_uri_parameter_supported).toBe(false);
});

it('oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported: rejected', async () => {
  const { client_id: id } = rp.clientMetadata();
  const ask = request(rp, { request: unsigned({ client_id: id, scope: 'openid', state: 'another' }) });
  const { back } = await visit(person(judged), ask.url);
  expect(back.searchParams.get('error')).toBe('request_not_supported');
  expect(back.searchParams.get('state')).toBe(ask.state);
  expect(rp.serverMetadata()['request_parameter_supported'] ?? false).toBe(false);
});

it('oidcc-claims-essential: which is not offered, gives nothing that the person was not told of', async () => {
  const wanted = JSON.stringify({ userinfo: { name: { essential: true } } });
  const { tokens, claims } = await signIn(rp, known(judged, 'essential.sso'), { claims: wanted });
  expect(await claimsAt(judged, tokens.access_token)).toStrictEqual({ sub: claims.sub });
  expect(rp.serverMetadata().claims_parameter_supported).toBe(false);
});

it('oidcc-ensure-request-object-with-redirect-uri: none of its addresses is gone to', async () => {
  const { client_id: id } = rp.clientMetadata();
  const elsewhere = `${BACK}/elsewhere`;
  const inside = request(rp, { request: unsigned({ client_id: id, redirect_uri: elsewhere }) });
  const { back } = await visit(person(judged), inside.url);
  expect([back.origin + back.pathname, back.searchParams.get('code')]).toStrictEqual([BACK, null]);
  const outside = request(rp, { redirect_uri: elsewhere, request: unsigned({ client_id: id, redirect_uri: BACK }) });
  expect(await errorPage(judged, outside.url)).toStrictEqual(REFUSED);
});

it('oidcc-refresh-token: the same person in a new token, for this client alone', async () => {
  const other = await client(judged);
  const offline = { scope: 'openid offline_access', prompt: 'consent', max_age: '10000' };
  const { tokens, claims } = await signIn(rp, person(judged), offline);
  const { refresh_token: token = '' } = tokens;
  const stolen = await post(judged, other, { grant_type: 'refresh_token', refresh_token: token });
  expect(stolen.body['error']).toBe('invalid_grant');
  pass(2);
  const next = await oidc.refreshTokenGrant(rp, token);
  expect(next.access_token).not.toBe(tokens.access_token);
  const { iss, sub, aud, auth_time: when } = claims;
  expect(next.claims()).toMatchObject({ iss, sub, aud, auth_time: when });
  expect(next.claims()?.iat).toBeGreaterThan(claims.iat);
  expect((await claimsAt(judged, next.access_token))['sub']).toBe(sub);
});

it('oidcc-ensure-request-with-valid-pkce-succeeds: and without its verifier the code is nothing', async () => {
  const verifier = oidc.randomPKCECodeVerifier();
  const challenge = await oidc.calculatePKCECodeChallenge(verifier);
  const careful = { code_challenge: challenge, code_challenge_method: 'S256' };
  const who = person(judged);
  const ask = request(rp, careful);
  const { back } = await visit(who, ask.url);
  expect((await redeem(rp, back, ask, verifier)).claims()?.sub).toBeDefined();
  const again = await visit(who, request(rp, careful).url);
  expect((await post(judged, rp, codeGrant(again.back))).body['error']).toBe('invalid_grant');
});
