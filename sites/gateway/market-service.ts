/** The market's figures as JSON and as a live stream of events. One question to the composition root serves all watchers. */
import type { Request, Response } from 'express';
import { MAX_MARKET_WATCHERS } from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { marketViewSchema } from './market.ts';
import type { MarketView } from './market.ts';

/** How often watchers get news, milliseconds. Also how old an answer to /api/market may be. */
const TICK_MILLIS = 1000;
/** A comment this often keeps a quiet connection open through proxies and our own idle limit, milliseconds. */
const HEARTBEAT_MILLIS = 15_000;

export interface MarketServiceOptions {
  readonly market: () => Promise<MarketView>;
  readonly clock: Clock;
  readonly log: Log;
}

export class MarketService {
  readonly #options: MarketServiceOptions;
  readonly #watchers = new Set<Response>();
  #latest: { readonly text: string; readonly at: number } | undefined;
  #asking: Promise<string> | undefined;
  #telling: AsyncDisposable | undefined;
  #sent = '';
  #sentAt = 0;

  constructor(options: MarketServiceOptions) {
    this.#options = options;
  }

  /** GET /api/market */
  async snapshot(response: Response): Promise<void> {
    const text = await this.#read();
    response.set({ 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' }).send(text);
  }

  /** GET /api/market/events: server-sent events, one whole view whenever something changed. */
  async watch(request: Request, response: Response): Promise<void> {
    if (this.#watchers.size >= MAX_MARKET_WATCHERS) {
      response.status(503).set('Retry-After', '30').send('Too many pages watch this marketplace.\n');
      return;
    }
    const text = await this.#read();
    response.set({ 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-store' });
    response.write(`retry: 2000\n\ndata: ${text}\n\n`);
    // It may have seen other figures than those sent last, so it gets the next ones in any case.
    if (withoutTime(text) !== this.#sent) this.#sent = '';
    this.#watchers.add(response);
    request.once('close', () => this.#leave(response));
    response.once('close', () => this.#leave(response));
    this.#telling ??= repeat({
      everyMillis: TICK_MILLIS,
      work: () => this.#tell(),
      what: 'reading the marketplace figures',
      log: this.#options.log,
    });
  }

  async close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.end();
    this.#watchers.clear();
    await this.#stopTelling();
  }

  async #tell(): Promise<void> {
    const text = await this.#read();
    const now = this.#options.clock.now();
    if (withoutTime(text) === this.#sent && now - this.#sentAt < HEARTBEAT_MILLIS) return;
    const news = withoutTime(text) === this.#sent ? ': still here\n\n' : `data: ${text}\n\n`;
    this.#sent = withoutTime(text);
    this.#sentAt = now;
    for (const watcher of this.#watchers) {
      // A watcher that does not read what it was sent gets no more.
      if (watcher.writableNeedDrain) watcher.destroy();
      else watcher.write(news);
    }
  }

  async #read(): Promise<string> {
    if (this.#latest !== undefined && this.#options.clock.now() - this.#latest.at < TICK_MILLIS / 2) {
      return this.#latest.text;
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return await this.#asking;
  }

  async #ask(): Promise<string> {
    const text = JSON.stringify(marketViewSchema.parse(await this.#options.market()));
    this.#latest = { text, at: this.#options.clock.now() };
    return text;
  }

  #leave(response: Response): void {
    this.#watchers.delete(response);
    if (this.#watchers.size > 0) return;
    void this.#stopTelling();
  }

  async #stopTelling(): Promise<void> {
    const telling = this.#telling;
    this.#telling = undefined;
    await telling?.[Symbol.asyncDispose]();
  }
}

/** Without the time of reading: a new time alone is not a change. */
function withoutTime(text: string): string {
  return text.replace(/"(?:updatedAt|at)":\d+/g, '');
}
