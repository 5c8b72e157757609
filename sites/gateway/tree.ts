/** Files, pages and folders of a place, for browsers: walk, verify, stream. */
import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { CID } from 'multiformats/cid';
import { MAX_LISTED_ENTRIES, MAX_LISTED_LETTERS } from '../../core/limits.ts';
import { isDirectoryCodec, type BlockReader } from '../blocks/index.ts';
import { follow, openNode, type DirectoryNode, type FileNode, type SiteNode, type Trail } from '../unixfs/index.ts';
import type { Answering } from './answering.ts';
import { strongTag } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import { noSuchPage } from './failure.ts';
import { NOTHING_PACKED, acceptedCodings } from './encodings.ts';
import { sendFile, sendPacked, type Sending } from './file-answer.ts';
import { FOR_EVER, isAnswered, setHeads, type Told } from './heads.ts';
import { siteHeaders, siteRedirect } from './own-files.ts';
import { LISTING_VERSION, sendListing, sendMessage } from './pages.ts';
import { pictureForm, type PictureForm } from './pictures.ts';
import { pathBelow, splitPath, type Place } from './place.ts';
import type { SiteHeaders } from './site-headers.ts';
import { variantsOf, type Variant } from './variants.ts';

/** Browsers keep these of an answer that they have, whatever a 304 says: where they change, the tag has to. */
const NOT_RENEWED: readonly string[] = ['content-type', 'x-frame-options', 'x-xss-protection'];
/** A listing may look different in another version of this gateway. */
const A_WEEK = 'public, max-age=604800, stale-while-revalidate=2678400';

