/**
 * How a person signs in and consents: pages for people, and the same steps as JSON for programs (docs/sign-in.md). An interaction belongs to
 * the browser that has its cookie; what it ends with is taken once.
 */
import { createHash, randomBytes } from 'node:crypto';
import express, { Router, type Request, type Response } from 'express';
import type Provider from 'oidc-provider';
import { errors } from 'oidc-provider';
import { z } from 'zod';
import type { Clock } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import { encodeChallenge } from '../siws/index.ts';
import { MAX_BODY, parsed, type Challenges } from './challenges.ts';
import { SCOPES, claimsOf, tellClaims, type Person } from './claims.ts';
import { clientPlace, ownPage } from './clients.ts';
import type { Directory, IssuerStore } from './contract.ts';
import { documentHost } from './documents.ts';
import { consentPage, messagePage, sendPage, signInPage, type Asking, type Page } from './pages.ts';
import { loginOf } from './provider.ts';
import { parseAccountId } from './subject.ts';

/** How long a look-up of a name may take before a page fails. */
const LOOK_UP_MILLIS = 10_000;
/** For how long a person may begin again by a link what took them too long. */
const RESTART_MILLIS = 2 * 3_600_000;
/** Longest request that is kept for that: what is longer begins again at its site. */
const MAX_RESTART_LETTERS = 2_048;

export interface InteractionsOptions {
  readonly issuer: URL;
  readonly provider: () => Provider;
  readonly challenges: Challenges;
  readonly store: IssuerStore;
  readonly directory: Directory;
  readonly chain: string;
  readonly hasOwnWallet: boolean;
  readonly clock: Clock;
}

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;
type Merging = { readonly mergeWithLastSubmission: boolean };
type Result = Parameters<Provider['interactionResult']>[2];

/** By which a step that was done goes on. */
const KEY_BYTES = 24;
const GO_ON_MILLIS = 15 * 60_000;

const OVER =
  'It took too long, is finished already, or was begun in another browser; or this browser keeps no cookies of this page.';
const DENIED: Result = { error: 'access_denied', error_description: 'the person did not allow it' };
const decisionSchema = z.strictObject({ decision: z.enum(['allow', 'deny']) });
const missingSchema = z.looseObject({ missingOIDCScope: z.array(z.string()).optional() });

export class Interactions {
  readonly router: Router = Router();
  readonly #options: InteractionsOptions;

