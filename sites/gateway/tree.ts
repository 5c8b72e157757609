/** Files, pages and folders of a place, for browsers: walk, verify, stream. */
import { randomBytes } from 'node:crypto';
import type { Request, Response } from 'express';
import type { CID } from 'multiformats/cid';
import { isRelaymintError } from '../../core/errors.ts';
import { MAX_LISTED_ENTRIES } from '../../core/limits.ts';
import { isDirectoryCodec, type BlockReader } from '../blocks/index.ts';
import {
  follow,
  openNode,
  readFile,
  type DirectoryNode,
  type FileNode,
  type SiteNode,
  type Trail,
} from '../unixfs/index.ts';
import { writeAll } from '../wire/index.ts';
import { parseRanges, type ByteRange } from './byte-range.ts';
import { rangeApplies, strongTag } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import { disposition } from './disposition.ts';
import { noSuchPage } from './failure.ts';
import { FOR_EVER, isAnswered, setHeads } from './heads.ts';
import { LISTING_VERSION, sendListing, sendMessage } from './pages.ts';
import { UNKNOWN_TYPE, describeType, needsBytes, typeByName, type MediaType } from './media-type.ts';
import { pathBelow, splitPath, type Place } from './place.ts';
import { MAX_REDIRECTS_BYTES, parseRedirects, redirectFor, redirectsTooLarge } from './redirects.ts';
import { parameter } from './representation.ts';

/** Bytes looked at to tell what a file is when its name does not say. */
const SNIFFED_BYTES = 2048;
const NO_BYTES = new Uint8Array(0);
/** A listing may look different in another version of this gateway. */
const A_WEEK = 'public, max-age=604800, stale-while-revalidate=2678400';

/** `type`: what the answer is said to be. @throws RelaymintError before anything was sent (tell it) or after (cut the connection). */
export async function answerTree(asked: ContentAsked, place: Place, type: string | undefined): Promise<void> {
  await new TreeAnswer(asked, place, type).answer();
}

/** How a file is sent. */
interface Sending {
  readonly filename: string;
  readonly tag: string;
  readonly trail: Trail;
  /** Default 200, or 206 for a range. */
  readonly status?: number;
}

/** How what a path names is shown. */
interface Showing {
  /** Default 200. */
  readonly status?: number;
  /** Nothing but this kind will do. */
  readonly only?: 'file';
  /** It is shown in place of what was asked for. */
  readonly instead?: true;
}

const ASKED: Showing = {};

class TreeAnswer {
  readonly #asked: ContentAsked;
  readonly #place: Place;
  readonly #blocks: BlockReader;
  readonly #request: Request;
  readonly #response: Response;
  readonly #signal: AbortSignal;
  readonly #type: string | undefined;

  constructor(asked: ContentAsked, place: Place, type: string | undefined) {
    const { request, response, signal } = asked;
    this.#asked = asked;
    this.#place = place;
    this.#blocks = keepingFirstLeaf(place.blocks);
    this.#request = request;
    this.#response = response;
    this.#signal = signal;
    this.#type = type;
  }

