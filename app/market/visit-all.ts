/** A visitor who goes through all that a marketplace shows: every file, what pages embed of others, what is said in threads, and what moves. */
import path from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../core/errors.ts';
import { MAX_SHARES_PER_TRANSACTION } from '../../core/limits.ts';
import { siteUrl } from '../../core/name.ts';
import type { Log } from '../../core/ports.ts';
import type { Published, Said } from './events.ts';
import type { ReportSite } from './report.ts';
import type { Display, Live, Post } from './showing.ts';
import { visitEmbedded, visitSite } from './visit.ts';

export interface VisitAllOptions {
  readonly display: Display;
  readonly published: readonly Published[];
  /** Of names whose boats move: what was said last. */
  readonly traffic: readonly Said[];
  readonly gatewayUrl: string;
  /** From the transport policy, so that it owns the sockets. */
  readonly fetch: typeof fetch;
  readonly log: Log;
  readonly onProgress: (files: number, bytes: number) => void;
  /** Pays for what was visited. A settlement divides what it pays among so many names and pages; those that are left wait for the next one. */
  readonly settle: () => Promise<void>;
}

/** Whose content is looked at, in whose page; nobody's: its own. */
interface Looked {
  readonly name: string;
  readonly page?: string | undefined;
}

/**
 * Shares that one settlement pays, less some that nobody asked for here: a gateway looks into manifests and folders of pages again after some seconds,
 * and what is left over then takes the place of what was visited last.
 */
const ROOM = MAX_SHARES_PER_TRANSACTION - 3;
const UPDATES = '/.well-known/relaymint/updates';
const POSTS = '/.well-known/relaymint/posts';

const postsSchema = z.object({
  posts: z.array(z.object({ author: z.object({ name: z.string() }), text: z.string().optional() })),
});
const updateSchema = z.object({ update: z.object({ sequence: z.number(), text: z.string() }) });

/** @returns what came of each site, in the order of the display. */
export async function visitAll(options: VisitAllOptions): Promise<ReportSite[]> {
  const { display, log } = options;
  const visitor = new Visitor(options);
  const sites: ReportSite[] = [];
  for (const published of options.published) {
    sites.push(await visitor.look([{ name: published.name }], () => visitor.site(published)));
  }
  const failed = new Set<string>();
  const mark = (name: string, fault: string | undefined): void => {
    if (fault === undefined) return;
    log.error({ name, fault }, 'what a page shows did not arrive as it was published');
    failed.add(name);
  };
  for (const { name: page, embeds } of display.showings) {
    for (const { name, path: file } of embeds) {
      mark(page, await visitor.look([{ name, page }], () => visitor.embedded(page, name, file)));
    }
  }
  for (const { name, topic, posts } of threadsOf(display.posts)) {
    const authors = posts.map(({ as }) => ({ name: as, page: name }));
    mark(name, await visitor.look(authors, () => visitor.thread(name, topic, posts)));
  }
  for (const live of display.live) {
    mark(live.name, await visitor.look([live], () => visitor.traffic(live, undefined)));
    for (const page of live.shownBy) {
      mark(page, await visitor.look([{ name: live.name, page }], () => visitor.traffic(live, page)));
    }
  }
  return sites.map((site) => ({ ...site, verified: site.verified && !failed.has(site.name) }));
}

class Visitor {
  readonly #options: VisitAllOptions;
  readonly #port: number;
  /** What no settlement has paid yet. */
  readonly #unpaid = new Set<string>();
  #files = 0;
  #bytes = 0;

  constructor(options: VisitAllOptions) {
    this.#options = options;
    this.#port = Number(new URL(options.gatewayUrl).port);
  }

