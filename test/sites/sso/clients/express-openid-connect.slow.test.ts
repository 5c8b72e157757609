/** express-openid-connect 3: a middleware with pages of its own for signing in and out. */
import express, { type NextFunction, type Request, type Response } from 'express';
import { auth } from 'express-openid-connect';
import { register } from '../kit.ts';
import { describeClient, homePage, serveAt, siteOrigin } from './kit.ts';

describeClient('express-openid-connect', async (issuer, cleanup) => {
  const { port, origin } = await siteOrigin();
  const callback = `${origin}/callback`;
  const config = await register(issuer, { redirect_uris: [callback], post_logout_redirect_uris: [origin] });
  const { client_id: clientID, client_secret: clientSecret } = config.clientMetadata();
  const app = express();
  app.use(
    auth({
      issuerBaseURL: issuer.url.origin,
      baseURL: origin,
      clientID,
      clientSecret: String(clientSecret),
      secret: 'a shop that keeps its cookies to itself',
      authRequired: false,
      idpLogout: true,
      authorizationParams: { response_type: 'code', scope: 'openid wallet' },
    }),
  );
  app.get('/', (request, response) => {
    response.send(homePage(request.oidc.user && String(request.oidc.user['wallet_address'])));
  });
  app.use((error: Error & { readonly error?: string }, _request: Request, response: Response, _next: NextFunction) => {
    response.status(403).send(`refused: ${error.error ?? error.message}`);
  });
  await serveAt(port, app, cleanup);
  return { home: `${origin}/`, callback, refused: /refused: access_denied/, tellsIssuer: true };
});
