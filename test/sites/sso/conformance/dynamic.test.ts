/**
 * The Dynamic plan (`oidcc-dynamic-certification-test-plan`), module by module, for response type `code`. What the suite wants fetched from a client
 * (its logo, a sector, a request) is refused as designed, or not shown: these modules say so. `oidcc-registration-jwks-uri` is not among them.
 */
import { generateKeyPair, exportJWK, type CryptoKey, type JWK } from 'jose';
import * as oidc from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { AHEAD_MILLIS, SIGNS_MILLIS } from '../../../../sites/sso/secrets.ts';
import { Browser, MovedClock, openPlace } from '../kit.ts';
import {
  BACK,
  REFUSED,
  claimsAt,
  client,
  errorPage,
  keysOf,
  openJudged,
  person,
  request,
  signIn,
  unsigned,
  userinfo,
  verified,
  visit,
  type Judged,
} from './kit.ts';

const HOST = 'https://rp.example.org';
const HTML = { Accept: 'text/html' };

let judged: Judged;

beforeAll(async () => {
  judged = await openJudged();
});
afterAll(() => judged[Symbol.asyncDispose]());

interface Pair {
  readonly own: CryptoKey;
  readonly shown: JWK;
}

async function pair(kid: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  return { own: privateKey, shown: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } };
}

/** A client that proves itself by a key instead of a secret. */
async function keyed({ own, shown }: Pair): Promise<oidc.Configuration> {
  const metadata = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ ...shown }] } };
  return await client(judged, metadata, oidc.PrivateKeyJwt({ key: own, kid: String(shown.kid) }));
}

const WRONG_METADATA = { error: 'invalid_client_metadata' };

it('oidcc-discovery-endpoint-verification: everything is at the issuer, over https, and nothing is said that is not so', async () => {
  const { origin } = judged.issuer.url;
  const told = (await (await judged.fetch(`${origin}/.well-known/openid-configuration`)).json()) as oidc.ServerMetadata;
  expect(told).toMatchObject({
    issuer: origin,
    subject_types_supported: ['pairwise'],
    scopes_supported: expect.arrayContaining(['openid']) as string[],
    claims_supported: expect.arrayContaining(['sub', 'wallet_address']) as string[],
    id_token_signing_alg_values_supported: expect.arrayContaining(['RS256']) as string[],
    // No flow hands out tokens in an address (RFC 9700, 2.1.2), though the profile of OpenID names them.
    response_types_supported: ['code'],
  });
  const addresses = Object.entries(told).flatMap(([name, value]) =>
    /_endpoint$|^jwks_uri$/.test(name) && typeof value === 'string' ? [[name, value] as const] : [],
  );
  expect(addresses.map(([, address]) => new URL(address).origin)).toStrictEqual(addresses.map(() => origin));
  expect(addresses.map(([name]) => name)).toEqual(
    expect.arrayContaining([
      'authorization_endpoint',
      'token_endpoint',
      'userinfo_endpoint',
      'registration_endpoint',
      'jwks_uri',
    ]),
  );
  const { keys } = await keysOf(judged);
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length);
});

it('oidcc-server: a client that has just registered signs people in', async () => {
  const rp = await client(judged);
  const { tokens, claims } = await signIn(rp, person(judged));
  expect((await claimsAt(judged, tokens.access_token))['sub']).toBe(claims.sub);
});

it('oidcc-ensure-client-assertion-with-iss-aud-succeeds: what the client signs is for the issuer', async () => {
  const rp = await keyed(await pair('one'));
  expect((await signIn(rp, person(judged))).claims.sub).toBeDefined();
});

it('oidcc-ensure-redirect-uri-in-authorization-request: also of a client with a single one', async () => {
  const { url } = request(await client(judged), { redirect_uri: undefined });
  expect(await errorPage(judged, url)).toStrictEqual(REFUSED);
});

it('oidcc-ensure-request-object-with-redirect-uri: none of its addresses is gone to', async () => {
  const rp = await client(judged);
  const { client_id: id } = rp.clientMetadata();
  const there = unsigned({ client_id: id, redirect_uri: BACK });
  const { url } = request(rp, { redirect_uri: `${BACK}/elsewhere`, request: there });
  expect(await errorPage(judged, url)).toStrictEqual(REFUSED);
});

