/** oidc-client-ts 3 in a page without a server: a public client, which gets its tokens and claims across origins. */
import { fileURLToPath } from 'node:url';
import express from 'express';
import { register } from '../kit.ts';
import { describeClient, serveAt, siteOrigin } from './kit.ts';

const LIBRARY = fileURLToPath(new URL('../browser/oidc-client-ts.min.js', import.meta.resolve('oidc-client-ts')));

function page(settings: object): string {
  return `<!doctype html><html lang="en"><title>A shop</title><h1>A shop</h1><div id="state"></div>
<script src="/oidc-client-ts.js"></script>
<script type="module">
  const store = new oidc.WebStorageStateStore({ store: localStorage });
  const manager = new oidc.UserManager({ ...${JSON.stringify(settings)}, userStore: store, stateStore: store });
  const state = document.getElementById('state');
  const offer = (label, act) => {
    const button = document.createElement('button');
    button.textContent = label;
    button.addEventListener('click', act);
    state.append(button);
  };
  if (location.pathname === '/callback') {
    try {
      await manager.signinRedirectCallback();
      location.replace('/');
    } catch (error) {
      state.textContent = 'refused: ' + (error.error ?? error.message);
    }
  } else {
    const user = await manager.getUser();
    const who = document.createElement('p');
    who.textContent = user?.profile.wallet_address ?? 'Nobody is signed in.';
    if (user) who.id = 'who';
    state.append(who);
    if (user) offer('Sign out', () => manager.signoutRedirect());
    else offer('Sign in', () => manager.signinRedirect());
  }
</script></html>`;
}

describeClient('oidc-client-ts', async (issuer, cleanup) => {
  const { port, origin } = await siteOrigin();
  const callback = `${origin}/callback`;
  const home = `${origin}/`;
  const config = await register(issuer, {
    redirect_uris: [callback],
    post_logout_redirect_uris: [home],
    token_endpoint_auth_method: 'none',
  });
  const settings = {
    authority: issuer.url.origin,
    client_id: config.clientMetadata().client_id,
    redirect_uri: callback,
    post_logout_redirect_uri: home,
    scope: 'openid wallet',
    loadUserInfo: true,
  };
  const app = express();
  app.get('/oidc-client-ts.js', (_request, response) => response.sendFile(LIBRARY));
  app.get(['/', '/callback'], (_request, response) => {
    response.send(page(settings));
  });
  await serveAt(port, app, cleanup);
  return { home, callback, refused: /refused: access_denied/, tellsIssuer: true };
});
