/** An issuer as it is run, wallets that sign in at it, and browsers reduced to their cookies. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import * as oidc from 'openid-client';
import { z } from 'zod';
import type { LedgerAddress } from '../../../core/ids.ts';
import { silentLog, type Clock, type Log } from '../../../core/ports.ts';
import { unixMillis, unixSeconds, type UnixMillis, type UnixSeconds } from '../../../core/units.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';
import { formsOf, type Challenge, type SignedForm } from '../../../sites/siws/index.ts';
import {
  openIssuer,
  openLevelStore,
  type Directory,
  type IssuerStore,
  type NameClient,
  type NameHolding,
  type Outside,
  type PublicProfile,
} from '../../../sites/sso/index.ts';
import { freePort } from '../../port.ts';
import { wallet } from '../siws/kit.ts';

export { wallet };

export const CHAIN: string = 'EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
export const CALLBACK = 'http://127.0.0.1:4711/back';
export const GONE = 'http://127.0.0.1:4711/gone';
export const REGISTERED: UnixSeconds = unixSeconds(1_790_000_000n);

/** The system's clock, that a test may set forward. */
export class MovedClock implements Clock {
  ahead: number = 0;

  now(): UnixMillis {
    return unixMillis(Date.now() + this.ahead);
  }
}

/** Names as a ledger would tell them, changed by the test. */
export class Names implements Directory {
  readonly holdings: Map<string, NameHolding> = new Map();
  readonly profiles: Map<string, PublicProfile> = new Map();
  readonly clients: Map<string, Omit<NameClient, 'holding'>> = new Map();

  hold(name: string, owner: LedgerAddress, registeredAt: UnixSeconds = REGISTERED): void {
    const before = this.holdings.get(name);
    const isGiven = before !== undefined && before.owner !== owner;
    const transfers = (before?.transfers ?? 0) + (isGiven ? 1 : 0);
    this.holdings.set(name, { name, owner, registeredAt, transfers, isActive: true });
  }

  holding(name: string): Promise<NameHolding | undefined> {
    return Promise.resolve(this.holdings.get(name));
  }

  profile({ name }: NameHolding): Promise<PublicProfile | undefined> {
    return Promise.resolve(this.profiles.get(name));
  }

  client(name: string): Promise<NameClient | undefined> {
    const holding = this.holdings.get(name);
    const client = this.clients.get(name);
    return Promise.resolve(holding && client && { ...client, holding });
  }
}

export interface TestIssuer extends AsyncDisposable {
  readonly url: URL;
  readonly port: number;
  readonly names: Names;
  readonly store: IssuerStore;
  readonly clock: MovedClock;
  readonly directory: string;
  readonly walletLink: string | undefined;
}

export interface Setup {
  /** Where it runs: given, several run there one after the other. */
  readonly place?: Place;
  /** Where it says that it is; absent: where it listens. */
  readonly at?: URL;
  readonly clock?: MovedClock;
  readonly names?: Names;
  readonly log?: Log;
  readonly isBehindProxy?: boolean;
  /** On its machine. */
  readonly gateway?: URL;
  /** Of its own machine. */
  readonly wallet?: Signer;
  /** Default: 127.0.0.1. */
  readonly listen?: string;
  /** Absent: it asks nothing of what clients name. */
  readonly outside?: Outside;
  /** What is put between the issuer and its store. */
  readonly through?: (store: IssuerStore) => IssuerStore;
}

/** A folder and a port that outlive an issuer. */
export interface Place extends AsyncDisposable {
  readonly directory: string;
  readonly port: number;
}

export async function openPlace(): Promise<Place> {
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-sso-'));
  const port = await freePort();
  return {
    directory,
    port,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true, maxRetries: 3 }),
  };
}

