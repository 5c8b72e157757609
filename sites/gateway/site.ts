/** One visitor's request for one path of a site: resolve, walk, verify, stream. */
import type { Request, Response } from 'express';
import { contentType } from 'mime-types';
import type { CID } from 'multiformats/cid';
import { orAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_LISTED_ENTRIES, NAME_WAIT_MILLIS } from '../../core/limits.ts';
import { isDirectoryCodec } from '../blocks/index.ts';
import {
  follow,
  openNode,
  readFile,
  type DirectoryNode,
  type FileNode,
  type SiteNode,
  type Trail,
} from '../unixfs/index.ts';
import type { BlockReader, ContentSource, SiteContent } from '../blocks/contract.ts';
import { Limit } from '../serve/index.ts';
import { writeAll } from '../wire/index.ts';
import type { NameResolver, ResolvedName } from '../name/index.ts';
import type { Asked } from './contract.ts';
import { noSuchPage, withoutContent } from './failure.ts';
import { sendListing, sendMessage } from './pages.ts';

export interface SiteParts {
  readonly resolver: NameResolver;
  readonly content: ContentSource;
  /** How long a visitor waits for the look-up of a name, milliseconds. Default NAME_WAIT_MILLIS. */
  readonly nameWaitMillis?: number;
}

/** Bytes looked at to tell text from other data when a file's name does not say. */
const SNIFFED_BYTES = 2048;

/** Answers the request. @throws RelaymintError before anything was sent (tell it) or after (cut the connection). */
export async function serveSite(parts: SiteParts, { name, request, response, signal }: Asked): Promise<void> {
  let site: ResolvedName;
  using limit = new Limit(signal);
  limit.restart(parts.nameWaitMillis ?? NAME_WAIT_MILLIS, ledgerSilent);
  try {
    site = await orAborted(parts.resolver.resolve(name), limit.signal, `Looking up ${name}`);
  } catch (error) {
    if (!isRelaymintError(error, 'CONTENT_NOT_FOUND')) throw error;
    sendMessage(response, withoutContent(error));
    return;
  }
  limit.stop();
  const content = await parts.content.open(site, { signal });
  try {
    await new Visit(site, content, request, response, signal).answer();
  } finally {
    content.close();
  }
}

function ledgerSilent(): RelaymintError {
  return new RelaymintError('LEDGER_UNREACHABLE', 'The ledger did not say in time what the name points to.', {
    remedy: 'Try again in a moment.',
  });
}

class Visit {
  readonly #site: ResolvedName;
  readonly #content: SiteContent;
  readonly #request: Request;
  readonly #response: Response;
  readonly #signal: AbortSignal;

  constructor(site: ResolvedName, content: SiteContent, request: Request, response: Response, signal: AbortSignal) {
    this.#site = site;
    this.#content = content;
    this.#request = request;
    this.#response = response;
    this.#signal = signal;
  }

