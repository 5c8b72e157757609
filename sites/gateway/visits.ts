/** Visits to names: each has its turn, and ends when its visitor leaves, takes nothing while others wait, or the gateway stops. */
import { isIP } from 'node:net';
import type { Request, Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import {
  GATEWAY_QUEUE_MILLIS,
  MAX_GATEWAY_QUEUE,
  MAX_GATEWAY_REQUESTS,
  STALLED_VISIT_MILLIS,
} from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import { customerOf } from '../../platform/customer.ts';
import type { NameHandler } from './contract.ts';
import { Lines } from './lines.ts';
import { Pace, ReadersAhead } from './paced.ts';
import { Turns } from './turns.ts';

export interface VisitsOptions {
  readonly log: Log;
  /** A proxy of ours says who asks (X-Forwarded-For); everybody would be the proxy else. Default false. */
  readonly isProxied?: boolean;
  /** How long a request waits for its turn. Default GATEWAY_QUEUE_MILLIS. */
  readonly queueMillis?: number;
  /** Monotonic. */
  readonly now?: () => number;
}

/** A request that has its turn. */
interface Visit {
  readonly name: string;
  readonly client: string;
  readonly response: Response;
  readonly gone: AbortController;
  readonly pace: Pace;
}

export class Visits {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #isProxied: boolean;
  readonly #turns: Turns;
  readonly #ahead = new ReadersAhead();
  readonly #lines = new Lines();
  /** Those that have their turn. */
  readonly #open = new Set<Visit>();
  /** What ends each request, those that wait included. */
  readonly #asked = new Set<AbortController>();

  constructor({
    log,
    isProxied = false,
    queueMillis = GATEWAY_QUEUE_MILLIS,
    now = () => performance.now(),
  }: VisitsOptions) {
    this.#log = log;
    this.#now = now;
    this.#isProxied = isProxied;
    this.#turns = new Turns({ most: MAX_GATEWAY_REQUESTS, mostWaiting: MAX_GATEWAY_QUEUE, waitMillis: queueMillis });
  }

  /** @throws RelaymintError LIMIT_EXCEEDED, and what `answer` throws; nothing once the visitor has left. */
  async serve(name: string, request: Request, response: Response, answer: NameHandler['answer']): Promise<void> {
    const gone = new AbortController();
    this.#asked.add(gone);
    try {
      await this.#lines.wait(request.socket, response, gone);
      const client = clientOf(request, this.#isProxied);
      if (this.#turns.isBusy(client)) this.#cutStalled(client);
      const endTurn = await this.#turns.begin(client, gone.signal);
      const pace = new Pace(response, this.#ahead, this.#now);
      await this.#answer({ name, client, response, gone, pace }, request, answer, endTurn);
    } catch (error) {
      if (response.closed || gone.signal.aborted) return;
      this.#log.debug({ name, path: request.path, err: error }, 'A page could not be served.');
      throw error;
    } finally {
      this.#asked.delete(gone);
    }
  }

  /** Ends those under way. */
  close(reason: RelaymintError): void {
    for (const gone of this.#asked) gone.abort(reason);
  }

  /** The turn ends with the last byte that the visitor takes: until then what is sent is held. */
  async #answer(visit: Visit, request: Request, answer: NameHandler['answer'], endTurn: () => void): Promise<void> {
    const { name, client, response, gone, pace } = visit;
    const leave = (): void => {
      pace[Symbol.dispose]();
      this.#open.delete(visit);
      endTurn();
    };
    this.#open.add(visit);
    try {
      await answer({
        name,
        client,
        request,
        response,
        signal: gone.signal,
        paced: (blocks) => pace.of(blocks),
        endTurn,
      });
    } catch (error) {
      leave();
      throw error;
    }
    pace.touch();
    if (response.writableEnded && !response.closed) response.once('close', leave);
    else leave();
  }

  /**
   * All turns are taken: the visitor that has taken nothing for the longest makes way. One that reads at all does so more often, and
   * fetches the rest by range. Where one client has its whole share, it is one of its own.
   */
  #cutStalled(client: string): void {
    let slowest: Visit | undefined;
    for (const visit of this.#open) {
      if (this.#turns.hasShare(client) && visit.client !== client) continue;
      if (visit.pace.stalledMillis > (slowest?.pace.stalledMillis ?? STALLED_VISIT_MILLIS)) slowest = visit;
    }
    if (slowest === undefined) return;
    const { name, response, gone, pace } = slowest;
    this.#log.info({ name, stalledMillis: Math.round(pace.stalledMillis) }, 'A visitor that takes nothing made way.');
    gone.abort(new RelaymintError('ABORTED', 'The visitor took nothing for too long while others waited.'));
    response.destroy();
  }
}

/** Who asks, by the address. What stands last in X-Forwarded-For the nearest proxy has written; before that anybody may write. */
function clientOf({ socket, headers }: Request, isProxied: boolean): string {
  const forwarded = isProxied ? headers['x-forwarded-for'] : undefined;
  const last = forwarded?.toString().split(',').at(-1)?.trim();
  return customerOf(last === undefined || isIP(last) === 0 ? (socket.remoteAddress ?? '') : last);
}
