/** The issuer: one HTTP server of its own, with the OpenID Provider and the pages by which people use it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type Provider from 'oidc-provider';
import { errors, type ClientMetadata, type KoaContextWithOIDC } from 'oidc-provider';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_SIGN_IN_URL_LETTERS } from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { hasErrno } from '../../platform/errno.ts';
import { listenAt, type ListenAt } from '../../platform/listen.ts';
import type { PublisherKey } from '../blocks/index.ts';
import type { SolanaChain } from '../siws/index.ts';
import { Accounts } from './accounts.ts';
import { Challenges } from './challenges.ts';
import type { Directory, IssuerStore } from './contract.ts';
import { Fetches, type Outside } from './fetches.ts';
import { sendFile } from './files.ts';
import { Interactions, wantsJson } from './interactions.ts';
import { Logouts } from './logouts.ts';
import { OwnWallet } from './own-wallet.ts';
import { SAFE_HEADERS, frontPage, messagePage, sendPage } from './pages.ts';
import { Permits } from './permits.ts';
import { AWAY, createProvider, issuerId } from './provider.ts';
import { openSecrets, type IssuerSecrets } from './secrets.ts';
import { Visitors, networkOf } from './visitors.ts';
import { assertSameSecrets } from './server-store.ts';

/** How often it is looked whether a signing key is due. */
const KEYS_MILLIS = 60_000;
/** A request's head has to be there by then. */
const HEAD_MILLIS = 15_000;
const CLOSE_MILLIS = 5_000;
/** Where browsers look for localhost besides. */
const OTHER_LOCALHOST: Readonly<Record<string, string>> = { '127.0.0.1': '::1', '::1': '127.0.0.1' };
const FORM = 'application/x-www-form-urlencoded';
/** Read for counting alone (`Visitors`). */
const FORWARDED_FOR = 'x-forwarded-for';

export interface IssuerOptions {
  /** Where others find it: https, or http on loopback and onion addresses. Never taken from a request. */
  readonly issuer: URL;
  /** Its secrets are there. */
  readonly dataDir: string;
  readonly store: IssuerStore;
  readonly directory: Directory;
  readonly clients?: readonly ClientMetadata[];
  /** A proxy of ours stands before it, and says in X-Forwarded-For who came. Only of a public issuer. */
  readonly isBehindProxy?: boolean | undefined;
  /** Which ledger, as wallets call it, and as CAIP-2 does. */
  readonly network: SolanaChain;
  readonly chain: string;
  /** The gateway of this machine, at whose port pages of names are. */
  readonly gateway?: URL | undefined;
  /** Whoever has its link may sign in with it. Of an issuer at http://localhost only. */
  readonly wallet?: PublisherKey | undefined;
  /** Absent: nothing is asked of addresses that clients name. */
  readonly outside?: Outside | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Issuer extends AsyncDisposable {
  /** As it stands in tokens. */
  readonly id: string;
  /** Who opens it may sign in with the issuer's own wallet: a secret. undefined: it has none. */
  readonly walletLink: string | undefined;
  /** @throws RelaymintError ADDRESS_IN_USE, INVALID_CONFIG. */
  listen(at: ListenAt): Promise<number>;
}

/** @throws RelaymintError INVALID_CONFIG (also: the store is that of an issuer with other secrets); what `openSecrets` and the store throw. */
export async function openIssuer(options: IssuerOptions): Promise<Issuer> {
  assertIssuer(options.issuer);
  if (options.wallet !== undefined) assertHome(options.issuer);
  const secrets = await openSecrets(secretsPlace(options));
  await assertSameSecrets(options.store, secrets.subjects, options.clock);
  return new HttpIssuer(options, secrets);
}

/** True for what only this machine reaches, or nobody can listen to on the way. */
function isPrivate({ hostname }: URL): boolean {
  return isLocal(hostname) || hostname.endsWith('.onion');
}

function isLocal(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
}

/** @throws RelaymintError INVALID_CONFIG. */
function assertIssuer(issuer: URL): void {
  const isPlain = issuer.search === '' && issuer.hash === '' && issuer.username === '' && issuer.pathname === '/';
  const isSafe = issuer.protocol === 'https:' || (issuer.protocol === 'http:' && isPrivate(issuer));
  if (isPlain && isSafe) return;
  throw new RelaymintError('INVALID_CONFIG', `${issuer.href} cannot be an issuer.`, {
    remedy: 'Use https://HOST, without a path; http is for localhost and onion addresses only.',
  });
}

/** A page that comes from elsewhere, or over wires of others, is not the place for a key of this machine. @throws RelaymintError INVALID_CONFIG. */
function assertHome({ protocol, hostname, origin }: URL): void {
  if (protocol === 'http:' && hostname === 'localhost') return;
  throw new RelaymintError('INVALID_CONFIG', `An issuer at ${origin} cannot have a wallet of this machine.`, {
    remedy: 'Leave --issuer out: with a wallet it is http://localhost:PORT, for this machine only.',
  });
}

function secretsPlace({ dataDir, issuer, clock }: IssuerOptions): Parameters<typeof openSecrets>[0] {
  return { directory: dataDir, issuer, clock };
}

class HttpIssuer implements Issuer {
  readonly id: string;
  readonly walletLink: string | undefined;
  readonly #options: IssuerOptions;
  readonly #interactions: Interactions;
  readonly #accounts: Accounts;
  readonly #permits: Permits;
  readonly #wallet: OwnWallet | undefined;
  readonly #app: Express = express();
  readonly #visitors: Visitors;
  readonly #servers: Server[] = [];
  readonly #turning: AsyncDisposable;
  readonly #logouts: Logouts;
  readonly #fetches: Fetches | undefined;
  #provider: Provider;
  #secrets: IssuerSecrets;

