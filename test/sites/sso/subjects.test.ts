/** Who a person is to which site, and that nobody becomes somebody else by getting their name. */
import type * as oidc from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unixSeconds } from '../../../core/units.ts';
import type { NameHolding } from '../../../sites/sso/index.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';
import {
  REGISTERED,
  Browser,
  ask,
  begin,
  answerTo,
  call,
  forCode,
  publicClient,
  redeem,
  register,
  signIn,
  startIssuer,
  userinfo,
  wallet,
  type TestIssuer,
} from './kit.ts';

const LATER = unixSeconds(REGISTERED + 100_000_000n);

let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});

interface Come {
  readonly sub: string;
  readonly access: string;
  readonly refresh: string;
}

async function come(
  client: oidc.Configuration,
  signer: Signer,
  { profile, redirectUri }: { readonly profile?: string; readonly redirectUri?: string } = {},
): Promise<Come> {
  const asked = await ask(client, redirectUri === undefined ? {} : { redirectUri });
  const how = profile === undefined ? {} : { profile };
  const tokens = await redeem(client, await signIn(new Browser(), asked, signer, how), asked);
  return {
    sub: tokens.claims()?.sub ?? '',
    access: tokens.access_token,
    refresh: tokens.refresh_token ?? '',
  };
}

async function site(name: string, registeredAt = REGISTERED): Promise<oidc.Configuration> {
  issuer.names.hold(name, wallet().address, registeredAt);
  issuer.names.clients.set(name, { redirects: ['/back'], signedOut: [] });
  return await publicClient(issuer, name);
}

/** Whether anything still works of what was given to a site. */
async function isOver(client: oidc.Configuration, { access, refresh }: Come): Promise<readonly unknown[]> {
  const told = await call(issuer, client, '/token/introspection', { token: access });
  const later = await call(issuer, client, '/token/introspection', { token: refresh });
  return [
    (await userinfo(issuer, access)).status,
    (await call(issuer, client, '/token', { grant_type: 'refresh_token', refresh_token: refresh })).body['error'],
    told.body['active'],
    later.body['active'],
  ];
}
const OVER = [401, 'invalid_grant', false, false];

describe('S15, B7: a number for each site', () => {
  it('S15 B7 two sites cannot find out that they have the same visitor', async () => {
    const signer = wallet();
    const [one, two] = await Promise.all(
      ['https://one.example/back', 'https://two.example/back'].map((uri) => register(issuer, { redirect_uris: [uri] })),
    );
    const subs = [];
    for (const [client, uri] of [
      [one, 'https://one.example/back'],
      [two, 'https://two.example/back'],
    ] as const) {
      const asked = await ask(client as oidc.Configuration, { redirectUri: uri });
      const at = await signIn(new Browser(), asked, signer);
      const told = await call(issuer, client as oidc.Configuration, '/token', {
        ...forCode(at, asked),
        redirect_uri: uri,
      });
      const [, payload = ''] = String(told.body['id_token']).split('.');
      subs.push((JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { sub: string }).sub);
    }
    expect(subs[0]).toMatch(/^[\w-]{43}$/);
    expect(subs[1]).not.toBe(subs[0]);
  });

  it('S15 B7 one site by its name is one site under each port and as a whole name', async () => {
    const client = await site('forum.web3');
    const signer = wallet();
    const subs = new Set<string>();
    for (const origin of [
      'http://forum-web3.localhost:8402',
      'http://forum-web3.localhost:8500',
      'https://forum.web3',
    ]) {
      subs.add((await come(client, signer, { redirectUri: `${origin}/back` })).sub);
    }
    expect(subs.size).toBe(1);
  });

  it('S15 B7 a site under a name that was registered anew is another site', async () => {
    const signer = wallet();
    const redirectUri = 'http://again-web3.localhost:8402/back';
    const before = await come(await site('again.web3'), signer, { redirectUri });
    const after = await come(await site('again.web3', LATER), signer, { redirectUri });
    expect(after.sub).not.toBe(before.sub);
  });

  it('S15 S16 a site that was bought knows nobody as before, and has nothing of what was allowed to its seller', async () => {
    const signer = wallet();
    const redirectUri = 'http://bought-web3.localhost:8402/back';
    const shop = await site('bought.web3');
    const before = await come(shop, signer, { redirectUri });
    issuer.names.hold('bought.web3', wallet().address);
    expect(await isOver(shop, before)).toStrictEqual(OVER);
    expect((await come(shop, signer, { redirectUri })).sub).not.toBe(before.sub);
  });

  it('S15 a site whose name was recovered keeps its visitors', async () => {
    const signer = wallet();
    const [name, redirectUri] = ['found.web3', 'http://found-web3.localhost:8402/back'];
    const shop = await site(name);
    const before = await come(shop, signer, { redirectUri });
    const { owner: _lost, ...kept } = issuer.names.holdings.get(name) as NameHolding;
    issuer.names.holdings.set(name, { ...kept, owner: wallet().address });
    expect((await userinfo(issuer, before.access)).status).toBe(200);
    expect((await come(shop, signer, { redirectUri })).sub).toBe(before.sub);
  });

  it('S15 a wallet by itself and each profile of it are different people', async () => {
    const client = await register(issuer);
    const signer = wallet();
    issuer.names.hold('work.sso', signer.address);
    issuer.names.hold('home.sso', signer.address);
    const subs = [await come(client, signer), await come(client, signer, { profile: 'work.sso' })];
    subs.push(await come(client, signer, { profile: 'home.sso' }));
    expect(new Set(subs.map(({ sub }) => sub)).size).toBe(3);
    expect((await come(client, signer, { profile: 'WORK.sso' })).sub).toBe(subs[1]?.sub);
  });
});

