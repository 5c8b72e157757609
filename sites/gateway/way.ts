/** A request's way through the gateway: the first handler in the list that fits it answers, and nothing else decides. */
import type { Request, Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import { parseName, type Tld } from '../../core/name.ts';
import type { NameHandler } from './contract.ts';
import type { Target } from './host.ts';
import { isForeignSubresource } from './initiator.ts';
import type { MarketPage } from './market-page.ts';
import type { MarketService } from './market-service.ts';
import { sendMessage } from './pages.ts';
import { queryOf } from './site.ts';
import type { Visits } from './visits.ts';

/** The handlers that answer, apart from the short answers given here. */
export interface Stations {
  readonly market: MarketService;
  readonly page: MarketPage;
  readonly visits: Visits;
  /** Absent if there is no settle button. */
  readonly settle: ((request: Request, response: Response) => Promise<void>) | undefined;
  /** Asked in this order, before the name's site is. */
  readonly names: readonly NameHandler[];
  readonly site: NameHandler['answer'];
}

/** A request, and which of our origins it is for. */
export interface Arrival {
  readonly request: Request;
  readonly response: Response;
  readonly target: Target;
}

/** A condition that is absent fits any request. */
export interface Handler {
  readonly method?: string;
  readonly origin?: Target['kind'];
  readonly tld?: Tld;
  readonly path?: string;
  /** A media type that is wanted rather than a page. */
  readonly type?: string;
  readonly when?: (request: Request) => boolean;
  readonly answer: (arrival: Arrival) => void | Promise<void>;
}

export function requestWay({ market, page, visits, settle, names, site }: Stations): readonly Handler[] {
  return [
    // Checks who asks, and for what, before anything is looked up.
    { origin: 'foreign', answer: unknownHost },
    ...(settle === undefined ? [] : [settling(settle)]),
    { when: ({ method }) => method !== 'GET' && method !== 'HEAD', answer: onlyReading },
    { when: ({ headers }) => isForeignSubresource(headers), answer: foreignPage },
    // The marketplace, on the gateway's own host names.
    { origin: 'market', path: '/api/market', answer: ours(({ response }) => market.snapshot(response)) },
    {
      origin: 'market',
      method: 'GET',
      path: '/api/market/events',
      answer: ours(({ request, response }) => market.watch(request, response)),
    },
    {
      origin: 'market',
      when: ({ path }) => page.has(path),
      answer: ours(({ request, response }) => page.send(request.path, response)),
    },
    { origin: 'market', answer: ours(noSuchPage) },
    // Names, each on its own origin. Handlers of endings come before sites.
    ...names.map((handler): Handler => ({ ...handler, origin: 'site', answer: visiting(visits, handler.answer) })),
    { origin: 'site', answer: visiting(visits, site) },
    { origin: 'redirect', answer: toOwnOrigin },
    { answer: noName },
  ];
}

/** @throws what the handler throws. */
export async function answer(way: readonly Handler[], arrival: Arrival): Promise<void> {
  await way.find((handler) => fits(handler, arrival))?.answer(arrival);
}

function fits({ method, origin, tld, path, type, when }: Handler, { request, target }: Arrival): boolean {
  return (
    (method === undefined || method === request.method) &&
    (origin === undefined || origin === target.kind) &&
    (tld === undefined || (target.kind === 'site' && parseName(target.name).tld === tld)) &&
    (path === undefined || path === request.path) &&
    (type === undefined || request.accepts(['html', type]) === type) &&
    (when === undefined || when(request))
  );
}

function unknownHost({ response }: Arrival): void {
  response.status(421).type('text/plain').send('This gateway does not serve that host name.\n');
}

function onlyReading({ response }: Arrival): void {
  response.set('Allow', 'GET, HEAD').status(405).type('text/plain').send('Only GET and HEAD are supported.\n');
}

function foreignPage({ response }: Arrival): void {
  response
    .set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
    .status(403)
    .type('text/plain')
    .send('Pages of other sites cannot load this, because the gateway would pay for it. Open this address directly.\n');
}

/** An answer on the gateway's own host names. */
function ours(answer: Handler['answer']): Handler['answer'] {
  return (arrival) => {
    arrival.response.set({
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      // Sites that this gateway shows run on the same machine, but must not use this.
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Cross-Origin-Opener-Policy': 'same-origin',
    });
    return answer(arrival);
  };
}

/** The one request that changes something. */
function settling(settle: NonNullable<Stations['settle']>): Handler {
  return {
    method: 'POST',
    origin: 'market',
    path: '/api/settle',
    answer: ours(({ request, response }) => settle(request, response)),
  };
}

function noSuchPage({ response }: Arrival): void {
  sendMessage(response, {
    status: 404,
    title: 'There is no such page',
    text: 'The marketplace is at the front page. A site is at an address like demo-web3.localhost.',
  });
}

function visiting(visits: Visits, answer: NameHandler['answer']): Handler['answer'] {
  return async ({ request, response, target }) => {
    if (target.kind === 'site') await visits.serve(target.name, request, response, answer);
  };
}

function toOwnOrigin({ request, response, target }: Arrival): void {
  // Joined as text: a path that begins with two slashes must not become another host.
  if (target.kind === 'redirect') response.redirect(302, target.origin + request.path + queryOf(request));
}

function noName(): void {
  throw new RelaymintError('NAME_INVALID', 'This is not a valid name.', { remedy: 'Try demo-web3.localhost.' });
}
