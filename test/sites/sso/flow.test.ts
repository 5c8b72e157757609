import * as oidc from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CALLBACK,
  CHAIN,
  GONE,
  Browser,
  ask,
  redeem,
  register,
  signIn,
  startIssuer,
  wallet,
  type TestIssuer,
} from './kit.ts';

let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});

describe('a site that knows nothing of us', () => {
  it('registers, lets a person sign in with a wallet, refreshes and logs out', async () => {
    const signer = wallet();
    issuer.names.hold('alice.sso', signer.address);
    const client = await register(issuer);
    const browser = new Browser();
    const asked = await ask(client);

    const back = await signIn(browser, asked, signer, { profile: 'alice.sso' });
    expect(back.origin + back.pathname).toBe(CALLBACK);
    expect(back.searchParams.get('iss')).toBe(issuer.url.origin);
    const tokens = await redeem(client, back, asked);
    const claims = tokens.claims();
    expect(claims).toMatchObject({
      preferred_username: 'alice.sso',
      wallet_address: signer.address,
      wallet_did: `did:pkh:solana:${CHAIN}:${signer.address}`,
      posts_author: 'alice.sso',
    });
    const sub = claims?.sub ?? '';
    expect(await oidc.fetchUserInfo(client, tokens.access_token, sub)).toMatchObject({ sub, name: 'alice.sso' });

    const fresh = await oidc.refreshTokenGrant(client, tokens.refresh_token ?? '');
    expect(fresh.claims()?.sub).toBe(sub);
    expect(fresh.refresh_token).not.toBe(tokens.refresh_token);

    const logout = oidc.buildEndSessionUrl(client, {
      id_token_hint: fresh.id_token ?? '',
      post_logout_redirect_uri: GONE,
    });
    expect((await browser.get(logout)).status).toBe(200);
  });

  it('learns nothing that it did not ask for', async () => {
    const signer = wallet();
    issuer.names.hold('bob.sso', signer.address);
    const client = await register(issuer);
    const asked = await ask(client, { scope: 'openid' });
    const tokens = await redeem(client, await signIn(new Browser(), asked, signer, { profile: 'bob.sso' }), asked);
    const told = {
      ...tokens.claims(),
      ...(await oidc.fetchUserInfo(client, tokens.access_token, tokens.claims()?.sub ?? '')),
    };
    expect(JSON.stringify(told)).not.toContain('bob');
    expect(JSON.stringify(told)).not.toContain(signer.address);
  });

  it('is told when the person does not allow it', async () => {
    const client = await register(issuer);
    const asked = await ask(client);
    const back = await signIn(new Browser(), asked, wallet(), { decision: 'deny' });
    expect(back.searchParams.get('error')).toBe('access_denied');
    expect(back.searchParams.get('state')).toBe(asked.state);
  });
});
