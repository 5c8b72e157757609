/** The host's side of the `content` service: serves blocks of what it keeps for a name, and has what it sends count for that name. */
import { isRelaymintError } from '../../core/errors.ts';
import { CONTENT_IDLE_MILLIS } from '../../core/limits.ts';
import { ALL_BPS } from '../../core/units.ts';
import { silentLog } from '../../core/ports.ts';
import type { Log } from '../../core/ports.ts';
import type { BlockStore, Pin, ServiceHandler, ServiceStream } from '../blocks/contract.ts';
import {
  STATUS_NOT_FOUND,
  STATUS_OK,
  STATUS_REFUSED,
  decodeContentParams,
  encodeAnswerHeader,
  readRequest,
} from './protocol.ts';
import type { BlockRequest, Status } from './protocol.ts';
import { ByteReader, IdleTimer, writeAll } from '../wire/index.ts';

export interface ContentServiceOptions {
  readonly store: BlockStore;
  /** A block was fetched that is under this root, and under no younger one of its name. */
  readonly onFetched?: (pin: Pin) => void;
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
  const { name, referrer } = decodeContentParams(params);
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
    const block = findBlock(options, name, request);
    // A refusal to read is reported when its turn comes.
    block.catch(() => undefined);
    await answered;
    answered = answer(stream, request, block).then(() => idle.touch());
    answered.catch(() => undefined);
  }
  await answered;
  stream.end();
}

interface Found {
  readonly status: Status;
  readonly block: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

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

async function answer(stream: ServiceStream, request: BlockRequest, block: Promise<Found>): Promise<void> {
  const found = await block;
  await writeAll(stream, encodeAnswerHeader(request.id, found.status, found.block.length), found.block);
}
