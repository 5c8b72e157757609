/**
 * Stands before the names that a gateway sells: who has not paid is told what to pay, and nothing is looked up or fetched for it. Who has
 * goes on, and what is fetched for the answer is taken from the quota, or what is sent where that is more. What is sent of an error of the
 * gateway's own takes nothing.
 */
import type { Request, Response } from 'express';
import { isRelaymintError, type RelaymintError } from '../../core/errors.ts';
import type { Paid, Quota, QuotaSale } from '../pay/contract.ts';
import { forgetForm } from './heads.ts';
import { isForeignSubresource } from './initiator.ts';
import { meter, type MeteredAnswer } from './metered-answer.ts';
import { sendMessage } from './pages.ts';
import { answer, type Arrival, type Handler } from './way.ts';

/** Of x402 v2. */
const PAYMENT_HEADER = 'payment-signature';
/** Both ways: what was bought, for who keeps no cookies. A site's `_headers` cannot set it. */
const TOKEN_HEADER = 'x-relaymint-quota';
const LEFT_HEADER = 'X-Relaymint-Quota-Left';
const COOKIE = 'relaymint-quota';
/** Browsers take it over TLS only, and from no neighbour below the same domain. */
const HOST_COOKIE = `__Host-${COOKIE}`;
/** As long as browsers keep any cookie; the quota ends before. */
const COOKIE_SECONDS = 400 * 86_400;
/** Seconds until a payment that the chain has not confirmed yet is worth showing again. */
const RETRY_SECONDS = 5;

const READABLE: Readonly<Record<string, string>> = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': `Payment-Required, Payment-Response, X-Relaymint-Quota, ${LEFT_HEADER}, Retry-After, Accept-Ranges, Content-Length, Content-Range, ETag, X-Ipfs-Path, X-Ipfs-Roots`,
};
const PREFLIGHT: Readonly<Record<string, string>> = {
  ...READABLE,
  'Access-Control-Allow-Methods': 'GET, HEAD, OPTIONS',
  // The last one is no header of requests, but the usual client sends it.
  'Access-Control-Allow-Headers':
    'Payment-Signature, X-Relaymint-Quota, Range, If-Range, If-Match, If-None-Match, Cache-Control, Content-Type, Access-Control-Expose-Headers',
  'Access-Control-Max-Age': '600',
};

/** What a visitor has shown. */
interface Shown {
  readonly quota: Quota;
  /** It was paid by this request. */
  readonly paid?: Paid;
  /** Shown by the request itself and not by a cookie, so that any page may have made it. */
  readonly isExplicit: boolean;
}

type SiteTarget = Extract<Arrival['target'], { readonly kind: 'site' }>;

export class Paywall {
  readonly #sale: QuotaSale;
  readonly #paidWay: readonly Handler[];

  /** `paidWay`: that of who has paid by the request itself. */
  constructor(sale: QuotaSale, paidWay: readonly Handler[]) {
    this.#sale = sale;
    this.#paidWay = paidWay;
  }

  /** `way`: that of what nobody has to pay for here. @throws what the handlers throw, and LIMIT_EXCEEDED and others of `QuotaSale.pay` */
  async answer(way: readonly Handler[], arrival: Arrival): Promise<void> {
    const { request, response, target } = arrival;
    if (target.kind !== 'site' || this.#sale.isFree(target.name)) return answer(way, arrival);
    if (request.method === 'OPTIONS') return void response.set(PREFLIGHT).status(204).end();
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(way, arrival);
    const shown = await this.#shown(request, response, target);
    if (shown === undefined) return;
    const metered = this.#prepare(arrival, target, shown);
    try {
      await answer(shown.isExplicit ? this.#paidWay : way, { ...arrival, counted: metered.counted });
    } catch (error) {
      if (!metered.end(error)) throw error;
    }
  }

  /** undefined when it has been answered: nothing that is good for anything was shown. */
  async #shown(request: Request, response: Response, target: SiteTarget): Promise<Shown | undefined> {
    const { name, isPublic } = target;
    const payment = request.get(PAYMENT_HEADER);
    if (payment !== undefined) {
      const paid = await this.#pay(request, response, name, payment);
      if (paid === undefined) return undefined;
      if (paid.quota.left > 0) return { quota: paid.quota, paid, isExplicit: true };
      return this.#require(request, response, name, 'What it paid for is used up.');
    }
    const token = request.get(TOKEN_HEADER);
    if (token !== undefined) {
      const quota = this.#sale.quotaOf(name, token);
      if (quota !== undefined) return { quota, isExplicit: true };
    }
    // A page of somebody else must not spend what the visitor has bought.
    if (!isForeignSubresource(request.headers, isPublic)) {
      for (const cookie of cookiesOf(request, isPublic ? HOST_COOKIE : COOKIE)) {
        const quota = this.#sale.quotaOf(name, cookie);
        if (quota !== undefined) return { quota, isExplicit: false };
      }
    }
    return this.#require(request, response, name);
  }

  /** undefined when it has been answered. */
  async #pay(request: Request, response: Response, name: string, payment: string): Promise<Paid | undefined> {
    response.set(READABLE);
    try {
      return await this.#sale.pay(name, payment);
    } catch (error) {
      if (isRelaymintError(error, 'PAYMENT_INVALID')) return this.#require(request, response, name, error.message);
      if (!isRelaymintError(error, 'TIMEOUT')) throw error;
      sendMessage(response, onItsWay(error));
      return undefined;
    }
  }

