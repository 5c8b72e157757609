/** What every answer of an issuer is: in no frame, with nothing of others in it; and the account, which shows and ends what is its owner's. */
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import * as oidc from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MAX_SIGN_INS, MAX_SIGN_INS_PER_ADDRESS } from '../../../core/limits.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';
import { answerByHand, readChallenge } from '../../../sites/siws/index.ts';
import { Visitors } from '../../../sites/sso/visitors.ts';
import {
  GONE,
  Browser,
  KeptLog,
  answerTo,
  ask,
  begin,
  redeem,
  register,
  signIn,
  startIssuer,
  userinfo,
  wallet,
  type Answer,
  type TestIssuer,
} from './kit.ts';

const HTML = { Accept: 'text/html,application/xhtml+xml' };
const MINUTE = 60_000;

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
beforeEach(() => {
  issuer.clock.ahead = 0;
});

function at(path: string): URL {
  return new URL(path, issuer.url);
}

/** A form as a browser sends it. */
async function form(browser: Browser, path: string | URL, fields: Readonly<Record<string, string>>): Promise<Answer> {
  return await browser.send(new URL(path, issuer.url), {
    method: 'POST',
    headers: { ...HTML, 'Content-Type': 'application/x-www-form-urlencoded', Origin: issuer.url.origin },
    body: new URLSearchParams(fields).toString(),
  });
}

function policyOf({ headers }: Answer): Map<string, string> {
  const directives = (headers.get('Content-Security-Policy') ?? '').split(';').map((one) => one.trim().split(/\s+/));
  return new Map(directives.map(([name = '', ...sources]) => [name, sources.join(' ')]));
}

function isSafe(answer: Answer): readonly unknown[] {
  const policy = policyOf(answer);
  return [
    policy.get('default-src'),
    policy.get('frame-ancestors'),
    policy.get('base-uri'),
    /unsafe|https?:|\*/.test(policy.get('script-src') ?? 'missing, unsafe'),
    answer.headers.get('X-Frame-Options'),
    answer.headers.get('X-Content-Type-Options'),
    answer.headers.get('X-Powered-By'),
    /(?:src|href)="(?:https?:)?\/\/|@import|googleapis|<style|\son\w+=/i.test(answer.text),
  ];
}
const SAFE = ["'none'", "'none'", "'none'", false, 'DENY', 'nosniff', null, false];

