/** Authlib in a Flask program: a client in Python. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { temporaryFolder } from '../../kit.ts';
import { register } from '../kit.ts';
import { describeClient, homePage, siteOrigin } from './kit.ts';
import { startProgram } from './programs.ts';

/** Debian's own, which has the packages; another one on the path may not. */
const PYTHON = '/usr/bin/python3';
const isHere = spawnSync(PYTHON, ['-c', 'import authlib, flask, requests']).status === 0;

describeClient(
  'Authlib',
  async (issuer, cleanup) => {
    const { port, origin } = await siteOrigin();
    const callback = `${origin}/callback`;
    const config = await register(issuer, { redirect_uris: [callback], post_logout_redirect_uris: [`${origin}/`] });
    const { client_id: clientId, client_secret: clientSecret } = config.clientMetadata();
    const env = {
      SHOP_PORT: String(port),
      SHOP_ORIGIN: origin,
      SHOP_METADATA: new URL('/.well-known/openid-configuration', issuer.url).href,
      SHOP_CLIENT_ID: clientId,
      SHOP_CLIENT_SECRET: String(clientSecret),
      SHOP_NOBODY: homePage(undefined),
      SHOP_SOMEBODY: homePage('WHO'),
    };
    const args = ['-u', path.join(import.meta.dirname, 'authlib-shop.py')];
    const directory = await temporaryFolder(cleanup);
    await startProgram({ program: PYTHON, args, directory, env, ready: /Running on/ }, cleanup);
    return { home: `${origin}/`, callback, refused: /refused: access_denied/, tellsIssuer: true };
  },
  isHere ? undefined : 'apt-get install python3-authlib python3-flask python3-requests',
);
