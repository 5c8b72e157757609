/** Codes, tokens and keys, tried by somebody who has one of them too many. */
import * as oidc from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AFTER_MILLIS, AHEAD_MILLIS, SIGNS_MILLIS } from '../../../sites/sso/secrets.ts';
import {
  Browser,
  Gate,
  KeptLog,
  MovedClock,
  ask,
  call,
  forCode,
  openPlace,
  redeem,
  register,
  signIn,
  startIssuer,
  userinfo,
  wallet,
  withStore,
  type Asked,
  type TestIssuer,
} from './kit.ts';

const TIMES = 20;

let issuer: TestIssuer;
const log = new KeptLog();

beforeAll(async () => {
  issuer = await startIssuer({ log });
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});

async function back(client: oidc.Configuration): Promise<{ readonly at: URL; readonly asked: Asked }> {
  const asked = await ask(client);
  return { at: await signIn(new Browser(), asked, wallet()), asked };
}

describe('S24: proof of possession of what a code was asked with', () => {
  it('S24 a public client without it is sent back with an error', async () => {
    const client = await register(issuer, { token_endpoint_auth_method: 'none' });
    const asked = await ask(client);
    asked.url.searchParams.delete('code_challenge');
    asked.url.searchParams.delete('code_challenge_method');
    const { location } = await new Browser().get(asked.url);
    expect(new URL(location ?? '').searchParams.get('error')).toBe('invalid_request');
  });

  it('S24 nothing but S256 is taken', async () => {
    const client = await register(issuer);
    for (const method of ['plain', 'S512', 's256']) {
      const asked = await ask(client);
      asked.url.searchParams.set('code_challenge_method', method);
      const { location } = await new Browser().get(asked.url);
      expect([method, new URL(location ?? '').searchParams.get('error')]).toStrictEqual([method, 'invalid_request']);
    }
  });

  it('S24 a verifier without a challenge, another one, and none are refused', async () => {
    const client = await register(issuer);
    const asked = await ask(client);
    asked.url.searchParams.delete('code_challenge');
    asked.url.searchParams.delete('code_challenge_method');
    const bare = await signIn(new Browser(), asked, wallet());
    expect((await call(issuer, client, '/token', forCode(bare, asked))).body['error']).toBe('invalid_grant');

    const { at, asked: careful } = await back(client);
    const other = { ...forCode(at, careful), code_verifier: oidc.randomPKCECodeVerifier() };
    expect((await call(issuer, client, '/token', other)).body['error']).toBe('invalid_grant');
    const { code_verifier: _left, ...none } = forCode(at, careful);
    expect((await call(issuer, client, '/token', none)).body['error']).toBe('invalid_grant');
  });

  it('S24 the address has to be said again', async () => {
    const client = await register(issuer);
    const { at, asked } = await back(client);
    const { redirect_uri: _left, ...none } = forCode(at, asked);
    expect((await call(issuer, client, '/token', none)).status).toBe(400);
  });
});