  constructor(options: IssuerOptions, secrets: IssuerSecrets) {
    this.id = issuerId(options.issuer);
    this.#options = options;
    this.#secrets = secrets;
    const isPublic = options.issuer.protocol === 'https:';
    this.#visitors = new Visitors({ isBehindProxy: isPublic && options.isBehindProxy === true, clock: options.clock });
    const { outside } = options;
    this.#fetches = outside && new Fetches({ ...options, outside });
    this.#logouts = new Logouts({ provider: () => this.#provider, log: options.log });
    const challenges = new Challenges(options);
    const { wallet } = options;
    const hasOwnWallet = wallet !== undefined;
    this.#interactions = new Interactions({ ...options, hasOwnWallet, challenges, provider: () => this.#provider });
    this.#accounts = new Accounts({
      ...options,
      hasOwnWallet,
      challenges,
      logouts: this.#logouts,
      provider: () => this.#provider,
    });
    const permits = new Permits({ ...options, hasOwnWallet });
    this.#permits = permits;
    const signs = {
      'sign-in': challenges.textFor.bind(challenges),
      permit: permits.textFor.bind(permits),
    };
    this.#wallet = wallet && new OwnWallet({ ...options, wallet, signs });
    this.walletLink = this.#wallet?.link;
    this.#provider = this.#open(secrets);
    this.#turning = repeat({
      everyMillis: KEYS_MILLIS,
      work: () => this.#turnKeys(),
      what: 'Turning the signing keys',
      log: options.log,
    });
    this.#route();
  }

  async listen(at: ListenAt): Promise<number> {
    if (this.#wallet !== undefined && networkOf(at.address) !== undefined) {
      throw new RelaymintError('INVALID_CONFIG', `With a wallet of this machine it does not listen on ${at.address}.`, {
        remedy: 'Use --address 127.0.0.1, or leave it out.',
      });
    }
    const port = await this.#listenAt(at);
    const other = this.#options.issuer.hostname === 'localhost' ? OTHER_LOCALHOST[at.address] : undefined;
    if (other === undefined) return port;
    // A browser takes localhost for either: who has the other one there would be this issuer to it.
    await this.#listenAt({ port, address: other }).catch((error: unknown) => {
      if (!(error instanceof Error) || !hasErrno(error.cause, 'EADDRNOTAVAIL', 'EAFNOSUPPORT')) throw error;
    });
    return port;
  }

  async #listenAt(at: ListenAt): Promise<number> {
    const server = createServer({ headersTimeout: HEAD_MILLIS, requestTimeout: 2 * HEAD_MILLIS }, (request, response) =>
      this.#answer(request, response),
    );
    const port = await listenAt(server, at, 'the issuer');
    this.#servers.push(server);
    return port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turning[Symbol.asyncDispose]();
    const servers = this.#servers.splice(0);
    const cut = setTimeout(() => {
      for (const server of servers) server.closeAllConnections();
    }, CLOSE_MILLIS);
    await Promise.all(
      servers.map(async (server) => {
        await new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeIdleConnections();
        });
      }),
    );
    clearTimeout(cut);
    await this.#logouts[Symbol.asyncDispose]();
  }

  #open(secrets: IssuerSecrets): Provider {
    const provider = createProvider({
      ...this.#options,
      secrets,
      clients: this.#options.clients ?? [],
      fetches: this.#fetches,
      overPage: (url) => this.#interactions.overPage(url),
    });
    provider.on('interaction.started', ({ oidc, req }: KoaContextWithOIDC) => {
      const uid = oidc.entities.Interaction?.uid;
      // Only a request for authorization can be begun again: what goes on with one is over with it.
      if (uid === undefined || oidc.route !== 'authorization') return;
      this.#interactions
        .began(uid, req.url ?? '/')
        .catch((err: unknown) => this.#options.log.warn({ err }, 'a sign-in cannot be begun again by a link'));
    });
    return provider;
  }

  /** The library takes keys when it is made: with new keys it is made anew. What is under way ends with the old one. */
  async #turnKeys(): Promise<void> {
    if (this.#options.clock.now() < this.#secrets.until) return;
    this.#secrets = await openSecrets({ ...secretsPlace(this.#options), mustExist: true });
    this.#provider = this.#open(this.#secrets);
    this.#options.log.info({ keys: this.#secrets.keys.map(({ kid }) => kid) }, 'signing keys were turned');
  }

  #route(): void {
    const app = this.#app;
    app.disable('x-powered-by');
    app.set('etag', false);
    app.get('/', (_request, response) => sendPage(response, frontPage(this.id)));
    app.get(['/sso.css', '/sso.js', '/wallet.js', '/icon.svg'], (request, response) =>
      sendFile(request.path, response),
    );
    app.use((request, _response, next) => {
      this.#visitors.count(request);
      next();
    });
    app.use(['/interaction', '/account', '/permit', '/session', '/wallet'], (request, _response, next) =>
      next(this.#foreign(request)),
    );
    app.use('/interaction', this.#interactions.router);
    app.get('/auth/:uid', async (request, _response, next) => {
      await this.#interactions.goingOn(request);
      next();
    });
    // By GET a browser brings its session's cookie also from another site's page: so it need not be sent with forms of others.
    app.post('/auth', express.text({ type: FORM, limit: MAX_SIGN_IN_URL_LETTERS }), (request, response) => {
      response.redirect(303, `/auth?${String(new URLSearchParams(formOf(request)))}`);
    });
    app.use('/account', this.#accounts.router);
    app.use('/permit', this.#permits.router);
    if (this.#wallet !== undefined) app.use('/wallet', this.#wallet.router);
    app.use((request, response) => this.#provider.callback()(request, response));
    app.use((error: unknown, request: Request, response: Response, _next: NextFunction) =>
      this.#fail(error, request, response),
    );
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { issuer } = this.#options;
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
    // A whole address, as proxies are asked, would be believed where only a path is meant.
    if (request.url?.startsWith('/') !== true || request.url.startsWith('//')) {
      response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Ask for a path.\n');
      return;
    }
    const asked = request.headers.host ?? '';
    if (isLocal(issuer.hostname) && asked !== issuer.host) {
      this.#redirectHome(asked, request, response);
      return;
    }
    if (request.url.length > MAX_SIGN_IN_URL_LETTERS) {
      response.writeHead(414, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Ask for less.\n');
      return;
    }
    // Whatever a proxy or a visitor says of where this is: it is where it was configured to be.
    for (const header of Object.keys(request.headers)) {
      if (header === 'forwarded' || (header.startsWith('x-forwarded-') && header !== FORWARDED_FOR))
        delete request.headers[header];
    }
    request.headers.host = issuer.host;
    request.headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1);
    this.#app(request, response);
  }

  /** By another address of this machine state would be kept under a host that the sign-in does not come back to. Anything else is no visitor of ours. */
  #redirectHome(asked: string, { url, method }: IncomingMessage, response: ServerResponse): void {
    const { issuer } = this.#options;
    const isHere = URL.canParse(`http://${asked}`) && isLocal(new URL(`http://${asked}`).hostname);
    if (isHere && method === 'GET' && url !== undefined) {
      response.writeHead(308, { Location: issuer.origin + url, 'Cache-Control': 'no-store' }).end();
      return;
    }
    response.writeHead(421, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`This issuer is ${issuer.origin}.\n`);
  }

  /** Forms of other pages do nothing here: cookies come with them too, also from other ports of this host. */
  #foreign(request: Request): RelaymintError | undefined {
    if (request.method === 'GET' || request.method === 'HEAD') return undefined;
    const from = request.get('Origin') ?? this.#options.issuer.origin;
    const site = request.get('Sec-Fetch-Site') ?? 'same-origin';
    if (from === this.#options.issuer.origin && site === 'same-origin') return undefined;
    return new RelaymintError('POLICY_REFUSED', 'Another page sent this.', {
      remedy: 'Use the page of the issuer itself.',
    });
  }

  async #fail(error: unknown, request: Request, response: Response): Promise<void> {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (error instanceof errors.SessionNotFound) {
      await this.#interactions.over(request, response);
      return;
    }
    const known = isRelaymintError(error) ? error : undefined;
    const status = statusOf(error);
    if (status >= 500) this.#options.log.error({ err: error, path: request.path }, 'a request failed');
    const wait = known?.details['retryAfterSeconds'];
    if (wait !== undefined) response.set('Retry-After', String(wait));
    const code = known?.code ?? (status < 500 ? 'INVALID_ARGUMENT' : 'INTERNAL');
    const said = known?.message ?? 'The request is not as it has to be.';
    const text = status < 500 ? said : AWAY;
    if (wantsJson(request)) {
      response.status(status).json({ error: code, error_description: text });
      return;
    }
    const back = /^\/interaction\/[\w-]{1,64}/.exec(request.originalUrl)?.[0];
    const link = back === undefined ? undefined : { url: back, label: 'Try again' };
    sendPage(response, messagePage({ status, title: 'That did not work', text, link, code }));
  }
}

function formOf({ body }: Request): string {
  return typeof body === 'string' ? body : '';
}

function statusOf(error: unknown): number {
  if (isRelaymintError(error, 'SIGN_IN_REFUSED') || isRelaymintError(error, 'POLICY_REFUSED')) return 403;
  if (isRelaymintError(error, 'LIMIT_EXCEEDED')) return 429;
  if (isRelaymintError(error, 'INVALID_ARGUMENT')) return 400;
  if (isRelaymintError(error)) return 503;
  // Of Express's readers of bodies.
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 500;
  return status >= 400 && status < 500 ? status : 500;
}
