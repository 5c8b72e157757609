/** ID tokens that somebody else made, or that were made for somebody else: none signs anybody in. */
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyIdToken } from '../../sdk/sso/id-token.ts';

const NOW = 1_800_000_000_000;
const SECONDS = NOW / 1000;
const expected = { issuer: 'http://localhost:8404', clientId: 'shop.web3', nonce: 'n-1', now: NOW };
const usual = {
  iss: expected.issuer,
  aud: expected.clientId,
  sub: 'ann',
  nonce: expected.nonce,
  iat: SECONDS,
  exp: SECONDS + 3600,
};

let rsa: CryptoKey;
let ed: CryptoKey;
let other: CryptoKey;
let keys: { readonly keys: readonly JWK[] };
let publicRsa: JWK;

beforeAll(async () => {
  const [one, two, three] = [
    await generateKeyPair('RS256', { extractable: true }),
    await generateKeyPair('EdDSA', { extractable: true }),
    await generateKeyPair('RS256', { extractable: true }),
  ];
  [rsa, ed, other] = [one.privateKey, two.privateKey, three.privateKey];
  publicRsa = await exportJWK(one.publicKey);
  keys = {
    keys: [
      { ...publicRsa, kid: 'r', use: 'sig', alg: 'RS256' },
      { ...(await exportJWK(two.publicKey)), kid: 'e', use: 'sig', alg: 'EdDSA' },
    ],
  };
});

async function signed(claims: object, key: CryptoKey = rsa, head: object = {}): Promise<string> {
  return await new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: 'RS256', kid: 'r', ...head }).sign(key);
}

async function refused(token: unknown): Promise<string> {
  return await verifyIdToken(token, keys, expected).then(
    () => 'taken',
    (error: { code: string }) => error.code,
  );
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

describe('an ID token is refused', () => {
  it.each<readonly [string, () => Promise<unknown>]>([
    ['of another issuer', () => signed({ iss: 'http://localhost:8405' })],
    ['for another site', () => signed({ aud: 'other.web3' })],
    ['for several sites', () => signed({ aud: ['shop.web3', 'other.web3'] })],
    ['that was asked for by another site', () => signed({ azp: 'other.web3' })],
    ['of another sign-in', () => signed({ nonce: 'n-2' })],
    ['of no sign-in', () => signed({ nonce: undefined })],
    ['that is over', () => signed({ exp: SECONDS })],
    ['that is never over', () => signed({ exp: undefined })],
    ['from the future', () => signed({ iat: SECONDS + 3600, exp: SECONDS + 7200 })],
    ['of nobody', () => signed({ sub: '' })],
    ['signed by another key', () => signed({}, other)],
    ['signed by a key that the issuer does not have', () => signed({}, rsa, { kid: 'x' })],
    ['signed by a key of another kind', () => signed({}, rsa, { kid: 'e' })],
    ['unsigned', () => Promise.resolve(new UnsecuredJWT(usual).encode())],
    ['unsigned, with the name of a key', () => Promise.resolve(`${part({ alg: 'none', kid: 'r' })}.${part(usual)}.`)],
    [
      'with an algorithm of every object',
      () => Promise.resolve(`${part({ alg: 'toString', kid: 'r' })}.${part(usual)}.`),
    ],
    [
      'signed with the public key as a secret',
      () =>
        new SignJWT(usual)
          .setProtectedHeader({ alg: 'HS256', kid: 'r' })
          .sign(new TextEncoder().encode(JSON.stringify(publicRsa))),
    ],
    [
      'changed after it was signed',
      async () => {
        const [head, , signature] = (await signed({})).split('.');
        return `${head}.${part({ ...usual, sub: 'eve' })}.${signature}`;
      },
    ],
    [
      'that asks for more than we know',
      async () => {
        const [, body, signature] = (await signed({})).split('.');
        return `${part({ alg: 'RS256', kid: 'r', crit: ['exp'] })}.${body}.${signature}`;
      },
    ],
    ['with four parts', async () => `${await signed({})}.x`],
    ['that is none', () => Promise.resolve(undefined)],
    ['that is long', async () => await signed({ long: 'x'.repeat(40_000) })],
  ])('%s', async (_what, make) => {
    expect(await refused(await make())).toBe('SIGN_IN_REFUSED');
  });

  it('where the issuer shows no keys', async () => {
    const token = await signed({});
    const verifying = verifyIdToken(token, { keys: 'none' }, expected);
    await expect(verifying).rejects.toMatchObject({ code: 'SIGN_IN_REFUSED' });
  });
});

describe('an ID token is taken', () => {
  it.each<readonly [string, () => Promise<string>]>([
    ['signed with RS256', () => signed({})],
    ['signed with EdDSA', () => signed({}, ed, { alg: 'EdDSA', kid: 'e' })],
    ['for a list of this site alone', () => signed({ aud: ['shop.web3'] })],
  ])('%s', async (_what, make) => {
    expect(await verifyIdToken(await make(), keys, expected)).toMatchObject({ sub: 'ann', exp: SECONDS + 3600 });
  });
});
