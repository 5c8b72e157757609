/** A request's way through the gateway: the first handler in the list that fits it answers, and nothing else decides. */
import type { Request, Response } from 'express';
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { isName, isThisMachine, parseName, siteUrl, type Tld } from '../../core/name.ts';
import type { BlockReader } from '../blocks/index.ts';
import { answerContent } from './content.ts';
import type { Asked, Embedder, NameHandler, RootSource } from './contract.ts';
import { allowAsking, embedderOf } from './embedding.ts';
import { publicOrigin, type GatewayHosts, type Target } from './host.ts';
import { isForeignSubresource, isOwnReading, isSameOriginOnly } from './initiator.ts';
import type { MarketService } from './market-service.ts';
import { OPENAPI_PATH, sendOpenApi } from './openapi.ts';
import type { OwnPage } from './own-page.ts';
import { isNameFactsPath, nameOfFactsPath, type NameAnswers } from './name-answers.ts';
import { sendMessage, sendSearch } from './pages.ts';
import { isVisitorHere, type SpendingService } from './spending-service.ts';
import { isPosting } from './post-answers.ts';
import { isProfilePath, profileOfPath, type ProfileAnswers } from './profile-answers.ts';
import { parameter } from './representation.ts';
import { isNamePath, isRootPath, nameOfPath, ofProtocolHandler, ownOriginOf, rootOfPath } from './root-address.ts';
import { queryOf } from './tree.ts';
import type { Visits } from './visits.ts';

/** Of what somebody took for a name, letters. */
const MAX_SHOWN_NAME = 80;

/** The handlers that answer, apart from the short answers given here. */
export interface Stations {
  /** Absent: `front` is all that there is on the gateway's own host names. */
  readonly market: { readonly service: MarketService; readonly page: OwnPage } | undefined;
  /** What sites cost: for the visitor at this machine alone. Absent: there is no such page. */
  readonly spending?: { readonly service: SpendingService; readonly page: OwnPage } | undefined;
  readonly front: ((request: Request, response: Response) => void) | undefined;
  readonly visits: Visits;
  readonly hosts: GatewayHosts;
  /** Absent: content has no address but by a name. */
  readonly roots: RootSource | undefined;
  /** Pages of any origin may read what is asked for by its address alone: nobody pays for it. */
  readonly free: boolean;
  /** Pages of names say posts. Default false. */
  readonly takesPosts?: boolean;
  /** The visitor pays for it, so that pages of other sites may load it. */
  readonly paid?: boolean;
  /** Absent if there is no settle button. */
  readonly settle: ((request: Request, response: Response) => Promise<void>) | undefined;
  /** Absent: no profiles are told. */
  readonly profiles?: ProfileAnswers | undefined;
  /** Absent: what the ledger says of names is not told. */
  readonly records?: NameAnswers | undefined;
  /** Where pages of names sign people in. Absent: none is told, and a name's own file may tell one. */
  readonly issuer?: URL | undefined;
  /** Asked in this order, before the name's site is. */
  readonly names: readonly NameHandler[];
  readonly site: NameHandler['answer'];
}

const ISSUER_PATH = '/.well-known/relaymint/issuer';

/** A request, and which of our origins it is for. */
export interface Arrival {
  readonly request: Request;
  readonly response: Response;
  readonly target: Target;
  /** The same blocks, taken from what the visitor has bought. Absent: nobody counts them. */
  readonly counted?: (blocks: BlockReader) => BlockReader;
}

/** A condition that is absent fits any request. */
export interface Handler {
  readonly method?: string;
  readonly origin?: Target['kind'];
  readonly tld?: Tld;
  readonly path?: string;
  /** A media type that is wanted rather than a page. */
  readonly type?: string;
  readonly when?: (request: Request, target: Target) => boolean;
  readonly answer: (arrival: Arrival) => void | Promise<void>;
}

