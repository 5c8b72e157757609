/** The visitor's side of the `content` service: pipelined requests on one stream, every block checked against its CID. */
import { randomBytes } from 'node:crypto';
import type { CID } from 'multiformats/cid';
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError, violation } from '../../core/errors.ts';
import {
  BLOCK_WAIT_MILLIS,
  FIRST_ANSWER_MILLIS,
  MAX_BLOCKS_IN_FLIGHT,
  MAX_STATEMENT_BYTES,
  STATEMENT_EVERY_BYTES,
  STATEMENT_REST_MILLIS,
} from '../../core/limits.ts';
import { blockMissing, checkCarried, verifyBlock } from '../blocks/index.ts';
import type { BlockReader, PaidStream } from '../blocks/contract.ts';
import { NONCE_BYTES, hourOf, type SignedStatement } from '../statement/index.ts';
import { STATUS_NOT_FOUND, STATUS_OK, encodeRequest, readAnswerHeader, statementCid } from './protocol.ts';
import { checkStated, type Statements } from './stated.ts';
import { ByteReader, Padding } from '../wire/index.ts';

export interface ContentClientOptions {
  /** How long the next answer may take, milliseconds. */
  readonly waitMillis?: number;
  /** How long it may take until the first one begins, milliseconds; `waitMillis` if that is less. */
  readonly firstAnswerMillis?: number;
  /** What the host is to state of what it delivers. Absent: it is not asked. */
  readonly statements?: Statements;
}

export interface ContentClient extends BlockReader {
  /**
   * @throws RelaymintError CONTENT_NOT_FOUND, CONTENT_REFUSED (the host does not keep this name; the stream stays usable);
   * CONTENT_CORRUPT, PROTOCOL_VIOLATION, LIMIT_EXCEEDED, TIMEOUT, STREAM_RESET (the stream is gone, and all that waited on
   * it fails alike); the signal's reason.
   */
  get(cid: CID, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
  readonly isOpen: boolean;
  /** Something came. */
  readonly answered: boolean;
  /** Blocks still on their way, wanted or not. */
  readonly pending: number;
  /**
   * Asks for a statement of all that came, unless there is one. Resolves when it is there, or nothing will come; never rejects. Without this
   * it is asked for each STATEMENT_EVERY_BYTES.
   */
  state(): Promise<void>;
  /** Nobody needs the stream now: unless it is used again soon, a statement is asked for. */
  rest(): void;
  close(): void;
}

/** Speaks over a stream that was opened with `encodeContentParams(name)`. Takes over the stream. */
export function createContentClient(stream: PaidStream, options: ContentClientOptions = {}): ContentClient {
  const { waitMillis = BLOCK_WAIT_MILLIS, firstAnswerMillis = FIRST_ANSWER_MILLIS } = options;
  const client = new StreamClient(stream, waitMillis, Math.min(firstAnswerMillis, waitMillis), options.statements);
  client.start();
  return client;
}

interface Waiting {
  readonly id: number;
  readonly cid: CID;
  /** It is a statement, not a block. */
  readonly isStatement: boolean;
  readonly done: (block: Uint8Array) => void;
  readonly fail: (error: unknown) => void;
}

const FETCHING = 'Fetching a block';

class StreamClient implements ContentClient {
  readonly #stream: PaidStream;
  readonly #waitMillis: number;
  readonly #firstAnswerMillis: number;
  answered: boolean = false;
  /** Asked and not answered, oldest first: the host answers in this order. */
  readonly #asked: Waiting[] = [];
  readonly #queued: Waiting[] = [];
  #nextId = 1;
  readonly #padding: Padding;
  #ended: RelaymintError | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #statements: Statements | undefined;
  /** Of this stream, in its statements. */
  readonly #nonce = randomBytes(NONCE_BYTES);
  /** The hour in which it began. */
  readonly #since: number;
  /** Bytes of blocks that came, and those of them that the host has stated. */
  #delivered = 0;
  #stated = 0;
  #stating: Promise<void> | undefined;
  /** It failed to state once, and is not asked again on this stream. */
  #isDoubtful = false;
  #resting: NodeJS.Timeout | undefined;

  constructor(stream: PaidStream, waitMillis: number, firstAnswerMillis: number, statements: Statements | undefined) {
    this.#stream = stream;
    this.#padding = new Padding(stream);
    this.#waitMillis = waitMillis;
    this.#firstAnswerMillis = firstAnswerMillis;
    this.#statements = statements;
    this.#since = statements === undefined ? 0 : hourOf(statements.clock.now());
  }