export async function startIssuer(setup: Setup = {}): Promise<TestIssuer> {
  await using stack = new AsyncDisposableStack();
  const { directory, port } = setup.place ?? stack.use(await openPlace());
  const clock = setup.clock ?? new MovedClock();
  const log = setup.log ?? silentLog;
  const level = stack.use(await openLevelStore(path.join(directory, 'records'), { clock, log }));
  const store = setup.through?.(level) ?? level;
  const url = setup.at ?? new URL(`http://localhost:${port}`);
  const names = setup.names ?? new Names();
  const issuer = stack.use(
    await openIssuer({
      issuer: url,
      dataDir: directory,
      store,
      directory: names,
      network: 'localnet',
      chain: CHAIN,
      clock,
      log,
      isBehindProxy: setup.isBehindProxy,
      wallet: setup.wallet,
      gateway: setup.gateway,
      outside: setup.outside,
    }),
  );
  await issuer.listen({ port, address: setup.listen ?? '127.0.0.1' });
  const moved = stack.move();
  const { walletLink } = issuer;
  return {
    url,
    port,
    names,
    store,
    clock,
    directory,
    walletLink,
    [Symbol.asyncDispose]: () => moved[Symbol.asyncDispose](),
  };
}

/** What a proxy with the issuer's certificate does: what is sent to its public address arrives where it listens. */
export function proxyOf({ url, port }: Pick<TestIssuer, 'url' | 'port'>): typeof fetch {
  return async (input, init) => {
    const target = new URL(input instanceof Request ? input.url : input);
    if (target.origin !== url.origin) return await fetch(input, init);
    return await fetch(`http://127.0.0.1:${port}${target.pathname}${target.search}`, init);
  };
}

/** A client that registered itself, as programs of others do it. */
export async function register(
  { url }: Pick<TestIssuer, 'url'>,
  metadata: Partial<oidc.ClientMetadata> = {},
  through: typeof fetch = fetch,
): Promise<oidc.Configuration> {
  const asked = {
    redirect_uris: [CALLBACK],
    post_logout_redirect_uris: [GONE],
    client_name: 'A shop',
    ...metadata,
  };
  return await oidc.dynamicClientRegistration(url, asked, undefined, {
    execute: [oidc.allowInsecureRequests],
    [oidc.customFetch]: (target, options) => through(target, options as RequestInit),
  });
}

/** Of a client that needs no registration. */
export async function publicClient({ url }: Pick<TestIssuer, 'url'>, clientId: string): Promise<oidc.Configuration> {
  return await oidc.discovery(url, clientId, undefined, oidc.None(), { execute: [oidc.allowInsecureRequests] });
}

export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
  readonly headers: Headers;
}

/** What a browser is to an issuer: it keeps cookies, and follows redirects within the issuer. */
export class Browser {
  /** By name and path, as browsers keep them. */
  readonly #cookies = new Map<string, { name: string; value: string; path: string }>();
  readonly #headers: Readonly<Record<string, string>>;
  readonly #fetch: typeof fetch;

  /** `through`: where what is far away really runs. */
  constructor(
    headers: Readonly<Record<string, string>> = { Accept: 'application/json' },
    through: typeof fetch = fetch,
  ) {
    this.#headers = headers;
    this.#fetch = through;
  }

  async get(url: string | URL): Promise<Answer> {
    return await this.send(url, {});
  }

