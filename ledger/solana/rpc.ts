/** The only access to a Solana node: retries what may be repeated, and reports when nobody answers. */
import { Connection, SendTransactionError, SolanaJSONRPCError } from '@solana/web3.js';
import { z } from 'zod';
import { following, pause, type Following } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { silentLog } from '../../core/ports.ts';
import type { Log } from '../../core/ports.ts';
import type { SolanaLedgerOptions } from './options.ts';

const DEFAULT_TIMEOUT_MILLIS = 30_000;
/** Tries of one request: with the pauses between them about three seconds, a restart of a local ledger. */
const TRIES = 5;
/** Between them; a quarter of each is drawn. */
const PAUSES: Backoff = { first: 200, last: 1_600 };
/** All tills or names of a ledger in one answer; a longer one cannot answer any of our questions. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Statuses of a node or a proxy that is busy or restarting. */
const PASSING_STATUSES = [408, 425, 429, 500, 502, 503, 504];
/** Errors of a transport policy's `fetch` for a node that is down or restarting. */
const PASSING_FAILURES: readonly ErrorCode[] = ['CONNECTION_REFUSED', 'CONNECTION_LOST', 'TIMEOUT'];
/** JSON-RPC codes of a node that is behind the cluster or restarting. */
const PASSING_CODES = [-32004, -32005, -32014, -32016];

export class Rpc {
  readonly connection: Connection;
  readonly #url: string;
  readonly #origin: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMillis: number;
  readonly #log: Log;
  /**
   * What is under way, a controller each. Not one signal for all of them: on Node 20 AbortSignal.any over a long-lived
   * signal leaks a little with every request, and a signal warns of more than ten listeners.
   */
  readonly #underWay = new Set<Pick<Following, 'abort'>>();
  #closed = false;

  /** @throws RelaymintError INVALID_CONFIG when the URL is not an http(s) one. */
  constructor(options: Pick<SolanaLedgerOptions, 'url' | 'fetch' | 'timeoutMillis' | 'log'>) {
    this.#url = options.url;
    this.#origin = originOf(options.url);
    this.#fetch = options.fetch;
    this.#timeoutMillis = options.timeoutMillis ?? DEFAULT_TIMEOUT_MILLIS;
    this.#log = options.log ?? silentLog;
    this.connection = new Connection(options.url, {
      commitment: 'confirmed',
      disableRetryOnRateLimit: true,
      // Not web3.js' own agent: every socket belongs to `fetch`.
      httpAgent: false,
      // Nor its own header: it would show which library asks, and its version.
      fetch: (input, init) => this.#request(input, { ...init, headers: JSON_HEADERS }),
    });
  }

  /** Ends what is under way; every later question is refused with CLOSED. */
  close(): void {
    this.#closed = true;
    for (const stop of this.#underWay) stop.abort(closedError());
  }

  /**
   * Asks the node. @throws RelaymintError LEDGER_UNREACHABLE, CLOSED; LEDGER_REJECTED when it answers with an error.
   * A SendTransactionError passes: it is the caller's to read.
   */
  async ask<T>(question: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#asked(question, TRIES);
  }

  /** As `ask`, for what must not be repeated. LEDGER_UNREACHABLE leaves open whether it arrived. */
  async tell<T>(order: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#asked(order, 1);
  }

  /**
   * Asks a question that web3.js cannot ask, or whose answer it cannot read. Numbers above 2^53 are rounded. Retried as
   * by `ask`; errors as there. An answer of another shape is asked for again, like a missing one.
   */
  async call<T>(method: string, params: readonly unknown[], shape: z.ZodType<T>): Promise<T> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    return this.ask(async () => {
      const response = await this.#request(this.#url, { method: 'POST', headers: JSON_HEADERS, body });
      const answer = rpcAnswer.safeParse(await response.json());
      if (!answer.success) throw new SyntaxError('no JSON-RPC answer');
      const { error, result } = answer.data;
      if (error !== undefined) throw new SolanaJSONRPCError(error);
      const checked = shape.safeParse(result);
      if (!checked.success) throw new SyntaxError(`an answer to ${method} of no known form`);
      return checked.data;
    });
  }

