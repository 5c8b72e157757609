/** Browsers that are not the one that began, pages that sent a form from elsewhere, and people who go back. */
import * as oidc from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { endSessions } from '../../../sites/sso/records.ts';
import {
  CALLBACK,
  GONE,
  Browser,
  KeptLog,
  answerTo,
  ask,
  begin,
  proxyOf,
  redeem,
  register,
  signIn,
  startIssuer,
  userinfo,
  wallet,
  type Answer,
  type TestIssuer,
} from './kit.ts';

const MINUTE = 60_000;
const HTML = { Accept: 'text/html' };

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

function next({ text }: Answer): string {
  return (JSON.parse(text) as { next: string }).next;
}

/** Of a readable page that says that it is over. */
function expectOver(answer: Answer): void {
  expect(answer.status).toBe(400);
  expect(answer.text).toContain('This sign-in is over');
}

describe('S12: an interaction belongs to one browser, and ends once', () => {
  it('S12 begun by one, it cannot be seen, answered or ended in another', async () => {
    const attacker = new Browser();
    const { page, challenge } = await begin(attacker, await ask(client));
    const victim = new Browser();
    expect((await victim.get(page)).status).toBe(400);
    for (const step of ['challenge', 'login', 'consent', 'cancel', 'transaction']) {
      const told = await victim.post(`${page}/${step}`, step === 'login' ? answerTo(challenge, wallet()) : {});
      expect([step, told.status]).toStrictEqual([step, 400]);
    }
    expect((await victim.get(page.replace('/interaction/', '/auth/'))).status).toBe(400);
  });

  it('S12 signed in by one, another does not get the code', async () => {
    const attacker = new Browser();
    const { page, challenge } = await begin(attacker, await ask(client));
    const login = next(await attacker.post(`${page}/login`, answerTo(challenge, wallet())));
    expect((await new Browser().get(login)).status).toBe(400);
    expect((await attacker.follow(login)).answer?.status).toBe(200);
  });

  it('S12 begun by one and signed in another, in which the cookie of the first was planted, it goes on in neither', async () => {
    const attacker = new Browser();
    const { page, challenge } = await begin(attacker, await ask(client));
    const victim = attacker.withOnly('interaction');
    const login = new URL(next(await victim.post(`${page}/login`, answerTo(challenge, wallet()))));
    expect((await victim.get(login)).status).toBe(400);
    login.search = '';
    for (const guess of ['', '?key=', '?key=x', '?key=a&key=b']) {
      const told = await attacker.get(login.href + guess);
      expect([guess, told.status, told.location]).toStrictEqual([guess, 400, undefined]);
    }
  });

  it('S12 the consent of one interaction does not count for another', async () => {
    const browser = new Browser();
    const first = await begin(browser, await ask(client));
    const second = await begin(browser, await ask(client));
    const login = next(await browser.post(`${first.page}/login`, answerTo(first.challenge, wallet())));
    const { url } = await browser.follow(login);
    expect((await browser.post(`${second.page}/consent`, { decision: 'allow' })).status).toBe(400);
    expect((await browser.post(`${url}/consent`, { decision: 'allow' })).status).toBe(200);
  });

  it('S12 two tabs of one browser both come to their end', async () => {
    const browser = new Browser();
    const signer = wallet();
    const [one, two] = [await ask(client), await ask(client)];
    const [first, second] = [await begin(browser, one), await begin(browser, two)];
    const ends: string[] = [];
    for (const { page, challenge } of [second, first]) {
      const login = next(await browser.post(`${page}/login`, answerTo(challenge, signer)));
      const consent = await browser.follow(login);
      const decided = next(await browser.post(`${consent.url}/consent`, { decision: 'allow' }));
      ends.push((await browser.follow(decided)).url);
    }
    expect(ends.map((end) => new URL(end).searchParams.get('state'))).toStrictEqual([two.state, one.state]);
  });

  it('S12 two people at one browser each get what is theirs, and nobody an error', async () => {
    const browser = new Browser();
    const [one, two] = [await ask(client), await ask(client)];
    const first = await redeem(client, await signIn(browser, one, wallet()), one);
    const second = await redeem(client, await signIn(browser, two, wallet()), two);
    expect(second.claims()?.sub).not.toBe(first.claims()?.sub);
    expect((await userinfo(issuer, first.access_token)).status).toBe(200);
  });

  it('S12 a session gets another id when somebody signs in', async () => {
    const browser = new Browser();
    const ids: (string | undefined)[] = [];
    for (let time = 0; time < 2; time += 1) {
      await signIn(browser, await ask(client), wallet());
      ids.push(browser.cookie(`relaymint-session-${issuer.port}`));
    }
    expect(ids[0]).toBeDefined();
    expect(ids[1]).not.toBe(ids[0]);
  });

  it('S12 forms of other pages do nothing, whichever way they come', async () => {
    const browser = new Browser();
    const { page, challenge } = await begin(browser, await ask(client));
    const signed = answerTo(challenge, wallet());
    for (const headers of [
      { Origin: 'https://evil.example' },
      { Origin: `http://localhost:${issuer.port + 1}` },
      { Origin: `http://127.0.0.1:${issuer.port}` },
      { Origin: `https://localhost:${issuer.port}` },
      { Origin: 'null' },
      { 'Sec-Fetch-Site': 'cross-site' },
      { 'Sec-Fetch-Site': 'same-site' },
      { Origin: issuer.url.origin, 'Sec-Fetch-Site': 'same-site' },
    ]) {
      for (const path of [`${page}/login`, `${page}/cancel`, new URL('/account/end', issuer.url)]) {
        expect((await browser.post(path, signed, headers)).status).toBe(403);
      }
    }
    expect((await browser.post(`${page}/login`, signed, { Origin: issuer.url.origin })).status).toBe(200);
  });

  it('S12 nothing is done by GET', async () => {
    const browser = new Browser();
    const { page } = await begin(browser, await ask(client));
    for (const step of ['login', 'consent', 'cancel']) {
      expect((await browser.get(`${page}/${step}`)).status).toBe(404);
    }
    expect((await browser.get(page)).status).toBe(200);
  });
});