it('oidcc-idtoken-rs256', async () => {
  const rp = await client(judged, { id_token_signed_response_alg: 'RS256' });
  const { tokens } = await signIn(rp, person(judged));
  expect((await verified(judged, rp, tokens.id_token)).protectedHeader.alg).toBe('RS256');
});

it('oidcc-idtoken-unsigned: is not to be had', async () => {
  await expect(client(judged, { id_token_signed_response_alg: 'none' })).rejects.toMatchObject(WRONG_METADATA);
});

it('oidcc-redirect-uri-query-OK: an address comes back with its own query', async () => {
  const rp = await client(judged, { redirect_uris: [`${BACK}?foo=bar`] });
  const { back } = await visit(person(judged), request(rp, { redirect_uri: `${BACK}?foo=bar` }).url);
  expect(back.searchParams.get('foo')).toBe('bar');
  expect(back.searchParams.get('code')).not.toBeNull();
});

it('oidcc-redirect-uri-query-added: one that was not registered is none', async () => {
  const { url } = request(await client(judged), { redirect_uri: `${BACK}?foo=bar` });
  expect(await errorPage(judged, url)).toStrictEqual(REFUSED);
});

it('oidcc-redirect-uri-query-mismatch: another query is another address', async () => {
  const rp = await client(judged, { redirect_uris: [`${BACK}?foo=bar`] });
  for (const other of [`${BACK}?foo=baz`, BACK, `${BACK}?foo=bar&x=y`]) {
    expect([other, await errorPage(judged, request(rp, { redirect_uri: other }).url)]).toStrictEqual([other, REFUSED]);
  }
});

it('oidcc-redirect-uri-regfrag: an address with a fragment cannot be registered', async () => {
  const asked = client(judged, { redirect_uris: [`${BACK}#foo`] });
  await expect(asked).rejects.toMatchObject({ error: 'invalid_redirect_uri' });
});

it('oidcc-refresh-token: of a client that proves itself by a key', async () => {
  const rp = await keyed(await pair('one'));
  const first = await signIn(rp, person(judged), { scope: 'openid offline_access', prompt: 'consent' });
  const next = await oidc.refreshTokenGrant(rp, first.tokens.refresh_token ?? '');
  expect(next.claims()?.sub).toBe(first.claims.sub);
});

