/** Clients that describe themselves at an address of theirs; and who names an address for us to read. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import * as oidc from 'openid-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STRANGERS_FAILED_MILLIS, STRANGERS_OF_HOST } from '../../../core/limits.ts';
import { declarePurpose, fetchFromStrangers, fetchFromThisMachine } from '../../../node/transport/index.ts';
import { wrongInDocument } from '../../../sites/sso/documents.ts';
import { Internet } from '../../strangers/internet.ts';
import {
  Browser,
  ask,
  begin,
  proxyOf,
  redeem,
  register,
  send,
  signIn,
  startIssuer,
  wallet,
  type TestIssuer,
} from './kit.ts';

const PURPOSE = declarePurpose('sign-in-clients');
const AT = '93.184.216.34';
const SHOP = 'https://shop.example';
const ID = `${SHOP}/client.json`;
const BACK = `${SHOP}/back`;
const PLAIN = { client_id: ID, client_name: 'A shop', redirect_uris: [BACK], token_endpoint_auth_method: 'none' };

let internet: Internet;
let issuer: TestIssuer;
let through: typeof fetch;
let stack: AsyncDisposableStack;
/** By path. */
let documents: Map<string, object>;
let read: string[];

function answer({ url = '' }: IncomingMessage, response: ServerResponse): void {
  read.push(url);
  const said = documents.get(url);
  response.writeHead(said === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(said ?? {}));
}

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  documents = new Map([['/client.json', PLAIN]]);
  read = [];
  internet = stack.use(new Internet(['shop.example', 'news.web3', 'other.example']));
  await internet.site('shop.example', AT, answer);
  internet.names.set('news.web3', [[AT]]);
  internet.names.set('other.example', [[AT]]);
  const ways = { policy: internet, purpose: PURPOSE, authorities: internet.authorities };
  const outside = { strangers: fetchFromStrangers(ways), thisMachine: fetchFromThisMachine(ways) };
  issuer = stack.use(await startIssuer({ at: new URL('https://id.example.org'), outside }));
  through = proxyOf(issuer);
});
afterEach(() => stack.disposeAsync());

async function client(id: string, how: oidc.ClientAuth = oidc.None()): Promise<oidc.Configuration> {
  const known = await oidc.discovery(issuer.url, id, undefined, how, {
    [oidc.customFetch]: (url, init) => through(url, init as RequestInit),
  });
  return known;
}

async function told(id: string, redirectUri: string = BACK): Promise<readonly [number, string]> {
  const asked = await ask(await client(id), { redirectUri });
  const page = await new Browser({ Accept: 'text/html' }, through).get(asked.url);
  return [page.status, page.text];
}

describe('a site that describes itself', () => {
  it('is a client at once, and knows a person as if it had registered', async () => {
    const signer = wallet();
    const subject = async (one: oidc.Configuration): Promise<string | undefined> => {
      const asked = await ask(one, { redirectUri: BACK });
      const tokens = await redeem(one, await signIn(new Browser(undefined, through), asked, signer), asked);
      return tokens.claims()?.sub;
    };
    const described = await client(ID);
    expect(described.serverMetadata()['client_id_metadata_document_supported']).toBe(true);
    const sub = await subject(described);
    const registered = await register(issuer, { redirect_uris: [BACK] }, through);
    registered[oidc.customFetch] = (url, init) => through(url, init as RequestInit);
    expect([sub, read]).toStrictEqual([await subject(registered), ['/client.json']]);
  });

  it('S14: is shown with where its description is, and where it sends people', async () => {
    const redirectUri = 'http://127.0.0.1:4711/back';
    documents.set('/client.json', { ...PLAIN, redirect_uris: [redirectUri] });
    const browser = new Browser(undefined, through);
    const asked = await ask(await client(ID), { redirectUri });
    const { page } = await begin(browser, asked);
    const shown = JSON.parse((await browser.get(page)).text) as { readonly client: object };
    expect(shown.client).toStrictEqual({ place: '127.0.0.1:4711', title: 'A shop', describedAt: 'shop.example' });
  });

  it('proves itself with keys at its own host, which are read once', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    documents.set('/keys', { keys: [{ ...(await exportJWK(publicKey)), use: 'sig', alg: 'ES256' }] });
    const own = { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256' };
    documents.set('/client.json', { ...PLAIN, ...own, jwks_uri: `${SHOP}/keys` });
    const prover = await client(ID, oidc.PrivateKeyJwt(privateKey));
    for (let time = 0; time < 2; time += 1) {
      const asked = await ask(prover, { redirectUri: BACK });
      const tokens = await redeem(prover, await signIn(new Browser(undefined, through), asked, wallet()), asked);
      expect(tokens.claims()?.aud).toBe(ID);
    }
    expect(read).toStrictEqual(['/client.json', '/keys']);
    // Made with another key, for whoever wants us to ask again and again.
    const other = await generateKeyPair('ES256');
    for (let time = 0; time < 5; time += 1) {
      const assertion = await new SignJWT({ jti: String(time) })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(ID)
        .setSubject(ID)
        .setAudience('https://id.example.org')
        .setExpirationTime('1m')
        .setIssuedAt()
        .sign(other.privateKey);
      const refused = await send(new URL(`http://127.0.0.1:${issuer.port}/token`), {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: 'x',
          client_id: ID,
          client_assertion: assertion,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        }),
      });
      expect([refused.status, refused.body['error']]).toStrictEqual([401, 'invalid_client']);
    }
    expect(read).toStrictEqual(['/client.json', '/keys']);
  });
});

