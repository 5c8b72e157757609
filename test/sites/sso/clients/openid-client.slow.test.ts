/** openid-client 6 in an Express server, the way its documentation has it. */
import express from 'express';
import session from 'express-session';
import * as oidc from 'openid-client';
import { z } from 'zod';
import { register } from '../kit.ts';
import { describeClient, homePage, serveAt, siteOrigin } from './kit.ts';

declare module 'express-session' {
  interface SessionData {
    verifier: string;
    state: string;
    idToken: string | undefined;
    who: string | undefined;
  }
}

describeClient('openid-client', async (issuer, cleanup) => {
  const { port, origin } = await siteOrigin();
  const callback = `${origin}/callback`;
  const config = await register(issuer, { redirect_uris: [callback], post_logout_redirect_uris: [`${origin}/`] });
  const app = express();
  app.use(session({ secret: 'a shop', resave: false, saveUninitialized: false }));
  app.get('/', (request, response) => {
    response.send(homePage(request.session.who));
  });
  app.get('/login', async (request, response) => {
    const verifier = oidc.randomPKCECodeVerifier();
    const state = oidc.randomState();
    Object.assign(request.session, { verifier, state });
    const to = oidc.buildAuthorizationUrl(config, {
      redirect_uri: callback,
      scope: 'openid wallet',
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
    });
    response.redirect(to.href);
  });
  app.get('/callback', async (request, response) => {
    try {
      const tokens = await oidc.authorizationCodeGrant(config, new URL(request.originalUrl, origin), {
        pkceCodeVerifier: request.session.verifier ?? '',
        expectedState: request.session.state ?? '',
      });
      const told = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '');
      request.session.who = z.string().parse(told['wallet_address']);
      request.session.idToken = tokens.id_token;
      response.redirect('/');
    } catch (error) {
      const said = error instanceof oidc.AuthorizationResponseError ? error.error : 'it did not work';
      response.status(403).send(`refused: ${said}`);
    }
  });
  app.get('/logout', (request, response) => {
    const hint = request.session.idToken ?? '';
    request.session.destroy(() => {
      const to = oidc.buildEndSessionUrl(config, { id_token_hint: hint, post_logout_redirect_uri: `${origin}/` });
      response.redirect(to.href);
    });
  });
  await serveAt(port, app, cleanup);
  return { home: `${origin}/`, callback, refused: /refused: access_denied/, tellsIssuer: true };
});
