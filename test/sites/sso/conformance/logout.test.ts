/** The plan for logout that a client begins (`oidcc-rp-initiated-logout-certification-test-plan`), module by module. */
import * as oidc from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Answer } from '../kit.ts';
import {
  FORM,
  REFUSED,
  SIGNED_OUT,
  client,
  errorPage,
  openJudged,
  person,
  request,
  signIn,
  unsigned,
  visit,
  type Judged,
  type Params,
  type Person,
} from './kit.ts';

let judged: Judged;
let rp: oidc.Configuration;

beforeAll(async () => {
  judged = await openJudged();
  rp = await client(judged);
});
afterAll(() => judged[Symbol.asyncDispose]());

function endSession(params: Params): URL {
  const url = new URL('/session/end', judged.issuer.url);
  for (const [name, value] of Object.entries(params)) if (value !== undefined) url.searchParams.set(name, value);
  return url;
}

async function signedIn(): Promise<{ readonly who: Person; readonly hint: string }> {
  const who = person(judged);
  const { tokens } = await signIn(rp, who);
  return { who, hint: tokens.id_token ?? '' };
}

/** What a person sees who is sent to sign out: the question whether they want to. */
async function asked({ browser }: Person, url: URL): Promise<Answer> {
  const page = await browser.get(url);
  expect([page.status, page.location]).toStrictEqual([200, undefined]);
  expect(page.text).toContain('Sign out of this browser?');
  return page;
}

async function confirm({ browser }: Person, { text }: Answer): Promise<Answer> {
  const xsrf = /name="xsrf" value="(\w+)"/.exec(text)?.[1] ?? '';
  const body = new URLSearchParams({ xsrf, logout: 'yes' }).toString();
  return await browser.send(new URL('/session/end/confirm', judged.issuer.url), {
    method: 'POST',
    headers: FORM,
    body,
  });
}

/** @returns the error that a client gets which asks without disturbing the person; null where somebody is signed in. */
async function silently(who: Person): Promise<string | null> {
  return (await visit(who, request(rp, { prompt: 'none' }).url)).back.searchParams.get('error');
}

/** The person is told that it cannot be, sent nowhere, and stays signed in. */
async function expectRefused(who: Person, url: URL): Promise<void> {
  const { status, location } = await who.browser.get(url);
  expect([status, location]).toStrictEqual([400, undefined]);
  expect(await errorPage(judged, url)).toStrictEqual(REFUSED);
  expect(await silently(who)).toBeNull();
}

/** The person is asked, and told here that they are signed out. */
async function expectStays(who: Person, url: URL): Promise<void> {
  const page = await asked(who, url);
  expect(await silently(who)).toBeNull();
  const { url: end, answer } = await who.browser.follow((await confirm(who, page)).location ?? '');
  expect(new URL(end).origin).toBe(judged.issuer.url.origin);
  expect(answer?.text).toContain('You are signed out');
  expect(await silently(who)).toBe('login_required');
}

it('oidcc-rp-initiated-logout-discovery-endpoint-verification', () => {
  expect(rp.serverMetadata().end_session_endpoint).toBe(endSession({}).href);
});

it('oidcc-rp-initiated-logout: the person is asked, comes back with the state, and is signed out', async () => {
  const { who, hint } = await signedIn();
  expect(await silently(who)).toBeNull();
  const page = await asked(
    who,
    endSession({ id_token_hint: hint, post_logout_redirect_uri: SIGNED_OUT, state: 'a state' }),
  );
  expect((await confirm(who, page)).location).toBe(`${SIGNED_OUT}?state=a+state`);
  expect(await silently(who)).toBe('login_required');
});

it('oidcc-rp-initiated-logout-bad-post-logout-redirect-uri', async () => {
  const { who, hint } = await signedIn();
  const bad = `${SIGNED_OUT}/elsewhere`;
  await expectRefused(who, endSession({ id_token_hint: hint, post_logout_redirect_uri: bad, state: 'x' }));
});

it('oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri', async () => {
  const { who, hint } = await signedIn();
  const added = `${SIGNED_OUT}?foo=bar`;
  await expectRefused(who, endSession({ id_token_hint: hint, post_logout_redirect_uri: added, state: 'x' }));
});

it('oidcc-rp-initiated-logout-modified-id-token-hint: one that nobody signed any more', async () => {
  const { who, hint } = await signedIn();
  const claims = JSON.parse(Buffer.from(hint.split('.')[1] ?? '', 'base64url').toString('utf8')) as object;
  const modified = unsigned(claims);
  await expectRefused(who, endSession({ id_token_hint: modified, post_logout_redirect_uri: SIGNED_OUT, state: 'x' }));
});

it('oidcc-rp-initiated-logout-bad-id-token-hint: no token at all', async () => {
  const { who } = await signedIn();
  await expectRefused(who, endSession({ id_token_hint: 'bad', post_logout_redirect_uri: SIGNED_OUT, state: 'x' }));
});

it('oidcc-rp-initiated-logout-no-id-token-hint: nobody is sent to an address that no known client asked for', async () => {
  const { who } = await signedIn();
  await expectStays(who, endSession({ post_logout_redirect_uri: SIGNED_OUT, state: 'x' }));
});

it('oidcc-rp-initiated-logout-no-params', async () => {
  const { who } = await signedIn();
  await expectStays(who, endSession({}));
});

it('oidcc-rp-initiated-logout-no-post-logout-redirect-uri', async () => {
  const { who, hint } = await signedIn();
  await expectStays(who, endSession({ id_token_hint: hint, state: 'x' }));
});

it('oidcc-rp-initiated-logout-only-state', async () => {
  const { who } = await signedIn();
  await expectStays(who, endSession({ state: 'x' }));
});

it('oidcc-rp-initiated-logout-no-state: the person comes back without one', async () => {
  const { who, hint } = await signedIn();
  const page = await asked(who, endSession({ id_token_hint: hint, post_logout_redirect_uri: SIGNED_OUT }));
  expect((await confirm(who, page)).location).toBe(SIGNED_OUT);
  expect(await silently(who)).toBe('login_required');
});
