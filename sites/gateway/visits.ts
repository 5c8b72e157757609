/** Visits to names: each has its turn, and ends when its visitor leaves or the gateway stops. */
import type { Request, Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_GATEWAY_QUEUE, MAX_GATEWAY_REQUESTS } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import type { NameHandler } from './contract.ts';
import { Turns } from './turns.ts';

export class Visits {
  readonly #log: Log;
  readonly #turns = new Turns(MAX_GATEWAY_REQUESTS, MAX_GATEWAY_QUEUE);
  /** What each visit under way is stopped with. */
  readonly #open = new Set<AbortController>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** @throws RelaymintError LIMIT_EXCEEDED, and what `answer` throws; nothing once the visitor has left. */
  async serve(name: string, request: Request, response: Response, answer: NameHandler['answer']): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort(new RelaymintError('ABORTED', 'The visitor left.')));
    this.#open.add(gone);
    let endTurn: (() => void) | undefined;
    try {
      endTurn = await this.#turns.begin(gone.signal);
      await answer({ name, request, response, signal: gone.signal });
    } catch (error) {
      if (response.closed || gone.signal.aborted) return;
      this.#log.debug({ name, path: request.path, err: error }, 'A page could not be served.');
      throw error;
    } finally {
      this.#open.delete(gone);
      endTurn?.();
    }
  }

  /** Ends those under way. */
  close(reason: RelaymintError): void {
    for (const visit of this.#open) visit.abort(reason);
  }
}