export function requestWay(stations: Stations): readonly Handler[] {
  const {
    market,
    spending,
    front,
    visits,
    roots,
    free,
    paid = false,
    takesPosts = false,
    settle,
    profiles,
    records,
    issuer,
    names,
    site,
  } = stations;
  const embedder = ({ headers }: Request, target: Target): Embedder | undefined => {
    if (target.kind !== 'site' || !isForeignSubresource(headers, target.isPublic)) return undefined;
    return embedderOf(headers, target, stations.hosts);
  };
  const isSaying = (request: Request): boolean => takesPosts && isPosting(request);
  const reading: readonly Handler[] = [
    // A page of any site may open a WebSocket to anywhere, and no browser says then which page it is: nothing is fetched for that.
    { when: ({ headers }) => headers.upgrade !== undefined, answer: noUpgrade },
    {
      method: 'OPTIONS',
      when: (request, target) => embedder(request, target) !== undefined,
      answer: ({ request, response, target }): void => {
        const page = embedder(request, target);
        if (page !== undefined) allowAsking(response, page);
      },
    },
    { origin: 'site', when: (request) => isSaying(request) && !isSameOriginOnly(request.headers), answer: othersPage },
    {
      when: (request, target) => !isReading(request) && !(isSaying(request) && target.kind === 'site'),
      answer: onlyReading,
    },
    {
      when: (request, target) =>
        !paid &&
        isForeignSubresource(request.headers, target.kind === 'site' && target.isPublic) &&
        embedder(request, target) === undefined,
      answer: foreignPage,
    },
  ];
  const visiting =
    (answer: NameHandler['answer']): Handler['answer'] =>
    async ({ request, response, target, counted = (blocks) => blocks }) => {
      if (target.kind !== 'site') return;
      const page = embedder(request, target);
      const isForeign = page === undefined && isForeignSubresource(request.headers, target.isPublic);
      await visits.serve(target.name, request, response, (asked) =>
        answer({ ...asked, embedder: page, isForeign, paced: (blocks) => asked.paced(counted(blocks)) }),
      );
    };
  return [
    // Checks who asks, and for what, before anything is looked up.
    { origin: 'foreign', answer: unknownHost },
    ...(settle === undefined ? [] : [settling(settle)]),
    ...(spending === undefined ? [] : [ordering(spending)]),
    ...(free ? [] : reading),
    // Content by its address alone: on an origin of its own where the host name can have one.
    {
      origin: 'own',
      when: (request) => isReading(request) && ofProtocolHandler(request) !== undefined,
      answer: toItsPath,
    },
    ...(roots === undefined ? withoutRoots : rootHandlers(roots, visits, free)),
    ...(free ? reading : []),
    // A name by a path, as other gateways have it: a site never shares the origin of the gateway's own pages.
    { origin: 'own', when: isNamePath, answer: ours(toItsName) },
    // What pages ask is paid by them: here only programs ask, and the visitor.
    ...(profiles === undefined ? [] : [profileHandler(profiles, visits)]),
    ...(records === undefined ? [] : [recordHandler(records, visits)]),
    { origin: 'own', path: OPENAPI_PATH, answer: ({ response }) => sendOpenApi(response) },
    { origin: 'site', path: OPENAPI_PATH, answer: ({ response }) => sendOpenApi(response) },
    // The visitor's own page, on the gateway's own host names, before the marketplace.
    ...(spending === undefined ? [] : spendingHandlers(spending)),
    ...(market === undefined ? [] : marketHandlers(market)),
    ...(front === undefined
      ? []
      : [{ origin: 'own', answer: ours(({ request, response }) => front(request, response)) } as const]),
    { origin: 'own', answer: ours(noSuchPage) },
    // What strangers see of the gateway itself.
    { origin: 'domain', path: '/', answer: ours(publicFront) },
    { origin: 'domain', answer: ours(noSuchPage) },
    ...(profiles === undefined
      ? []
      : [
          {
            origin: 'site',
            when: isProfilePath,
            answer: visiting((asked) => profiles.answer(asked, asked.embedder?.name ?? asked.name)),
          } as const,
        ]),
    ...(records === undefined
      ? []
      : [
          {
            origin: 'site',
            when: isNameFactsPath,
            answer: visiting((asked) => records.answer(asked, asked.embedder?.name ?? asked.name)),
          } as const,
        ]),
    ...(issuer === undefined
      ? []
      : [
          {
            origin: 'site',
            path: ISSUER_PATH,
            answer: ({ response }: Arrival) =>
              void response.set('X-Content-Type-Options', 'nosniff').json({ issuer: issuer.origin }),
          } as const,
        ]),
    // Names, each on its own origin. Handlers of endings come before sites, but for what other names embed: that is the site's.
    ...names.map((handler): Handler => ({
      ...handler,
      origin: 'site',
      when: (request, target) => embedder(request, target) === undefined,
      answer: visiting(handler.answer),
    })),
    { origin: 'site', answer: visiting(site) },
    { origin: 'redirect', answer: toOwnOrigin },
    { answer: noName },
  ];
}