describe('S26, B6: one code, one refresh token', () => {
  it('S26 B6 of twenty who redeem a code at once one gets tokens, and a later one ends them', async () => {
    const client = await register(issuer);
    const { at, asked } = await back(client);
    const answers = await Promise.all(
      Array.from({ length: TIMES }, () => call(issuer, client, '/token', forCode(at, asked))),
    );
    const won = answers.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect(answers.filter(({ body }) => body['error'] === 'invalid_grant')).toHaveLength(TIMES - 1);

    const late = await call(issuer, client, '/token', forCode(at, asked));
    expect(late.body['error']).toBe('invalid_grant');
    const { access_token: access, refresh_token: refresh } = won[0]?.body ?? {};
    expect((await userinfo(issuer, String(access))).status).toBe(401);
    const again = await call(issuer, client, '/token', {
      grant_type: 'refresh_token',
      refresh_token: String(refresh),
    });
    expect(again.body['error']).toBe('invalid_grant');
  });

  it('S26 B6 of twenty who redeem a refresh token at once one gets tokens, and a later one ends them', async () => {
    const client = await register(issuer);
    const { at, asked } = await back(client);
    const { refresh_token: refresh = '' } = await redeem(client, at, asked);
    const params = { grant_type: 'refresh_token', refresh_token: refresh };
    const answers = await Promise.all(Array.from({ length: TIMES }, () => call(issuer, client, '/token', params)));
    const won = answers.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);

    expect((await call(issuer, client, '/token', params)).body['error']).toBe('invalid_grant');
    const { access_token: access, refresh_token: next } = won[0]?.body ?? {};
    expect((await userinfo(issuer, String(access))).status).toBe(401);
    const later = await call(issuer, client, '/token', { grant_type: 'refresh_token', refresh_token: String(next) });
    expect(later.body['error']).toBe('invalid_grant');
  });

  it('S26 what was given for a code while somebody used it again is good for nothing', async () => {
    // The winner of the race has not written its tokens yet when the loser ends the grant.
    const gate = new Gate();
    await using slow = await startIssuer({
      through: (store) =>
        withStore(store, {
          put: async (key, value, until) => {
            if (key.startsWith('r:AccessToken:')) await gate.pass();
            await store.put(key, value, until);
          },
        }),
    });
    const client = await register(slow);
    const asked = await ask(client);
    const at = await signIn(new Browser(), asked, wallet());
    const first = call(slow, client, '/token', forCode(at, asked));
    await gate.reached;
    expect((await call(slow, client, '/token', forCode(at, asked))).body['error']).toBe('invalid_grant');
    gate.open();
    const { access_token: access, refresh_token: refresh } = (await first).body;
    expect((await userinfo(slow, String(access))).status).toBe(401);
    const told = await call(slow, client, '/token/introspection', { token: String(access) });
    expect(told.body['active']).toBe(false);
    const again = await call(slow, client, '/token', {
      grant_type: 'refresh_token',
      refresh_token: String(refresh),
    });
    expect(again.body['error']).toBe('invalid_grant');
  });

  it('S26 a code of one client is none for another, and stays good for its own', async () => {
    const client = await register(issuer);
    const thief = await register(issuer);
    const { at, asked } = await back(client);
    expect((await call(issuer, thief, '/token', forCode(at, asked))).body['error']).toBe('invalid_grant');
    expect((await call(issuer, client, '/token', forCode(at, asked))).status).toBe(200);
  });

  it('S26 no token of another client is told of or ended', async () => {
    const client = await register(issuer);
    const thief = await register(issuer);
    const { at, asked } = await back(client);
    const { access_token: token, refresh_token: refresh = '' } = await redeem(client, at, asked);
    for (const one of [token, refresh]) {
      expect((await call(issuer, thief, '/token/introspection', { token: one })).body).toStrictEqual({ active: false });
      await call(issuer, thief, '/token/revocation', { token: one });
    }
    expect((await userinfo(issuer, token)).status).toBe(200);
    expect((await call(issuer, client, '/token/introspection', { token: refresh })).body['active']).toBe(true);
  });
});

describe('S25: two issuers', () => {
  it('S25 errors, too, say which issuer answers', async () => {
    const client = await register(issuer);
    const asked = await ask(client, { prompt: 'none' });
    const { location } = await new Browser().get(asked.url);
    const { searchParams } = new URL(location ?? '');
    expect(searchParams.get('error')).toBe('login_required');
    expect(searchParams.get('iss')).toBe(issuer.url.origin);
    const { authorization_response_iss_parameter_supported: isSaid } = client.serverMetadata();
    expect(isSaid).toBe(true);
  });

  it('S25 have keys and subjects of their own, and refuse tokens of each other', async () => {
    await using other = await startIssuer();
    const signer = wallet();
    const [here, there] = await Promise.all(
      [issuer, other].map(async (one) => {
        const client = await register(one);
        const asked = await ask(client);
        const at = await signIn(new Browser(), asked, signer);
        return { at, asked, client, tokens: await redeem(client, at, asked) };
      }),
    );
    const [ours, theirs] = [here?.tokens, there?.tokens];
    expect(ours?.claims()?.sub).not.toBe(theirs?.claims()?.sub);
    expect((await userinfo(other, ours?.access_token ?? '')).status).toBe(401);
    const logout = new URL('/session/end', other.url);
    logout.searchParams.set('id_token_hint', ours?.id_token ?? '');
    expect((await new Browser().get(logout)).status).toBe(400);
    expect(await kids(issuer)).not.toStrictEqual(await kids(other));
  });
});

async function keys({ url }: TestIssuer): Promise<readonly { readonly kid: string; readonly alg: string }[]> {
  const response = await fetch(new URL('/jwks', url));
  const { keys: found } = (await response.json()) as { keys: { kid: string; alg: string }[] };
  return found;
}

