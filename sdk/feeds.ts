/** What is said below a name: posts of a thread, and what is true for now. */
import { following, pause } from '../core/abort.ts';
import { backoff } from '../core/backoff.ts';
import { RelaymintError } from '../core/errors.ts';
import { asked, jsonOf, noGateway, parsed, requireType, type Client, type NameOptions } from './client.ts';
import { eventsIn, type ServerEvent } from './events.ts';

/** What anybody wrote: draw it with `textContent`. */
export interface Post {
  readonly author: {
    /** `alice.sso` */
    readonly name: string;
    /** Who is paid for it, where it is shown. */
    readonly owner?: string;
    readonly splits?: readonly { readonly account: string; readonly bps: number }[];
    readonly royaltyBps?: number;
  };
  /** With the author's name, which post it is. */
  readonly sequence: number;
  /** Milliseconds since 1970, by the author's clock. */
  readonly created: number;
  /** When it was said as it is now. */
  readonly edited?: number;
  readonly revision: number;
  readonly answers?: { readonly author: string; readonly sequence: number };
  /** `hidden` and `removed` ones have no text. */
  readonly state: 'shown' | 'hidden' | 'removed';
  readonly mediaType?: string;
  readonly text?: string;
}

/** `start`: all is told anew, forget what was told before. `post`: it is new, or changed. `gone`: its author's name is another's now. */
export type PostEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'post'; readonly post: Post }
  | { readonly kind: 'gone'; readonly author: string; readonly sequence: number };

/** What is true until it expires: where the ferry is. */
export interface Update {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly expires: number;
  readonly mediaType?: string;
  readonly text?: string;
  /** Where it is no text. */
  readonly base64?: string;
}

/** Until a gateway says another figure, milliseconds. */
const FIRST_PAUSE = 2_000;
const LAST_PAUSE = 60_000;
const JSON_TYPE = 'application/json';
const EVENTS_TYPE = 'text/event-stream';
const UPDATES = '/.well-known/relaymint/updates';

/**
 * The posts of a thread, in their order.
 * @param path of the page that they are about
 * @throws RelaymintError: what the gateway says; CONNECTION_LOST; PROTOCOL_VIOLATION; ABORTED.
 */
export async function readPosts(client: Client, path: string, options: NameOptions = {}): Promise<readonly Post[]> {
  const answer = await asked(client, options, { path: postsAt(path), accept: JSON_TYPE }, jsonOf);
  const { posts } = answer as { readonly posts?: readonly Post[] };
  if (!Array.isArray(posts)) throw noGateway();
  return posts;
}

/**
 * What the name says now; undefined where it says nothing, or no more.
 * @throws as `readPosts`.
 */
export async function readUpdate(client: Client, options: NameOptions = {}): Promise<Update | undefined> {
  const answer = await asked(client, options, { path: UPDATES, accept: JSON_TYPE }, jsonOf);
  const { update } = answer as { readonly update?: Update | null };
  if (update === undefined) throw noGateway();
  return update ?? undefined;
}

/**
 * The posts of a thread, and each change, until the loop is left or a signal ends. A connection that is lost is made again.
 * @throws as `readPosts`; what was read once is asked again, unless the gateway refuses.
 */
export async function* watchPosts(client: Client, path: string, options: NameOptions = {}): AsyncGenerator<PostEvent> {
  for await (const event of watched(client, postsAt(path), options)) {
    if (event === undefined) yield { kind: 'start' };
    else if (event.type === 'post') yield { kind: 'post', post: parsed(event.data) as Post };
    else if (event.type === 'gone') {
      const { author, sequence } = parsed(event.data) as { author: { name: string }; sequence: number };
      yield { kind: 'gone', author: author.name, sequence };
    }
  }
}

/**
 * What the name says, as it says it; undefined when that counts no more. Ends and fails as `watchPosts`.
 */
export async function* watchUpdates(client: Client, options: NameOptions = {}): AsyncGenerator<Update | undefined> {
  let last: number | undefined;
  for await (const event of watched(client, UPDATES, options)) {
    if (event?.type === 'stale') {
      last = undefined;
      yield undefined;
    } else if (event?.type === 'update') {
      const update = parsed(event.data) as Update;
      // Told again by a gateway that was asked again.
      if (update.sequence === last) continue;
      last = update.sequence;
      yield update;
    }
  }
}

/** undefined: a new connection, at which all is told anew. */
async function* watched(client: Client, path: string, options: NameOptions): AsyncGenerator<ServerEvent | undefined> {
  const until = following(client.signal, options.signal);
  const { signal } = until;
  let first = FIRST_PAUSE;
  let wasHeard = false;
  try {
    for (let failures = 1; ; failures += 1) {
      try {
        const body = await asked(client, { ...options, signal }, { path, accept: EVENTS_TYPE }, bodyOf);
        yield undefined;
        wasHeard = true;
        for await (const event of eventsIn(body, signal)) {
          failures = 0;
          if (event.type === 'retry') first = Number(event.data);
          else yield event;
        }
      } catch (error) {
        if (!wasHeard || !mends(error)) throw error;
      }
      await pause(backoff(Math.max(failures, 1), { first, last: LAST_PAUSE }), signal, `Watching ${path}`);
    }
  } finally {
    until[Symbol.dispose]();
  }
}

/** It goes on to be read when the question is answered. */
function bodyOf(response: Response): Promise<ReadableStream<Uint8Array>> {
  requireType(response, EVENTS_TYPE);
  return Promise.resolve(response.body ?? new ReadableStream({ start: (controller) => controller.close() }));
}

function mends(error: unknown): boolean {
  if (!(error instanceof RelaymintError)) return false;
  const { status } = error.details;
  return error.code === 'CONNECTION_LOST' || (typeof status === 'number' && status >= 500);
}

function postsAt(path: string): string {
  return `/.well-known/relaymint/posts?path=${encodeURIComponent(path)}`;
}