function marketHandlers({ service, page }: NonNullable<Stations['market']>): readonly Handler[] {
  return [
    { origin: 'own', path: '/api/market', answer: ours(({ response }) => service.snapshot(response)) },
    {
      origin: 'own',
      method: 'GET',
      path: '/api/market/events',
      answer: ours(({ request, response }) => service.watch(request, response)),
    },
    {
      origin: 'own',
      when: ({ path }) => page.has(path),
      answer: ours(({ request, response }) => page.send(request.path, response)),
    },
  ];
}

function spendingHandlers({ service, page }: NonNullable<Stations['spending']>): readonly Handler[] {
  return [
    {
      origin: 'own',
      path: '/api/spending',
      when: isVisitorHere,
      answer: ours(({ request, response }) => service.tell(request, response)),
    },
    {
      origin: 'own',
      when: (request) => page.has(request.path) && isVisitorHere(request),
      answer: ours(({ request, response }) => page.send(request.path, response)),
    },
  ];
}

function profileHandler(profiles: ProfileAnswers, visits: Visits): Handler {
  return {
    origin: 'own',
    when: (request) => isProfilePath(request) && isOwnReading(request.headers),
    answer: async ({ request, response }) =>
      await visits.serve(profileOfPath(request), request, response, (asked) => profiles.answer(asked, undefined)),
  };
}

function recordHandler(records: NameAnswers, visits: Visits): Handler {
  return {
    origin: 'own',
    when: (request) => isNameFactsPath(request) && isOwnReading(request.headers),
    answer: async ({ request, response }) =>
      await visits.serve(nameOfFactsPath(request), request, response, (asked) => records.answer(asked, undefined)),
  };
}

function rootHandlers(roots: RootSource, visits: Visits, free: boolean): readonly Handler[] {
  const open = async (asked: Asked, root: CID, base: string): Promise<void> => {
    const { signal, response, paced } = asked;
    if (free) allowAll(response);
    const content = await roots.open(root, { signal });
    const canonical = `/ipfs/${root.toString()}`;
    try {
      const ownOrigin = base === '';
      await answerContent(asked, {
        root,
        blocks: paced(content),
        base,
        canonical,
        title: asked.name,
        immutable: true,
        ownOrigin,
      });
    } finally {
      content.close();
    }
  };
  const answerAt = async ({ request, response }: Arrival, root: CID, base: string): Promise<void> =>
    await visits.serve(root.toString(), request, response, (asked) => open(asked, root, base));
  return [
    ...(free
      ? ([
          { method: 'OPTIONS', origin: 'own', when: isRootPath, answer: readableByAll },
          { method: 'OPTIONS', origin: 'root', answer: readableByAll },
        ] as const)
      : []),
    {
      origin: 'own',
      when: (request) => isReading(request) && isRootPath(request),
      answer: async (arrival) => {
        const { request, response, target } = arrival;
        const { root, base } = rootOfPath(request.path);
        // An address in numbers has no names below it, and names of others may have none: all such content shares one origin.
        if (target.kind !== 'own' || target.hostname !== 'localhost') return await answerAt(arrival, root, base);
        if (free) allowAll(response);
        return response.redirect(301, ownOriginOf(request, root, base));
      },
    },
    {
      origin: 'root',
      when: isReading,
      answer: async (arrival) => {
        if (arrival.target.kind === 'root') await answerAt(arrival, arrival.target.root, '');
      },
    },
  ];
}

/** Where content has no address but by a name: who asks by a CID is told why. */
const withoutRoots: readonly Handler[] = [
  { origin: 'own', when: isRootPath, answer: ours(onlyByName) },
  { origin: 'root', answer: ours(onlyByName) },
];

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
    (when === undefined || when(request, target))
  );
}