async function kids(one: TestIssuer): Promise<readonly string[]> {
  return (await keys(one)).map(({ kid }) => kid);
}

function headerOf(token: string | undefined): { readonly alg: string; readonly kid: string } {
  return JSON.parse(Buffer.from(token?.split('.')[0] ?? '', 'base64url').toString('utf8')) as {
    alg: string;
    kid: string;
  };
}

describe('S27: what signs', () => {
  it('S27 signs by RS256 unless asked for EdDSA, never by nothing, and shows no private part', async () => {
    const usual = await register(issuer);
    const modern = await register(issuer, { id_token_signed_response_alg: 'EdDSA' });
    for (const [client, alg] of [
      [usual, 'RS256'],
      [modern, 'EdDSA'],
    ] as const) {
      const { at, asked } = await back(client);
      expect(headerOf((await redeem(client, at, asked)).id_token).alg).toBe(alg);
    }
    for (const refused of ['none', 'HS256']) {
      const told = register(issuer, { id_token_signed_response_alg: refused });
      await expect(told).rejects.toMatchObject({ error: 'invalid_client_metadata' });
    }
    for (const key of await keys(issuer)) {
      expect(Object.keys(key).filter((part) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(part))).toStrictEqual(
        [],
      );
    }
    expect(usual.serverMetadata().id_token_signing_alg_values_supported).toStrictEqual(['RS256', 'EdDSA']);
  });

  it('S27 a new key is published before it signs, an old one as long as what it signed is good, and nothing is lost at restarts', async () => {
    const clock = new MovedClock();
    await using place = await openPlace();
    let running = await startIssuer({ clock, place });
    try {
      const client = await register(running);
      const refreshed = async (): Promise<oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers> => {
        const asked = await ask(client);
        return await redeem(client, await signIn(new Browser(), asked, wallet()), asked);
      };
      const restart = async (ahead: number): Promise<void> => {
        await running[Symbol.asyncDispose]();
        clock.ahead = ahead;
        running = await startIssuer({ clock, place });
      };
      const first = headerOf((await refreshed()).id_token).kid;
      expect(await kids(running)).toHaveLength(2);

      await restart(SIGNS_MILLIS - AHEAD_MILLIS + 1_000);
      expect(await kids(running)).toHaveLength(4);
      expect(headerOf((await refreshed()).id_token).kid).toBe(first);

      await restart(SIGNS_MILLIS + 1_000);
      const published = await kids(running);
      expect(published).toContain(first);
      const second = headerOf((await refreshed()).id_token).kid;
      expect(second).not.toBe(first);
      expect(published).toContain(second);

      await restart(SIGNS_MILLIS + AFTER_MILLIS + 1_000);
      expect(await kids(running)).not.toContain(first);
      expect(await kids(running)).toContain(second);
    } finally {
      await running[Symbol.asyncDispose]();
    }
  });
});

describe('what is offered', () => {
  it('is what people here were promised, and nothing that the library has besides', async () => {
    const client = await register(issuer);
    const told = client.serverMetadata();
    expect(told).toMatchObject({
      response_types_supported: ['code'],
      subject_types_supported: ['pairwise'],
      code_challenge_methods_supported: ['S256'],
      claims_parameter_supported: false,
      request_uri_parameter_supported: false,
    });
    expect(told.grant_types_supported?.toSorted()).toStrictEqual(['authorization_code', 'refresh_token']);
    expect(told.pushed_authorization_request_endpoint).toBeUndefined();
    expect(told['dpop_signing_alg_values_supported']).toBeUndefined();
  });

  it('no token is taken from an address', async () => {
    const client = await register(issuer);
    const { at, asked } = await back(client);
    const { access_token: token } = await redeem(client, at, asked);
    const url = new URL('/me', issuer.url);
    url.searchParams.set('access_token', token);
    expect((await fetch(url)).status).toBe(400);
  });

  it('a client with one address has to say it', async () => {
    const client = await register(issuer);
    const asked = await ask(client);
    asked.url.searchParams.delete('redirect_uri');
    expect((await new Browser().get(asked.url)).status).toBe(400);
  });

  it('nothing of all this is in the log', () => {
    expect(log.lines).toStrictEqual([]);
  });
});