  constructor(options: InteractionsOptions) {
    this.#options = options;
    const bodies = [express.json({ limit: MAX_BODY }), express.urlencoded({ limit: MAX_BODY, extended: false })];
    this.router.get('/:uid', (request, response) => this.#show(request, response));
    this.router.post('/:uid/challenge', (request, response) => this.#challenge(request, response));
    this.router.post('/:uid/transaction', bodies, (request: Request, response: Response) =>
      this.#transaction(request, response),
    );
    this.router.post('/:uid/login', bodies, (request: Request, response: Response) => this.#login(request, response));
    this.router.post('/:uid/consent', bodies, (request: Request, response: Response) =>
      this.#consent(request, response),
    );
    this.router.post('/:uid/cancel', (request, response) => this.#cancel(request, response));
  }

  /** Kept so that a person whose time was over can begin again. `url`: path and query of the request for authorization. */
  async began(uid: string, url: string): Promise<void> {
    if (url.length > MAX_RESTART_LETTERS) return;
    await this.#options.store.put(restartKey(uid), url, unixMillis(this.#options.clock.now() + RESTART_MILLIS));
  }

  /** What to say, and where to begin again, when an interaction is not there. */
  async over(request: Request, response: Response): Promise<void> {
    if (wantsJson(request)) response.status(400).json({ error: 'interaction_over', error_description: OVER });
    else sendPage(response, await this.overPage(request.originalUrl));
  }

  /** `url`: path and query of what was asked for. */
  async overPage(url: string): Promise<Page> {
    const uid = /^\/(?:interaction|auth)\/([\w-]{1,64})/.exec(url)?.[1] ?? '';
    const again = await this.#options.store.get(restartKey(uid));
    const link = again === undefined ? undefined : { url: again, label: 'Begin again' };
    const remedy = again === undefined ? ' Go back to the site and sign in there once more.' : '';
    return messagePage({
      status: 400,
      title: 'This sign-in is over',
      text: OVER + remedy,
      link,
      code: 'interaction_over',
    });
  }

  async #show(request: Request, response: Response): Promise<void> {
    const interaction = await this.#find(request, response);
    const asking = await this.#asking(interaction);
    const path = `/interaction/${interaction.uid}`;
    const destination = redirectOf(interaction);
    if (interaction.prompt.name === 'login') {
      const challenge = await this.#options.challenges.create(interaction.uid, asking.place);
      if (wantsJson(request)) {
        response.json({ prompt: 'login', client: asking, challenge });
        return;
      }
      const issuer = this.#options.issuer.host;
      const code = encodeChallenge(challenge);
      const { hasOwnWallet } = this.#options;
      sendPage(response, signInPage({ asking, path, issuer, destination, challenge, code, hasOwnWallet }));
      return;
    }
    const person = await this.#person(interaction);
    const scopes = scopesOf(interaction);
    if (wantsJson(request)) {
      response.json({ prompt: 'consent', client: asking, scopes, claims: claimsOf(person, scopes), destination });
      return;
    }
    const who = person.account.profile?.name ?? person.account.wallet;
    const offline = scopes.includes('offline_access');
    const told = tellClaims(person, scopes);
    sendPage(response, consentPage({ asking, path, who, told, offline, destination }));
  }

  async #challenge(request: Request, response: Response): Promise<void> {
    const interaction = await this.#find(request, response, 'login');
    const { place } = await this.#asking(interaction);
    response.set('Cache-Control', 'no-store').json(await this.#options.challenges.create(interaction.uid, place));
  }

  async #transaction(request: Request, response: Response): Promise<void> {
    const { uid } = await this.#find(request, response, 'login');
    sendTransaction(response, await this.#options.challenges.transaction(uid, request.body));
  }

  async #login(request: Request, response: Response): Promise<void> {
    const { uid } = await this.#find(request, response, 'login');
    const account = await this.#options.challenges.answer(uid, request.body);
    const login = { ...loginOf(account, this.#options.issuer), amr: ['pop'] };
    const next = await this.#settle(request, response, { login });
    await this.#leaveOther(request, response, login.accountId);
    goOn(request, response, next);
  }

  /** Whoever else was signed in in this browser no longer is. The library would send a form for that, which programs cannot answer. */
  async #leaveOther(request: Request, response: Response, accountId: string): Promise<void> {
    const provider = this.#options.provider();
    const session = await provider.Session.get(provider.createContext(request, response));
    if (session.accountId === undefined || session.accountId === accountId) return;
    delete session.accountId;
    delete session.authorizations;
    await session.persist();
  }

  async #consent(request: Request, response: Response): Promise<void> {
    const { params, session, grantId, prompt } = await this.#find(request, response, 'consent');
    const { decision } = parsed(decisionSchema, request.body);
    if (decision === 'deny') {
      await this.#finish(request, response, DENIED);
      return;
    }
    const { Grant } = this.#options.provider();
    const found = grantId === undefined ? undefined : await Grant.find(grantId);
    const grant = found ?? new Grant({ accountId: session?.accountId, clientId: String(params['client_id']) });
    const { missingOIDCScope } = missingSchema.parse(prompt.details);
    if (missingOIDCScope !== undefined) grant.addOIDCScope(missingOIDCScope.join(' '));
    await this.#finish(
      request,
      response,
      { consent: { grantId: await grant.save() } },
      { mergeWithLastSubmission: true },
    );
  }

  async #cancel(request: Request, response: Response): Promise<void> {
    await this.#find(request, response);
    await this.#finish(request, response, DENIED);
  }

  async #finish(request: Request, response: Response, result: Result, how?: Merging): Promise<void> {
    goOn(request, response, await this.#settle(request, response, result, how));
  }