function isReading({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD';
}

function noUpgrade({ response }: Arrival): void {
  response.status(400).type('text/plain').send('Nothing here speaks another protocol than HTTP.\n');
}

function unknownHost({ response }: Arrival): void {
  response.status(421).type('text/plain').send('This gateway does not serve that host name.\n');
}

function onlyReading({ response }: Arrival): void {
  response.set('Allow', 'GET, HEAD').status(405).type('text/plain').send('Only GET and HEAD are supported.\n');
}

/** What pages of other origins may do with what nobody pays for (Fetch standard, CORS). */
function allowAll(response: Response): void {
  response.set({
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': 'GET, HEAD, OPTIONS',
    'Access-Control-Allow-Headers': 'Content-Type, Range, User-Agent, X-Requested-With',
    'Access-Control-Expose-Headers':
      'Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output',
  });
}

function readableByAll({ response }: Arrival): void {
  allowAll(response);
  response.status(204).end();
}

function toItsPath({ request, response }: Arrival): void {
  response.redirect(301, ofProtocolHandler(request) ?? '/');
}

function othersPage({ response }: Arrival): void {
  response
    .set('Cache-Control', 'no-store')
    .status(403)
    .json({
      error: { code: 'CONTENT_REFUSED', message: 'Posts are said by pages of the name itself.' },
    });
}

function foreignPage({ response }: Arrival): void {
  response
    .set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
    .status(403)
    .type('text/plain')
    .send(
      'Pages of other sites cannot load this, because the gateway would pay for it. Open this address directly.\n' +
        'Pages of names here can embed what its owner lets them, unless their Referrer-Policy hides them.\n',
    );
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

/** It changes what a site may spend. */
function ordering({ service }: NonNullable<Stations['spending']>): Handler {
  return {
    method: 'POST',
    origin: 'own',
    path: '/api/spending',
    when: isVisitorHere,
    answer: ours(({ request, response }) => service.obey(request, response)),
  };
}

/** It makes nodes settle. */
function settling(settle: NonNullable<Stations['settle']>): Handler {
  return {
    method: 'POST',
    origin: 'own',
    path: '/api/settle',
    answer: ours(({ request, response }) => settle(request, response)),
  };
}

function noSuchPage({ response, target }: Arrival): void {
  const example = target.kind === 'domain' ? publicOrigin('demo.web3', target.host).slice(2) : 'demo-web3.localhost';
  sendMessage(response, {
    status: 404,
    title: 'There is no such page',
    text: `The gateway's own page is at the front. A site is at an address like ${example}.`,
  });
}

/** Where to write a name, and where that leads. */
function publicFront({ request, response, target }: Arrival): void {
  if (target.kind !== 'domain') return;
  const asked = parameter(request, 'name');
  if (asked === undefined || asked.trim() === '') {
    sendSearch(response, { host: target.host });
    return;
  }
  const name = asked.trim().toLowerCase();
  if (isName(name)) response.set('Cache-Control', 'no-store').redirect(302, `${publicOrigin(name, target.host)}/`);
  else sendSearch(response, { host: target.host, wrong: name.slice(0, MAX_SHOWN_NAME) });
}

function onlyByName({ response }: Arrival): void {
  sendMessage(response, {
    status: 501,
    title: 'Content is found by its name here',
    text: 'Hosts say which names they keep, not which content, and what a visit costs goes to the owner of a name. Open the name that points to it, for example demo-web3.localhost; its CAR file (?format=car) has the same content for IPFS tools.',
  });
}

function toItsName({ request, response, target }: Arrival): void {
  const found = nameOfPath(request.path);
  if (found === undefined) {
    sendMessage(response, {
      status: 404,
      title: 'There is no such name here',
      text: 'Names are on the ledger, and look like news.web3. Keys of IPNS and domains (DNSLink) are not looked up, for that would tell others what is visited.',
    });
    return;
  }
  if (target.kind === 'own' && !isThisMachine(target.hostname)) {
    sendMessage(response, {
      status: 404,
      title: 'Sites are not at this address',
      text: 'They have origins of their own below localhost, on the machine of the gateway; for other machines, below a domain (--domain).',
    });
    return;
  }
  const port = Number(/:(\d+)$/.exec(request.headers.host ?? '')?.[1] ?? 80);
  // Joined as text: a path that begins with two slashes must not become another host.
  response.redirect(302, siteUrl(found.name, port).slice(0, -1) + found.below + queryOf(request));
}

function toOwnOrigin({ request, response, target }: Arrival): void {
  // Joined as text: a path that begins with two slashes must not become another host.
  if (target.kind === 'redirect') response.redirect(302, target.origin + request.path + queryOf(request));
}

function noName(): void {
  throw new RelaymintError('NAME_INVALID', 'This is not a valid name.', { remedy: 'Try demo-web3.localhost.' });
}