describe('S16: a name that changes hands', () => {
  it.each([
    ['is transferred', { registeredAt: REGISTERED, isActive: true, isNew: true }],
    ['lapses', { registeredAt: REGISTERED, isActive: false, isNew: false }],
    ['is registered anew by the same wallet', { registeredAt: LATER, isActive: true, isNew: false }],
    ['is registered anew by another', { registeredAt: LATER, isActive: true, isNew: true }],
  ])('S16 when it %s, all that sites were allowed is over', async (_what, { registeredAt, isActive, isNew }) => {
    const name = `moved${Math.random().toString(36).slice(2, 8)}.sso`;
    const client = await register(issuer);
    const first = wallet();
    issuer.names.hold(name, first.address);
    const given = await come(client, first, { profile: name });
    const asked = await ask(client);
    const at = await signIn(new Browser(), asked, first, { profile: name });
    const owner = isNew ? wallet() : first;
    const transfers = isNew ? 1 : 0;
    issuer.names.holdings.set(name, { name, owner: owner.address, registeredAt, transfers, isActive });
    expect(await isOver(client, given)).toStrictEqual(OVER);
    expect((await call(issuer, client, '/token', forCode(at, asked))).body['error']).toBe('invalid_grant');
  });

  it('S16 its new owner is somebody else to every site', async () => {
    const client = await register(issuer);
    const [first, second] = [wallet(), wallet()];
    issuer.names.hold('sold.sso', first.address);
    const before = await come(client, first, { profile: 'sold.sso' });
    issuer.names.hold('sold.sso', second.address);
    const after = await come(client, second, { profile: 'sold.sso' });
    expect(after.sub).not.toBe(before.sub);
  });

  it('S16 its seller is somebody else to every site after buying it back', async () => {
    const client = await register(issuer);
    const first = wallet();
    issuer.names.hold('back.sso', first.address);
    const before = await come(client, first, { profile: 'back.sso' });
    issuer.names.hold('back.sso', wallet().address);
    issuer.names.hold('back.sso', first.address);
    expect(await isOver(client, before)).toStrictEqual(OVER);
    expect((await come(client, first, { profile: 'back.sso' })).sub).not.toBe(before.sub);
  });

  it('S16 whose wallet was lost is the same person to every site with the new one, and what the old one holds is over', async () => {
    const client = await register(issuer);
    const [lost, next] = [wallet(), wallet()];
    issuer.names.hold('kept.sso', lost.address);
    const before = await come(client, lost, { profile: 'kept.sso' });
    const holding = issuer.names.holdings.get('kept.sso');
    issuer.names.holdings.set('kept.sso', { ...(holding as NameHolding), owner: next.address });
    expect(await isOver(client, before)).toStrictEqual(OVER);
    const browser = new Browser();
    const { page, challenge } = await begin(browser, await ask(client));
    const login = await browser.post(`${page}/login`, answerTo(challenge, lost, { profile: 'kept.sso' }));
    expect(login.text).toContain('kept.sso is not a profile of this wallet.');
    expect((await come(client, next, { profile: 'kept.sso' })).sub).toBe(before.sub);
  });

  it('S16 lost between signing in and consenting, it gives nobody anything', async () => {
    const client = await register(issuer);
    const signer = wallet();
    issuer.names.hold('brief.sso', signer.address);
    const browser = new Browser();
    const { page, challenge } = await begin(browser, await ask(client));
    const login = await browser.post(`${page}/login`, answerTo(challenge, signer, { profile: 'brief.sso' }));
    issuer.names.hold('brief.sso', wallet().address);
    const { url, answer } = await browser.follow((JSON.parse(login.text) as { next: string }).next);
    expect(url.startsWith(issuer.url.origin)).toBe(true);
    expect(answer?.text).toContain('"prompt":"login"');
  });

  it('S16 a wallet that the profile no longer names is let in no more, and loses what it was given', async () => {
    const client = await register(issuer);
    const [owner, phone] = [wallet(), wallet()];
    issuer.names.hold('bound.sso', owner.address);
    const profile = {
      displayName: 'Bound',
      links: [],
      payout: owner.address,
      wallets: [phone.address],
      updated: REGISTERED,
    };
    issuer.names.profiles.set('bound.sso', profile);
    const given = await come(client, phone, { profile: 'bound.sso' });
    expect(given.sub).toBe((await come(client, owner, { profile: 'bound.sso' })).sub);
    issuer.names.profiles.set('bound.sso', { ...profile, wallets: [] });
    expect(await isOver(client, given)).toStrictEqual(OVER);
  });
});
