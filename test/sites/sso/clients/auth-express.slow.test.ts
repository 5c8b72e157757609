/** Auth.js in an Express server: it reads claims from the ID token, and knows no signing out at an issuer. */
import { ExpressAuth, getSession, type ExpressAuthConfig } from '@auth/express';
import express from 'express';
import { register } from '../kit.ts';
import { SIGN_IN, SIGN_OUT, describeClient, serveAt, siteOrigin } from './kit.ts';

/** Its steps are forms with a token against other sites' forms. */
function page(who: string | undefined): string {
  const [label, action] = who === undefined ? [SIGN_IN, '/auth/signin/relaymint'] : [SIGN_OUT, '/auth/signout'];
  const state = who === undefined ? '<p>Nobody is signed in.</p>' : `<p id="who">${who}</p>`;
  return `<!doctype html><html lang="en"><title>A shop</title><h1>A shop</h1>${state}
<form method="post" action="${action}">
  <input type="hidden" name="callbackUrl" value="/" /><input type="hidden" name="csrfToken" /><button disabled>${label}</button>
</form>
<script type="module">
  const [form] = document.forms;
  form.elements.csrfToken.value = (await (await fetch('/auth/csrf')).json()).csrfToken;
  form.querySelector('button').disabled = false;
</script></html>`;
}

describeClient('@auth/express', async (issuer, cleanup) => {
  const { port, origin } = await siteOrigin();
  const callback = `${origin}/auth/callback/relaymint`;
  const config = await register(issuer, { redirect_uris: [callback] });
  const { client_id: clientId, client_secret: clientSecret } = config.clientMetadata();
  const settings: ExpressAuthConfig = {
    trustHost: true,
    secret: 'a shop that keeps its cookies to itself',
    logger: { error: () => {} },
    providers: [
      {
        id: 'relaymint',
        name: 'Relaymint',
        type: 'oidc',
        issuer: issuer.url.origin,
        clientId,
        clientSecret: String(clientSecret),
        authorization: { params: { scope: 'openid wallet' } },
        profile: (claims: Readonly<Record<string, unknown>>) => ({ name: String(claims['wallet_address']) }),
      },
    ],
  };
  const app = express();
  // It finds its own path by the first group of the route, as Express 4 has it.
  app.use(/^\/auth\/(.*)/, ExpressAuth(settings));
  app.get('/', async (request, response) => {
    const session = await getSession(request, settings);
    response.send(page(session?.user?.name ?? undefined));
  });
  await serveAt(port, app, cleanup);
  return { home: `${origin}/`, callback, refused: /different account|error/i, tellsIssuer: false };
});
