/** A name's updates as they come: brought from lines of input, followed without a gateway, and what one host keeps of them. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted, deadline, elapsed, onAbort } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError, violation, type ErrorCode } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_ENTRY_CONTENT_BYTES, MAX_UPDATES_KEPT, UPDATES_PER_SECOND } from '../../core/limits.ts';
import { systemClock } from '../../core/ports.ts';
import { CONTENT_SERVICE, FEED_SERVICE } from '../../sites/blocks/index.ts';
import {
  FeedReader,
  LIVE_TOPIC,
  checkEntry,
  createFeedSource,
  type Entry,
  type FeedView,
  type SignedEntry,
} from '../../sites/feed/index.ts';
import { createNameResolver } from '../../sites/name/index.ts';
import { encodeContentParams } from '../../sites/serve/index.ts';
import type { CircuitPool } from '../../node/tunnel/index.ts';
import type { RunningNode } from '../node/index.ts';
import type { Author, Said } from './authoring.ts';
import { awaitHosts } from './awaited-hosts.ts';
import { poolTo } from './host-circuit.ts';
import { keepersOf } from './keepers.ts';
import { nameUnknown } from './own-name.ts';
import { createRoutes } from './routes.ts';

/** What happened to a line of input. */
export type LineNews =
  | { readonly event: 'update'; readonly sequence: number; readonly hosts: readonly NodeId[] }
  /** It is no update, or none that a host takes. `line`: its number, from 1 on. */
  | { readonly event: 'skipped'; readonly line: number; readonly why: string }
  /** No host took it yet; it, or a newer one, is brought again. */
  | { readonly event: 'waiting'; readonly line: number; readonly why: string };

export interface LinesSaid {
  readonly updates: number;
  /** Lines that a newer one took the place of before they were brought. */
  readonly replaced: number;
  readonly skipped: number;
}

export interface LinesWanted {
  readonly mediaType: string;
  readonly lifeMillis: number;
  /** Ends it: what is on its way is given up. */
  readonly signal: AbortSignal;
  readonly onNews: (news: LineNews) => void;
}

interface Line {
  readonly number: number;
  readonly content: Uint8Array;
}

/** Hosts that take no more for now, or cannot be reached. */
const AGAIN: Backoff = { first: 1_000, last: 30_000 };
/** Once the input has ended nothing newer comes: so often the last one is brought again. */
const LAST_TRIES = 3;
/** How long a circuit to a host may take to be there, milliseconds. */
const OPENS_MILLIS = 60_000;
/** What is wrong with the update, and not with the way. */
const ITS_OWN: readonly ErrorCode[] = ['ENTRY_INVALID', 'ENTRY_STALE', 'CONTENT_REFUSED'];