  async post(url: string | URL, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return await this.send(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  async send(url: string | URL, init: RequestInit): Promise<Answer> {
    const target = new URL(url);
    const sent = [...this.#cookies.values()].filter(({ path: at }) => target.pathname.startsWith(at));
    const response = await this.#fetch(target, {
      ...init,
      redirect: 'manual',
      headers: {
        ...this.#headers,
        ...(sent.length > 0 && { Cookie: sent.map(({ name, value }) => `${name}=${value}`).join('; ') }),
        ...(init.headers as Record<string, string> | undefined),
      },
    });
    for (const cookie of response.headers.getSetCookie()) this.#keep(cookie);
    const location = response.headers.get('Location');
    return {
      status: response.status,
      location: location === null ? undefined : new URL(location, target).href,
      text: await response.text(),
      headers: response.headers,
    };
  }

  /** From an address through redirects, as long as they stay at its origin. @returns where it ends: the last answer, and its address. */
  async follow(url: string | URL): Promise<{ readonly url: string; readonly answer: Answer | undefined }> {
    const { origin } = new URL(url);
    let at = String(url);
    for (let hops = 0; hops < 8; hops += 1) {
      if (new URL(at).origin !== origin) return { url: at, answer: undefined };
      const answer = await this.get(at);
      if (answer.location === undefined) return { url: at, answer };
      at = answer.location;
    }
    throw new Error(`redirects without end: ${at}`);
  }

  /** Another's browser, in which those cookies of this one were planted: from another port, or another host below the same domain. */
  withOnly(named: string): Browser {
    const other = new Browser(this.#headers, this.#fetch);
    for (const [key, cookie] of this.#cookies) if (cookie.name.includes(named)) other.#cookies.set(key, cookie);
    return other;
  }

  cookie(name: string): string | undefined {
    return this.#cookies.get(`${name} /`)?.value;
  }

  forget(): void {
    this.#cookies.clear();
  }

  #keep(cookie: string): void {
    const [pair = '', ...attributes] = cookie.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const scope = attributes.find((attribute) => attribute.toLowerCase().startsWith('path='))?.slice(5) ?? '/';
    const isOver = attributes.some((attribute) => /^expires=thu, 01 jan 1970/i.test(attribute));
    const name = pair.slice(0, at);
    if (isOver) this.#cookies.delete(`${name} ${scope}`);
    else this.#cookies.set(`${name} ${scope}`, { name, value: pair.slice(at + 1), path: scope });
  }
}

const loginSchema = z.object({ prompt: z.literal('login'), challenge: z.custom<Challenge>() });
const nextSchema = z.object({ next: z.string() });

export interface SignedAnswer {
  readonly nonce: string;
  readonly address: string;
  readonly signature: string;
  readonly profile?: string;
}

/** What a wallet's owner hands in for a challenge. */
export function answerTo(
  challenge: Challenge,
  signer: Signer,
  { form = 'raw', profile }: { readonly form?: SignedForm; readonly profile?: string } = {},
): SignedAnswer {
  const signed = formsOf(challenge, signer.address).find((one) => one.form === form);
  if (signed === undefined) throw new Error(`no such form: ${form}`);
  const signature = Buffer.from(signer.sign(signed.bytes)).toString('base64url');
  return { nonce: challenge.nonce, address: signer.address, signature, ...(profile !== undefined && { profile }) };
}

export interface Asked {
  readonly url: URL;
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
}

/** A request for authorization, as a careful client makes it. */
export async function ask(
  client: oidc.Configuration,
  {
    scope = 'openid offline_access profile wallet posts',
    redirectUri = CALLBACK,
    prompt = 'consent',
    ...more
  }: Record<string, string> = {},
): Promise<Asked> {
  const verifier = oidc.randomPKCECodeVerifier();
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
  const url = oidc.buildAuthorizationUrl(client, {
    redirect_uri: redirectUri,
    scope,
    prompt,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...more,
  });
  return { url, verifier, state, nonce };
}

/** Where a request for authorization leads: the page that asks to sign in. */
export async function begin(
  browser: Browser,
  { url }: Asked,
): Promise<{ readonly page: string; readonly challenge: Challenge }> {
  const { url: page, answer } = await browser.follow(url);
  const { challenge } = loginSchema.parse(JSON.parse(answer?.text ?? ''));
  return { page, challenge };
}

export interface SignInOptions {
  readonly profile?: string;
  readonly form?: SignedForm;
  readonly decision?: 'allow' | 'deny';
}

/** Through login and consent. @returns the address that the browser is sent to in the end: the client's. */
export async function signIn(
  browser: Browser,
  asked: Asked,
  signer: Signer,
  { decision = 'allow', ...how }: SignInOptions = {},
): Promise<URL> {
  const { page, challenge } = await begin(browser, asked);
  const login = nextSchema.parse(
    JSON.parse((await browser.post(`${page}/login`, answerTo(challenge, signer, how))).text),
  );
  const consent = await browser.follow(login.next);
  if (consent.answer === undefined) return new URL(consent.url);
  const decided = await browser.post(`${consent.url}/consent`, { decision });
  return new URL((await browser.follow(nextSchema.parse(JSON.parse(decided.text)).next)).url);
}

export async function redeem(
  client: oidc.Configuration,
  back: URL,
  { verifier, state, nonce }: Asked,
): ReturnType<typeof oidc.authorizationCodeGrant> {
  return await oidc.authorizationCodeGrant(client, back, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  });
}

export interface Told {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

/** A request of a client to the issuer as it goes over the wire, by no library: also those that no library would make. */
export async function call(
  { url }: Pick<TestIssuer, 'url'>,
  client: oidc.Configuration,
  endpoint: string,
  params: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Told> {
  const { client_id: id, client_secret: secret } = client.clientMetadata();
  const basic = { Authorization: `Basic ${Buffer.from(`${id}:${String(secret)}`).toString('base64')}` };
  return await send(new URL(endpoint, url), {
    method: 'POST',
    headers: { ...(secret !== undefined && basic), ...headers },
    body: new URLSearchParams({ ...params, ...(secret === undefined && { client_id: id }) }),
  });
}

export async function send(url: URL, init: RequestInit): Promise<Told> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  return { status: response.status, body: bodyOf(await response.text()), headers: response.headers };
}

function bodyOf(text: string): Readonly<Record<string, unknown>> {
  const { data } = z.record(z.string(), z.unknown()).safeParse(text.startsWith('{') ? JSON.parse(text) : {});
  return data ?? {};
}

/** What a site sends for the code with which somebody came back. */
export function forCode(back: URL, { verifier }: Asked): Readonly<Record<string, string>> {
  const code = back.searchParams.get('code') ?? '';
  return { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: verifier };
}

export async function userinfo({ url }: Pick<TestIssuer, 'url'>, token: string): Promise<Told> {
  return await send(new URL('/me', url), { headers: { Authorization: `Bearer ${token}` } });
}

/** What an issuer said of itself, line by line. */
export class KeptLog implements Log {
  readonly lines: string[] = [];

