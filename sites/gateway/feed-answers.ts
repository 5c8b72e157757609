/** What pages get of updates and threads: as JSON once, or as server-sent events as they come. */
import type { Response } from 'express';
import { abortError, elapsed, onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import {
  LIVE_TOPIC,
  foldThread,
  idOf,
  isTopic,
  postJson,
  type FeedSource,
  type FeedView,
  type Post,
  type SignedEntry,
} from '../feed/index.ts';
import type { SignedManifest } from '../manifest/contract.ts';
import type { Asked } from './contract.ts';
import { parameter } from './representation.ts';
import { Watchers } from './watchers.ts';

/** Of the gateway alone, like the manifest: a file of the site there would say what nobody signed. */
const UPDATES_PATH = '/.well-known/relaymint/updates';
export const POSTS_PATH = '/.well-known/relaymint/posts';
const EVENTS = 'text/event-stream';
/** A comment this often keeps a quiet connection open through proxies and our own idle limit, milliseconds. */
const HEARTBEAT_MILLIS = 15_000;

export class FeedAnswers {
  readonly #source: FeedSource;
  readonly #threads = new Threads();
  readonly #watchers = new Watchers();

  constructor(source: FeedSource) {
    this.#source = source;
  }

  /**
   * @param signed undefined: the name has no manifest, and so lets nobody post.
   * @returns whether it was a request for one of these, and is answered. @throws RelaymintError.
   */
  async answer(asked: Asked, signed: SignedManifest | undefined): Promise<boolean> {
    const { request, response, name, embedder, client, signal } = asked;
    const isPosts = request.path === POSTS_PATH;
    if (!isPosts && request.path !== UPDATES_PATH) return false;
    const topic = isPosts ? threadOf(parameter(request, 'path')) : LIVE_TOPIC;
    const isWatched = request.accepts(['json', EVENTS]) === EVENTS;
    // Before anything is followed, and paid for, for it.
    using _place = isWatched ? this.#watchers.begin(client) : undefined;
    using view = this.#source.open({ name, topic, referrer: embedder?.name });
    await view.complete(signal);
    const allows = signed?.manifest.comments === 'anybody';
    const isWelcome = (author: string): boolean => allows || author === name;
    const told: Told = isPosts ? new ThreadTold(view, this.#threads, isWelcome) : new UpdateTold(view);
    response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', Vary: 'Accept, Origin' });
    if (isWatched) await this.#watch(asked, view, told);
    else response.json({ name, ...(isPosts && { path: topic }), ...told.whole() });
    return true;
  }

  async #watch({ request, response, signal, endTurn }: Asked, view: FeedView, told: Told): Promise<void> {
    // It goes on for hours and does next to nothing: others get its turn.
    endTurn();
    let news = new AbortController();
    using _changes = view.onChange(() => news.abort());
    try {
      response.setHeader('Content-Type', EVENTS);
      await send(response, 'retry: 2000\n\n', signal);
      if (request.method === 'HEAD') return;
      while (!signal.aborted) {
        news = new AbortController();
        const events = told.events();
        await send(response, events === '' ? ': still here\n\n' : events, signal);
        using _ends = onAbort(signal, () => news.abort());
        await elapsed(HEARTBEAT_MILLIS, news.signal);
        // Names of authors may be others' by now.
        await view.complete(signal);
      }
    } finally {
      response.end();
    }
  }
}

/** What somebody has been told of a topic. */
interface Told {
  /** All of it, as it is now. */
  whole(): object;
  /** What is new since the last time, as events; all of it the first time. */
  events(): string;
}

class UpdateTold implements Told {
  readonly #view: FeedView;
  #last: number | undefined;
  #isStale = false;

  constructor(view: FeedView) {
    this.#view = view;
  }

  whole(): object {
    const [newest] = this.#view.entries();
    return { update: newest === undefined ? null : updateJson(newest) };
  }

  events(): string {
    const [newest] = this.#view.entries();
    if (newest === undefined) {
      // Whoever shows what was said before, here or at a connection of before, has to hear that it counts no more.
      const isNews = !this.#isStale;
      this.#isStale = true;
      return isNews ? event('stale', {}) : '';
    }
    const { sequence } = newest.entry;
    if (sequence === this.#last && !this.#isStale) return '';
    this.#last = sequence;
    this.#isStale = false;
    return event('update', updateJson(newest), sequence);
  }
}

/** A thread is put together once for all who look at it as it is. */
class Threads {
  readonly #folded = new WeakMap<readonly SignedEntry[], readonly Post[]>();

  of(view: FeedView): readonly Post[] {
    const entries = view.entries();
    const known = this.#folded.get(entries) ?? foldThread(entries);
    this.#folded.set(entries, known);
    return known;
  }
}

class ThreadTold implements Told {
  readonly #view: FeedView;
  readonly #threads: Threads;
  readonly #isWelcome: (author: string) => boolean;
  /** Marks, not what was said: many may look at a long thread. */
  readonly #told = new Map<string, string>();

  constructor(view: FeedView, threads: Threads, isWelcome: (author: string) => boolean) {
    this.#view = view;
    this.#threads = threads;
    this.#isWelcome = isWelcome;
  }

  whole(): object {
    return { posts: this.#posts().map((post) => this.#json(post)) };
  }

  events(): string {
    const parts: string[] = [];
    const posts = this.#posts();
    for (const post of posts) {
      const key = idOf(post);
      if (this.#told.get(key) === post.mark) continue;
      this.#told.set(key, post.mark);
      parts.push(event('post', this.#json(post)));
    }
    if (this.#told.size === posts.length) return parts.join('');
    // The name of who wrote it is another's now.
    const left = new Set(posts.map(idOf));
    for (const key of this.#told.keys()) {
      if (left.has(key)) continue;
      this.#told.delete(key);
      const [author = '', sequence] = key.split(' ');
      parts.push(event('gone', { author: { name: author }, sequence: Number(sequence) }));
    }
    return parts.join('');
  }

  #posts(): readonly Post[] {
    return this.#threads.of(this.#view).filter(({ author }) => this.#isWelcome(author));
  }

  #json(post: Post): object {
    return postJson(post, this.#view.author(post.author));
  }
}

function threadOf(path: string | undefined): string {
  if (path !== undefined && path !== LIVE_TOPIC && isTopic(path)) return path;
  throw new RelaymintError('INVALID_ARGUMENT', 'The thread is not named.', {
    remedy: `Ask for ${POSTS_PATH}?path=/ and the path of the page that it is about.`,
  });
}

function updateJson({ entry }: SignedEntry): object {
  const { sequence, created, expires, mediaType, content } = entry;
  return { sequence, created, expires, mediaType, ...contentJson(content) };
}

/** As text where it is text. */
function contentJson(content: Uint8Array | undefined): object {
  if (content === undefined) return {};
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content) };
  } catch {
    return { base64: Buffer.from(content).toString('base64') };
  }
}

function event(type: string, data: object, id?: number): string {
  return `event: ${type}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** Waits for a visitor that reads slowly: what comes meanwhile is told together. @throws RelaymintError ABORTED. */
async function send(response: Response, text: string, signal: AbortSignal): Promise<void> {
  if (response.write(text)) return;
  await new Promise<void>((resolve, reject) => {
    const drained = (): void => {
      tie[Symbol.dispose]();
      resolve();
    };
    const tie = onAbort(signal, () => {
      response.off('drain', drained);
      reject(abortError(signal, 'Sending updates'));
    });
    response.once('drain', drained);
  });
}
