/** The visitor's side of the `content` service: pipelined requests on one stream, every block checked against its CID. */
import type { CID } from 'multiformats/cid';
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError, violation } from '../../core/errors.ts';
import {
  BLOCK_WAIT_MILLIS,
  CONTENT_PADDING,
  CONTENT_PADDING_PER_ANSWER,
  FIRST_ANSWER_MILLIS,
  MAX_BLOCKS_IN_FLIGHT,
} from '../../core/limits.ts';
import { blockMissing, checkCarried, verifyBlock } from '../blocks/index.ts';
import type { BlockReader, PaidStream } from '../blocks/contract.ts';
import { STATUS_NOT_FOUND, STATUS_OK, encodeRequest, readAnswerHeader } from './protocol.ts';
import { ByteReader } from '../wire/index.ts';

export interface ContentClientOptions {
  /** How long the next answer may take, milliseconds. */
  readonly waitMillis?: number;
  /** How long it may take until the first one begins, milliseconds; `waitMillis` if that is less. */
  readonly firstAnswerMillis?: number;
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
  /** Answers still on their way, wanted or not. */
  readonly pending: number;
  close(): void;
}

/** Speaks over a stream that was opened with `encodeContentParams(name)`. Takes over the stream. */
export function createContentClient(stream: PaidStream, options: ContentClientOptions = {}): ContentClient {
  const { waitMillis = BLOCK_WAIT_MILLIS, firstAnswerMillis = FIRST_ANSWER_MILLIS } = options;
  const client = new StreamClient(stream, waitMillis, Math.min(firstAnswerMillis, waitMillis));
  client.start();
  return client;
}

interface Waiting {
  readonly id: number;
  readonly cid: CID;
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
  /** Padding beyond what honest hosts send, bytes, and what it was reckoned from. */
  #padding = 0;
  #cellBytes = 0;
  #dataBytes = 0;
  #ended: RelaymintError | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: PaidStream, waitMillis: number, firstAnswerMillis: number) {
    this.#stream = stream;
    this.#waitMillis = waitMillis;
    this.#firstAnswerMillis = firstAnswerMillis;
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
    return this.#asked.length + this.#queued.length;
  }

  get(cid: CID, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      assertNotAborted(signal, FETCHING);
      if (this.#ended !== undefined) throw this.#ended;
      const giveUp = (): void => {
        const index = this.#queued.indexOf(waiting);
        if (index >= 0) this.#queued.splice(index, 1);
        if (signal !== undefined) reject(abortError(signal, FETCHING));
      };
      const waiting: Waiting = {
        id: this.#nextId,
        cid: checkCarried(cid),
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

  close(): void {
    this.#end(new RelaymintError('CLOSED', 'The content stream was closed.', { remedy: 'Open another.' }));
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
      this.#checkPadding();
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
      this.#padding -= CONTENT_PADDING_PER_ANSWER;
      const block = await reader.take(header.length);
      if (header.status === STATUS_OK) verifyBlock(head.cid, block);
      this.#asked.shift();
      this.#watch();
      this.#ask();
      if (header.status === STATUS_OK) head.done(block);
      else if (header.status === STATUS_NOT_FOUND) head.fail(blockMissing(head.cid));
      else head.fail(notKept());
    }
  }

  /**
   * The host is paid for whole cells: one that sends nearly empty ones earns many times what its blocks are worth. Well-filled ones save up
   * nothing for later.
   */
  #checkPadding(): void {
    const { cellBytesReceived = 0, dataBytesReceived = 0 } = this.#stream;
    const [cells, data] = [cellBytesReceived - this.#cellBytes, dataBytesReceived - this.#dataBytes];
    this.#cellBytes = cellBytesReceived;
    this.#dataBytes = dataBytesReceived;
    this.#padding = Math.max(0, this.#padding) + cells - 2 * data;
    if (this.#padding <= CONTENT_PADDING) return;
    throw violation(
      `The host sent ${cellBytesReceived} bytes of cells with ${dataBytesReceived} bytes in them.`,
      'Another host is tried.',
    );
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
    // The other end is told only of a fault; closing is not one.
    if (!this.#stream.destroyed) this.#stream.destroy(error.code === 'CLOSED' ? undefined : error);
    for (const waiting of [...this.#asked.splice(0), ...this.#queued.splice(0)]) waiting.fail(error);
  }
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