describe('S23, S29: every answer', () => {
  it('S23 S29 stands in no frame and brings nothing from elsewhere', async () => {
    const browser = new Browser(HTML);
    const signer = wallet();
    const asked = await ask(client, { scope: 'openid profile wallet posts' });
    const login = await browser.follow(asked.url);
    const answers: [string, Answer | undefined][] = [['login', login.answer]];
    const code = /sso sign ([\w-]+)/.exec(login.answer?.text ?? '')?.[1] ?? '';
    const answer = await answerByHand(readChallenge(code, issuer.clock.now()), signer, undefined);
    const signedIn = await form(browser, `${login.url}/login`, { answer });
    const consent = await browser.follow(signedIn.location ?? '');
    answers.push(['consent', consent.answer]);
    const decided = await form(browser, `${consent.url}/consent`, { decision: 'allow' });
    const back = await browser.follow(decided.location ?? '');
    const tokens = await redeem(client, new URL(back.url), asked);
    const end = oidc.buildEndSessionUrl(client, {
      id_token_hint: tokens.id_token ?? '',
      post_logout_redirect_uri: GONE,
    });
    const unknown = await ask(client, { redirectUri: 'https://evil.example/' });
    const posted = await ask(client, { prompt: 'none', response_mode: 'form_post' });
    for (const [what, url] of [
      ['over', login.url],
      ['over at the end', decided.location ?? ''],
      ['front', at('/')],
      ['account', at('/account')],
      ['unknown address', unknown.url],
      ['form for the site', posted.url],
      ['log out', end],
      ['logged out', at('/session/end/success')],
      ['log out as nobody knows', at('/session/end?id_token_hint=x')],
      ['not there', at('/nothing')],
      ['not there either', at('/interaction/x/y')],
      ['script', at('/sso.js')],
      ['keys', at('/jwks')],
      ['claims', at('/me')],
    ] as const) {
      answers.push([what, await browser.get(url)]);
    }
    answers.push(['log out without a session', await new Browser(HTML).get(at('/session/end'))]);
    answers.push(['wrong form', await form(browser, '/account/end', { token: 'x' })]);
    answers.push(['foreign form', await browser.post(at('/account/end'), {}, { Origin: 'https://evil.example' })]);
    answers.push(['no token', await browser.post(at('/token'), {})]);
    for (const [what, one] of answers) {
      expect([what, one && isSafe(one)]).toStrictEqual([what, SAFE]);
      expect([what, (one?.status ?? 500) < 500]).toStrictEqual([what, true]);
    }
  });

  it('S23 forms lead here and to where the person goes, and nowhere else', async () => {
    const login = await new Browser(HTML).follow((await ask(client)).url);
    const answer = login.answer ?? (await new Browser().get(login.url));
    expect(policyOf(answer).get('form-action')).toBe("'self' http://127.0.0.1:4711");
    const account = await new Browser(HTML).get(at('/account'));
    expect(policyOf(account).get('form-action')).toBe("'self'");
    for (const page of [answer, account]) expect(page.headers.get('Cache-Control')).toBe('no-store');
  });

  it('says nothing of what went wrong inside', async () => {
    const failing = new KeptLog();
    await using other = await startIssuer({ log: failing });
    const shop = await register(other);
    const browser = new Browser(HTML);
    const { url } = await browser.follow((await ask(shop)).url);
    const signer = wallet();
    const json = new Browser();
    const { page, challenge } = await begin(json, await ask(shop));
    other.names.holding = () => Promise.reject(new Error('secret-inside'));
    const told = await json.post(`${page}/login`, answerTo(challenge, signer, { profile: 'alice.sso' }));
    expect(told.status).toBe(500);
    expect(told.text).not.toContain('secret-inside');
    expect(failing.lines.join('\n')).toContain('secret-inside');
    expect(failing.lines.join('\n')).not.toContain(challenge.nonce);
    expect((await browser.get(url)).status).toBe(200);
  });
});

interface Opened {
  readonly page: Answer;
  readonly token: string;
}

async function openAccount(browser: Browser, signer: Signer): Promise<Opened> {
  const page = await browser.send(at('/account'), { headers: HTML });
  const path = /action="(\/account\/\w+\/login)"/.exec(page.text)?.[1] ?? '';
  const code = /sso sign ([\w-]+)/.exec(page.text)?.[1] ?? '';
  const answer = await answerByHand(readChallenge(code, issuer.clock.now()), signer, undefined);
  const shown = await form(browser, path, { answer });
  return { page: shown, token: /name="token" value="([\w-]+)"/.exec(shown.text)?.[1] ?? '' };
}

function grantIn({ text }: Answer): string {
  return /name="grant" value="([\w-]+)"/.exec(text)?.[1] ?? '';
}

