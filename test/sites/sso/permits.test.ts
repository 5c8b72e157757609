/** Permits to post: who asks for too much, and who signs what is not theirs. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../core/codec.ts';
import { ledgerAddress } from '../../../core/ids.ts';
import { isPermitted, permitFields, type SignedPermit } from '../../../sites/permit/index.ts';
import { Cleanup } from '../kit.ts';
import { MovedClock, send, startIssuer, wallet, type TestIssuer, type Told } from './kit.ts';

const SITE = 'forum.web3';
const BACK = 'http://forum-web3.localhost:8402/signed-in.html';
const KEY: string = toHex(new Uint8Array(32).fill(7));
const JSON_TYPE = { Accept: 'application/json', 'Content-Type': 'application/json' };
const ANN = wallet();
const EVE = wallet();

const cleanup = new Cleanup();
const clock = new MovedClock();
let issuer: TestIssuer;

beforeEach(async () => {
  clock.ahead = 0;
  issuer = await startIssuer({ clock, gateway: new URL('http://localhost:8402') });
  cleanup.add(() => issuer[Symbol.asyncDispose]());
  issuer.names.hold(SITE, EVE.address);
  issuer.names.clients.set(SITE, { redirects: ['/signed-in.html'], signedOut: [] });
  issuer.names.hold('ann.sso', ANN.address);
});
afterEach(() => cleanup.run());

async function ask(change: Readonly<Record<string, string>> = {}): Promise<Told> {
  const query = new URLSearchParams({ site: SITE, author: 'ann.sso', key: KEY, back: BACK, ...change });
  return await send(new URL(`/permit?${query.toString()}`, issuer.url), { headers: { Accept: 'application/json' } });
}

async function answer(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Told> {
  const init = { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(body) };
  return await send(new URL(`/permit/${path}`, issuer.url), init);
}

async function signed(asked: Told, by = ANN, claimed = by): Promise<Told> {
  const text = String(asked.body['text']).replace('{wallet}', claimed.address);
  const signature = Buffer.from(by.sign(Buffer.from(text))).toString('base64url');
  return await answer('login', { nonce: asked.body['nonce'], address: claimed.address, signature });
}

/** As a page reads what the issuer sent. */
function decodePermit(code: string): SignedPermit {
  const said = JSON.parse(Buffer.from(code, 'base64url').toString()) as Record<string, string>;
  const { name = '', author = '', key = '', signature = '', ...rest } = said;
  return { name, author, ...permitFields.parse({ ...rest, key: fromHex(key), signature: fromHex(signature) }) };
}

function told({ status, body }: Told): string {
  return `${status} ${String(body['error'])}: ${String(body['error_description'])}`;
}