describe('S21: what a document may not say', () => {
  it.each([
    ['that it is another', { client_id: `${SHOP}/other.json` }],
    ['to send people elsewhere', { redirect_uris: ['https://victim.example/back'] }],
    ['to send people elsewhere too', { redirect_uris: [BACK, 'https://victim.example/back'] }],
    ['to send people elsewhere afterwards', { post_logout_redirect_uris: ['https://victim.example/'] }],
    ['to send people where others listen', { redirect_uris: ['http://shop.example/back'] }],
    ['to have keys elsewhere', { jwks_uri: 'https://victim.example/keys' }],
    ['to have keys here', { jwks_uri: 'https://127.0.0.1/keys' }],
    ['nothing of where it sends people', { redirect_uris: undefined }],
    ['that this is no address', { redirect_uris: ['back'] }],
    ['that it is one address', { redirect_uris: BACK }],
    ['that these are none', { redirect_uris: [1] }],
    ['to send people nowhere', { response_types: [], grant_types: ['refresh_token'], redirect_uris: undefined }],
    ['to be known with others', { sector_identifier_uri: `${SHOP}/sector` }],
    ['to be told elsewhere', { backchannel_logout_uri: 'https://victim.example/out' }],
    [
      'a secret, which everybody could read',
      { token_endpoint_auth_method: 'client_secret_basic', client_secret: 'x'.repeat(40) },
    ],
    ['a secret for a public client', { client_secret: 'x'.repeat(40) }],
    ['to know people as others do', { subject_type: 'public' }],
  ])('%s', async (_what, over) => {
    documents.set('/client.json', { ...PLAIN, ...over });
    const [status, text] = await told(ID);
    expect([status, text]).toStrictEqual([
      expect.toSatisfy((code: number) => code === 400 || code === 401),
      expect.stringContaining('That did not work'),
    ] as unknown[]);
    expect(read.filter((path) => path !== '/client.json')).toStrictEqual([]);
    expect(internet.looked).toStrictEqual(['shop.example']);
  });
});

describe('S21: a document that says nothing of where it sends people', () => {
  it.each([{}, { redirect_uris: [] }])('is told so: %o', (said) => {
    expect(wrongInDocument({ client_id: ID, ...said }, false)).toContain('redirect_uris');
  });
});

describe('S21: who names an address', () => {
  it.each([
    `https://127.0.0.1/client.json`,
    'https://[::1]/client.json',
    'https://localhost/client.json',
    `https://${AT}/client.json`,
    'https://news.web3/client.json',
    `${SHOP}/`,
    SHOP,
    `${SHOP}/client.json?x=1`,
    `${SHOP}/client.json#x`,
    `${SHOP}:443/client.json`,
    `${SHOP}/./client.json`,
    'https://SHOP.example/client.json',
    'https://ann@shop.example/client.json',
    'http://shop.example/client.json',
    `${SHOP}/${'x'.repeat(300)}`,
  ])('has us read nothing at %s', async (id) => {
    documents.set('/client.json', { ...PLAIN, client_id: id });
    expect((await told(id))[0]).toBeGreaterThanOrEqual(400);
    expect([internet.looked, read]).toStrictEqual([[], []]);
  });

  it('learns nothing of what is behind it', async () => {
    const place = async (address: readonly string[]): Promise<unknown> => {
      internet.names.set('other.example', [address]);
      const [status, text] = await told(`https://other.example/x${address.join('-')}`);
      return [status, text.replaceAll(/nonce[^ ]+|'[^']+'/g, '')];
    };
    const inside = await place(['10.0.0.1']);
    for (const other of [['127.0.0.1'], [], ['93.184.216.99'], [AT]]) expect(await place(other)).toStrictEqual(inside);
  });

  it('makes us ask a host only so often, and the same thing once a minute', async () => {
    for (let time = 0; time < 5; time += 1) await told(`${SHOP}/none`);
    expect(read).toStrictEqual(['/none']);
    for (let time = 0; time < 2 * STRANGERS_OF_HOST; time += 1) await told(`${SHOP}/none/${time}`);
    expect(read.length).toBeLessThan(2 * STRANGERS_OF_HOST);
    // Others are read all the same.
    await internet.site('other.example', '93.184.216.35', answer);
    const other = { client_id: 'https://other.example/client.json', redirect_uris: ['https://other.example/back'] };
    documents.set('/client.json', { ...PLAIN, ...other });
    expect((await told(other.client_id, 'https://other.example/back'))[0]).toBe(303);
  });

  it('cannot keep a site away for long that answered wrongly once', async () => {
    documents.delete('/client.json');
    expect((await told(ID))[0]).toBe(400);
    documents.set('/client.json', PLAIN);
    expect((await told(ID))[0]).toBe(400);
    issuer.clock.ahead = STRANGERS_FAILED_MILLIS;
    expect([(await told(ID))[0], read]).toStrictEqual([303, ['/client.json', '/client.json']]);
  });

  it('is told nothing by an issuer of this machine', async () => {
    const ways = { policy: internet, purpose: PURPOSE, authorities: internet.authorities };
    const outside = { strangers: fetchFromStrangers(ways), thisMachine: fetchFromThisMachine(ways) };
    await using local = await startIssuer({ outside });
    const asked = await ask(await client(ID), { redirectUri: BACK });
    const url = new URL(asked.url.pathname + asked.url.search, local.url);
    expect((await new Browser({ Accept: 'text/html' }).get(url)).status).toBe(400);
    expect(read).toStrictEqual([]);
  });
});
