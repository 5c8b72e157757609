/** The wallet of the issuer's machine: who has not got its link, and pages of others, have nothing signed; who has, only what the issuer made. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as oidc from 'openid-client';
import { openIssuer, openLevelStore } from '../../../sites/sso/index.ts';
import { messageOf, type Challenge } from '../../../sites/siws/index.ts';
import { silentLog } from '../../../core/ports.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';
import {
  Browser,
  KeptLog,
  MovedClock,
  Names,
  ask,
  begin,
  openPlace,
  redeem,
  register,
  send,
  startIssuer,
  wallet,
  type Place,
  type TestIssuer,
  type Told,
} from './kit.ts';

const WRONG = randomBytes(32).toString('base64url');
const MINUTE = 60_000;

/** Counts and keeps what it is asked to sign. */
class WatchedSigner implements Signer {
  readonly signed: string[] = [];
  readonly #signer = wallet(new Uint8Array(32).fill(9));
  readonly address = this.#signer.address;

  close(): void {}

  sign(bytes: Uint8Array): Uint8Array {
    this.signed.push(Buffer.from(bytes).toString('utf8'));
    return this.#signer.sign(bytes);
  }
}

let place: Place;
let own: WatchedSigner;
let issuer: TestIssuer;
let token: string;
let client: oidc.Configuration;
const log = new KeptLog();

function tokenOf({ walletLink = '' }: TestIssuer): string {
  return new URL(walletLink).hash.slice(1);
}