  async look<T>(looked: readonly Looked[], visit: () => Promise<T>): Promise<T> {
    const pairs = new Set(looked.map(({ name, page = '' }) => `${name} ${page}`));
    const more = [...pairs].filter((pair) => !this.#unpaid.has(pair)).length;
    if (this.#unpaid.size + more > ROOM) {
      await this.#options.settle();
      this.#unpaid.clear();
    }
    for (const pair of pairs) this.#unpaid.add(pair);
    return await visit();
  }

  /** Every file of a name at its own origin. */
  async site({ name, cid, files, bytes }: Published): Promise<ReportSite> {
    const { fetch, log, onProgress } = this.#options;
    const visit = await visitSite({
      siteUrl: siteUrl(name, this.#port),
      directory: this.#directoryOf(name),
      fetch,
      onProgress: (more, moreBytes) => onProgress(this.#files + more, this.#bytes + moreBytes),
    });
    this.#files += visit.files;
    this.#bytes += visit.bytes;
    for (const fault of visit.faults) log.error({ name, fault }, 'a file did not arrive as it was published');
    const verified = visit.faults.length === 0 && visit.files === files && visit.bytes === bytes;
    return { name, cid, files: visit.files, bytes: visit.bytes, verified };
  }

  /** @returns what is wrong, or undefined. */
  async embedded(page: string, name: string, file: string): Promise<string | undefined> {
    return await visitEmbedded({
      page: siteUrl(page, this.#port),
      siteUrl: siteUrl(name, this.#port),
      directory: this.#directoryOf(name),
      path: file,
      fetch: this.#options.fetch,
    });
  }

  /** @returns what is wrong, or undefined. */
  async thread(name: string, topic: string, posts: readonly Post[]): Promise<string | undefined> {
    const found = await this.#json(name, `${POSTS}?path=${encodeURIComponent(topic)}`, postsSchema, {});
    if (typeof found === 'string') return found;
    // Others may have said something too, and some of it may be taken back: then it has no text.
    const told = found.posts.map(({ author, text }) => `${author.name}: ${text}`);
    const missing = posts.find(({ as, text }) => !told.includes(`${as}: ${text}`));
    return missing && `the thread about ${topic} lacks what ${missing.as} said`;
  }

  /** @returns what is wrong, or undefined. */
  async traffic({ name }: Live, page: string | undefined): Promise<string | undefined> {
    const asPage = page === undefined ? {} : asEmbedded(siteUrl(page, this.#port));
    const found = await this.#json(name, UPDATES, updateSchema, asPage);
    if (typeof found === 'string') return found;
    const said = this.#options.traffic.find((one) => one.name === name);
    return found.update.sequence === said?.sequence ? undefined : 'it is another update than was said';
  }

  /** Text: what is wrong. */
  async #json<T>(
    name: string,
    file: string,
    schema: z.ZodType<T>,
    headers: Readonly<Record<string, string>>,
  ): Promise<T | string> {
    const url = new URL(file, siteUrl(name, this.#port));
    const response = await this.#options.fetch(url, { redirect: 'manual', headers });
    const text = await response.text();
    if (response.status !== 200) return `the gateway answered ${response.status}`;
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      return `the gateway told something else: ${messageOf(error)}`;
    }
  }

  #directoryOf(name: string): string {
    return path.resolve(this.#options.display.showings.find((one) => one.name === name)?.directory ?? '');
  }
}

/** As a browser asks for what a script of a page follows. */
function asEmbedded(page: string): Record<string, string> {
  return {
    origin: new URL(page).origin,
    referer: page,
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'cors',
    'sec-fetch-dest': 'empty',
  };
}

interface Thread {
  readonly name: string;
  readonly topic: string;
  readonly posts: readonly Post[];
}

function threadsOf(posts: readonly Post[]): readonly Thread[] {
  const threads = new Map<string, Thread>();
  for (const post of posts) {
    const { name, path: topic } = post;
    const key = `${name} ${topic}`;
    threads.set(key, { name, topic, posts: [...(threads.get(key)?.posts ?? []), post] });
  }
  return [...threads.values()];
}