describe('S13: an issuer on this machine keeps no session', () => {
  it('S13 asks again, and tells who may not ask that nobody is signed in', async () => {
    const browser = new Browser();
    await signIn(browser, await ask(client), wallet());
    const { answer } = await browser.follow((await ask(client, { prompt: 'consent' })).url);
    expect(answer?.text).toContain('"prompt":"login"');
    const { location } = await browser.get((await ask(client, { prompt: 'none' })).url);
    expect(new URL(location ?? '').searchParams.get('error')).toBe('login_required');
  });
});

describe('requests for authorization as forms', () => {
  const FORM = 'application/x-www-form-urlencoded';

  it('are sent on as the same by GET, and nowhere else, whatever stands in them', async () => {
    const browser = new Browser();
    const asked = (await ask(client)).url.searchParams.toString();
    const send = (body: string, type: string = FORM): Promise<Answer> =>
      browser.send(new URL('/auth', issuer.url), { method: 'POST', headers: { 'Content-Type': type }, body });
    expect((await send(asked)).location).toBe(`${issuer.url.origin}/auth?${asked}`);
    for (const [body, type] of [
      ['//evil.example/', FORM],
      ['\r\nLocation: https://evil.example/', FORM],
      [`${asked}&client_id=other.web3`, FORM],
      [asked, 'text/plain'],
    ] as const) {
      const { location = '' } = await send(body, type);
      expect(location.startsWith(`${issuer.url.origin}/auth?`)).toBe(true);
      expect([body, (await browser.get(location)).status]).toStrictEqual([body, 400]);
    }
    expect((await send(`state=${'x'.repeat(9_000)}`)).status).toBe(413);
  });
});

describe('B8: people who are late, go back, or keep no cookies', () => {
  it('B8 past its time there is a page that begins it again by one link', async () => {
    const browser = new Browser(HTML);
    const asked = await ask(client);
    const { url: page } = await browser.follow(asked.url);
    issuer.clock.ahead = 17 * MINUTE;
    const over = await browser.get(page);
    expectOver(over);
    const again = /href="([^"]+)">Begin again/.exec(over.text)?.[1] ?? '';
    const begun = await browser.follow(new URL(again.replaceAll('&#38;', '&'), issuer.url));
    expect(begun.answer?.status).toBe(200);
    expect(begun.answer?.text).toContain('Sign in to');
  });

  it('B8 without cookies there is a page that says so, at each step', async () => {
    const browser = new Browser(HTML);
    const { url: page } = await browser.follow((await ask(client)).url);
    browser.forget();
    const first = await browser.get(page);
    expect(first.status).toBe(400);
    expectOver(first);
    expectOver(await browser.get(page.replace('/interaction/', '/auth/')));
    expectOver(await browser.post(`${page}/login`, {}));
  });

  it('B8 back after the end there is a page that says so, at each step', async () => {
    const browser = new Browser();
    const { page, challenge } = await begin(browser, await ask(client));
    const login = next(await browser.post(`${page}/login`, answerTo(challenge, wallet())));
    const consent = await browser.follow(login);
    const last = next(await browser.post(`${consent.url}/consent`, { decision: 'allow' }));
    expect((await browser.follow(last)).url).toContain(CALLBACK);
    for (const old of [page, login, consent.url, last]) expectOver(await browser.send(old, { headers: HTML }));
    expect((await browser.get(login)).text).toContain('"error"');
  });

  it('B8 a link of an interaction that never was is readable too', async () => {
    for (const path of ['/interaction/x', '/auth/x', `/interaction/${'y'.repeat(500)}`, '/interaction/%00']) {
      const answer = await new Browser(HTML).get(new URL(path, issuer.url));
      expect([400, 404]).toContain(answer.status);
    }
  });
});

