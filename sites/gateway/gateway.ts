/** The gateway: one HTTP server, one origin per site, and the marketplace on localhost itself. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import express from 'express';
import type { Express, NextFunction, Request, Response } from 'express';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { VISITOR_IDLE_MILLIS } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { listenAt } from '../../platform/listen.ts';
import type { ContentSource } from '../blocks/contract.ts';
import type { FeedSource } from '../feed/index.ts';
import { createManifests, type Manifests } from '../manifest/index.ts';
import type { QuotaSale } from '../pay/contract.ts';
import type { Profiles } from '../profile/index.ts';
import type { Appendix } from './appendix.ts';
import type { NameHandler, RootSource } from './contract.ts';
import { messageFor, toldToPayer } from './failure.ts';
import { FeedAnswers } from './feed-answers.ts';
import { forgetForm } from './heads.ts';
import { portOf, targetOf, type FullHosts, type GatewayHosts, type Target } from './host.ts';
import { KeptAnswers, type KnownRecord } from './kept-answers.ts';
import { MarketService } from './market-service.ts';
import type { MarketView } from './market.ts';
import { marketPage, spendingPage } from './own-page.ts';
import { NameAnswers, type RecordLookup } from './name-answers.ts';
import { sendMessage } from './pages.ts';
import { Paywall } from './paywall.ts';
import { PostAnswers, type PostTaker } from './post-answers.ts';
import { ProfileAnswers } from './profile-answers.ts';
import { settleNow, type SettleOptions } from './settle.ts';
import { serveSite, type NameLookup } from './site.ts';
import { SpendingService, isPayerHere } from './spending-service.ts';
import type { Spending } from './spending.ts';
import { Visits } from './visits.ts';
import { answer, requestWay, type Stations } from './way.ts';

export interface GatewayOptions {
  readonly resolver: NameLookup;
  readonly content: ContentSource;
  /** Whole answers of names are kept in memory for as long as this says that their records are the same. Absent: none are. */
  readonly known?: KnownRecord;
  /** By which names' manifests are verified, for who shares that with other parts. Default: its own. */
  readonly manifests?: Manifests;
  /** How long a visitor waits for the look-up of a name, milliseconds. Default NAME_WAIT_MILLIS. */
  readonly nameWaitMillis?: number;
  /** How long a request waits for its turn when all are taken, milliseconds. Default GATEWAY_QUEUE_MILLIS. */
  readonly queueMillis?: number;
  /** Content by its address alone: `/ipfs/CID` and `CID.ipfs.localhost`. Absent: only names are served. */
  readonly roots?: RootSource;
  /** Updates and threads of names. Absent: none are told. */
  readonly feeds?: FeedSource | undefined;
  /** Takes what pages say in threads. Absent: they say nothing here. */
  readonly posts?: PostTaker | undefined;
  /** Profiles of names, for pages and programs. Absent: none are told. */
  readonly profiles?: Profiles | undefined;
  /** What the ledger says of names, for pages and programs. Absent: it is not told. */
  readonly records?: RecordLookup | undefined;
  /** Told to pages of names, which sign people in there. Absent: none is. */
  readonly issuer?: URL | undefined;
  /** Nobody pays for `roots`: pages of all origins may read them. Default false. */
  readonly free?: true;
  /** Default: pages are as they were published. */
  readonly appendix?: Appendix;
  /** Shown at the gateway's own host names. Read at most twice a second, however many pages watch. Absent: `front` is shown. */
  readonly market?: () => Promise<MarketView>;
  readonly front?: (request: Request, response: Response) => void;
  /** Shown at the front of `localhost` to who is at this machine, instead of the marketplace, which is at `/market` too. */
  readonly spending?: Spending | undefined;
  /** Told of each answer that was sent again as it was kept: of which name, and its length. */
  readonly onKept?: (name: string, bytes: number) => void;
  /** Backs the settle button of the marketplace page; without it there is no button. */
  readonly settle?: SettleOptions;
  /** Handlers for names that are not shown as a site, in the order to ask them. Default: none. */
  readonly names?: readonly NameHandler[];
  /** Host names besides localhost, 127.0.0.1, [::1] and *.localhost that this gateway answers to. */
  readonly hosts?: readonly string[];
  /** Sites are also below it, for other machines: `demo-web3.DOMAIN`. What a proxy passes on reaches nothing else. Absent: only on this machine. */
  readonly domain?: string | undefined;
  /** Names are at `https://NAME` too: `accept` takes the connections, and pages there are names' pages. Absent: they are not. */
  readonly full?: true | undefined;
  /** Visitors pay for what they fetch of names. Absent: whoever runs the gateway does. */
  readonly sale?: QuotaSale | undefined;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface Gateway {
  readonly app: Express;
  /** `port` 0 picks one; `address` defaults to 127.0.0.1. `url` is the marketplace page's. @throws RelaymintError ADDRESS_IN_USE; INVALID_CONFIG when it cannot listen for another reason. */
  listen(options: {
    readonly port: number;
    readonly address?: string;
  }): Promise<{ readonly port: number; readonly url: string }>;
  /**
   * Takes a browser's connection to `https://NAME`, decrypted: what is asked on it is for that name, as on its origin below localhost, and
   * for nothing else of this gateway. Only while it listens, and with `full`.
   */
  accept(connection: Socket, name: string): void;
  /** Ends open requests and stops listening. */
  close(): Promise<void>;
}