  debug(fields: object, message: string): void {
    this.#keep(fields, message);
  }
  info(fields: object, message: string): void {
    this.#keep(fields, message);
  }
  warn(fields: object, message: string): void {
    this.#keep(fields, message);
  }
  error(fields: object, message: string): void {
    this.#keep(fields, message);
  }

  #keep(fields: object, message: string): void {
    this.lines.push(`${inspect(fields, { depth: 8 })} ${message}`);
  }
}

/** Holds up whoever comes to it until it is opened. */
export class Gate {
  readonly #opened: Promise<void>;
  readonly #arrival: Promise<void>;
  #open: () => void = () => {};
  #arrived: () => void = () => {};

  constructor() {
    this.#opened = new Promise((resolve) => (this.#open = resolve));
    this.#arrival = new Promise((resolve) => (this.#arrived = resolve));
  }

  /** Settles when somebody came. */
  get reached(): Promise<void> {
    return this.#arrival;
  }

  async pass(): Promise<void> {
    this.#arrived();
    await this.#opened;
  }

  open(): void {
    this.#open();
  }
}

/** A store of which some operations are another's. */
export function withStore(store: IssuerStore, over: Partial<IssuerStore>): IssuerStore {
  return {
    get: (key) => store.get(key),
    put: (key, value, until) => store.put(key, value, until),
    claim: (key, until) => store.claim(key, until),
    delete: (key) => store.delete(key),
    keys: (prefix, most) => store.keys(prefix, most),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    ...over,
  };
}
