/** The other side of `feed`, `update` and `post`: pages of entries one after the other, and entries that are brought. */
import { onAbort, abortError, assertNotAborted, deadline, orAborted } from '../../core/abort.ts';
import { RelaymintError, type ErrorCode } from '../../core/errors.ts';
import { BLOCK_WAIT_MILLIS, CONTENT_IDLE_MILLIS } from '../../core/limits.ts';
import type { PaidStream } from '../blocks/contract.ts';
import { ByteReader, Padding, violation, writeAll } from '../wire/index.ts';
import type { SignedEntry } from './contract.ts';
import {
  encodeEntryHead,
  encodePageWanted,
  readPage,
  readTaken,
  type Page,
  type PageWanted,
  type Refusal,
} from './protocol.ts';

interface Options {
  readonly signal: AbortSignal;
}

const ASKING = 'Asking for entries';
const BRINGING = 'Bringing an entry';

/** Codes that a host may state; any other becomes CONTENT_REFUSED. */
const HOST_CODES: readonly ErrorCode[] = [
  'CONTENT_REFUSED',
  'ENTRY_INVALID',
  'ENTRY_STALE',
  'LIMIT_EXCEEDED',
  'STORAGE_FULL',
];

/** Asks over a stream that was opened with `encodeContentParams`, one page at a time. Takes over the stream. */
export class FeedReader implements Disposable {
  readonly #stream: PaidStream;
  readonly #padding: Padding;
  readonly #reader: ByteReader;

  constructor(stream: PaidStream) {
    this.#stream = stream;
    // What broke it is told by whoever reads.
    stream.on('error', () => undefined);
    this.#padding = new Padding(stream);
    this.#reader = new ByteReader(stream, () => this.#padding.check());
  }

  /**
   * @throws RelaymintError CONTENT_REFUSED (the host does not keep the name), LIMIT_EXCEEDED,
   * PROTOCOL_VIOLATION, STREAM_RESET, TIMEOUT, ABORTED. The stream is of no use then.
   */
  async page(wanted: PageWanted, { signal }: Options): Promise<Page> {
    using limit = deadline(wanted.waits ? CONTENT_IDLE_MILLIS : BLOCK_WAIT_MILLIS, ASKING, signal);
    using _stop = onAbort(limit.signal, () => this.#stream.destroy(abortError(limit.signal, ASKING)));
    assertNotAborted(limit.signal, ASKING);
    this.#padding.answered();
    await writeAll(this.#stream, encodePageWanted(wanted));
    const answer = await orAborted(readPage(this.#reader), limit.signal, ASKING);
    if ('code' in answer) throw refusalOf(answer);
    assertOnward(answer, wanted);
    return answer;
  }

  [Symbol.dispose](): void {
    if (!this.#stream.destroyed) this.#stream.destroy();
  }
}

/** Brings entries over a stream that was opened with `encodeWriteParams`, one at a time. Takes over the stream. */
export class EntryWriter implements Disposable {
  readonly #stream: PaidStream;
  readonly #padding: Padding;
  readonly #reader: ByteReader;

  constructor(stream: PaidStream) {
    this.#stream = stream;
    stream.on('error', () => undefined);
    this.#padding = new Padding(stream);
    this.#reader = new ByteReader(stream, () => this.#padding.check());
  }

  /**
   * Resolves when the host keeps it.
   * @throws RelaymintError ENTRY_STALE, ENTRY_INVALID, CONTENT_REFUSED, LIMIT_EXCEEDED, STORAGE_FULL (the host says so; the next one may be
   * brought), and PROTOCOL_VIOLATION, STREAM_RESET, TIMEOUT, ABORTED (the stream is of no use then).
   */
  async bring({ encoded }: SignedEntry, { signal }: Options): Promise<void> {
    using limit = deadline(CONTENT_IDLE_MILLIS, BRINGING, signal);
    using _stop = onAbort(limit.signal, () => this.#stream.destroy(abortError(limit.signal, BRINGING)));
    assertNotAborted(limit.signal, BRINGING);
    this.#padding.answered();
    await writeAll(this.#stream, encodeEntryHead(encoded.length), encoded);
    const answer = await orAborted(readTaken(this.#reader), limit.signal, BRINGING);
    if ('code' in answer) throw refusalOf(answer);
  }

  [Symbol.dispose](): void {
    if (!this.#stream.destroyed) this.#stream.destroy();
  }
}

/** A host that repeats itself, or promises more and has nothing, would be asked, and paid, without end. */
function assertOnward({ entries, more }: Page, { from }: PageWanted): void {
  if (more && entries.length === 0) throw violation('an empty page before others');
  if (from !== 'newest' && (entries[0]?.arrival ?? Infinity) <= from)
    throw violation('a page that was asked for before');
}

function refusalOf({ code, message }: Refusal): RelaymintError {
  const known = HOST_CODES.find((each) => each === code);
  return new RelaymintError(known ?? 'CONTENT_REFUSED', message, {
    ...(known === 'LIMIT_EXCEEDED' && { remedy: 'Try it again in a little while.' }),
    ...(known === undefined && { details: { hostCode: code.slice(0, 40) } }),
  });
}
