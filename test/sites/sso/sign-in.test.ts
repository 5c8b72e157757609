/** Signing in, tried with answers that are another's, late, or used already. */
import type * as oidc from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Challenge } from '../../../sites/siws/index.ts';
import {
  Browser,
  KeptLog,
  answerTo,
  ask,
  begin,
  register,
  signIn,
  startIssuer,
  wallet,
  type Answer,
  type SignedAnswer,
  type TestIssuer,
} from './kit.ts';

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

interface Begun {
  readonly browser: Browser;
  readonly page: string;
  readonly challenge: Challenge;
}

async function begun(): Promise<Begun> {
  const browser = new Browser();
  return { browser, ...(await begin(browser, await ask(client))) };
}

async function answer({ browser, page }: Omit<Begun, 'challenge'>, signed: SignedAnswer): Promise<Answer> {
  return await browser.post(`${page}/login`, signed);
}

function codeOf({ text }: Answer): string {
  return String((JSON.parse(text) as { error?: string }).error);
}

describe('S1 to S7: what a wallet signed', () => {
  it('S1 a nonce is 128 random bits in letters and digits', async () => {
    const nonces = await Promise.all(Array.from({ length: 8 }, async () => (await begun()).challenge.nonce));
    expect(new Set(nonces).size).toBe(8);
    for (const nonce of nonces) expect(nonce).toMatch(/^[0-9a-f]{32}$/);
  });

  it('S1 is for one interaction: in another it signs nobody in', async () => {
    const [mine, theirs] = [await begun(), await begun()];
    const signed = answerTo(mine.challenge, wallet());
    expect((await answer(theirs, signed)).status).toBe(403);
    expect((await answer(mine, signed)).status).toBe(200);
  });

  it('S1 is used once, by one of twenty at once, and is gone after an answer that was wrong', async () => {
    const one = await begun();
    const signed = answerTo(one.challenge, wallet());
    const answers = await Promise.all(Array.from({ length: 20 }, () => answer(one, signed)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(19);

    const other = await begun();
    const right = answerTo(other.challenge, wallet());
    expect((await answer(other, { ...right, address: wallet().address })).status).toBe(403);
    expect((await answer(other, right)).status).toBe(403);
  });

  it('S1 none that was never given out, or is written to reach elsewhere, is looked at', async () => {
    const one = await begun();
    const signed = answerTo(one.challenge, wallet());
    for (const nonce of ['0'.repeat(32), '', `${one.challenge.nonce} `, '../../x', `:${one.challenge.nonce}`]) {
      expect([400, 403]).toContain((await answer(one, { ...signed, nonce })).status);
    }
  });

  it('S2 was given out before anybody said who they are', async () => {
    const { challenge } = await begun();
    expect(Object.keys(challenge)).not.toContain('address');
  });

  it('S3 an answer for the address of another is refused', async () => {
    const one = await begun();
    const signed = { ...answerTo(one.challenge, wallet()), address: wallet().address };
    expect(codeOf(await answer(one, signed))).toBe('SIGN_IN_REFUSED');
  });

  it('S3 what else an answer brings along is refused, not believed', async () => {
    const one = await begun();
    const signed = { ...answerTo(one.challenge, wallet()), message: 'x', publicKey: 'x' };
    expect(codeOf(await answer(one, signed))).toBe('INVALID_ARGUMENT');
  });

  it('S4 what was signed for another issuer signs nobody in here', async () => {
    const one = await begun();
    for (const changed of [
      { domain: 'localhost:1', uri: 'http://localhost:1' },
      { domain: 'evil.example', uri: 'https://evil.example' },
      { uri: `${one.challenge.uri}/other` },
    ]) {
      const { browser, page, challenge } = await begun();
      const signed = answerTo({ ...challenge, ...changed }, wallet());
      expect((await answer({ browser, page }, signed)).status).toBe(403);
    }
    expect(one.challenge.domain).toBe(issuer.url.host);
  });

  it('S5 an answer after five minutes is late, and says that it is a matter of time', async () => {
    const one = await begun();
    expect(Date.parse(one.challenge.expirationTime) - Date.parse(one.challenge.issuedAt)).toBe(5 * MINUTE);
    issuer.clock.ahead = 5 * MINUTE + 1;
    const late = await answer(one, answerTo(one.challenge, wallet()));
    expect(late.status).toBe(403);
  });

  it('S6 another network is another message', async () => {
    const { browser, page, challenge } = await begun();
    expect(challenge.chainId).toBe('localnet');
    const signed = answerTo({ ...challenge, chainId: 'solana:mainnet' }, wallet());
    expect((await answer({ browser, page }, signed)).status).toBe(403);
  });

  it('S7 the message names the client and the interaction, and an interaction that is over takes no answer', async () => {
    const one = await begun();
    expect(one.challenge.requestId).toBe(one.page.split('/').at(-1));
    expect(one.challenge.statement).toContain('127.0.0.1:4711');
    const other = await begun();
    await other.browser.follow(
      (JSON.parse((await other.browser.post(`${other.page}/cancel`)).text) as { next: string }).next,
    );
    expect((await answer(other, answerTo(other.challenge, wallet()))).status).toBe(400);
  });

  it('S7 what was signed for a site does not open the account, and the other way round', async () => {
    const one = await begun();
    const signed = answerTo(one.challenge, wallet());
    const code = Buffer.from(JSON.stringify(signed)).toString('base64url');
    const form = (path: string): Promise<Answer> =>
      one.browser.send(new URL(path, issuer.url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ answer: code }).toString(),
      });
    const id = one.page.split('/').at(-1) ?? '';
    expect((await form(`/account/${id}/login`)).status).toBe(403);
    expect((await answer(one, signed)).status).toBe(200);
  });

  it('S10, S11 keys of small order and signatures of another length sign nobody in', async () => {
    const zero = '1'.repeat(32);
    const one = await begun();
    const forged = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]).toString('base64url');
    expect((await answer(one, { nonce: one.challenge.nonce, address: zero, signature: forged })).status).toBe(403);
    const other = await begun();
    const signed = answerTo(other.challenge, wallet());
    expect((await answer(other, { ...signed, signature: signed.signature.slice(0, -2) })).status).toBe(403);
  });

  it('a profile of somebody else, of nobody, or that is no name is refused', async () => {
    issuer.names.hold('taken.sso', wallet().address);
    for (const profile of ['taken.sso', 'nobody.sso', 'news.web3', 'x', '../x.sso']) {
      const one = await begun();
      expect((await answer(one, answerTo(one.challenge, wallet(), { profile }))).status).toBe(403);
    }
  });

  it('nothing that signs in is in the log', async () => {
    await signIn(new Browser(), await ask(client), wallet());
    expect(log.lines).toStrictEqual([]);
  });
});