it('oidcc-refresh-token-rp-key-rotation: what it was given counts with its new key, and no longer with the old one', async () => {
  const old = await pair('old');
  const rp = await keyed(old);
  const { tokens, claims } = await signIn(rp, person(judged), { scope: 'openid offline_access', prompt: 'consent' });
  const next = await pair('new');
  const { registration_client_uri: at, registration_access_token: token, ...its } = rp.clientMetadata();
  const { client_id_issued_at: _issued, ...metadata } = its;

  const changed = await judged.fetch(z.string().parse(at), {
    method: 'PUT',
    headers: { Authorization: `Bearer ${z.string().parse(token)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...metadata, jwks: { keys: [next.shown] } }),
  });
  expect(changed.status).toBe(200);

  const { refresh_token: refresh = '' } = tokens;
  await expect(oidc.refreshTokenGrant(rp, refresh)).rejects.toMatchObject({ error: 'invalid_client' });
  const proof = oidc.PrivateKeyJwt({ key: next.own, kid: 'new' });
  const rotated = new oidc.Configuration(rp.serverMetadata(), its.client_id, undefined, proof);
  rotated[oidc.customFetch] = (url, options) => judged.fetch(url, options as RequestInit);
  expect((await oidc.refreshTokenGrant(rotated, refresh)).claims()?.sub).toBe(claims.sub);
});

it('oidcc-registration-logo-uri: the page shows no picture of a stranger, and fetches none', async () => {
  const rp = await client(judged, { logo_uri: `${HOST}/logo.png` });
  const { answer } = await new Browser(HTML, judged.fetch).follow(request(rp).url);
  expect(answer?.text).toContain('rp.example.org');
  expect(answer?.text).not.toContain('logo.png');
  expect(answer?.headers.get('Content-Security-Policy')).toContain("img-src 'self' data:;");
});

for (const [kind, field, label] of [
  ['policy', 'policy_uri', 'Its privacy policy'],
  ['tos', 'tos_uri', 'Its terms'],
] as const) {
  it(`oidcc-registration-${kind}-uri: the page links to it, at the host that the person is sent back to`, async () => {
    const page = `${HOST}/about?a=1&b="`;
    const { answer } = await new Browser(HTML, judged.fetch).follow(
      request(await client(judged, { [field]: page })).url,
    );
    expect(answer?.text).toContain(
      `<a href="${HOST}/about?a=1&#38;b=%22" target="_blank" rel="noreferrer">${label}</a>`,
    );
    for (const elsewhere of ['https://rp.example.org.evil.example/about', 'http://rp.example.org/about']) {
      const other = await client(judged, { [field]: elsewhere });
      const shown = await new Browser(HTML, judged.fetch).follow(request(other).url);
      expect([shown.answer?.status, shown.answer?.text.includes(label)]).toStrictEqual([200, false]);
    }
  });
}

it('oidcc-registration-sector-bad: a client is not believed about who else it is', async () => {
  const asked = client(judged, { sector_identifier_uri: 'https://other.example.org/sector.json' });
  await expect(asked).rejects.toMatchObject(WRONG_METADATA);
});

it('oidcc-registration-sector-uri: refused too, as nothing is fetched; the sector is the host', async () => {
  const sector = { sector_identifier_uri: `${HOST}/sector.json` };
  await expect(client(judged, sector)).rejects.toMatchObject(WRONG_METADATA);
  const who = person(judged);
  const [one, two] = [await client(judged), await client(judged, { redirect_uris: [`${HOST}/other`] })];
  const first = await signIn(one, who);
  const second = await signIn(two, who, { redirect_uri: `${HOST}/other` });
  expect(second.claims.sub).toBe(first.claims.sub);
});

for (const kind of ['signed-rs256', 'unsigned']) {
  it(`oidcc-request-uri-${kind}: refused, and nothing is fetched`, async () => {
    const ask = request(await client(judged), { request_uri: `${HOST}/request.jwt` });
    const { back } = await visit(person(judged), ask.url);
    expect(back.searchParams.get('error')).toBe('request_uri_not_supported');
  });
}

it('oidcc-server-rotate-keys: tokens are signed by the next key, which was published before', async () => {
  const clock = new MovedClock();
  await using place = await openPlace();
  await using before = await openJudged({ place, clock });
  const rp = await client(before);
  const first = await verified(before, rp, (await signIn(rp, person(before))).tokens.id_token);
  await before[Symbol.asyncDispose]();

  clock.ahead = SIGNS_MILLIS - AHEAD_MILLIS + 1_000;
  await using between = await openJudged({ place, clock });
  const published = (await keysOf(between)).keys.map(({ kid }) => kid);
  await between[Symbol.asyncDispose]();

  clock.ahead = SIGNS_MILLIS + 1_000;
  await using after = await openJudged({ place, clock });
  const second = await verified(after, rp, (await signIn(rp, person(after))).tokens.id_token);
  expect(second.protectedHeader.kid).not.toBe(first.protectedHeader.kid);
  expect(published).toContain(second.protectedHeader.kid);
});

it('oidcc-userinfo-rs256: a client that asks for it gets it signed', async () => {
  const rp = await client(judged, { userinfo_signed_response_alg: 'RS256' });
  const { tokens, claims } = await signIn(rp, person(judged));
  const response = await userinfo(judged, { headers: { Authorization: `Bearer ${tokens.access_token}` } });
  expect(response.headers.get('Content-Type')).toMatch(/^application\/jwt/);
  const { payload, protectedHeader } = await verified(judged, rp, await response.text());
  expect([payload.sub, protectedHeader.alg]).toStrictEqual([claims.sub, 'RS256']);
  for (const alg of ['none', 'HS256']) {
    await expect(client(judged, { userinfo_signed_response_alg: alg })).rejects.toMatchObject(WRONG_METADATA);
  }
});
