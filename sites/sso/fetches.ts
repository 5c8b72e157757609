/**
 * What an issuer asks of addresses that its clients name, in two ways: what clients say of themselves is read, and remembered for a moment, since
 * anybody can make it be asked for; and they are told of logouts, once each. Where such a request may lead is the transport's matter.
 */
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import {
  LOGOUTS_AT_ONCE,
  MAX_LOGOUTS_WAITING,
  STRANGERS_AT_ONCE,
  STRANGERS_FAILED_MILLIS,
  STRANGERS_KEPT,
  STRANGERS_KEPT_MILLIS,
  STRANGERS_OF_HOST,
  STRANGERS_OF_HOST_REST_MILLIS,
  STRANGERS_REST_MILLIS,
} from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { Questions } from '../../core/questions.ts';
import { TokenBucket, TokenBuckets } from '../../core/rate.ts';
import { isLoopback } from './clients.ts';

export interface OutsideAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface OutsideRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** Follows nothing, and answers soon and shortly. @throws RelaymintError when it may not or cannot. */
export type OutsideFetch = (url: URL, request: OutsideRequest) => Promise<OutsideAnswer>;

/** The ways out for what clients name. */
export interface Outside {
  /** To the public internet, by https. */
  readonly strangers: OutsideFetch;
  /** To this machine, by http. Used by an issuer of this machine alone, for sites of this machine. Absent: other machines reach it. */
  readonly thisMachine?: OutsideFetch | undefined;
}

export interface FetchesOptions {
  readonly outside: Outside;
  readonly issuer: URL;
  readonly clock: Clock;
}

type Kept = OutsideAnswer | RelaymintError;

export class Fetches {
  readonly #options: FetchesOptions;
  readonly #read: Questions<Kept>;
  readonly #hosts: TokenBuckets<string>;
  readonly #told: Promise<unknown>[] = Array.from({ length: LOGOUTS_AT_ONCE }, () => Promise.resolve());
  #telling = 0;
  #next = 0;

  constructor(options: FetchesOptions) {
    this.#options = options;
    this.#read = new Questions<Kept>({
      atOnce: STRANGERS_AT_ONCE,
      restMillis: STRANGERS_REST_MILLIS,
      kept: STRANGERS_KEPT,
      now: () => options.clock.now(),
    });
    this.#hosts = new TokenBuckets(
      () => new TokenBucket(1_000 / STRANGERS_OF_HOST_REST_MILLIS, () => performance.now(), STRANGERS_OF_HOST),
    );
  }

  get tellsThisMachine(): boolean {
    return this.#thisMachine !== undefined;
  }

  get #thisMachine(): OutsideFetch | undefined {
    const { outside, issuer } = this.#options;
    return isLoopback(issuer.hostname) ? outside.thisMachine : undefined;
  }

  /** As oidc-provider asks: GET for documents and keys, POST for logouts. @throws RelaymintError. */
  async fetch(url: URL, { method, headers, body }: RequestInit = {}): Promise<Response> {
    const sent = Object.fromEntries([...new Headers(headers)].filter(([name]) => name !== 'user-agent'));
    const answer =
      method === 'POST'
        ? await this.#tell(url, { method, headers: sent, body: body instanceof URLSearchParams ? body.toString() : '' })
        : await this.#readOf(url, { method: 'GET', headers: sent });
    const text = [204, 205, 304].includes(answer.status) ? null : Buffer.from(answer.body);
    const said = new Headers();
    for (const [name, value] of answer.headers) said.append(name, value);
    return new Response(text, { status: answer.status, headers: said });
  }

  async #readOf(url: URL, request: OutsideRequest): Promise<OutsideAnswer> {
    const about = url.href;
    const last = this.#read.known(about, STRANGERS_KEPT_MILLIS)?.answer;
    const known = isGood(last) ? last : this.#read.known(about, STRANGERS_FAILED_MILLIS)?.answer;
    if (known === undefined && !this.#hosts.of(url.hostname).take()) return await tooMany();
    const answer = known ?? (await (this.#read.ask(about, () => this.#ask(url, request)) ?? tooMany()));
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** What failed is remembered too. */
  async #ask(url: URL, request: OutsideRequest): Promise<Kept> {
    try {
      return await this.#options.outside.strangers(url, request);
    } catch (error) {
      if (isRelaymintError(error)) return error;
      throw error;
    }
  }

  /** So many at once, the others in turn. */
  async #tell(url: URL, request: OutsideRequest): Promise<OutsideAnswer> {
    const send = (url.protocol === 'http:' ? this.#thisMachine : undefined) ?? this.#options.outside.strangers;
    if (this.#telling >= MAX_LOGOUTS_WAITING) return await tooMany();
    this.#telling += 1;
    const lane = (this.#next += 1) % LOGOUTS_AT_ONCE;
    const mine = (this.#told[lane] ?? Promise.resolve()).then(() => send(url, request));
    this.#told[lane] = mine.catch(() => undefined);
    return await mine.finally(() => (this.#telling -= 1));
  }
}

function isGood(answer: Kept | undefined): boolean {
  return answer !== undefined && !(answer instanceof Error) && answer.status === 200;
}

function tooMany(): Promise<never> {
  return Promise.reject(
    new RelaymintError('LIMIT_EXCEEDED', 'Too much is asked of other sites now.', { remedy: 'Try again in a moment.' }),
  );
}
