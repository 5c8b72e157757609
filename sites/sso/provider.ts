/** The OpenID Provider: oidc-provider, told what this issuer allows. */
import {
  Provider,
  errors,
  interactionPolicy,
  type AdapterPayload,
  type ClientMetadata,
  type Configuration,
  type KoaContextWithOIDC,
} from 'oidc-provider';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { CLAIMS_OF_SCOPES, SCOPES, claimsOf } from './claims.ts';
import {
  clientName,
  isRegistered,
  nameClient,
  sectorOf,
  wrongAddress,
  wrongInChange,
  wrongInClient,
} from './clients.ts';
import type { Directory, IssuerStore, NameHolding } from './contract.ts';
import { documentHost, wrongInDocument } from './documents.ts';
import type { Fetches } from './fetches.ts';
import { NOT_TOLD, wrongInLogout } from './logouts.ts';
import { Html, logoutPage, messagePage, shown, writePage, type Page } from './pages.ts';
import { Records } from './records.ts';
import type { IssuerSecrets } from './secrets.ts';
import { accountId, isHeld, parseAccountId, subjectOf, type Account } from './subject.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** How long a person has to sign in and consent. */
const INTERACTION_SECONDS = 15 * MINUTE;
/** No client has it. */
const ADDRESSES = 'relaymint_addresses';
/** How long a look-up of a name may take before a request fails. */
const LOOK_UP_MILLIS = 10_000;

export interface ProviderOptions {
  readonly issuer: URL;
  readonly secrets: IssuerSecrets;
  readonly store: IssuerStore;
  readonly directory: Directory;
  /** Known beforehand, besides those that register and sites by their names. */
  readonly clients: readonly ClientMetadata[];
  /** CAIP-2 reference of the ledger. */
  readonly chain: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: nothing is fetched that a client names. */
  readonly fetches?: Fetches | undefined;
  /** What to say when an interaction is not there; `url`: what was asked for, path and query. */
  readonly overPage: (url: string) => Promise<Page>;
}

/** Cookies ignore ports: what shares the host `localhost` could use the session of a local issuer, so that it keeps none. */
export function keepsSessions(issuer: URL): boolean {
  return issuer.protocol === 'https:';
}

export function createProvider(options: ProviderOptions): Provider {
  const provider = new Provider(issuerId(options.issuer), configuration(options));
  // What a proxy says of itself is replaced by what is configured (see `Issuer`).
  provider.proxy = true;
  const { prototype } = provider.Client;
  prototype.redirectUriAllowed = function redirectUriAllowed(uri) {
    return isRegistered(uri, this.redirectUris ?? []);
  };
  prototype.postLogoutRedirectUriAllowed = function postLogoutRedirectUriAllowed(uri) {
    return isRegistered(uri, this.postLogoutRedirectUris ?? []);
  };
  letEverybodyLeave(provider, options.log);
  const clients = new Records('Client', options.store, options.clock);
  provider.on('authorization.success', ({ oidc }: KoaContextWithOIDC) => {
    clients
      .use(oidc.client?.clientId ?? '')
      .catch((err: unknown) => options.log.warn({ err }, 'a client may be forgotten before its time'));
  });
  provider.on('backchannel.error', (_context: KoaContextWithOIDC, err: Error, { clientId }: { clientId: string }) => {
    options.log.warn({ err, client: clientId }, NOT_TOLD);
  });
  provider.on('server_error', (context: KoaContextWithOIDC, err: Error) => {
    options.log.error({ err, path: context.path }, 'signing in failed');
  });
  return provider;
}

/** The library looks for each client of a session before it ends it: one that is away, or is none any more, would keep a person signed in. */
function letEverybodyLeave({ Client }: Provider, log: Log): void {
  const find = Client.find.bind(Client);
  Client.find = async (id) => {
    if (Provider.ctx?.oidc.route !== 'end_session_confirm') return await find(id);
    // Sites by their names have no server that is told.
    if (clientName(id) !== undefined) return undefined;
    try {
      return await find(id);
    } catch (err) {
      log.warn({ err, client: id }, NOT_TOLD);
      return undefined;
    }
  };
}

