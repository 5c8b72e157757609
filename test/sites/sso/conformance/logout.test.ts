/** The plan for logout that a client begins (`oidcc-rp-initiated-logout-certification-test-plan`), module by module. */
import type * as oidc from 'openid-client';
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

/** What becomes of somebody who is sent to sign out by a request that cannot be. */
async function refusal(who: Person, url: URL): Promise<object> {
  const { status, location } = await who.browser.get(url);
  return { here: [status, location], elsewhere: await errorPage(judged, url), after: await silently(who) };
}
/** The person is told, sent nowhere, and stays signed in. */
const TOLD = { here: [400, undefined], elsewhere: REFUSED, after: null };

/** What becomes of somebody who is sent to sign out, and says yes. */
async function ending(who: Person, url: URL): Promise<object> {
  const page = await asked(who, url);
  const before = await silently(who);
  const { url: end, answer } = await who.browser.follow((await confirm(who, page)).location ?? '');
  const isTold = answer?.text.includes('You are signed out') ?? false;
  return { before, at: new URL(end).origin, isTold, after: await silently(who) };
}
/** Nothing happens before the person says so, and they are told here. */
const STAYS = { before: null, at: 'https://id.example.org', isTold: true, after: 'login_required' };

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
  expect(
    await refusal(who, endSession({ id_token_hint: hint, post_logout_redirect_uri: bad, state: 'x' })),
  ).toStrictEqual(TOLD);
});

it('oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri', async () => {
  const { who, hint } = await signedIn();
  const added = `${SIGNED_OUT}?foo=bar`;
  expect(
    await refusal(who, endSession({ id_token_hint: hint, post_logout_redirect_uri: added, state: 'x' })),
  ).toStrictEqual(TOLD);
});

it('oidcc-rp-initiated-logout-modified-id-token-hint: one that nobody signed any more', async () => {
  const { who, hint } = await signedIn();
  const claims = JSON.parse(Buffer.from(hint.split('.')[1] ?? '', 'base64url').toString('utf8')) as object;
  const modified = unsigned(claims);
  expect(
    await refusal(who, endSession({ id_token_hint: modified, post_logout_redirect_uri: SIGNED_OUT, state: 'x' })),
  ).toStrictEqual(TOLD);
});

it('oidcc-rp-initiated-logout-bad-id-token-hint: no token at all', async () => {
  const { who } = await signedIn();
  expect(
    await refusal(who, endSession({ id_token_hint: 'bad', post_logout_redirect_uri: SIGNED_OUT, state: 'x' })),
  ).toStrictEqual(TOLD);
});

it('oidcc-rp-initiated-logout-no-id-token-hint: nobody is sent to an address that no known client asked for', async () => {
  const { who } = await signedIn();
  expect(await ending(who, endSession({ post_logout_redirect_uri: SIGNED_OUT, state: 'x' }))).toStrictEqual(STAYS);
});

it('oidcc-rp-initiated-logout-no-params', async () => {
  const { who } = await signedIn();
  expect(await ending(who, endSession({}))).toStrictEqual(STAYS);
});

it('oidcc-rp-initiated-logout-no-post-logout-redirect-uri', async () => {
  const { who, hint } = await signedIn();
  expect(await ending(who, endSession({ id_token_hint: hint, state: 'x' }))).toStrictEqual(STAYS);
});

it('oidcc-rp-initiated-logout-only-state', async () => {
  const { who } = await signedIn();
  expect(await ending(who, endSession({ state: 'x' }))).toStrictEqual(STAYS);
});

it('oidcc-rp-initiated-logout-no-state: the person comes back without one', async () => {
  const { who, hint } = await signedIn();
  const page = await asked(who, endSession({ id_token_hint: hint, post_logout_redirect_uri: SIGNED_OUT }));
  expect((await confirm(who, page)).location).toBe(SIGNED_OUT);
  expect(await silently(who)).toBe('login_required');
});