describe('a permit to post', () => {
  it('is what the wallet of the profile signed, and is brought back to the site', async () => {
    const asked = await ask();
    expect(asked.body['text']).toContain('Pages of forum.web3 may write, change and take back posts there as ann.sso.');
    const { status, body } = await signed(asked);
    expect(status).toBe(200);
    const next = new URL(String(body['next']));
    expect(next.href.startsWith(`${BACK}#permit=`)).toBe(true);
    const permit = decodePermit(next.hash.slice('#permit='.length));
    expect(permit).toMatchObject({ name: SITE, author: 'ann.sso', form: 'raw' });
    expect(toHex(permit.key)).toBe(KEY);
    expect(isPermitted(permit, ledgerAddress(ANN.address))).toBe(true);
  });

  it('is signed as a transaction that never lands, by wallets that sign nothing else', async () => {
    const { body } = await ask();
    const nonce = body['nonce'];
    const made = await answer('transaction', { nonce, address: ANN.address });
    const message = Buffer.from(String(made.body['transaction']), 'base64').subarray(65);
    const signature = Buffer.from(ANN.sign(message)).toString('base64url');
    const { status, body: back } = await answer('login', { nonce, address: ANN.address, signature });
    expect(status).toBe(200);
    const permit = decodePermit(String(back['next']).split('#permit=')[1] ?? '');
    expect(permit.form).toBe('memo-transaction');
    expect(isPermitted(permit, ledgerAddress(ANN.address))).toBe(true);
  });

  it.each([
    ['a page that nobody registered', { back: 'http://forum-web3.localhost:8402/other.html' }, 'signs nobody in'],
    ['another origin', { back: 'https://evil.example/signed-in.html' }, 'signs nobody in'],
    ['an address with a fragment of its own', { back: `${BACK}#permit=x` }, 'signs nobody in'],
    ['no address at all', { back: 'signed-in.html' }, 'signs nobody in'],
    ['another port of this machine', { back: BACK.replace('8402', '9999') }, 'signs nobody in'],
    ['a site that is none', { site: 'other.web3' }, 'signs nobody in'],
    ['a client that registered by itself', { site: 'client-1' }, 'cannot be permitted'],
    ['a profile that is none', { author: 'ann.web3' }, 'posts are from .sso names'],
    ['a profile that ends the line', { author: 'ann.sso\nas: eve.sso' }, 'posts are from .sso names'],
    ['half a key', { key: KEY.slice(2) }, '(key)'],
  ])('is not asked for by %s', async (_what, change, why) => {
    const answered = await ask(change);
    expect(answered.status).toBeGreaterThanOrEqual(400);
    expect(answered.headers.get('location')).toBeNull();
    expect(told(answered)).toContain(why);
  });

  it('is not signed by another wallet, nor for one', async () => {
    expect(told(await signed(await ask(), EVE))).toContain(
      '403 SIGN_IN_REFUSED: ann.sso is not a profile of the wallet',
    );
    expect(told(await signed(await ask(), EVE, ANN))).toContain('has not signed what this page asked of it');
  });

  it('says what the wallet signed, whatever is changed in what comes back', async () => {
    const asked = await ask();
    const { nonce, ...rest } = asked.body;
    const said = JSON.parse(Buffer.from(String(nonce), 'base64url').toString()) as object;
    const longer = (change: object): string =>
      Buffer.from(JSON.stringify({ ...said, ...change })).toString('base64url');
    const other = { ...asked, body: { ...rest, nonce: longer({ key: toHex(new Uint8Array(32).fill(8)) }) } };
    expect(told(await signed(other))).toContain('has not signed what this page asked of it');
    const long = { ...asked, body: { ...rest, nonce: longer({ until: Date.now() + 48 * 3_600_000 }) } };
    expect(told(await signed(long))).toContain('24 hours at most');
    const away = { ...asked, body: { ...rest, nonce: longer({ back: 'https://evil.example/' }) } };
    expect(told(await signed(away))).toContain('signs nobody in');
    const early = { ...asked, body: { ...rest, nonce: longer({ since: Date.now() + 60_000 }) } };
    expect(told(await signed(early))).toContain('too long ago');
  });

  it('is over when the page was left open', async () => {
    const asked = await ask();
    clock.ahead = 16 * 60_000;
    expect(told(await signed(asked))).toContain('too long ago');
  });

  it('is not sent by another page, and a name that is nobody’s is nobody’s', async () => {
    const asked = await ask();
    const foreign = await answer('cancel', { nonce: asked.body['nonce'] }, { Origin: 'http://evil.localhost:1' });
    expect(told(foreign)).toContain('403 POLICY_REFUSED');
    issuer.names.holdings.delete('ann.sso');
    expect(told(await signed(asked))).toContain('is not a profile of the wallet');
  });

  it('looks nothing up for what a page of others embeds', async () => {
    const query = new URLSearchParams({ site: SITE, author: 'ann.sso', key: KEY, back: BACK });
    const url = new URL(`/permit?${query.toString()}`, issuer.url);
    for (const headers of [
      { 'Sec-Fetch-Dest': 'image' },
      { 'Sec-Fetch-Dest': 'document', 'Sec-Purpose': 'prefetch' },
    ]) {
      const asked = await send(url, { headers: { Accept: 'application/json', ...headers } });
      expect(told(asked)).toContain('403 POLICY_REFUSED');
    }
  });

  it('can be refused', async () => {
    const asked = await ask();
    const { body } = await answer('cancel', { nonce: asked.body['nonce'] });
    expect(body['next']).toBe(`${BACK}#permit=refused`);
  });
});