  async answer(): Promise<void> {
    const path = splitPath(this.#request.path);
    const trail = path && (await this.#follow(path.segments));
    if (path === undefined || trail === undefined) return await this.#notFound();
    if (!path.folder) {
      if (this.#isKnown(trail.cid)) return this.#unchanged(trail);
      const node = await this.#open(trail);
      if (node.type === 'file') return await this.#file(node, trail, path.segments.at(-1) ?? '');
      // Relative links in the folder's page need the slash.
      this.#response.set('Cache-Control', 'no-cache');
      this.#response.redirect(302, `${this.#request.path}/${queryOf(this.#request)}`);
      return undefined;
    }
    // A leaf is a file: it need not be fetched to know that.
    const node = isDirectoryCodec(trail.cid) ? await this.#open(trail) : undefined;
    if (node?.type !== 'directory') return await this.#notFound();
    const index = await this.#follow([...path.segments, 'index.html']);
    if (index === undefined) return await this.#listing(node, trail, path.segments);
    if (this.#isKnown(index.cid)) return this.#unchanged(index);
    const page = await this.#open(index);
    if (page.type === 'directory') return await this.#listing(node, trail, path.segments);
    return await this.#file(page, index, 'index.html');
  }

  async #file(file: FileNode, trail: Trail, filename: string): Promise<void> {
    const range = this.#range(file);
    if (range === 'unsatisfiable') {
      this.#headers(trail);
      this.#response.set('Content-Range', `bytes */${file.size}`).status(416).end();
      return;
    }
    const { start, end } = range ?? { start: 0, end: file.size };
    const known = contentType(extensionOf(filename));
    const blocks = known === false ? keepingFirstLeaf(this.#content) : this.#content;
    const chunks = this.#isHead ? undefined : readFile(blocks, file, { start, end }, { signal: this.#signal });
    // The first bytes are here before headers are sent: a failure so far still gets an error page.
    const first = await chunks?.next();
    const type = known === false ? first && (await this.#sniff(blocks, file, start, first)) : known;
    this.#headers(trail);
    this.#response.set({ 'Accept-Ranges': 'bytes', 'Content-Length': String(end - start) });
    // HEAD of a file whose name does not tell its type is answered without one: no block is paid for to find out.
    if (type !== undefined) this.#response.set('Content-Type', type);
    if (range !== undefined) this.#response.set('Content-Range', `bytes ${start}-${end - 1}/${file.size}`).status(206);
    await this.#send(first, chunks);
  }

  async #send(first?: IteratorResult<Uint8Array, void>, rest?: AsyncGenerator<Uint8Array>): Promise<void> {
    if (rest !== undefined && first?.done === false) {
      await writeAll(this.#response, first.value);
      for await (const chunk of rest) await writeAll(this.#response, chunk);
    }
    this.#response.end();
  }

  /** The site's own 404.html when it has one. */
  async #notFound(): Promise<void> {
    const own = await this.#follow(['404.html']);
    const page = own && (await this.#open(own));
    if (page?.type !== 'file') return sendMessage(this.#response, noSuchPage(this.#site.name));
    this.#response.status(404).set({
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': String(page.size),
      'Cache-Control': 'no-cache',
      'X-Content-Type-Options': 'nosniff',
    });
    const chunks = this.#isHead ? undefined : readFile(this.#content, page, undefined, { signal: this.#signal });
    return await this.#send(await chunks?.next(), chunks);
  }

  async #listing(node: DirectoryNode, trail: Trail, segments: readonly string[]): Promise<void> {
    const names: string[] = [];
    let cut = false;
    for await (const entry of node.entries({ signal: this.#signal })) {
      cut = names.length >= MAX_LISTED_ENTRIES;
      if (cut) break;
      names.push(entry.name);
    }
    this.#headers(trail);
    this.#response.removeHeader('ETag');
    const path = [this.#site.name, ...segments].join('/');
    sendListing(this.#response, { path: `${path}/`, names: names.sort(), cut, top: segments.length === 0 });
  }

  #unchanged(trail: Trail): void {
    this.#headers(trail);
    this.#response.status(304).end();
  }

  /** ETag is the CID: the same bytes have it for ever, on every gateway. A name may move on, so it is asked about each time. */
  #headers(trail: Trail): void {
    this.#response.set({
      ETag: etag(trail.cid),
      'Cache-Control': 'no-cache',
      'X-Content-Type-Options': 'nosniff',
      'Origin-Agent-Cluster': '?1',
      'X-Ipfs-Path': `/ipns/${this.#site.name}${this.#request.path}`,
      'X-Ipfs-Roots': trail.roots.map((cid) => cid.toString()).join(','),
    });
  }

  #isKnown(cid: CID): boolean {
    const header = this.#request.headers['if-none-match'];
    if (header === undefined) return false;
    return header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag(cid));
  }

  #range(file: FileNode): { start: number; end: number } | 'unsatisfiable' | undefined {
    const { range, 'if-range': condition } = this.#request.headers;
    if (range === undefined || this.#request.method !== 'GET') return undefined;
    if (condition !== undefined && condition !== etag(file.cid)) return undefined;
    return parseRange(range, file.size);
  }

  /** Type of a file whose name says nothing: text when its first bytes read as UTF-8. */
  async #sniff(
    blocks: BlockReader,
    file: FileNode,
    start: number,
    first: IteratorResult<Uint8Array, void>,
  ): Promise<string> {
    let head = first.done === true ? new Uint8Array(0) : first.value;
    if (start !== 0) {
      const sniffed = { start: 0, end: Math.min(file.size, SNIFFED_BYTES) };
      const beginning = await readFile(blocks, file, sniffed, { signal: this.#signal }).next();
      head = beginning.done === true ? head : beginning.value;
    }
    return isText(head.subarray(0, SNIFFED_BYTES)) ? 'text/plain; charset=utf-8' : 'application/octet-stream';
  }

  async #follow(segments: readonly string[]): Promise<Trail | undefined> {
    return await follow(this.#content, this.#site.root, segments, { signal: this.#signal });
  }

  /** Loads the target's own block; but the head of a file that is one leaf is told without it. */
  async #open(trail: Trail): Promise<SiteNode> {
    const size = this.#isHead ? trail.statedSize() : undefined;
    if (size !== undefined) return { type: 'file', cid: trail.cid, size };
    return await openNode(this.#content, trail.cid, { signal: this.#signal });
  }

  get #isHead(): boolean {
    return this.#request.method === 'HEAD';
  }
}

/** Reads the leaf that was asked for first only once: a range of it is sent, and its beginning may tell the type. */
function keepingFirstLeaf(blocks: BlockReader): BlockReader {
  let kept: { readonly cid: CID; readonly block: Promise<Uint8Array> } | undefined;
  return {
    get(cid, options) {
      if (kept?.cid.equals(cid) === true) return kept.block;
      const block = blocks.get(cid, options);
      if (!isDirectoryCodec(cid)) kept ??= { cid, block };
      return block;
    },
  };
}

/**
 * One byte range of RFC 9110. Malformed ones and several at once are ignored, as it asks or allows. (The range-parser
 * package calls a suffix longer than the file unsatisfiable; the RFC means the whole file.)
 */
function parseRange(header: string, size: number): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(header.replaceAll(' ', ''));
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  if (last !== '' && Number(last) < Number(first)) return undefined;
  if (Number(first) >= size) return 'unsatisfiable';
  return { start: Number(first), end: last === '' ? size : Math.min(Number(last) + 1, size) };
}

/** undefined when the path cannot name anything: bad escapes, empty or hidden-slash segments. */
function splitPath(path: string): { readonly segments: readonly string[]; readonly folder: boolean } | undefined {
  const raw = path.split('/').slice(1);
  const folder = raw.at(-1) === '';
  if (folder) raw.pop();
  try {
    const segments = raw.map((segment) => decodeURIComponent(segment));
    return segments.some((segment) => segment === '' || segment.includes('\0')) ? undefined : { segments, folder };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** The query with its mark, as it was sent; empty when there is none. */
export function queryOf(request: Request): string {
  const mark = request.url.indexOf('?');
  return mark < 0 ? '' : request.url.slice(mark);
}

function etag(cid: CID): string {
  return `"${cid.toString()}"`;
}

function extensionOf(filename: string): string {
  const dot = filename.lastIndexOf('.');
  return dot <= 0 ? '' : filename.slice(dot);
}

function isText(head: Uint8Array): boolean {
  if (head.includes(0)) return false;
  try {
    // stream: the last character may be cut in half.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
