/** The host's side of the `content` service: serves blocks of what it keeps for a name, and has what it sends count for that name. */
import { isRelaymintError } from '../../core/errors.ts';
import { CONTENT_IDLE_MILLIS } from '../../core/limits.ts';
import { ALL_BPS, bytes, type UnixMillis } from '../../core/units.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { BlockStore, Pin, ServiceHandler, ServiceStream } from '../blocks/contract.ts';
import type { StatementSigner } from '../statement/index.ts';
import {
  STATUS_NOT_FOUND,
  STATUS_OK,
  STATUS_REFUSED,
  decodeContentParams,
  encodeAnswerHeader,
  readRequest,
  statementNonce,
} from './protocol.ts';
import type { BlockRequest, ContentWanted, Status } from './protocol.ts';
import { ByteReader, IdleTimer, writeAll } from '../wire/index.ts';

const NO_BYTES = new Uint8Array(0);

export interface ContentServiceOptions {
  readonly store: BlockStore;
  /** A block was fetched that is under this root, and under no younger one of its name. */
  readonly onFetched?: (pin: Pin) => void;
  /** States what a stream delivered, to a visitor that asks. Absent: it states nothing. */
  readonly state?: StatementSigner;
  readonly clock?: Clock;
  readonly log?: Log;
}

/**
 * Handler of the `content` service. Only blocks under a root kept for the stream's name are served, so that nobody can
 * send one owner's royalty to another. Holds two blocks a stream at most: one on its way out, one being read.
 */
export function createContentService(options: ContentServiceOptions): ServiceHandler {
  const log = options.log ?? silentLog;
  return (stream, params) => {
    stream.on('error', (error) => log.debug({ err: error }, 'A content stream ended early.'));
    serve(options, stream, params).catch((error: unknown) => {
      if (!isRelaymintError(error)) log.error({ err: error }, 'Serving content failed; the stream was reset.');
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  };
}

async function serve(options: ContentServiceOptions, stream: ServiceStream, params: Uint8Array): Promise<void> {
  const { store } = options;
  const wanted = decodeContentParams(params);
  const { name, referrer } = wanted;
  const delivery = new Delivery(wanted, options);
  let attributed = false;
  // A name without kept content earns nothing, so invented names leave no trace in the books.
  const attributeIfKept = (): void => {
    if (attributed || store.pins(name).length === 0) return;
    attributed = true;
    stream.attribute?.([{ name, ...(referrer !== undefined && { referrer }), share: ALL_BPS }]);
  };
  attributeIfKept();
  const idle = new IdleTimer(stream, CONTENT_IDLE_MILLIS, 'visitor');
  const reader = new ByteReader(stream, () => idle.touch());
  let answered: Promise<void> = Promise.resolve();
  for (;;) {
    const request = await readRequest(reader);
    if (request === undefined) break;
    attributeIfKept();
    const nonce = options.state === undefined ? undefined : statementNonce(request.cid);
    // What was delivered is stated when its turn comes: all that was asked for before has gone out then.
    const found =
      nonce === undefined ? findBlock(options, name, request) : answered.then(() => delivery.statedUnder(nonce));
    // A refusal to read is reported when its turn comes.
    found.catch(() => undefined);
    await answered;
    const count = (sent: number): void => {
      if (nonce === undefined) delivery.add(sent);
      idle.touch();
    };
    answered = answer(stream, request, found).then(count);
    answered.catch(() => undefined);
  }
  await answered;
  stream.end();
}

/** What a stream has delivered. */
class Delivery {
  readonly #wanted: ContentWanted;
  readonly #options: ContentServiceOptions;
  readonly #since: UnixMillis;
  #bytes = 0;

  constructor(wanted: ContentWanted, options: ContentServiceOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#since = (options.clock ?? systemClock).now();
  }

  add(blockBytes: number): void {
    this.#bytes += blockBytes;
  }

  /** Of nothing there is no statement. */
  statedUnder(nonce: Uint8Array): Found {
    const { state } = this.#options;
    if (state === undefined || this.#bytes === 0) return { status: STATUS_NOT_FOUND, block: NO_BYTES };
    const delivered = { ...this.#wanted, nonce, bytes: bytes(this.#bytes), since: this.#since };
    return { status: STATUS_OK, block: state(delivered) };
  }
}

interface Found {
  readonly status: Status;
  readonly block: Uint8Array;
}

async function findBlock(
  { store, onFetched }: ContentServiceOptions,
  name: string,
  request: BlockRequest,
): Promise<Found> {
  if (store.pins(name).length === 0) return { status: STATUS_REFUSED, block: NO_BYTES };
  const youngest = store.pinsWith(name, request.cid).at(-1);
  if (youngest === undefined) return { status: STATUS_NOT_FOUND, block: NO_BYTES };
  onFetched?.(youngest);
  try {
    return { status: STATUS_OK, block: await store.get(request.cid) };
  } catch (error) {
    if (isRelaymintError(error, 'CONTENT_NOT_FOUND')) return { status: STATUS_NOT_FOUND, block: NO_BYTES };
    throw error;
  }
}

/** @returns how many bytes of a block, or of a statement, it sent. */
async function answer(stream: ServiceStream, request: BlockRequest, finding: Promise<Found>): Promise<number> {
  const { status, block } = await finding;
  await writeAll(stream, encodeAnswerHeader(request.id, status, block.length), block);
  return block.length;
}
