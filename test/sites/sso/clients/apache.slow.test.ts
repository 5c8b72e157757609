/** Apache with mod_auth_openidc, configured by its own directives alone; its page is a file with includes on the server's side. */
import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import path from 'node:path';
import { temporaryFolder, writeTree } from '../../kit.ts';
import { register } from '../kit.ts';
import { describeClient, homePage, siteOrigin } from './kit.ts';
import { startProgram } from './programs.ts';

const APACHE = '/usr/sbin/apache2';
const MODULES = '/usr/lib/apache2/modules';
const USED = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'alias', 'include', 'auth_openidc'];

const isHere = existsSync(APACHE) && existsSync(`${MODULES}/mod_auth_openidc.so`);
const PAGE = `<!--#if expr="-n v('REMOTE_USER')" -->${homePage('<!--#echo var="OIDC_CLAIM_wallet_address" -->')}<!--#else -->${homePage(undefined)}<!--#endif -->`;

interface Setting {
  readonly directory: string;
  readonly port: number;
  readonly origin: string;
  readonly metadata: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

function configuration({ directory, port, origin, metadata, clientId, clientSecret }: Setting): string {
  // Its workers are never root's.
  const user = process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : [];
  return [
    ...USED.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`),
    ...user,
    `ServerRoot ${directory}`,
    `ServerName ${origin}`,
    `Listen 127.0.0.1:${port}`,
    `PidFile ${directory}/pid`,
    `DefaultRuntimeDir ${directory}`,
    // Its own standard error it could not open by name.
    'ErrorLog |/bin/cat',
    'LogLevel notice',
    'StartServers 1',
    `DocumentRoot ${directory}/pages`,
    `OIDCProviderMetadataURL ${metadata}`,
    `OIDCClientID ${clientId}`,
    `OIDCClientSecret ${clientSecret}`,
    `OIDCRedirectURI ${origin}/callback`,
    'OIDCCryptoPassphrase "a shop that keeps its cookies to itself"',
    'OIDCScope "openid wallet"',
    'OIDCPKCEMethod S256',
    `Redirect /logout ${origin}/callback?logout=${encodeURIComponent(`${origin}/`)}`,
    `AliasMatch ^/(login)?$ ${directory}/pages/index.shtml`,
    '<Location />',
    '  AuthType openid-connect',
    '  Require valid-user',
    '  Options +Includes',
    '  ForceType text/html',
    '  SetOutputFilter INCLUDES',
    '  OIDCUnAuthAction pass',
    '</Location>',
    '<Location /login>',
    '  OIDCUnAuthAction auth',
    '</Location>',
    '',
  ].join('\n');
}

describeClient(
  'Apache mod_auth_openidc',
  async (issuer, cleanup) => {
    const { port, origin } = await siteOrigin();
    const callback = `${origin}/callback`;
    const config = await register(issuer, { redirect_uris: [callback], post_logout_redirect_uris: [`${origin}/`] });
    const { client_id: clientId, client_secret: clientSecret } = config.clientMetadata();
    const directory = await temporaryFolder(cleanup);
    // Of another user, as which its workers run.
    await chmod(directory, 0o755);
    const file = path.join(directory, 'apache.conf');
    const metadata = new URL('/.well-known/openid-configuration', issuer.url).href;
    await writeTree(directory, {
      'pages/index.shtml': PAGE,
      'apache.conf': configuration({ directory, port, origin, metadata, clientId, clientSecret: String(clientSecret) }),
    });
    const args = ['-f', file, '-DFOREGROUND'];
    await startProgram({ program: APACHE, args, directory, ready: /resuming normal operations/ }, cleanup);
    return { home: `${origin}/`, callback, refused: /^Error:/, tellsIssuer: true };
  },
  isHere ? undefined : 'apt-get install libapache2-mod-auth-openidc',
);