  async answer(): Promise<void> {
    const path = splitPath(pathBelow(this.#place, this.#request.path));
    if (path === undefined || !(await this.#show(path.segments, path.folder))) await this.#missing(path?.segments);
  }

  /** @returns false when there is nothing of that name. */
  async #show(segments: readonly string[], folder: boolean, how: Showing = ASKED): Promise<boolean> {
    const { status, only, instead } = how;
    const trail = await this.#follow(segments);
    if (trail === undefined) return false;
    const isRoot = segments.length === 0;
    // A leaf is a file: it need not be fetched to know that.
    if (folder && !isRoot && !isDirectoryCodec(trail.cid)) return false;
    const tag = strongTag(trail.cid.toString());
    if (how === ASKED && !folder && isAnswered(this.#asked, this.#place, { trail, tag })) return true;
    const node = await this.#open(trail.cid);
    if (only !== undefined && node.type !== only) return false;
    if (node.type === 'directory') {
      // The visitor asked for something else, and would come to another folder.
      if (folder || instead === true) await this.#folder(node, trail, segments, status);
      else this.#toFolder();
      return true;
    }
    if (folder && !isRoot) return false;
    if (status === undefined && (folder || how !== ASKED) && isAnswered(this.#asked, this.#place, { trail, tag }))
      return true;
    if (node.type === 'symlink') this.#symlink(node.target, trail, tag);
    else await this.#file(node, { filename: segments.at(-1) ?? '', tag, trail, ...(status && { status }) });
    return true;
  }

  async #folder(node: DirectoryNode, trail: Trail, segments: readonly string[], status?: number): Promise<void> {
    const index = await this.#follow([...segments, 'index.html']);
    if (index === undefined) return await this.#listing(node, trail, segments);
    // The page of a folder changes with the folder only, and has the folder's tag.
    const tag = strongTag(trail.cid.toString());
    if (status === undefined && isAnswered(this.#asked, this.#place, { trail, tag })) return undefined;
    const page = await this.#open(index.cid);
    if (page.type !== 'file') return await this.#listing(node, trail, segments);
    return await this.#file(page, { filename: 'index.html', tag, trail, ...(status && { status }) });
  }

  /** Relative links in the folder's page need the slash. A name may point to a file there tomorrow. */
  #toFolder(): void {
    const { immutable } = this.#place;
    this.#response.set('Cache-Control', immutable ? FOR_EVER : 'no-cache');
    this.#response.redirect(immutable ? 301 : 302, `${this.#request.path}/${queryOf(this.#request)}`);
  }

  #symlink(target: string, trail: Trail, tag: string): void {
    setHeads(this.#asked, this.#place, { trail, tag });
    this.#response.type('text/plain').send(target);
  }

  async #file(file: FileNode, { filename, tag, trail, status }: Sending): Promise<void> {
    const whole = status !== undefined || this.#isHead || !rangeApplies(this.#request, tag);
    const ranges = whole ? undefined : parseRanges(this.#request.headers.range, file.size);
    if (ranges === 'unsatisfiable') {
      setHeads(this.#asked, this.#place, { trail, tag });
      this.#response.set('Content-Range', `bytes */${file.size}`).status(416).end();
      return;
    }
    const known = this.#type === undefined ? typeByName(parameter(this.#request, 'filename') ?? filename) : undefined;
    const type = this.#type ?? (await this.#typeOf(file, known));
    const appendix = this.#appendix(type, ranges);
    setHeads(this.#asked, this.#place, { trail, tag });
    this.#response.status(status ?? (ranges === undefined ? 200 : 206));
    this.#response.set('Accept-Ranges', 'bytes');
    // Express would add a charset.
    this.#response.setHeader('Content-Type', type);
    if (known?.encoding !== undefined) this.#response.set('Content-Encoding', known.encoding);
    this.#saveAs(filename);
    if (appendix !== undefined) this.#response.removeHeader('ETag');
    const [only, ...others] = ranges ?? [{ start: 0, end: file.size }];
    if (only === undefined || others.length > 0) return await this.#parts(file, ranges ?? [], type);
    if (ranges !== undefined) this.#response.set('Content-Range', `bytes ${only.start}-${only.end - 1}/${file.size}`);
    this.#response.set('Content-Length', String(only.end - only.start + (appendix?.length ?? 0)));
    if (!this.#isHead) {
      await this.#send(file, only);
      if (appendix !== undefined) await writeAll(this.#response, appendix);
    }
    this.#response.end();
    return undefined;
  }

  /** Several ranges in one answer (RFC 9110, section 15.3.7.2). */
  async #parts(file: FileNode, ranges: readonly ByteRange[], type: string): Promise<void> {
    const boundary = randomBytes(16).toString('hex');
    const heads = ranges.map(({ start, end }) =>
      Buffer.from(
        `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: bytes ${start}-${end - 1}/${file.size}\r\n\r\n`,
      ),
    );
    const foot = Buffer.from(`\r\n--${boundary}--\r\n`);
    const sent = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    this.#response.set({
      'Content-Type': `multipart/byteranges; boundary=${boundary}`,
      'Content-Length': String(heads.reduce((sum, head) => sum + head.length, sent + foot.length)),
    });
    for (const [index, range] of ranges.entries()) await this.#send(file, range, heads[index]);
    await writeAll(this.#response, foot);
    this.#response.end();
  }

  /** The first bytes are here before anything is sent: a failure so far still gets an error page. */
  async #send(file: FileNode, range: ByteRange, head?: Buffer): Promise<void> {
    const chunks = readFile(this.#blocks, file, range, { signal: this.#signal });
    const first = await chunks.next();
    if (head !== undefined) await writeAll(this.#response, head);
    if (first.done === true) return;
    await writeAll(this.#response, first.value);
    for await (const chunk of chunks) await writeAll(this.#response, chunk);
  }

  async #typeOf(file: FileNode, known: MediaType | undefined): Promise<string> {
    if (known !== undefined && !needsBytes(known)) return known.type;
    const range = { start: 0, end: Math.min(file.size, SNIFFED_BYTES) };
    try {
      const first = await readFile(this.#blocks, file, range, { signal: this.#signal }).next();
      const head = first.done === true ? NO_BYTES : first.value;
      return describeType(known, head, head.length === file.size);
    } catch (error) {
      // What is wanted of the file may be here although its beginning is not.
      if (isRelaymintError(error, 'CONTENT_NOT_FOUND')) return known?.type ?? UNKNOWN_TYPE;
      throw error;
    }
  }

  #appendix(type: string, ranges: readonly ByteRange[] | undefined): Buffer | undefined {
    return ranges === undefined && type.startsWith('text/html') ? this.#place.appendix : undefined;
  }

  #saveAs(filename: string): void {
    const wanted = parameter(this.#request, 'filename');
    const download = parameter(this.#request, 'download') === 'true';
    if (wanted === undefined && !download) return;
    this.#response.set('Content-Disposition', disposition(download ? 'attachment' : 'inline', wanted ?? filename));
  }

  // --- what is not there --------------------------------------------------------------------------------------------------------

  async #missing(segments: readonly string[] | undefined): Promise<void> {
    if (this.#place.ownOrigin) {
      if (segments !== undefined && (await this.#withoutExtension(segments))) return undefined;
      if (await this.#redirected()) return undefined;
      if (await this.#show(['404.html'], false, { status: 404, only: 'file' })) return undefined;
    }
    return sendMessage(this.#response, noSuchPage(this.#place.title));
  }

  /** `/about` is `about.html`. */
  async #withoutExtension(segments: readonly string[]): Promise<boolean> {
    const last = segments.at(-1);
    if (last === undefined || last.includes('.') || this.#request.path.endsWith('/')) return false;
    return await this.#show([...segments.slice(0, -1), `${last}.html`], false, { only: 'file' });
  }

  /** The site's own `_redirects`. @throws RelaymintError REDIRECTS_INVALID. */
  async #redirected(): Promise<boolean> {
    const own = await this.#follow(['_redirects']);
    const file = own && (await this.#open(own.cid));
    if (file?.type !== 'file') return false;
    if (file.size > MAX_REDIRECTS_BYTES) throw redirectsTooLarge();
    const pieces: Uint8Array[] = [];
    for await (const piece of readFile(this.#blocks, file, undefined, { signal: this.#signal })) pieces.push(piece);
    const found = redirectFor(
      parseRedirects(Buffer.concat(pieces).toString()),
      pathBelow(this.#place, this.#request.path),
    );
    if (found === undefined) return false;
    if (found.status >= 300 && found.status < 400) {
      this.#response.set('Cache-Control', 'no-cache').redirect(found.status, found.to);
      return true;
    }
    const path = splitPath(found.to);
    const status = found.status === 200 ? {} : { status: found.status };
    return path !== undefined && (await this.#show(path.segments, path.folder, { ...status, instead: true }));
  }

  // --- folders ------------------------------------------------------------------------------------------------------------------

  async #listing(node: DirectoryNode, trail: Trail, segments: readonly string[]): Promise<void> {
    const tag = strongTag(`DirIndex-${LISTING_VERSION}_CID-${trail.cid.toString()}`);
    if (isAnswered(this.#asked, this.#place, { trail, tag })) return;
    const names: string[] = [];
    let cut = false;
    for await (const entry of node.entries({ signal: this.#signal })) {
      cut = names.length >= MAX_LISTED_ENTRIES;
      if (cut) break;
      names.push(entry.name);
    }
    setHeads(this.#asked, this.#place, { trail, tag });
    const path = [this.#place.title, ...segments].join('/');
    const caching = this.#place.immutable ? A_WEEK : 'no-cache';
    sendListing(this.#response, { path: `${path}/`, names: names.sort(), cut, top: segments.length === 0, caching });
  }

  // --- heads --------------------------------------------------------------------------------------------------------------------

  async #follow(segments: readonly string[]): Promise<Trail | undefined> {
    return await follow(this.#blocks, this.#place.root, segments, { signal: this.#signal });
  }

  async #open(cid: CID): Promise<SiteNode> {
    return await openNode(this.#blocks, cid, { signal: this.#signal });
  }

  get #isHead(): boolean {
    return this.#request.method === 'HEAD';
  }
}

/** Reads the leaf that was asked for first only once: its beginning may tell the type, before it is sent. */
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

/** The query with its mark, as it was sent; empty when there is none. */
export function queryOf(request: Request): string {
  const mark = request.url.indexOf('?');
  return mark < 0 ? '' : request.url.slice(mark);
}