beforeAll(async () => {
  place = await openPlace();
  own = new WatchedSigner();
  issuer = await startIssuer({ place, wallet: own, log });
  token = tokenOf(issuer);
  client = await register(issuer);
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

interface Asking {
  readonly bearer?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

async function askWallet(what: string, body: object, { bearer = token, headers = {} }: Asking = {}): Promise<Told> {
  return await send(new URL(`/wallet/${what}`, issuer.url), {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json',
      ...(bearer !== '' && { Authorization: `Bearer ${bearer}` }),
      ...headers,
    },
    body: JSON.stringify(body),
  });
}

async function begun(): Promise<{ readonly browser: Browser; readonly page: string; readonly challenge: Challenge }> {
  const browser = new Browser();
  return { browser, ...(await begin(browser, await ask(client))) };
}

function named({ requestId, nonce }: Challenge): { readonly requestId: string; readonly nonce: string } {
  return { requestId, nonce };
}

describe('somebody without the link', () => {
  it.each([
    ['no token', { bearer: '' }],
    ['another token', { bearer: WRONG }],
    ['a token of no length', { headers: { Authorization: 'Bearer ' } }],
    ['the token in another scheme', { headers: { Authorization: `Basic ${WRONG}` } }],
    ['the token as a cookie', { bearer: '', headers: { Cookie: `relaymint-wallet=${WRONG}` } }],
  ])('has nothing signed, and learns no address: %s', async (_what, how) => {
    const { challenge } = await begun();
    const before = own.signed.length;
    const signing = await askWallet('sign-in', named(challenge), how);
    const looking = await askWallet('holder', {}, how);
    expect([signing.status, looking.status]).toEqual([401, 401]);
    expect(JSON.stringify([signing.body, looking.body])).not.toContain(own.address);
    expect(own.signed).toHaveLength(before);
  });

  it('does not get it by the address: the query, or a form', async () => {
    const { challenge } = await begun();
    const asked = await fetch(new URL(`/wallet/sign-in?access_token=${token}`, issuer.url), {
      method: 'POST',
      body: new URLSearchParams({ access_token: token, ...named(challenge) }),
    });
    expect(asked.status).toBe(401);
  });

  it('is slowed down, and keeps nobody with the link out', async () => {
    const asked = await Promise.all(Array.from({ length: 80 }, () => askWallet('holder', {}, { bearer: WRONG })));
    expect(asked.map(({ status }) => status)).toContain(429);
    expect((await askWallet('holder', {})).body).toEqual({ address: own.address });
    issuer.clock.ahead += MINUTE;
  });

  it('gets no more of the page than everybody', async () => {
    const page = await new Browser({ Accept: 'text/html' }).get(new URL('/wallet', issuer.url));
    expect(page.status).toBe(200);
    expect(page.text).not.toContain(own.address);
    expect(page.text).not.toContain(token);
    expect(page.headers.get('Set-Cookie')).toBeNull();
    expect(page.headers.get('Content-Security-Policy')).toContain("frame-ancestors 'none'");
  });
});

describe('a page of others', () => {
  it.each([
    ['of another origin', { Origin: 'http://evil.localhost:8402' }],
    ['of another port', { Origin: 'http://localhost:1' }],
    ['without an origin', { Origin: 'null' }],
    ['of the same site', { 'Sec-Fetch-Site': 'same-site' }],
    ['of another site', { 'Sec-Fetch-Site': 'cross-site' }],
  ])('has nothing signed, even with the token: %s', async (_what, headers) => {
    const { challenge } = await begun();
    const before = own.signed.length;
    const answer = await askWallet('sign-in', named(challenge), { headers });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('Access-Control-Allow-Origin')).toBeNull();
    expect(own.signed).toHaveLength(before);
  });

  it('is not told that it may ask', async () => {
    const preflight = await fetch(new URL('/wallet/sign-in', issuer.url), {
      method: 'OPTIONS',
      headers: {
        Origin: 'http://evil.localhost',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization',
      },
    });
    expect([...preflight.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('somebody with the link', () => {
  it('signs in, and the challenge counts once', async () => {
    const browser = new Browser();
    const asked = await ask(client, { scope: 'openid wallet' });
    const { page, challenge } = await begin(browser, asked);
    const { body } = await askWallet('sign-in', named(challenge));
    expect(own.signed.at(-1)).toBe(messageOf(challenge, own.address));
    const answer = { nonce: challenge.nonce, ...body };
    const login = await browser.post(`${page}/login`, answer);
    const { next } = JSON.parse(login.text) as { next: string };
    const consent = await browser.follow(next);
    const decided = await browser.post(`${consent.url}/consent`, { decision: 'allow' });
    const back = await browser.follow((JSON.parse(decided.text) as { next: string }).next);
    const tokens = await redeem(client, new URL(back.url), asked);
    expect(tokens.claims()).toMatchObject({ wallet_address: own.address });
    // Used: neither taken nor signed once more.
    const before = own.signed.length;
    expect((await askWallet('sign-in', named(challenge))).status).toBe(403);
    expect((await browser.post(`${page}/login`, answer)).status).toBeGreaterThanOrEqual(400);
    expect(own.signed).toHaveLength(before);
  });

  it('has signed only what this issuer made and waits for', async () => {
    const [one, other] = [await begun(), await begun()];
    const before = own.signed.length;
    const forged = { ...other.challenge, statement: 'Pay' };
    const bodies = [
      { requestId: one.challenge.requestId, nonce: other.challenge.nonce },
      { requestId: 'account:deadbeef', nonce: one.challenge.nonce },
      { ...named(one.challenge), nonce: '00112233445566778899aabbccddeeff' },
      { ...named(one.challenge), requestId: `${one.challenge.requestId}:${one.challenge.nonce}` },
      { ...named(one.challenge), nonce: `${one.challenge.nonce}:` },
      { ...named(one.challenge), address: own.address },
      { challenge: forged },
      { message: 'anything' },
      forged,
      {},
    ];
    const answers = await Promise.all(bodies.map((body) => askWallet('sign-in', body)));
    expect(answers.filter(({ status }) => status !== 400 && status !== 403)).toEqual([]);
    expect((await askWallet('message', { message: 'AAAA' })).status).toBe(404);
    expect(own.signed).toHaveLength(before);
    // Of two that are open, each is its own.
    expect((await askWallet('sign-in', named(one.challenge))).status).toBe(200);
  });

  it('has nothing signed whose time is over', async () => {
    const { challenge } = await begun();
    issuer.clock.ahead += 6 * MINUTE;
    expect((await askWallet('sign-in', named(challenge))).status).toBe(403);
  });

  it('leaves it in no log', () => {
    expect(log.lines.join('\n')).not.toContain(token);
  });
});

describe('an issuer with a wallet', () => {
  it('has another link at each start, and the old one says what to do', async () => {
    const at = await openPlace();
    const first = await startIssuer({ place: at, wallet: own });
    const old = tokenOf(first);
    await first[Symbol.asyncDispose]();
    await using second = await startIssuer({ place: at, wallet: own });
    expect(tokenOf(second)).not.toBe(old);
    expect(Buffer.from(old, 'base64url')).toHaveLength(32);
    const answer = await send(new URL('/wallet/holder', second.url), {
      method: 'POST',
      headers: { Authorization: `Bearer ${old}` },
    });
    expect(answer.status).toBe(401);
    expect(answer.body['error_description']).toContain('Open the one that was printed');
  });

  it.each(['https://id.example.org', 'http://[::1]:4713', 'http://127.0.0.1:4713', `http://${'a'.repeat(56)}.onion`])(
    'is not one that others reach: %s',
    async (address) => {
      await using at = await openPlace();
      const clock = new MovedClock();
      await using store = await openLevelStore(`${at.directory}/records`, { clock, log: silentLog });
      const options = { issuer: new URL(address), dataDir: at.directory, store, directory: new Names(), clock };
      const refused = openIssuer({ ...options, network: 'localnet', chain: 'x', wallet: own, log: silentLog });
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    },
  );

  it.each(['0.0.0.0', '::'])('does not listen where others are: %s', async (address) => {
    await using at = await openPlace();
    const started = startIssuer({ place: at, wallet: own, listen: address });
    await expect(started).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });

  it('is off unless it was asked for', async () => {
    await using plain = await startIssuer();
    expect(plain.walletLink).toBeUndefined();
    const answer = await send(new URL('/wallet/holder', plain.url), {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(404);
  });
});