/** `type`: what the answer is said to be. @throws RelaymintError before anything was sent (tell it) or after (cut the connection). */
export async function answerTree(asked: ContentAsked, place: Place, type: string | undefined): Promise<void> {
  const { request, response, signal } = asked;
  const own: SiteHeaders = place.ownOrigin ? await siteHeaders(place, request.path, { signal }) : new Map();
  // Whatever answers. What the gateway says itself comes later, and counts.
  for (const [name, value] of own) {
    // Of the heads that are there already only this one says several things.
    if (name === 'link') response.append('Link', value);
    else response.setHeader(name, value);
  }
  await new TreeAnswer(asked, place, own, type).answer();
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
  /** `_headers`. */
  readonly #own: SiteHeaders;
  readonly #answering: Answering;

  constructor(asked: ContentAsked, place: Place, own: SiteHeaders, type: string | undefined) {
    const { request, response, signal } = asked;
    this.#asked = asked;
    this.#place = place;
    this.#blocks = keepingLastLeaf(place.blocks);
    this.#request = request;
    this.#response = response;
    this.#signal = signal;
    this.#own = own;
    const accepted = place.ownOrigin ? acceptedCodings(request.headers['accept-encoding']) : NOTHING_PACKED;
    this.#answering = { asked, place, blocks: this.#blocks, type: type ?? own.get('content-type'), accepted };
  }

  async answer(): Promise<void> {
    const path = splitPath(pathBelow(this.#place, this.#request.path));
    if (path === undefined || !(await this.#show(path.segments, path.folder))) await this.#missing(path?.segments);
  }

  /** @returns false when there is nothing of that name. */
  async #show(asked: readonly string[], folder: boolean, how: Showing = ASKED): Promise<boolean> {
    const { status, only, instead } = how;
    const found = await this.#follow(asked);
    if (found === undefined) return false;
    const { segments, trail } = (folder ? undefined : await this.#pictureForm(asked, found, status)) ?? {
      segments: asked,
      trail: found,
    };
    const isRoot = segments.length === 0;
    // A leaf is a file: it need not be fetched to know that.
    if (folder && !isRoot && !isDirectoryCodec(trail.cid)) return false;
    const told = this.#told(trail, trail.cid.toString(), status);
    const variants = await variantsOf(this.#answering, segments, told.tag);
    if (how === ASKED && !folder && this.#isAnswered(told, variants)) return true;
    // A leaf is not fetched if it is sent packed.
    const node = isDirectoryCodec(trail.cid) ? await this.#open(trail.cid) : undefined;
    if (only !== undefined && node !== undefined && node.type !== only) return false;
    if (node?.type === 'directory') {
      // The visitor asked for something else, and would come to another folder.
      if (folder || instead === true) await this.#folder(node, trail, segments, status);
      else this.#toFolder();
      return true;
    }
    if (folder && !isRoot) return false;
    const isLate = folder || how !== ASKED;
    if (status === undefined && isLate && this.#isAnswered(told, variants)) return true;
    if (node?.type === 'symlink') this.#symlink(node.target, told);
    else await this.#file(node ?? trail.cid, { ...told, filename: segments.at(-1) ?? '', status, variants });
    return true;
  }

  /** Another form of a picture, that the visitor would rather have. */
  async #pictureForm(segments: readonly string[], { cid }: Trail, status?: number): Promise<PictureForm | undefined> {
    return await pictureForm(
      this.#answering,
      segments,
      cid,
      (form) => this.#told(form, form.cid.toString(), status).tag,
    );
  }

  async #file(file: FileNode | CID, sending: Sending): Promise<void> {
    if (await sendPacked(this.#answering, sending)) return;
    const node = 'type' in file ? file : await this.#open(file);
    if (node.type !== 'file') throw new TypeError('a leaf is a file');
    await sendFile(this.#answering, node, sending);
  }

  async #folder(node: DirectoryNode, trail: Trail, segments: readonly string[], status?: number): Promise<void> {
    const index = await this.#follow([...segments, 'index.html']);
    if (index === undefined) return await this.#listing(node, trail, segments);
    // The page of a folder changes with the folder only, and has the folder's tag.
    const told = this.#told(trail, trail.cid.toString(), status);
    const variants = await variantsOf(this.#answering, [...segments, 'index.html'], told.tag);
    if (status === undefined && this.#isAnswered(told, variants)) return undefined;
    const page = isDirectoryCodec(index.cid) ? await this.#open(index.cid) : index.cid;
    if ('type' in page && page.type !== 'file') return await this.#listing(node, trail, segments);
    return await this.#file(page, { ...told, filename: 'index.html', status, variants });
  }

  /** Relative links in the folder's page need the slash. A name may point to a file there tomorrow. */
  #toFolder(): void {
    const { immutable } = this.#place;
    this.#response.set('Cache-Control', immutable ? FOR_EVER : 'no-cache');
    // With one slash at its beginning, or it would name another host.
    const path = this.#place.base + pathBelow(this.#place, this.#request.path);
    this.#response.redirect(immutable ? 301 : 302, `${path}/${queryOf(this.#request)}`);
  }

  #symlink(target: string, told: Told): void {
    setHeads(this.#asked, this.#place, told);
    this.#response.type('text/plain').send(target);
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

  /** By the site's own `_redirects`. @throws RelaymintError REDIRECTS_INVALID. */
  async #redirected(): Promise<boolean> {
    const found = await siteRedirect(this.#place, this.#request.path, { signal: this.#signal });
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
    const told = this.#told(trail, `DirIndex-${LISTING_VERSION}_CID-${trail.cid.toString()}`);
    if (isAnswered(this.#asked, this.#place, told)) return;
    const names: string[] = [];
    let cut = false;
    let letters = 0;
    for await (const entry of node.entries({ signal: this.#signal })) {
      letters += entry.name.length;
      cut = names.length >= MAX_LISTED_ENTRIES || letters > MAX_LISTED_LETTERS;
      if (cut) break;
      names.push(entry.name);
    }
    setHeads(this.#asked, this.#place, told);
    const path = [this.#place.title, ...segments].join('/');
    const caching = this.#place.immutable ? A_WEEK : 'no-cache';
    sendListing(this.#response, { path: `${path}/`, names: names.sort(), cut, top: segments.length === 0, caching });
  }

  // --- heads --------------------------------------------------------------------------------------------------------------------

  /** `what`: what has the tag. An answer with a status of its own is of today. */
  #told(trail: Trail, what: string, status?: number): Told {
    const kept = NOT_RENEWED.flatMap((name) => (this.#own.has(name) ? [name, this.#own.get(name)] : []));
    const variant =
      kept.length === 0 ? '' : `.${createHash('sha256').update(JSON.stringify(kept)).digest('hex').slice(0, 12)}`;
    const caching = status === undefined ? this.#own.get('cache-control') : undefined;
    return {
      trail,
      tag: strongTag(what + variant),
      caching,
      ...(this.#place.ownOrigin && { vary: 'Accept-Encoding' }),
    };
  }

  #isAnswered(told: Told, variants: readonly Variant[]): boolean {
    const others = variants.map(({ tag }) => tag);
    return isAnswered(this.#asked, this.#place, told, others);
  }

  async #follow(segments: readonly string[]): Promise<Trail | undefined> {
    return await follow(this.#blocks, this.#place.root, segments, { signal: this.#signal });
  }

  async #open(cid: CID): Promise<SiteNode> {
    return await openNode(this.#blocks, cid, { signal: this.#signal });
  }
}

/** Has the leaf that was asked for last: its beginning may tell the type before it is sent. No more than that stays in memory. */
function keepingLastLeaf(blocks: BlockReader): BlockReader {
  let kept: { readonly cid: CID; readonly block: Promise<Uint8Array> } | undefined;
  return {
    get(cid, options) {
      if (kept?.cid.equals(cid) === true) return kept.block;
      const block = blocks.get(cid, options);
      if (!isDirectoryCodec(cid)) kept = { cid, block };
      return block;
    },
  };
}

/** The query with its mark, as it was sent; empty when there is none. */
export function queryOf(request: Request): string {
  const mark = request.url.indexOf('?');
  return mark < 0 ? '' : request.url.slice(mark);
}