/** Says each line as an update of its own. What comes faster than hosts take it gives way to the newest. Resolves when the input ends. */
export async function sayLines(
  author: Pick<Author, 'say'>,
  input: AsyncIterable<Uint8Array>,
  { mediaType, lifeMillis, signal, onNews }: LinesWanted,
): Promise<LinesSaid> {
  const counts = { updates: 0, replaced: 0, skipped: 0 };
  let waiting: Line | undefined;
  let isOver = false;
  let wake = (): void => {};
  using _end = onAbort(signal, () => wake());
  const skip = (line: number, why: string): void => {
    counts.skipped += 1;
    onNews({ event: 'skipped', line, why });
  };
  const reading = (async () => {
    try {
      for await (const { number, content, fault } of linesOf(input)) {
        if (content === undefined) skip(number, fault);
        else {
          if (waiting !== undefined) counts.replaced += 1;
          waiting = { number, content };
          wake();
        }
      }
    } finally {
      isOver = true;
      wake();
    }
  })();
  // Whoever waits for it below hears of it; until then it is nobody's.
  reading.catch(() => undefined);
  let failures = 0;
  while (!signal.aborted) {
    const line: Line | undefined = waiting;
    if (line === undefined) {
      if (isOver) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    waiting = undefined;
    try {
      const said: Said = await author.say({
        kind: 'update',
        topic: LIVE_TOPIC,
        mediaType,
        content: line.content,
        lifeMillis,
      });
      counts.updates += 1;
      failures = 0;
      onNews({ event: 'update', ...said });
    } catch (error) {
      if (signal.aborted) break;
      if (!isRelaymintError(error)) throw error;
      failures += 1;
      if (ITS_OWN.includes(error.code) || (isOver && failures > LAST_TRIES)) {
        skip(line.number, error.message);
        continue;
      }
      onNews({ event: 'waiting', line: line.number, why: error.message });
      const rest = isRelaymintError(error, 'LIMIT_EXCEEDED') ? 1000 / UPDATES_PER_SECOND : backoff(failures, AGAIN);
      if (!(await elapsed(rest, signal))) break;
      if (waiting === undefined) waiting = line;
      else counts.replaced += 1;
    }
  }
  // A fault of the input is the command's.
  if (!signal.aborted) await reading;
  return counts;
}

type Read = { readonly number: number } & (
  { readonly content: Uint8Array; readonly fault?: never } | { readonly content?: never; readonly fault: string }
);

const NEWLINE = 0x0a;

/** Lines of JSON, none of which is held beyond what an update may say. Empty ones are none. */
async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Read> {
  let parts: Uint8Array[] = [];
  let [size, number] = [0, 1];
  const finished = (): Read | undefined => {
    const line = Buffer.concat(parts);
    const isLong = size > MAX_ENTRY_CONTENT_BYTES;
    parts = [];
    size = 0;
    const mine = number;
    number += 1;
    if (isLong) return { number: mine, fault: `It has more than ${MAX_ENTRY_CONTENT_BYTES} bytes.` };
    const text = line.toString();
    if (text.trim() === '') return undefined;
    try {
      JSON.parse(text);
    } catch {
      return { number: mine, fault: 'It is no JSON.' };
    }
    return { number: mine, content: Buffer.from(text.trim()) };
  };
  for await (const chunk of input) {
    let rest = chunk;
    for (;;) {
      const end = rest.indexOf(NEWLINE);
      const part = end < 0 ? rest : rest.subarray(0, end);
      size += part.length;
      if (size <= MAX_ENTRY_CONTENT_BYTES) parts.push(part);
      else parts = [];
      if (end < 0) break;
      rest = rest.subarray(end + 1);
      const line = finished();
      if (line !== undefined) yield line;
    }
  }
  const last = size === 0 ? undefined : finished();
  if (last !== undefined) yield last;
}

/** Names' updates as a visitor's gateway follows them. */
export interface Watching extends AsyncDisposable {
  readonly view: FeedView;
}

/** @param relays paid relays in front of the host. The node is announced. @throws RelaymintError NAME_UNKNOWN, NAME_EXPIRED. */
export async function watchUpdates(node: RunningNode, name: string, relays: number): Promise<Watching> {
  const { world, log } = node.settings;
  const record = await node.ledger.name(name);
  if (record === undefined || record.status === 'expired') throw nameUnknown(name);
  await using stack = new AsyncDisposableStack();
  const routes = stack.use(createRoutes({ node, relays }));
  const resolver = createNameResolver({ ledger: node.names, ...(world && { clock: world.clock }) });
  const source = stack.use(
    createFeedSource({
      route: routes.route,
      record: async (author) => await resolver.record(author),
      onBadHost: routes.failed,
      ...(world && { clock: world.clock }),
      log,
    }),
  );
  const view = stack.use(source.open({ name, topic: LIVE_TOPIC }));
  const owned = stack.move();
  return { view, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export interface HistoryWanted {
  readonly name: string;
  /** undefined: one of those that say they keep the name. */
  readonly host: NodeId | undefined;
  readonly relays: number;
  readonly signal: AbortSignal;
}

/** An update that a host keeps, as people and scripts read it. */
export interface KeptUpdate extends Pick<Entry, 'sequence' | 'created' | 'expires' | 'mediaType'> {
  readonly bytes: number;
  /** It counts now; `over`: its time is; `foreign`: it is not signed by who has the name. */
  readonly state: 'counts' | 'over' | 'foreign';
}

export interface UpdateHistory {
  readonly name: string;
  readonly host: NodeId;
  /** Newest first. */
  readonly updates: readonly KeptUpdate[];
}

/** @throws RelaymintError NO_ROUTE, NAME_UNKNOWN, CONTENT_REFUSED (the host does not keep the name), ENTRY_INVALID, PROTOCOL_VIOLATION, ABORTED. */
export async function updateHistory(node: RunningNode, wanted: HistoryWanted): Promise<UpdateHistory> {
  const { name, relays, signal } = wanted;
  const record = await node.ledger.name(name);
  if (record === undefined) throw nameUnknown(name);
  const host = wanted.host ?? (await someKeeper(node, name, signal));
  await using stack = new AsyncDisposableStack();
  const pool = poolTo(node, host, CONTENT_SERVICE);
  stack.defer(() => pool.close());
  using reader = await readerOver(pool, { name, relays, signal });
  const updates: KeptUpdate[] = [];
  const now = (node.settings.world?.clock ?? systemClock).now();
  let from = 0;
  for (;;) {
    const page = await reader.page({ topic: LIVE_TOPIC, from, waits: false }, { signal });
    for (const { arrival, signed } of page.entries) {
      if (arrival <= from || signed.entry.name !== name || signed.entry.topic !== LIVE_TOPIC) {
        throw violation(`The host ${host} sent entries that were not asked for.`, 'Ask another one, by --host.');
      }
      from = arrival;
      const { sequence, created, expires, mediaType, content } = signed.entry;
      const state = stateOf(signed, record, now);
      updates.push({ sequence, created, expires, mediaType, bytes: content?.length ?? 0, state });
    }
    if (updates.length > 4 * MAX_UPDATES_KEPT)
      throw violation(`The host ${host} has more updates than are kept.`, 'Ask another one, by --host.');
    if (!page.more) return { name, host, updates: updates.toReversed() };
  }
}

/** @throws RelaymintError TIMEOUT, and what circuits throw. */
async function readerOver(
  pool: CircuitPool,
  { name, relays, signal: ends }: Pick<HistoryWanted, 'name' | 'relays' | 'signal'>,
): Promise<FeedReader> {
  using limit = deadline(OPENS_MILLIS, `Reaching a host of ${name}`, ends);
  const { signal } = limit;
  await pool.buildTunnels(relays, { signal });
  const circuit = await pool.circuit({ signal });
  return new FeedReader(await circuit.openStream(FEED_SERVICE, encodeContentParams({ name }), { signal }));
}

function stateOf(signed: SignedEntry, record: Parameters<typeof checkEntry>[1], now: number): KeptUpdate['state'] {
  try {
    checkEntry(signed, record, now);
    return 'counts';
  } catch (error) {
    if (isRelaymintError(error, 'ENTRY_STALE')) return 'over';
    if (isRelaymintError(error, 'ENTRY_INVALID')) return 'foreign';
    throw error;
  }
}

async function someKeeper(node: RunningNode, name: string, signal: AbortSignal): Promise<NodeId> {
  const { book } = node.discovery;
  await awaitHosts(node.discovery, () => keepersOf(book, name).length > 0)(signal);
  assertNotAborted(signal, 'Looking for a host');
  const [found] = keepersOf(book, name);
  if (found !== undefined) return found;
  throw new RelaymintError('NO_ROUTE', `No known host says that it keeps ${name}.`, {
    remedy: 'Name one with --host, or give --bootstrap with the address of a node that knows one.',
  });
}