  start(): void {
    this.#stream.on('error', (error) => this.#end(asRelaymint(error)));
    this.#stream.once('close', () => this.#end(reset()));
    this.#receive().then(
      () => this.#end(reset()),
      (error: unknown) => this.#end(asRelaymint(error)),
    );
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  get pending(): number {
    return [...this.#asked, ...this.#queued].filter(({ isStatement }) => !isStatement).length;
  }

  get(cid: CID, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      assertNotAborted(signal, FETCHING);
      if (this.#ended !== undefined) throw this.#ended;
      clearTimeout(this.#resting);
      const giveUp = (): void => {
        const index = this.#queued.indexOf(waiting);
        if (index >= 0) this.#queued.splice(index, 1);
        if (signal !== undefined) reject(abortError(signal, FETCHING));
      };
      const waiting: Waiting = {
        id: this.#nextId,
        cid: checkCarried(cid),
        isStatement: false,
        done: (block) => {
          tie[Symbol.dispose]();
          resolve(block);
        },
        fail: (error) => {
          tie[Symbol.dispose]();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      };
      this.#nextId = (this.#nextId + 1) >>> 0;
      const tie = onAbort(signal, giveUp);
      this.#queued.push(waiting);
      this.#ask();
    });
  }

  async state(): Promise<void> {
    // What came while one was under way is not in that one.
    while (this.#lacksStatement) await this.#stateOnce();
  }

  rest(): void {
    clearTimeout(this.#resting);
    if (!this.#lacksStatement) return;
    this.#resting = setTimeout(() => void this.state(), STATEMENT_REST_MILLIS);
    this.#resting.unref();
  }

  close(): void {
    this.#end(closed());
  }

  get #lacksStatement(): boolean {
    return this.#statements !== undefined && this.isOpen && !this.#isDoubtful && this.#stated < this.#delivered;
  }

  #stateOnce(): Promise<void> {
    this.#stating ??= this.#askStatement().finally(() => {
      this.#stating = undefined;
    });
    return this.#stating;
  }

  /** What it comes to neither ends the stream nor holds it up. Never rejects. */
  async #askStatement(): Promise<void> {
    const statements = this.#statements;
    if (statements === undefined) return;
    let statement: SignedStatement;
    try {
      const [encoded, bytes] = await new Promise<[Uint8Array, number]>((resolve, fail) => {
        // Before the blocks that wait: of a long file it would come at the end.
        this.#queued.unshift({
          id: this.#nextId,
          cid: statementCid(this.#nonce),
          isStatement: true,
          // Answers come in order: it states all that came until now.
          done: (block) => resolve([block, this.#delivered]),
          fail,
        });
        this.#nextId = (this.#nextId + 1) >>> 0;
        this.#ask();
      });
      statement = checkStated(encoded, statements, { nonce: this.#nonce, bytes, since: this.#since });
      this.#stated = bytes;
    } catch (error) {
      this.#isDoubtful = true;
      statements.onFault(asRelaymint(error));
      return;
    }
    statements.onStated(statement);
  }

  #ask(): void {
    while (this.#asked.length < MAX_BLOCKS_IN_FLIGHT && this.#ended === undefined) {
      const next = this.#queued.shift();
      if (next === undefined) return;
      this.#asked.push(next);
      if (this.#asked.length === 1) this.#watch();
      // At most MAX_BLOCKS_IN_FLIGHT requests of some 42 bytes wait in the stream: no need to wait for drain.
      this.#stream.write(encodeRequest(next.id, next.cid));
    }
  }

  async #receive(): Promise<void> {
    const reader = new ByteReader(this.#stream, () => {
      this.#padding.check();
      if (this.answered) return;
      this.answered = true;
      this.#watch();
    });
    for (;;) {
      const header = await readAnswerHeader(reader);
      if (header === undefined) return;
      const head = this.#asked[0];
      if (head === undefined || head.id !== header.id) {
        throw violation('The host answered a request that was not made.', 'Use another host.');
      }
      this.#padding.answered();
      if (head.isStatement && header.length > MAX_STATEMENT_BYTES) {
        throw violation(`The host announced a statement of ${header.length} bytes.`, 'Use another host.');
      }
      const block = await reader.take(header.length);
      if (header.status === STATUS_OK && !head.isStatement) {
        verifyBlock(head.cid, block);
        this.#delivered += block.length;
      }
      this.#asked.shift();
      this.#watch();
      if (this.#lacksStatement && this.#delivered - this.#stated >= STATEMENT_EVERY_BYTES) void this.#stateOnce();
      this.#ask();
      if (header.status === STATUS_OK) head.done(block);
      else if (header.status === STATUS_NOT_FOUND) head.fail(blockMissing(head.cid));
      else head.fail(notKept());
    }
  }

  /** Restarts the clock for the answer that is due next. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#asked.length === 0) return;
    const millis = this.answered ? this.#waitMillis : this.#firstAnswerMillis;
    const what = this.answered ? 'deliver a block' : 'answer';
    this.#timer = setTimeout(() => {
      this.#end(
        new RelaymintError('TIMEOUT', `The host did not ${what} within ${millis / 1000} seconds.`, {
          remedy: 'Another host is tried.',
        }),
      );
    }, millis);
  }

  #end(error: RelaymintError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    clearTimeout(this.#timer);
    clearTimeout(this.#resting);
    // The other end is told only of a fault; closing is not one.
    if (!this.#stream.destroyed) this.#stream.destroy(error.code === 'CLOSED' ? undefined : error);
    const all = [...this.#asked.splice(0), ...this.#queued.splice(0)];
    // A fault that blocks report is not reported of a statement as well.
    const isReported = all.some(({ isStatement }) => !isStatement);
    for (const waiting of all) waiting.fail(waiting.isStatement && isReported ? closed() : error);
  }
}

function closed(): RelaymintError {
  return new RelaymintError('CLOSED', 'The content stream was closed.', { remedy: 'Open another.' });
}

function reset(cause?: unknown): RelaymintError {
  return new RelaymintError('STREAM_RESET', 'The host closed the content stream.', {
    remedy: 'It is opened again for the next request.',
    ...(cause !== undefined && { cause }),
  });
}

function notKept(): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', 'The host does not keep this name.', { remedy: 'Ask another host.' });
}

function asRelaymint(error: unknown): RelaymintError {
  return error instanceof RelaymintError ? error : reset(error);
}