/** As it stands in tokens: without the slash that an address without path has. */
export function issuerId(issuer: URL): string {
  return issuer.pathname === '/' ? issuer.origin : issuer.href;
}

function configuration(options: ProviderOptions): Configuration {
  const { issuer, secrets, directory } = options;
  const isSecure = issuer.protocol === 'https:';
  const suffix = issuer.port === '' ? '' : `-${issuer.port}`;
  return {
    adapter: (model: string) => recordsOf(model, options),
    clients: options.clients,
    jwks: { keys: secrets.keys },
    scopes: SCOPES,
    claims: CLAIMS_OF_SCOPES,
    // Clients that read claims from the ID token alone are many.
    conformIdTokenClaims: false,
    subjectTypes: ['pairwise'],
    pairwiseIdentifier: (_context, id, client) => subjectOf(secrets.subjects, sectorOf(client), accountOf(id)),
    // That of a site by its name is no address to ask, and no other client has one.
    sectorIdentifierUriValidate: () => false,
    findAccount: async (_context, id) => {
      const account = parseAccountId(id);
      const holding = account && (await heldBy(account, directory));
      if (account === undefined || holding === 'lost') return undefined;
      return {
        accountId: id,
        claims: async (_use, scope) => {
          const profile = holding && (await directory.profile(holding, AbortSignal.timeout(LOOK_UP_MILLIS)));
          return { sub: id, ...claimsOf({ account, profile, chain: options.chain }, scope.split(' ')) };
        },
      };
    },
    responseTypes: ['code'],
    // The same client may have registered an address more since.
    allowOmittingSingleRegisteredRedirectUri: false,
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    extraClientMetadata: {
      // Looked at before anything else: the library reads addresses before it looks whether they are any, and would call that a fault of ours.
      properties: [ADDRESSES],
      validator: (_context, _field, _value, metadata) => {
        delete metadata[ADDRESSES];
        const wrong = wrongAddress(metadata['redirect_uris']);
        if (wrong !== undefined) throw new errors.InvalidClientMetadata(wrong);
      },
    },
    clientDefaults: { subject_type: 'pairwise', grant_types: ['authorization_code', 'refresh_token'] },
    pkce: { required: (_context, client) => client.clientAuthMethod === 'none' },
    rotateRefreshToken: true,
    issueRefreshToken: (_context, client, code) =>
      Promise.resolve(client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access')),
    clientBasedCORS: (_context, origin, client) =>
      origin !== 'null' && (client.redirectUris ?? []).some((uri) => isSameOrigin(origin, uri)),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}`, policy: policyFor(issuer) },
    cookies: {
      names: {
        session: isSecure ? '__Host-relaymint-session' : `relaymint-session${suffix}`,
        interaction: `relaymint-interaction${suffix}`,
        resume: `relaymint-resume${suffix}`,
      },
      long: { httpOnly: true, sameSite: 'lax', secure: isSecure },
      short: { httpOnly: true, sameSite: 'lax', secure: isSecure },
      keys: [secrets.cookies],
    },
    features: {
      devInteractions: { enabled: false },
      clientIdMetadataDocument: {
        // A local issuer is for sites of this machine, which have no address elsewhere.
        enabled: options.fetches !== undefined && isSecure,
        ack: 'draft-02',
        allowFetch: (_context, clientId) => documentHost(clientId) !== undefined,
        allowClient: (_context, client) => {
          const metadata = { ...client.metadata(), client_id: client.clientId };
          const wrong = wrongInDocument(metadata, options.fetches?.tellsThisMachine === true);
          if (wrong !== undefined) throw new errors.InvalidClientMetadata(wrong);
          return true;
        },
        cacheDuration: { min: MINUTE, max: HOUR },
      },
      backchannelLogout: { enabled: options.fetches !== undefined },
      // What the library offers by itself and nobody here needs: each stores something for whoever asks.
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: { enabled: false },
      userinfo: { enabled: true },
      jwtUserinfo: { enabled: true },
      revocation: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: async (_context, client, token) =>
          token.clientId === client.clientId && (await isSomebody(token, directory)),
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context, form) => {
          const { state } = context.oidc.session ?? {};
          const destination = state?.['postLogoutRedirectUri'];
          const page = { issuer: issuer.host, form: new Html(form) };
          write(
            context,
            logoutPage({ ...page, destination: typeof destination === 'string' ? destination : undefined }),
          );
        },
        postLogoutSuccessSource: (context) => {
          const name = context.oidc.client?.clientName;
          const from = name === undefined ? 'You are signed out.' : `You are signed out of “${shown(name)}”.`;
          write(context, messagePage({ status: 200, title: 'Signed out', text: from, link: HOME }));
        },
      },
      registration: { enabled: true, issueRegistrationAccessToken: true },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
    },
    renderError: async (context, out, error) => {
      if (context.accepts('html', 'json') === 'json') {
        context.body = out;
        return;
      }
      if (error instanceof errors.SessionNotFound) {
        write(context, await options.overPage(context.originalUrl));
        return;
      }
      if (isRelaymintError(error)) {
        // Of the directory or the store: it may be well again in a moment.
        write(context, messagePage({ status: 503, title: 'That did not work', text: AWAY, code: error.code }));
        return;
      }
      const text = out.error_description ?? 'The site that sent you here asked for something that cannot be.';
      write(context, messagePage({ status: context.status, title: 'That did not work', text, code: out.error }));
    },
    ttl: {
      AuthorizationCode: MINUTE,
      AccessToken: HOUR,
      IdToken: HOUR,
      RefreshToken: 30 * DAY,
      Interaction: INTERACTION_SECONDS,
      Session: keepsSessions(issuer) ? 7 * DAY : INTERACTION_SECONDS,
      Grant: 90 * DAY,
    },
    fetch: async (url, how) => {
      if (options.fetches !== undefined)
        return await options.fetches.fetch(new URL(url instanceof Request ? url.url : url), how);
      throw new RelaymintError('POLICY_REFUSED', 'This issuer fetches nothing that a client names.', {
        remedy: 'Register with the keys themselves (jwks).',
      });
    },
    // Refresh tokens, codes and sessions live by this clock.
    clockTolerance: 15,
  };
}

const HOME = { url: '/', label: 'What this is' };
/** What is wrong inside is for the operator's log: it names servers and files. */
export const AWAY = 'Something that signing in needs does not answer now. Try again in a moment.';

function write(context: KoaContextWithOIDC, page: Page): void {
  const { status, headers, text } = writePage(page);
  context.status = status;
  context.set({ ...headers });
  context.type = 'html';
  context.body = text;
}

function accountOf(id: string): Account {
  const account = parseAccountId(id);
  if (account === undefined) throw new TypeError('not an account of this issuer');
  return account;
}

/**
 * undefined: it needs no name. `lost`: the name is not what it was, or no longer takes this wallet; with that went everything that was allowed to
 * sites.
 */
async function heldBy({ profile, wallet }: Account, directory: Directory): Promise<NameHolding | 'lost' | undefined> {
  if (profile === undefined) return undefined;
  const signal = AbortSignal.timeout(LOOK_UP_MILLIS);
  const holding = await directory.holding(profile.name, signal);
  if (!isHeld(profile, holding)) return 'lost';
  if (wallet === holding.owner) return holding;
  const { wallets = [] } = (await directory.profile(holding, signal)) ?? {};
  return wallets.includes(wallet) ? holding : 'lost';
}

/** True for a token of a person who still is whom it was given for. */
async function isSomebody(token: object, directory: Directory): Promise<boolean> {
  const id = 'accountId' in token && typeof token.accountId === 'string' ? token.accountId : '';
  const account = parseAccountId(id);
  return account !== undefined && (await heldBy(account, directory)) !== 'lost';
}

/** For the login of a person that proved to hold a wallet. */
export function loginOf(account: Account, issuer: URL): { readonly accountId: string; readonly remember: boolean } {
  return { accountId: accountId(account), remember: keepsSessions(issuer) };
}

function recordsOf(model: string, options: ProviderOptions): Records {
  if (model === 'Client') return new ClientRecords(options);
  return model === 'Grant' ? new GrantRecords(options) : new Records(model, options.store, options.clock);
}

/** What a person allowed to a site by its name is over when it lapses or is given away: whoever has the name next has to ask. */
class GrantRecords extends Records {
  readonly #directory: Directory;

  constructor({ store, directory, clock }: ProviderOptions) {
    super('Grant', store, clock);
    this.#directory = directory;
  }

  override async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    await super.upsert(id, { ...payload, tenure: await this.#tenureOf(payload) }, expiresIn);
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    const grant = await super.find(id);
    return grant !== undefined && grant['tenure'] === (await this.#tenureOf(grant)) ? grant : undefined;
  }

  /** undefined: its client is none by name. */
  async #tenureOf({ clientId = '' }: AdapterPayload): Promise<string | undefined> {
    const name = clientName(clientId);
    if (name === undefined) return undefined;
    const holding = await this.#directory.holding(name, AbortSignal.timeout(LOOK_UP_MILLIS));
    return holding?.isActive === true ? `${holding.registeredAt} ${holding.transfers}` : 'none';
  }
}

/** Sites by their names are clients too, without having registered. */
class ClientRecords extends Records {
  readonly #directory: Directory;
  readonly #tellsThisMachine: boolean;

  constructor({ store, directory, clock, fetches }: ProviderOptions) {
    super('Client', store, clock);
    this.#directory = directory;
    this.#tellsThisMachine = fetches?.tellsThisMachine === true;
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    const name = clientName(id);
    if (name === undefined) return await super.find(id);
    return await nameClient(this.#directory, name, AbortSignal.timeout(LOOK_UP_MILLIS));
  }

  /** One that registers. @throws errors.InvalidClientMetadata. */
  override async upsert(id: string, payload: AdapterPayload): Promise<void> {
    const before = await super.find(id);
    const wrong =
      wrongInClient(payload) ??
      wrongInLogout(payload, this.#tellsThisMachine) ??
      (before && wrongInChange(before, payload));
    if (wrong !== undefined) throw new errors.InvalidClientMetadata(wrong);
    await super.upsert(id, payload);
  }
}

/** The library's checks, and more: people sign in again whose name is lost, and each time where no session is kept, and are asked where the client could be anybody. */
function policyFor(issuer: URL): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base();
  const { Check } = interactionPolicy;
  policy
    .get('login')
    ?.checks.add(
      new Check('nobody_any_more', 'who was signed in lost that name', 'login_required', ({ oidc }) =>
        oidc.session?.accountId !== undefined && oidc.account === undefined
          ? Check.REQUEST_PROMPT
          : Check.NO_NEED_TO_PROMPT,
      ),
    );
  if (!keepsSessions(issuer)) {
    policy
      .get('login')
      ?.checks.add(
        new Check('no_shared_session', 'this issuer keeps no session', 'login_required', ({ oidc }) =>
          oidc.result?.login === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
        ),
      );
  }
  policy
    .get('consent')
    ?.checks.add(
      new Check('unproved_client', 'who asks is not proved', 'consent_required', ({ oidc }) =>
        oidc.client?.clientAuthMethod === 'none' &&
        !isHttps(oidc.params?.['redirect_uri']) &&
        oidc.result?.consent === undefined
          ? Check.REQUEST_PROMPT
          : Check.NO_NEED_TO_PROMPT,
      ),
    );
  return policy;
}

function isHttps(uri: unknown): boolean {
  return typeof uri === 'string' && uri.startsWith('https://');
}

/** On loopback under any port, as `isRegistered`. */
function isSameOrigin(origin: string, uri: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { pathname, search } = new URL(uri);
  return new URL(origin).origin === origin && isRegistered(origin + pathname + search, [uri]);
}
