/** A .web3 site lets people sign in by its name: its manifest comes over paid circuits, and is checked by what the ledger says. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../app/node/index.ts';
import { publishProfile } from '../../app/roles/own-profile.ts';
import { publish } from '../../app/roles/publisher.ts';
import { startIssuer, type RunningIssuer } from '../../app/sso/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { silentLog } from '../../core/ports.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { NAME_CACHE_MILLIS } from '../../core/limits.ts';
import { signConsent } from '../../sites/profile/index.ts';
import { Browser, answerTo, ask, begin, publicClient, redeem, register, signIn, wallet } from '../sites/sso/kit.ts';
import { publisherRole } from './publisher.ts';
import { fetchHere } from './visitor.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
const SHOP = 'shop.web3';
const PLAIN = 'plain.web3';

let testnet: Testnet;
let issuer: RunningIssuer;

async function published(name: string, signing: object): Promise<void> {
  const folder = path.join(await temporaryFolder(cleanup), 'site');
  await mkdir(folder);
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${name}</title>`);
  const terms = parseManifestFile(JSON.stringify({ creator: 'Ana', title: 'The shop', ...signing }), {
    file: 'manifest.json',
    name,
  });
  await using owner = await testnet.open(publisherRole, name.replace('.', '-'));
  const where = { hosts: [], replicas: 1, relays: 0, signal };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  await publish(owner.node, { directory: folder, name, terms, royaltyBps: 0, years: 1, ...where, ...silent });
}

beforeAll(async () => {
  testnet = await createTestnet({ relays: 1 });
  cleanup.add(() => testnet[Symbol.asyncDispose]());
  await published(SHOP, { signIn: { redirects: ['/signed-in.html'], signedOut: ['/'] } });
  await published(PLAIN, {});
  issuer = await startIssuer({
    dataDir: await temporaryFolder(cleanup),
    port: 0,
    address: '127.0.0.1',
    issuer: undefined,
    gateway: new URL(testnet.url),
    ledger: testnet.gateway.node.ledger,
    fetch: fetchHere,
    connect: () => Promise.reject(new Error('its records are here')),
    clock: testnet.clock,
    log: silentLog,
  });
  cleanup.add(() => issuer[Symbol.asyncDispose]());
});
afterAll(() => cleanup.run());

describe('a profile', () => {
  it('says who signed in, and which other wallets may sign in as it (I1)', async () => {
    const name = 'ann.sso';
    const { ledger } = testnet.gateway.node;
    const other = wallet(new Uint8Array(32).fill(4));
    const as = async <T>(work: (node: RunningNode) => Promise<T>): Promise<T> => {
      await using opened = await testnet.open(publisherRole, 'ann');
      return await work(opened.node);
    };
    const words = { displayName: 'Ann Lee', links: [] };
    const delivery = { name, hosts: [], replicas: 1, relays: 0, royaltyBps: 0, years: 1, replace: false, signal };
    const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
    await as((node) => publishProfile(node, { ...delivery, ...silent, step: { kind: 'create', words } }));
    const url = new URL(issuer.issuer);
    const client = await register({ url });
    const refused = async (): Promise<unknown> => {
      const browser = new Browser();
      const { page, challenge } = await begin(browser, await ask(client));
      return JSON.parse((await browser.post(`${page}/login`, answerTo(challenge, other, { profile: name }))).text);
    };
    expect(await refused()).toMatchObject({ error: 'SIGN_IN_REFUSED' });
    const record = await ledger.name(name);
    if (record === undefined) throw new Error('it is registered');
    const { owner, registeredAt: tenure } = record;
    const consent = await signConsent({ name, owner, tenure, created: await ledger.now() }, other);
    await as((node) => publishProfile(node, { ...delivery, ...silent, step: { kind: 'bind', consent } }));
    testnet.clock.advance(NAME_CACHE_MILLIS + 60_000);
    const asked = await ask(client);
    const tokens = await redeem(client, await signIn(new Browser(), asked, other, { profile: name }), asked);
    expect(tokens.claims()).toMatchObject({ name: 'Ann Lee', preferred_username: name, posts_payout: owner });
  });
});

describe('a site by its name', () => {
  it.each(['http://shop-web3.localhost:8402', 'http://shop-web3.localhost:8500', 'https://shop.web3'])(
    'signs people in at %s, who are the same there (B7, S22)',
    async (origin) => {
      const client = await publicClient({ url: new URL(issuer.issuer) }, SHOP);
      const signer = wallet(new Uint8Array(32).fill(9));
      const asked = await ask(client, { redirectUri: `${origin}/signed-in.html`, scope: 'openid wallet' });
      const back = await signIn(new Browser(), asked, signer);
      expect(back.origin).toBe(origin);
      const first = (await redeem(client, back, asked)).claims()?.sub;
      const usual = await ask(client, { redirectUri: 'http://shop-web3.localhost:8402/signed-in.html' });
      const second = await redeem(client, await signIn(new Browser(), usual, signer), usual);
      expect(second.claims()?.sub).toBe(first);
    },
  );

  it.each([
    ['another path', SHOP, 'http://shop-web3.localhost:8402/other.html'],
    ['another site', SHOP, 'http://plain-web3.localhost:8402/signed-in.html'],
    ['the name on a gateway of somebody', SHOP, 'https://shop-web3.example.org/signed-in.html'],
    ['a site whose manifest says nothing of it', PLAIN, 'http://plain-web3.localhost:8402/signed-in.html'],
    ['a name that nobody has', 'nobody.web3', 'http://nobody-web3.localhost:8402/signed-in.html'],
  ])('sends nobody to %s (S18, S19, S22)', async (_what, name, redirectUri) => {
    const client = await publicClient({ url: new URL(issuer.issuer) }, name);
    const { url, answer } = await new Browser().follow((await ask(client, { redirectUri })).url);
    expect(new URL(url).origin).toBe(issuer.issuer);
    expect(answer?.status).toBe(400);
  });
});
