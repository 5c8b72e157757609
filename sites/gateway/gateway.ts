/** The gateway: one HTTP server, one origin a site, and the marketplace on localhost itself. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { Express, NextFunction, Request, Response } from 'express';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_GATEWAY_QUEUE, MAX_GATEWAY_REQUESTS, VISITOR_IDLE_MILLIS } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { ContentSource } from '../blocks/contract.ts';
import type { NameResolver } from '../name/index.ts';
import { messageFor } from './failure.ts';
import { targetOf } from './host.ts';
import { isForeignSubresource } from './initiator.ts';
import { MarketPage } from './market-page.ts';
import { MarketService } from './market-service.ts';
import type { MarketView } from './market.ts';
import { sendMessage } from './pages.ts';
import { queryOf, serveSite } from './site.ts';
import { Turns } from './turns.ts';

export interface GatewayOptions {
  readonly resolver: NameResolver;
  readonly content: ContentSource;
  /** How long a visitor waits for the look-up of a name, milliseconds. Default NAME_WAIT_MILLIS. */
  readonly nameWaitMillis?: number;
  /** Read at most twice a second, however many pages watch. */
  readonly market: () => Promise<MarketView>;
  /** Host names besides localhost, 127.0.0.1, [::1] and *.localhost that this gateway answers to. */
  readonly hosts?: readonly string[];
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface Gateway {
  readonly app: Express;
  /** `port` 0 picks one; `address` defaults to 127.0.0.1. `url` is the marketplace page's. @throws RelaymintError ADDRESS_IN_USE; INVALID_CONFIG when the port cannot be had otherwise. */
  listen(options: {
    readonly port: number;
    readonly address?: string;
  }): Promise<{ readonly port: number; readonly url: string }>;
  /** Ends open requests and stops listening. */
  close(): Promise<void>;
}

/** Nothing is opened until `listen`. */
export function createGateway(options: GatewayOptions): Gateway {
  return new HttpGateway(options);
}

class HttpGateway implements Gateway {
  readonly app: Express = express();
  readonly #options: GatewayOptions;
  readonly #log: Log;
  readonly #page = new MarketPage();
  readonly #market: MarketService;
  readonly #turns = new Turns(MAX_GATEWAY_REQUESTS, MAX_GATEWAY_QUEUE);
  /** What each request under way is stopped with. */
  readonly #open = new Set<AbortController>();
  #server: Server | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#market = new MarketService({
      market: options.market,
      clock: options.clock ?? systemClock,
      log: this.#log,
    });
    const hosts = new Set((options.hosts ?? []).map((host) => host.toLowerCase()));
    this.app.disable('x-powered-by');
    this.app.set('etag', false);
    this.app.use((request: Request, response: Response) => this.#route(hosts, request, response));
    this.app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
      this.#fail(error, response);
    });
  }

  async listen({ port, address = '127.0.0.1' }: { readonly port: number; readonly address?: string }): Promise<{
    port: number;
    url: string;
  }> {
    const server = createServer(this.app);
    server.timeout = VISITOR_IDLE_MILLIS;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => reject(cannotListen(port, cause)));
      server.listen(port, address, resolve);
    });
    server.on('error', (error) => this.#log.error({ err: error }, 'The HTTP server failed.'));
    const bound = (server.address() as AddressInfo).port;
    return { port: bound, url: `http://localhost:${bound}/` };
  }

  async close(): Promise<void> {
    const stopping = new RelaymintError('CLOSED', 'The gateway is stopping.', { remedy: 'Try again in a moment.' });
    for (const request of this.#open) request.abort(stopping);
    this.#market.close();
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async #route(hosts: ReadonlySet<string>, request: Request, response: Response): Promise<void> {
    const target = targetOf(request.headers.host, hosts);
    if (target.kind === 'foreign') {
      response.status(421).type('text/plain').send('This gateway does not answer to that host name.\n');
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response
        .set('Allow', 'GET, HEAD')
        .status(405)
        .type('text/plain')
        .send('Only GET and HEAD are understood here.\n');
      return;
    }
    if (isForeignSubresource(request.headers)) {
      response
        .set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
        .status(403)
        .type('text/plain')
        .send('Pages of other sites cannot load this: the visitor would pay for it. Open this address by itself.\n');
      return;
    }
    // Joined as text: a path that begins with two slashes must not become another host.
    if (target.kind === 'redirect') response.redirect(302, target.origin + request.path + queryOf(request));
    else if (target.kind === 'market') await this.#marketplace(request, response);
    else if (target.kind === 'site') await this.#site(target.name, request, response);
    else throw new RelaymintError('NAME_INVALID', 'No name reads like this.', { remedy: 'Try demo-web3.localhost.' });
  }

  async #marketplace(request: Request, response: Response): Promise<void> {
    response.set({
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      // Sites that this gateway shows are neighbours here, and strangers.
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Cross-Origin-Opener-Policy': 'same-origin',
    });
    if (request.path === '/api/market') await this.#market.snapshot(response);
    else if (request.path === '/api/market/events' && request.method === 'GET')
      await this.#market.watch(request, response);
    else if (!(await this.#page.send(request.path, response))) {
      sendMessage(response, {
        status: 404,
        title: 'There is no such page',
        text: 'The marketplace is at the front page. A site is at an address like demo-web3.localhost.',
      });
    }
  }

  async #site(name: string, request: Request, response: Response): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort(new DOMException('The visitor left', 'AbortError')));
    this.#open.add(gone);
    let endTurn: (() => void) | undefined;
    try {
      endTurn = await this.#turns.begin(gone.signal);
      await serveSite(this.#options, name, request, response, gone.signal);
    } catch (error) {
      if (response.closed || gone.signal.aborted) return;
      this.#log.debug({ name, path: request.path, err: error }, 'A page could not be served.');
      throw error;
    } finally {
      this.#open.delete(gone);
      endTurn?.();
    }
  }

  #fail(error: unknown, response: Response): void {
    if (!isRelaymintError(error)) this.#log.error({ err: error }, 'A request failed; this is a fault of ours.');
    // Too late for a page: a cut connection is how HTTP says that this was not the whole file.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    for (const header of ['Content-Length', 'Content-Range', 'ETag', 'Accept-Ranges']) response.removeHeader(header);
    const message = messageFor(error);
    if (message.status === 503) response.set('Retry-After', '5');
    sendMessage(response, message);
  }
}

function cannotListen(port: number, cause: Error): RelaymintError {
  const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
  const message = taken ? `Port ${port} is taken.` : `Port ${port}: ${cause.message}.`;
  return new RelaymintError(taken ? 'ADDRESS_IN_USE' : 'INVALID_CONFIG', message, {
    remedy: 'Choose another port for the gateway.',
    cause,
  });
}