  /** 402, as a page or as what x402 says. */
  #require(request: Request, response: Response, name: string, error?: string): undefined {
    const { header, body } = this.#sale.required(name, urlOf(request), error);
    response.set({ ...READABLE, 'PAYMENT-REQUIRED': header, 'Cache-Control': 'no-store' });
    if (request.headers.accept?.includes('text/html') !== true) {
      response.status(402).set('X-Content-Type-Options', 'nosniff').json(body);
      return undefined;
    }
    const { quotaBytes, prices } = this.#sale.terms;
    const costs = prices.map(({ text }) => text).join(' or ');
    sendMessage(response, {
      status: 402,
      title: 'Visits to this site are sold here',
      text: `${error === undefined ? '' : `${error} `}${mebibytes(quotaBytes)} of ${name} cost ${costs}, in as many requests as you like. A client or a wallet that knows x402 pays by itself: what it needs is in the PAYMENT-REQUIRED header of this answer. With a Relaymint node of your own you visit the site without this gateway.`,
    });
    return undefined;
  }

  /** Set when the head goes out, so that nothing that answers takes it away. */
  #prepare(
    { request, response }: Arrival,
    { name, isPublic }: SiteTarget,
    { quota, paid, isExplicit }: Shown,
  ): MeteredAnswer {
    const left = String(quota.left);
    const headers = (): Readonly<Record<string, string>> => ({
      ...(isExplicit && READABLE),
      [LEFT_HEADER]: left,
      // Another visitor has not paid for it.
      'Cache-Control': privately(response.getHeader('Cache-Control')),
      ...(paid && { 'PAYMENT-RESPONSE': paid.response, 'X-Relaymint-Quota': paid.token }),
      ...(paid &&
        !isForeignSubresource(request.headers, isPublic) && { 'Set-Cookie': cookieFor(paid.token, isPublic) }),
    });
    return meter(request, response, {
      quota,
      headers,
      usedUp: () => {
        forgetForm(response);
        this.#require(request, response, name, 'What you have bought is used up.');
      },
    });
  }
}

function onItsWay(error: RelaymintError): Parameters<typeof sendMessage>[1] {
  return {
    status: 504,
    title: 'Your payment is on its way',
    text: `${error.message} ${error.remedy ?? ''}`,
    code: error.code,
    retrySeconds: RETRY_SECONDS,
  };
}

function cookieFor(token: string, isPublic: boolean): string {
  const rest = `Path=/; Max-Age=${COOKIE_SECONDS}; HttpOnly; SameSite=Lax`;
  return isPublic ? `${HOST_COOKIE}=${token}; Secure; ${rest}` : `${COOKIE}=${token}; ${rest}`;
}

/** There may be several of one name, where a neighbour below the same domain has set one. */
function cookiesOf({ headers }: Request, name: string): readonly string[] {
  const pairs = headers.cookie?.split(';').map((pair) => pair.trim()) ?? [];
  return pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
}

/** As the visitor has it, as far as can be known: only a proxy knows whether there was TLS before it. */
function urlOf({ headers, originalUrl }: Request): string {
  const scheme = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
  return `${scheme}://${headers.host}${originalUrl}`;
}

function privately(caching: number | string | readonly string[] | undefined): string {
  const said = String(caching ?? 'no-cache');
  const rest = said.split(',').map((word) => word.trim());
  return ['private', ...rest.filter((word) => !/^(public|private|s-maxage=.*)$/i.test(word))].join(', ');
}

function mebibytes(bytes: number): string {
  return `${Math.floor((bytes / 1024 ** 2) * 100) / 100} MiB`;
}