describe('logging out', () => {
  it('S19 leads to registered addresses only, and asks first', async () => {
    const browser = new Browser(HTML);
    const asked = await ask(client);
    const json = new Browser();
    const tokens = await redeem(client, await signIn(json, asked, wallet()), asked);
    const { id_token: hint = '' } = tokens;
    for (const address of ['https://evil.example/', `${GONE}/x`, `${GONE}?x=1`, GONE.toUpperCase(), `${GONE}#x`]) {
      const url = oidc.buildEndSessionUrl(client, { id_token_hint: hint, post_logout_redirect_uri: address });
      const told = await browser.get(url);
      expect([address, told.status, told.location]).toStrictEqual([address, 400, undefined]);
    }
    const page = await json.send(
      oidc.buildEndSessionUrl(client, { id_token_hint: hint, post_logout_redirect_uri: GONE }),
      {
        headers: HTML,
      },
    );
    expect(page.status).toBe(200);
    expect(page.text).toContain('Sign out of this browser?');
    const secret = /name="xsrf" value="(\w+)"/.exec(page.text)?.[1] ?? '';
    const confirm = (xsrf: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
      json.send(new URL('/session/end/confirm', issuer.url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams({ xsrf, logout: 'yes' }).toString(),
      });
    expect((await confirm('guess')).status).toBe(400);
    expect((await confirm(secret, { Origin: 'https://evil.example' })).status).toBe(403);
    expect((await confirm(secret)).location).toBe(GONE);
  });

  it('a token without somebody to come back for ends with the session', async () => {
    const browser = new Browser();
    const asked = await ask(client, { scope: 'openid' });
    const tokens = await redeem(client, await signIn(browser, asked, wallet()), asked);
    const page = await browser.send(oidc.buildEndSessionUrl(client, { id_token_hint: tokens.id_token ?? '' }), {
      headers: HTML,
    });
    const xsrf = /name="xsrf" value="(\w+)"/.exec(page.text)?.[1] ?? '';
    await browser.send(new URL('/session/end/confirm', issuer.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ xsrf, logout: 'yes' }).toString(),
    });
    expect((await userinfo(issuer, tokens.access_token)).status).toBe(401);
  });
});

describe('S12, S13: a public issuer', () => {
  const at = new URL('https://id.example.org');

  async function open(): Promise<{
    readonly running: TestIssuer;
    readonly through: typeof fetch;
    readonly shop: oidc.Configuration;
  }> {
    const running = await startIssuer({ at, log });
    const through = proxyOf(running);
    return { running, through, shop: await register(running, {}, through) };
  }

  it('S12 keeps its session in a cookie that only https and this host get', async () => {
    const { running, through, shop } = await open();
    await using _running = running;
    const browser = new Browser(undefined, through);
    const { page, challenge } = await begin(browser, await ask(shop));
    const login = next(await browser.post(`${page}/login`, answerTo(challenge, wallet())));
    const answer = await browser.get(login);
    const cookies = answer.headers.getSetCookie();
    const session = cookies.find((cookie) => cookie.startsWith('__Host-relaymint-session=')) ?? '';
    for (const attribute of ['secure', 'httponly', 'samesite=lax', 'path=/']) {
      expect(session.toLowerCase()).toContain(attribute);
    }
    expect(session.toLowerCase()).not.toContain('domain=');
    for (const cookie of cookies.filter((one) => !one.includes('1970')))
      expect(cookie.toLowerCase()).toContain('secure');
  });

  it('S13 asks nobody twice, except for who asks unproved, until they sign out', async () => {
    const { running, through, shop } = await open();
    await using _running = running;
    const browser = new Browser(undefined, through);
    const signer = wallet();
    const first = await ask(shop, { scope: 'openid profile' });
    await redeem(shop, await signIn(browser, first, signer), first);
    const silent = async (client: oidc.Configuration, scope = 'openid'): Promise<string | null> => {
      const asked = await ask(client, { prompt: 'none', scope });
      return new URL((await browser.follow(asked.url)).url).searchParams.get('error');
    };
    expect(await silent(shop)).toBeNull();
    expect(await silent(shop, 'openid profile wallet')).toBe('consent_required');
    const other = await register(running, { token_endpoint_auth_method: 'none' }, through);
    expect(await silent(other)).toBe('consent_required');
    const unproved = await ask(other, { scope: 'openid', prompt: 'login' });
    await signIn(browser, unproved, signer);
    expect(await silent(other)).toBe('consent_required');
    await endSessions(running.store, signer.address);
    expect(await silent(shop)).toBe('login_required');
  });

  it('S16 asks who was signed in by a name that is lost to sign in again', async () => {
    const { running, through, shop } = await open();
    await using _running = running;
    const browser = new Browser(undefined, through);
    const signer = wallet();
    running.names.hold('lost.sso', signer.address);
    await signIn(browser, await ask(shop), signer, { profile: 'lost.sso' });
    running.names.hold('lost.sso', wallet().address);
    const { answer } = await browser.follow((await ask(shop)).url);
    expect(answer?.text).toContain('"prompt":"login"');
    const asked = await ask(shop);
    const tokens = await redeem(shop, await signIn(browser, asked, signer), asked);
    expect(tokens.claims()?.['preferred_username']).toBeUndefined();
  });
});

describe('the log', () => {
  it('has nothing of all this', () => {
    expect(log.lines).toStrictEqual([]);
  });
});