describe('the account', () => {
  it('shows what its own wallet allowed, and lets nobody else see or end it', async () => {
    const [mine, theirs] = [wallet(), wallet()];
    const asked = await ask(client);
    const tokens = await redeem(client, await signIn(new Browser(), asked, mine), asked);
    const own = await openAccount(new Browser(), mine);
    const other = await openAccount(new Browser(), theirs);
    const grant = grantIn(own.page);
    expect(grant).not.toBe('');
    expect(grantIn(other.page)).toBe('');
    expect((await form(new Browser(), '/account/end', { token: other.token, grant })).text).toContain('ended before');
    expect((await form(new Browser(), '/account/sign-out', { token: other.token })).status).toBe(200);
    expect((await userinfo(issuer, tokens.access_token)).status).toBe(200);
    for (const token of ['', 'x', 'x'.repeat(200), `${own.token}x`]) {
      expect([400, 403]).toContain((await form(new Browser(), '/account/end', { token, grant })).status);
    }
    expect((await form(new Browser(), '/account/end', { token: own.token, grant })).status).toBe(200);
    expect((await userinfo(issuer, tokens.access_token)).status).toBe(401);
    await expect(oidc.refreshTokenGrant(client, tokens.refresh_token ?? '')).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  });

  it('ends everything at once', async () => {
    const signer = wallet();
    const all: string[] = [];
    for (let time = 0; time < 3; time += 1) {
      const asked = await ask(client);
      all.push((await redeem(client, await signIn(new Browser(), asked, signer), asked)).access_token);
    }
    const { token } = await openAccount(new Browser(), signer);
    const page = await form(new Browser(), '/account/sign-out', { token });
    expect(page.text).toContain('No site does.');
    for (const one of all) expect((await userinfo(issuer, one)).status).toBe(401);
  });

  it('its page is good for a quarter of an hour', async () => {
    const signer = wallet();
    const { token } = await openAccount(new Browser(), signer);
    issuer.clock.ahead = 15 * MINUTE + 1;
    expect((await form(new Browser(), '/account/sign-out', { token })).status).toBe(403);
  });

  it('does not show that a site is there by an answer for another', async () => {
    const signer = wallet();
    const page = await new Browser(HTML).get(at('/account'));
    const other = await new Browser(HTML).get(at('/account'));
    const path = /action="(\/account\/\w+\/login)"/.exec(other.text)?.[1] ?? '';
    const code = /sso sign ([\w-]+)/.exec(page.text)?.[1] ?? '';
    const answer = await answerByHand(readChallenge(code, issuer.clock.now()), signer, undefined);
    expect((await form(new Browser(), path, { answer })).status).toBe(403);
  });
});

describe('S20: what looking at pages makes an issuer keep', () => {
  it('S20 is bounded for each address', async () => {
    await using proxied = await startIssuer({ at: new URL('https://id.example.org'), isBehindProxy: true });
    const look = async (address: string): Promise<number> => {
      const url = `http://127.0.0.1:${proxied.port}/account`;
      return (await fetch(url, { headers: { 'X-Forwarded-For': address } })).status;
    };
    for (let time = 0; time < MAX_SIGN_INS_PER_ADDRESS; time += 1) await look('2001:db8::1');
    expect(await look('2001:db8::2')).toBe(429);
    expect(await look('2001:db8:0:1::2')).toBe(200);
    expect(await proxied.store.keys('n:', 10_000)).toHaveLength(MAX_SIGN_INS_PER_ADDRESS + 1);
  });

  it("S20 is not what a site's other requests count as: who asks for tokens too often still signs people in", async () => {
    const visitors = new Visitors({ isBehindProxy: true, clock: issuer.clock });
    const request = new IncomingMessage(new Socket());
    request.headers['x-forwarded-for'] = '93.184.216.34';
    const come = (method: string, url: string): void => visitors.count(Object.assign(request, { method, url }));
    for (const url of ['/token/introspection', '/token/revocation', '/reg/x', '/TOKEN/introspection/?x=1']) {
      for (let time = 0; time < MAX_SIGN_INS; time += 4) come('POST', url);
    }
    expect(() => come('POST', '/token/introspection')).toThrow('too often');
    expect(() => come('GET', '/reg/x')).toThrow('too often');
    expect(() => come('GET', '/session/end/success?client_id=x')).toThrow('too often');
    for (const url of ['/token', '/auth', '/reg']) expect(() => come('POST', url)).not.toThrow();
  });

  it('S20 is bounded for each interaction', async () => {
    const browser = new Browser();
    const { page } = await begin(browser, await ask(client));
    const statuses = [];
    for (let time = 0; time < 20; time += 1) statuses.push((await browser.post(`${page}/challenge`)).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(15);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe('the log', () => {
  it('has nothing of all this', () => {
    expect(log.lines).toStrictEqual([]);
  });
});