  async #asked<T>(question: (connection: Connection) => Promise<T>, tries: number): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await question(this.connection);
      } catch (error) {
        if (error instanceof SendTransactionError || isRelaymintError(error)) throw error;
        const passing = passingReason(error);
        if (passing === undefined) throw this.#rejected(error);
        if (attempt === tries) throw this.#unreachable(passing, error);
        await this.#pause(attempt);
      }
    }
  }

  /** Waits for `what`; ends early with CLOSED when the ledger is closed, or with ABORTED and that remedy when the signal ends. */
  async wait(millis: number, signal?: AbortSignal, what = 'Waiting for the ledger', remedy?: string): Promise<void> {
    if (this.#closed) throw closedError();
    using stop = following(signal);
    this.#underWay.add(stop);
    try {
      await pause(millis, stop.signal, what, remedy);
    } finally {
      this.#underWay.delete(stop);
    }
  }

  async #request(input: string | URL | Request, init: RequestInit): Promise<Response> {
    // An airdrop that was granted, but whose answer was lost, would be granted again; and the sender of a transaction must
    // know whether an answer was lost, because then it may be on its way.
    const repeatable = !(typeof init.body === 'string' && ONCE.test(init.body));
    for (let attempt = 1; ; attempt += 1) {
      if (this.#closed) throw closedError();
      let failure: RelaymintError;
      try {
        const { response, body } = await this.#answer(input, init);
        if (response.ok) return new Response(body, { status: response.status, headers: JSON_HEADERS });
        failure = this.#refusal(response.status);
        if (!PASSING_STATUSES.includes(response.status)) throw failure;
      } catch (cause) {
        if (this.#closed) throw closedError();
        // What the transport policy forbids, and what will not change, is not tried again; a ledger that is down is.
        if (isRelaymintError(cause) && !isRelaymintError(cause, ...PASSING_FAILURES)) throw cause;
        failure = this.#unreachable(reasonOf(cause), cause);
      }
      if (!repeatable || attempt === TRIES) throw failure;
      this.#log.debug({ ledger: this.#origin, attempt, err: failure }, 'asking the ledger again');
      await this.#pause(attempt);
    }
  }

  /** One try, within the time limit. The timer is held here: a signal made of signals may be collected before it fires. */
  async #answer(
    input: string | URL | Request,
    init: RequestInit,
  ): Promise<{ readonly response: Response; readonly body: string }> {
    const controller = new AbortController();
    const end = (): void => controller.abort(new DOMException('no answer in time', 'TimeoutError'));
    const timer = setTimeout(end, this.#timeoutMillis);
    this.#underWay.add(controller);
    try {
      const response = await this.#fetch(input, { ...init, signal: controller.signal });
      return { response, body: await boundedText(response) };
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(controller);
    }
  }

  /** Twice as long each time, a quarter of it at random so that many clients do not come back at once. */
  #pause(attempt: number): Promise<void> {
    return this.wait(backoff(attempt, PAUSES) * (0.75 + Math.random() / 4));
  }

  #refusal(status: number): RelaymintError {
    if (status === 401 || status === 403) {
      return new RelaymintError(
        'LEDGER_UNREACHABLE',
        `The ledger at ${this.#origin} refuses access (HTTP ${status}).`,
        {
          remedy: 'Check the API key in the ledger URL.',
          details: { status },
        },
      );
    }
    return this.#unreachable(`HTTP ${status}`, undefined, { status });
  }

  #unreachable(reason: string, cause?: unknown, details: { readonly status?: number } = {}): RelaymintError {
    return new RelaymintError('LEDGER_UNREACHABLE', `The ledger at ${this.#origin} does not answer: ${reason}.`, {
      remedy: 'Start it, or check the ledger URL and the network.',
      cause,
      details,
    });
  }

  #rejected(cause: unknown): RelaymintError {
    return new RelaymintError('LEDGER_REJECTED', `The ledger at ${this.#origin} refused: ${messageOf(cause)}.`, {
      remedy: 'Check that the URL is that of a Solana RPC node.',
      cause,
    });
  }
}

const rpcAnswer = z.object({
  result: z.unknown().optional(),
  error: z.object({ code: z.number(), message: z.string() }).optional(),
});

const ONCE = /"(?:requestAirdrop|sendTransaction)"/;

/** Why the same question may be answered later; undefined when it never will. */
function passingReason(error: unknown): string | undefined {
  if (error instanceof SolanaJSONRPCError) {
    return PASSING_CODES.includes(Number(error.code)) ? `it is behind its cluster (${String(error.code)})` : undefined;
  }
  // Cut off, or changed by something in between; or it is not a Solana node.
  const garbled = error instanceof SyntaxError || (error instanceof Error && error.name === 'StructError');
  return garbled ? 'its answer is not that of a Solana RPC node' : undefined;
}

const JSON_HEADERS = { 'content-type': 'application/json' };

function originOf(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // Neither quoted nor with a cause: a malformed URL may contain a key.
    throw badUrl();
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw badUrl();
  return parsed.origin;
}

function badUrl(): RelaymintError {
  return new RelaymintError('INVALID_CONFIG', 'The ledger URL is not an http or https address.', {
    remedy: 'Use a URL such as http://127.0.0.1:8899.',
  });
}

function closedError(): RelaymintError {
  return new RelaymintError('CLOSED', 'The ledger was closed.', { remedy: 'Open it again.' });
}

/** "fetch failed" says nothing; its cause does. */
function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'it took too long';
  const inner = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (inner instanceof Error && 'code' in inner && typeof inner.code === 'string') return inner.code;
  return error instanceof TypeError ? 'the connection failed' : 'the request failed';
}

async function boundedText(response: Response): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new RelaymintError('LEDGER_REJECTED', `The ledger's answer is longer than ${MAX_ANSWER_BYTES} bytes.`, {
        remedy: 'Check that the URL is that of a Solana RPC node.',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
