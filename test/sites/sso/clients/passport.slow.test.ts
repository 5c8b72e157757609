/** passport-openidconnect with express-session: it has no PKCE, and no way to tell an issuer that a person signs out. */
import express from 'express';
import session from 'express-session';
import { decodeJwt } from 'jose';
import { Passport } from 'passport';
import OpenIdConnectStrategy, { type VerifyCallback } from 'passport-openidconnect';
import { z } from 'zod';
import { register } from '../kit.ts';
import { describeClient, homePage, serveAt, siteOrigin } from './kit.ts';

describeClient('passport-openidconnect', async (issuer, cleanup) => {
  const { port, origin } = await siteOrigin();
  const callback = `${origin}/oauth2/redirect`;
  const config = await register(issuer, { redirect_uris: [callback] });
  const { client_id: clientID, client_secret: clientSecret } = config.clientMetadata();
  const at = config.serverMetadata();
  const passport = new Passport();
  passport.use(
    new OpenIdConnectStrategy(
      {
        issuer: at.issuer,
        authorizationURL: String(at.authorization_endpoint),
        tokenURL: String(at.token_endpoint),
        userInfoURL: String(at.userinfo_endpoint),
        clientID,
        clientSecret: String(clientSecret),
        callbackURL: callback,
        scope: ['wallet'],
      },
      (_issuer: string, _profile: object, _context: object, idToken: string | object, verified: VerifyCallback) =>
        verified(null, { who: decodeJwt(z.string().parse(idToken))['wallet_address'] }),
    ),
  );
  passport.serializeUser((user, done) => done(null, user));
  passport.deserializeUser((user: Express.User, done) => done(null, user));

  const app = express();
  app.use(session({ secret: 'a shop', resave: false, saveUninitialized: false }));
  app.use(passport.session());
  app.get('/', ({ user }, response) => {
    response.send(homePage(user === undefined ? undefined : String(Object.values(user)[0])));
  });
  app.get('/login', passport.authenticate('openidconnect'));
  app.get(
    '/oauth2/redirect',
    passport.authenticate('openidconnect', { successRedirect: '/', failureRedirect: '/refused' }),
  );
  app.get('/refused', (_request, response) => {
    response.send('refused');
  });
  app.get('/logout', (request, response, next) => {
    request.logout((error: unknown) => (error === undefined || error === null ? response.redirect('/') : next(error)));
  });
  await serveAt(port, app, cleanup);
  return { home: `${origin}/`, callback, refused: /refused/, tellsIssuer: false };
});