  /** @returns where it goes on. */
  async #settle(
    request: Request,
    response: Response,
    result: Result,
    how: Merging = { mergeWithLastSubmission: false },
  ): Promise<string> {
    const { provider, store, clock } = this.#options;
    const next = new URL(await provider().interactionResult(request, response, result, how));
    const key = randomBytes(KEY_BYTES).toString('base64url');
    await store.put(goOnKey(String(request.params['uid']), key), '', unixMillis(clock.now() + GO_ON_MILLIS));
    next.searchParams.set('key', key);
    return next.href;
  }

  /**
   * Before a sign-in goes on: cookies alone do not say whose browser it is, since whoever is at another port or below the same domain can set them.
   * Only the browser in which a step was done has its key. @throws errors.SessionNotFound.
   */
  async goingOn(request: Request): Promise<void> {
    const [uid = '', key = ''] = [request.params['uid'], request.query['key']].map((said) =>
      typeof said === 'string' && /^[\w-]{1,64}$/.test(said) ? said : '',
    );
    if ((await this.#options.store.get(goOnKey(uid, key))) === undefined) {
      throw new errors.SessionNotFound('another browser');
    }
    request.url = request.url.split('?')[0] ?? '/';
  }

  /** @throws errors.SessionNotFound: it is not there, not this browser's, or not at that step. */
  async #find(request: Request, response: Response, prompt?: 'login' | 'consent'): Promise<Interaction> {
    const interaction = await this.#options.provider().interactionDetails(request, response);
    // The cookie says which one it is; a page that was left open must not act for another.
    if (interaction.uid !== request.params['uid']) throw new errors.SessionNotFound('another interaction');
    if (prompt !== undefined && interaction.prompt.name !== prompt) throw new errors.SessionNotFound('another step');
    return interaction;
  }

  async #asking({ params }: Interaction): Promise<Asking> {
    const clientId = String(params['client_id']);
    const client = await this.#options.provider().Client.find(clientId);
    if (client === undefined) throw new errors.SessionNotFound('the client is gone');
    const redirectUri = String(params['redirect_uri']);
    const place = clientPlace(clientId, redirectUri);
    const [policy, terms] = [client.policyUri, client.tosUri].map((uri) => ownPage(uri, redirectUri));
    const title = client.clientName ?? place;
    return { place, title, policy, terms, describedAt: documentHost(clientId) };
  }

  async #person({ session }: Interaction): Promise<Person> {
    const account = parseAccountId(session?.accountId ?? '');
    if (account === undefined) throw new errors.SessionNotFound('nobody is signed in');
    const { directory, chain } = this.#options;
    const signal = AbortSignal.timeout(LOOK_UP_MILLIS);
    const holding = account.profile && (await directory.holding(account.profile.name, signal));
    const profile = holding && (await directory.profile(holding, signal));
    return { account, profile, chain };
  }
}

/** What was asked for, as far as there is such a thing. */
function scopesOf({ params }: Interaction): readonly string[] {
  const { scope: text } = params;
  const asked = typeof text === 'string' ? text.split(' ') : [];
  return SCOPES.filter((scope) => asked.includes(scope));
}

function redirectOf({ params }: Interaction): string {
  return String(params['redirect_uri']);
}

/** By a redirect for forms, and for programs by the address to go to. */
export function goOn(request: Request, response: Response, next: string): void {
  if (wantsJson(request)) response.json({ next });
  else response.redirect(303, next);
}

export function sendTransaction(response: Response, transaction: Uint8Array): void {
  response.set('Cache-Control', 'no-store').json({ transaction: Buffer.from(transaction).toString('base64') });
}

/** True for programs: browsers prefer pages. */
export function wantsJson(request: Request): boolean {
  return request.accepts(['html', 'json']) === 'json';
}

function goOnKey(uid: string, key: string): string {
  return `k:${uid}:${createHash('sha256').update(key).digest('base64url')}`;
}

function restartKey(uid: string): string {
  return `x:${uid}`;
}