/** Nothing is opened until `listen`. */
export function createGateway(options: GatewayOptions): Gateway {
  return new HttpGateway(options);
}

class HttpGateway implements Gateway {
  readonly app: Express = express();
  readonly #log: Log;
  readonly #market: MarketService | undefined;
  readonly #visits: Visits;
  readonly #kept: KeptAnswers | undefined;
  readonly #hosts: GatewayHosts;
  readonly #tellsCosts: boolean;
  readonly #full: FullHosts | undefined;
  /** Connections of full mode, and the name that each is for. */
  readonly #names = new WeakMap<Socket, string>();
  #server: Server | undefined;

  constructor(options: GatewayOptions) {
    this.#log = options.log ?? silentLog;
    this.#visits = new Visits({
      log: this.#log,
      isProxied: options.domain !== undefined,
      ...(options.queueMillis !== undefined && { queueMillis: options.queueMillis }),
    });
    const { settle, market, spending, known, sale, clock = systemClock } = options;
    // What is sold is given to nobody for nothing.
    const keeps = sale === undefined;
    const domain = options.domain?.toLowerCase();
    this.#kept = keeps && known ? new KeptAnswers(known, { told: options.onKept, domain }) : undefined;
    this.#market = market && new MarketService({ market, clock, log: this.#log });
    const manifests = options.manifests ?? createManifests();
    this.#full = options.full && { port: 0 };
    const hosts = {
      full: this.#full,
      own: new Set((options.hosts ?? []).map((host) => host.toLowerCase())),
      domain,
    };
    const feeds = options.feeds && new FeedAnswers(options.feeds);
    const posts = options.posts && new PostAnswers(options.posts);
    this.#hosts = hosts;
    this.#tellsCosts = spending !== undefined;
    const stations: Stations = {
      market: this.#market && { service: this.#market, page: marketPage() },
      spending: spending && { service: new SpendingService(spending, this.#log), page: spendingPage() },
      front: options.front,
      roots: options.roots,
      free: options.free === true,
      takesPosts: posts !== undefined,
      visits: this.#visits,
      hosts,
      settle: settle && ((request, response) => settleNow(settle, this.#log, request, response)),
      profiles: options.profiles && new ProfileAnswers(options.profiles),
      records: options.records && new NameAnswers(options.records),
      issuer: options.issuer,
      names: options.names ?? [],
      site: (asked) => serveSite({ ...options, feeds, posts, kept: this.#kept, manifests }, asked),
    };
    const way = requestWay(stations);
    const paywall = sale && new Paywall(sale, requestWay({ ...stations, paid: true }));
    this.app.disable('x-powered-by');
    this.app.set('etag', false);
    this.app.use(async (request: Request, response: Response) => {
      const arrival = { request, response, target: this.#targetOf(request) };
      await (paywall === undefined ? answer(way, arrival) : paywall.answer(way, arrival));
    });
    this.app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
      this.#fail(error, request, response);
    });
  }

  async listen({ port, address = '127.0.0.1' }: { readonly port: number; readonly address?: string }): Promise<{
    port: number;
    url: string;
  }> {
    const server = createServer((request, response) => this.#receive(request, response));
    server.timeout = VISITOR_IDLE_MILLIS;
    this.#server = server;
    const bound = await listenAt(server, { port, address }, 'the gateway');
    server.on('error', (error) => this.#log.error({ err: error }, 'The HTTP server failed.'));
    if (this.#full !== undefined) this.#full.port = bound;
    return { port: bound, url: `http://localhost:${bound}/` };
  }

  accept(connection: Socket, name: string): void {
    if (this.#server === undefined || this.#full === undefined)
      throw new TypeError('this gateway takes no connections of full mode');
    this.#names.set(connection, name);
    this.#server.emit('connection', connection);
  }

  async close(): Promise<void> {
    this.#visits.close(new RelaymintError('CLOSED', 'The gateway is stopping.', { remedy: 'Try again in a moment.' }));
    const quiet = this.#market?.close();
    const server = this.#server;
    if (server === undefined) return quiet;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await Promise.all([closed, quiet]);
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    // Of a connection for one name, what is kept of others is none of its business.
    const isMeant = !this.#names.has(request.socket) || this.#targetOf(request).kind === 'site';
    if (isMeant && this.#kept?.send(request, response) === true) return;
    // An address of another form names a host by itself, and this is no proxy.
    if (request.url?.startsWith('/') === true) this.app(request, response);
    else response.writeHead(400, { 'Content-Type': 'text/plain' }).end('This gateway is no proxy.\n');
  }

  #targetOf({ headers, socket }: IncomingMessage): Target {
    return targetOf(headers, this.#hosts, this.#names.get(socket));
  }

  #fail(error: unknown, request: Request, response: Response): void {
    if (!isRelaymintError(error)) this.#log.error({ err: error }, 'a request failed: this is a fault in Relaymint');
    // Too late for a page: a cut connection is how HTTP says that this was not the whole file.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    forgetForm(response);
    const target = this.#targetOf(request);
    const isPayer = this.#tellsCosts && target.kind === 'site' && !target.isPublic && isPayerHere(request);
    sendMessage(
      response,
      isPayer ? toldToPayer(error, portOf(request.headers, target, this.#hosts)) : messageFor(error),
    );
  }
}
