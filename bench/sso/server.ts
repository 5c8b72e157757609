/** A process of the benchmark of issuers: an issuer, or the library as it comes. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import type Provider from 'oidc-provider';
import { UNKNOWN_RUNTIME } from '../../cli/commands/sso.ts';
import { withoutLine } from '../../cli/output.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { listenAt } from '../../platform/listen.ts';
import type * as SsoModule from '../../sites/sso/index.ts';
import type { Records } from '../../sites/sso/records.ts';
import type { Question, Start, Told } from './protocol.ts';

/** Records that are written or read at once. */
const AT_ONCE = 500;
const CHAIN = 'EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
const MONTH_SECONDS = 30 * 86_400;

type Answer = (question: Question) => Promise<void>;

async function openIssuer({ port, folder }: Start): Promise<Answer> {
  const sso: typeof SsoModule = await withoutLine(UNKNOWN_RUNTIME, () => import('../../sites/sso/index.ts'));
  const options = { clock: systemClock, log: silentLog };
  const store = await sso.openLevelStore(path.join(folder, 'records'), options);
  const nobody = (): Promise<undefined> => Promise.resolve(undefined);
  const issuer = await sso.openIssuer({
    ...options,
    issuer: new URL(`http://localhost:${port}`),
    dataDir: folder,
    store,
    directory: { holding: nobody, profile: nobody, client: nobody },
    network: 'localnet',
    chain: CHAIN,
  });
  await issuer.listen({ port, address: '127.0.0.1' });
  const { Records: Kept } = await import('../../sites/sso/records.ts');
  return (question) => grants(new Kept('Grant', store, systemClock), question);
}

/** Each of another person, at one site. */
async function grants(records: Records, question: Question): Promise<void> {
  if (typeof question === 'string') return;
  const count = 'fill' in question ? question.fill : question.read;
  for (let from = 0; from < count; from += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => String(from + at));
    await Promise.all(
      some.map((id) =>
        'fill' in question ? records.upsert(`grant-${id}`, grantOf(id), MONTH_SECONDS) : records.find(`grant-${id}`),
      ),
    );
  }
}

function grantOf(id: string): Parameters<Records['upsert']>[1] {
  const iat = Math.floor(Date.now() / 1000);
  const openid = { scope: 'openid offline_access profile wallet posts' };
  return { accountId: `person ${id}`, clientId: 'shop', iat, exp: iat + MONTH_SECONDS, kind: 'Grant', openid };
}

async function openLibrary({ port }: Start): Promise<Answer> {
  const { default: Library } = await withoutLine(UNKNOWN_RUNTIME, () => import('oidc-provider'));
  const provider = new Library(`http://localhost:${port}`, {
    clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
    cookies: { keys: ['bench'] },
    features: { devInteractions: { enabled: false }, registration: { enabled: true } },
    findAccount: (_context, id) => ({ accountId: id, claims: () => Promise.resolve({ sub: id }) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: true,
  });
  const answer = provider.callback();
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/interaction/') === true) void letIn(provider, request, response);
    else void answer(request, response);
  });
  await listenAt(server, { port, address: '127.0.0.1' }, 'the library');
  return () => Promise.resolve();
}

async function letIn(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId: crypto.randomUUID() } });
    return;
  }
  const grant = new provider.Grant({ accountId: session?.accountId, clientId: String(params['client_id']) });
  grant.addOIDCScope('openid offline_access');
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

const start = JSON.parse(process.argv[2] ?? '') as Start;
const answer = await (start.kind === 'issuer' ? openIssuer(start) : openLibrary(start));
async function tell(question: Question): Promise<void> {
  await answer(question);
  (globalThis as { gc?: () => void }).gc?.();
  process.send?.({ rss: process.memoryUsage().rss } satisfies Told);
}
process.on('message', (question: Question) => void tell(question));
// Whoever started it is gone.
process.on('disconnect', () => process.exit());
process.send?.({ rss: process.memoryUsage().rss } satisfies Told);
