/**
 * What a person allowed to which site, and ending it. There is no session: who signed for it gets a page whose forms hold what they need, for a
 * few minutes.
 */
import { randomBytes } from 'node:crypto';
import express, { Router, type Request, type Response } from 'express';
import type { Provider } from 'oidc-provider';
import { z } from 'zod';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import { encodeChallenge } from '../siws/index.ts';
import { MAX_BODY, parsed, type Challenges } from './challenges.ts';
import { clientName, clientPlace } from './clients.ts';
import type { IssuerStore } from './contract.ts';
import { documentHost } from './documents.ts';
import { sendTransaction } from './interactions.ts';
import { accountPage, sendPage, signInPage } from './pages.ts';
import type { Ended, Logouts } from './logouts.ts';
import { endGrant, endGrants, endSessions, grantsOf, sidsOf, type HeldGrant } from './records.ts';

const TOKEN_BYTES = 24;
const TOKEN_MILLIS = 15 * 60_000;
/** Looks at this page that wait for an answer, all together: each is a challenge of its own. */
const LOOK_BYTES = 16;

export interface AccountsOptions {
  readonly issuer: URL;
  readonly provider: () => Provider;
  readonly challenges: Challenges;
  readonly logouts: Logouts;
  readonly store: IssuerStore;
  readonly hasOwnWallet: boolean;
  readonly clock: Clock;
}

const tokenField = z.string().regex(/^[\w-]{1,64}$/);
const endSchema = z.strictObject({ token: tokenField, grant: z.string().regex(/^[\w-]{1,64}$/) });
const signOutSchema = z.strictObject({ token: tokenField });

export class Accounts {
  readonly router: Router = Router();
  readonly #options: AccountsOptions;

  constructor(options: AccountsOptions) {
    this.#options = options;
    const form = express.urlencoded({ limit: MAX_BODY, extended: false });
    this.router.get('/', (_request, response) => this.#ask(response));
    this.router.post('/:look/transaction', express.json({ limit: MAX_BODY }), (request: Request, response: Response) =>
      this.#transaction(request, response),
    );
    this.router.post('/:look/login', form, (request: Request, response: Response) => this.#login(request, response));
    this.router.post('/end', form, (request, response) => this.#end(request, response));
    this.router.post('/sign-out', form, (request, response) => this.#signOut(request, response));
  }

  async #ask(response: Response): Promise<void> {
    const { issuer, challenges, hasOwnWallet } = this.#options;
    const look = randomBytes(LOOK_BYTES).toString('hex');
    const challenge = await challenges.create(purposeOf(look), issuer.host);
    const code = encodeChallenge(challenge);
    sendPage(
      response,
      signInPage({ asking: undefined, path: `/account/${look}`, issuer: issuer.host, challenge, code, hasOwnWallet }),
    );
  }

  async #transaction(request: Request, response: Response): Promise<void> {
    const purpose = purposeOf(String(request.params['look']));
    sendTransaction(response, await this.#options.challenges.transaction(purpose, request.body));
  }

  async #login(request: Request, response: Response): Promise<void> {
    const { challenges, store, clock } = this.#options;
    const { wallet } = await challenges.answer(purposeOf(String(request.params['look'])), request.body);
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    await store.put(tokenKey(token), wallet, unixMillis(clock.now() + TOKEN_MILLIS));
    await this.#show(response, wallet, token);
  }

  async #end(request: Request, response: Response): Promise<void> {
    const { token, grant } = parsed(endSchema, request.body);
    const wallet = await this.#holder(token);
    const left = await this.#visits(wallet);
    const ended = await endGrant(this.#options.store, wallet, grant);
    if (ended) this.#options.logouts.tell(left.filter(({ handle }) => handle === grant));
    await this.#show(
      response,
      wallet,
      token,
      ended ? 'It is ended: the site has to ask you again.' : 'It was ended before.',
    );
  }

  async #signOut(request: Request, response: Response): Promise<void> {
    const { store } = this.#options;
    const { token } = parsed(signOutSchema, request.body);
    const wallet = await this.#holder(token);
    const left = await this.#visits(wallet);
    await endGrants(store, wallet);
    await endSessions(store, wallet);
    this.#options.logouts.tell(left);
    await this.#show(response, wallet, token, 'You are signed out everywhere, and every site has to ask you again.');
  }

  /** What sites are told once it is ended. */
  async #visits(wallet: LedgerAddress): Promise<readonly (HeldGrant & Ended)[]> {
    const { store } = this.#options;
    const sids = await sidsOf(store, wallet);
    return (await grantsOf(store, wallet)).map((grant) => ({ ...grant, sids: sids.get(grant.handle) ?? [] }));
  }

  async #holder(token: string): Promise<LedgerAddress> {
    const wallet = await this.#options.store.get(tokenKey(token));
    if (wallet !== undefined) return ledgerAddress(wallet);
    throw new RelaymintError('SIGN_IN_REFUSED', 'This page is too old.', { remedy: 'Open your account once more.' });
  }

  async #show(response: Response, wallet: LedgerAddress, token: string, done?: string): Promise<void> {
    const { Client } = this.#options.provider();
    const grants: (HeldGrant & { place: string })[] = [];
    for (const grant of await grantsOf(this.#options.store, wallet)) {
      // A site whose manifest or document is away or wrong is ended like any other.
      const known = clientName(grant.clientId) ?? documentHost(grant.clientId);
      const client = known === undefined ? await Client.find(grant.clientId) : undefined;
      const [redirectUri] = client?.redirectUris ?? [];
      grants.push({
        ...grant,
        place: redirectUri === undefined ? (known ?? grant.clientId) : clientPlace(grant.clientId, redirectUri),
      });
    }
    sendPage(response, accountPage({ wallet, token, grants, done }));
  }
}

/** What is signed for a site must not open the account: no interaction is called so. */
function purposeOf(look: string): string {
  return `account:${look}`;
}

function tokenKey(token: string): string {
  return `t:${token}`;
}
