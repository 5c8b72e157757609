/** A file as an answer: its type, the ranges of it that are wanted, its bytes. */
import { randomBytes } from 'node:crypto';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { openNode, readFile, type FileNode } from '../unixfs/index.ts';
import { SNIFFED_BYTES } from '../media/index.ts';
import { writeAll } from '../wire/index.ts';
import type { Answering } from './answering.ts';
import { tellAppendix } from './appendix.ts';
import { parseRanges, type ByteRange } from './byte-range.ts';
import { isOther } from './conditions.ts';
import { requireDeclared, sandboxDrawing } from './declared.ts';
import { disposition } from './disposition.ts';
import { LEAST_PACKED_BYTES, MOST_PACKED_BYTES, isCompressible, packed, unpackedBeginning } from './encodings.ts';
import { setHeads, type Told } from './heads.ts';
import { UNKNOWN_TYPE, describeType, needsBytes, typeByName, type MediaType } from './media-type.ts';
import { parameter } from './representation.ts';
import { wantsPart, type Variant } from './variants.ts';

const NO_BYTES = new Uint8Array(0);
/** A file that is cut into pieces of a few letters must not cost a look-up for each of them. */
const MAX_HEAD_PIECES = 16;

/** How a file is sent. */
export interface Sending extends Told {
  readonly filename: string;
  /** Default 200, or 206 for a range. */
  readonly status: number | undefined;
  /** Packed forms that may be sent instead. */
  readonly variants: readonly Variant[];
}

/** @throws RelaymintError before anything was sent (tell it) or after (cut the connection). */
export async function sendFile(answering: Answering, file: FileNode, sending: Sending): Promise<void> {
  await new FileAnswer(answering, file, sending).send();
}

/** Sends what the publisher packed. @returns false when there is nothing of that kind, or it is not what its name says. */
export async function sendPacked(answering: Answering, sending: Sending): Promise<boolean> {
  const { asked, blocks } = answering;
  for (const variant of sending.variants) {
    if (variant.cid === undefined || isOther(asked.request, variant.tag)) continue;
    const file = await openNode(blocks, variant.cid, { signal: asked.signal });
    if (file.type !== 'file') continue;
    if (await new FileAnswer(answering, file, sending).sendAs(variant)) return true;
  }
  return false;
}

class FileAnswer {
  readonly #answering: Answering;
  readonly #file: FileNode;
  readonly #sending: Sending;

  constructor(answering: Answering, file: FileNode, sending: Sending) {
    this.#answering = answering;
    this.#file = file;
    this.#sending = sending;
  }

  async send(): Promise<void> {
    const { asked, place } = this.#answering;
    const { request, response } = asked;
    const { status, tag } = this.#sending;
    const { size } = this.#file;
    const isPart = status === undefined && wantsPart(this.#answering, tag);
    const ranges = isPart ? parseRanges(request.headers.range, size) : undefined;
    if (ranges === 'unsatisfiable') {
      setHeads(asked, place, this.#sending);
      response.set('Content-Range', `bytes */${size}`).status(416).end();
      return;
    }
    const known = this.#known;
    const type = this.#answering.type ?? (await this.#typeOf(known));
    await this.#compare(type, () => this.#unpackedHead(known));
    const appendix = ranges === undefined && type.startsWith('text/html') ? place.appendix : undefined;
    const variant = ranges === undefined && appendix === undefined ? this.#packing(type) : undefined;
    if (variant !== undefined) return await this.#pack(variant, type);
    if (!this.#answering.accepted.identity) throw notAcceptable();
    this.#setHeads(type, tag);
    response.status(status ?? (ranges === undefined ? 200 : 206));
    response.set('Accept-Ranges', 'bytes');
    // Express would add a charset.
    response.setHeader('Content-Type', type);
    if (this.#answering.type === undefined && known?.encoding !== undefined) {
      response.set('Content-Encoding', known.encoding);
    }
    this.#saveAs();
    if (appendix !== undefined) tellAppendix(response, appendix, request.headers.host ?? '');
    const [only, ...others] = ranges ?? [{ start: 0, end: size }];
    if (only === undefined || others.length > 0) return await this.#parts(ranges ?? [], type);
    if (ranges !== undefined) response.set('Content-Range', `bytes ${only.start}-${only.end - 1}/${size}`);
    response.set('Content-Length', String(only.end - only.start + (appendix?.html.length ?? 0)));
    if (!this.#isHead) {
      await this.#write(only);
      if (appendix !== undefined) await writeAll(response, appendix.html);
    }
    response.end();
    return undefined;
  }

  /** This is the packed form of the file that was asked for. @returns whether it really is packed. */
  async sendAs(variant: Variant): Promise<boolean> {
    const { asked, type: given } = this.#answering;
    const first = await this.#read(this.#all).next();
    const head = first.done === true ? undefined : await unpackedBeginning(first.value, variant.coding);
    if (head === undefined) return false;
    const type = given ?? describeType(this.#known, head.subarray(0, SNIFFED_BYTES), false);
    await this.#compare(type, () => Promise.resolve(head));
    this.#setHeads(type, variant.tag);
    const { response } = asked;
    response.status(this.#sending.status ?? 200).set({
      'Content-Encoding': variant.coding,
      'Content-Length': String(this.#file.size),
    });
    response.setHeader('Content-Type', type);
    this.#saveAs();
    if (!this.#isHead) await this.#write(this.#all);
    response.end();
    return true;
  }

  /** How the gateway packs it, if that is wanted and worth it. */
  #packing(type: string): Variant | undefined {
    const { accepted, asked } = this.#answering;
    const { variants, caching = '' } = this.#sending;
    if (this.#known?.encoding !== undefined || /no-transform/i.test(caching)) return undefined;
    const { size } = this.#file;
    const isWorthIt = isCompressible(type) && size >= LEAST_PACKED_BYTES && size <= MOST_PACKED_BYTES;
    if (!isWorthIt && accepted.identity) return undefined;
    return variants.find(({ cid, tag }) => cid === undefined && !isOther(asked.request, tag));
  }

  async #pack(variant: Variant, type: string): Promise<void> {
    const { response } = this.#answering.asked;
    this.#setHeads(type, variant.tag);
    response.status(this.#sending.status ?? 200).set('Content-Encoding', variant.coding);
    response.setHeader('Content-Type', type);
    this.#saveAs();
    if (!this.#isHead) {
      for await (const piece of packed(this.#read(this.#all), variant.coding)) await writeAll(response, piece);
    }
    response.end();
  }

  /** Several ranges in one answer (RFC 9110, section 15.3.7.2). */
  async #parts(ranges: readonly ByteRange[], type: string): Promise<void> {
    const { response } = this.#answering.asked;
    const { size } = this.#file;
    const boundary = randomBytes(16).toString('hex');
    const heads = ranges.map(({ start, end }) =>
      Buffer.from(
        `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: bytes ${start}-${end - 1}/${size}\r\n\r\n`,
      ),
    );
    const foot = Buffer.from(`\r\n--${boundary}--\r\n`);
    const sent = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    response.set({
      'Content-Type': `multipart/byteranges; boundary=${boundary}`,
      'Content-Length': String(heads.reduce((sum, head) => sum + head.length, sent + foot.length)),
    });
    for (const [index, range] of ranges.entries()) await this.#write(range, heads[index]);
    await writeAll(response, foot);
    response.end();
  }

  /** The first bytes are here before anything is sent: a failure so far still gets an error page. */
  async #write(range: ByteRange, head?: Buffer): Promise<void> {
    const { response } = this.#answering.asked;
    const chunks = this.#read(range);
    try {
      let chunk = await chunks.next();
      if (head !== undefined) await writeAll(response, head);
      while (chunk.done !== true) {
        await writeAll(response, chunk.value);
        chunk = await chunks.next();
      }
    } finally {
      await chunks.return(undefined);
    }
  }

  #setHeads(type: string, tag: string): void {
    const { asked, place } = this.#answering;
    setHeads(asked, place, { ...this.#sending, tag });
    if (place.declared !== undefined) sandboxDrawing(asked.response, type);
  }

  /** @throws RelaymintError CONTENT_REFUSED, and what `head` throws. */
  async #compare(type: string, head: () => Promise<Uint8Array>): Promise<void> {
    const { asked, place } = this.#answering;
    const about = { cid: this.#file.cid, type, path: asked.request.path };
    if (place.declared !== undefined) await requireDeclared(place.declared, about, head);
  }

  async #head(): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.#read({ start: 0, end: Math.min(this.#file.size, SNIFFED_BYTES) })) {
      // Nearly always all of it. What a page begins with is not hidden in many small ones.
      if (pieces.push(piece) >= MAX_HEAD_PIECES) break;
    }
    return pieces.length === 1 ? (pieces[0] ?? NO_BYTES) : Buffer.concat(pieces);
  }

  /** Of a file whose name says that it is packed, what is in it. */
  async #unpackedHead(known: MediaType | undefined): Promise<Uint8Array> {
    const head = await this.#head();
    return known?.encoding === undefined ? head : ((await unpackedBeginning(head, 'gzip')) ?? NO_BYTES);
  }

  async #typeOf(known: MediaType | undefined): Promise<string> {
    if (known !== undefined && !needsBytes(known)) return known.type;
    const { size } = this.#file;
    try {
      const head = await this.#head();
      return describeType(known, head, head.length === size);
    } catch (error) {
      // What is wanted of the file may be here although its beginning is not.
      if (isRelaymintError(error, 'CONTENT_NOT_FOUND')) return known?.type ?? UNKNOWN_TYPE;
      throw error;
    }
  }

  /**
   * By its name. Where the address is of the content alone, by the one that the visitor gives it; below a site's name somebody else's link
   * must not make a page, with script, of a text that the site shows. A root that is a file has no name, and is what its manifest says.
   */
  get #known(): MediaType | undefined {
    const { asked, place } = this.#answering;
    const given = place.immutable ? parameter(asked.request, 'filename') : undefined;
    const filename = given ?? this.#sending.filename;
    return filename === '' && place.declared !== undefined ? { type: place.declared.mediaType } : typeByName(filename);
  }

  get #all(): ByteRange {
    return { start: 0, end: this.#file.size };
  }

  get #isHead(): boolean {
    return this.#answering.asked.request.method === 'HEAD';
  }

  #read(range: ByteRange): AsyncGenerator<Uint8Array> {
    return readFile(this.#answering.blocks, this.#file, range, { signal: this.#answering.asked.signal });
  }

  #saveAs(): void {
    const { request, response } = this.#answering.asked;
    const wanted = parameter(request, 'filename');
    const download = parameter(request, 'download') === 'true';
    if (wanted === undefined && !download) return;
    const name = wanted ?? this.#sending.filename;
    response.set('Content-Disposition', disposition(download ? 'attachment' : 'inline', name));
  }
}

function notAcceptable(): RelaymintError {
  return new RelaymintError('NOT_ACCEPTABLE', 'This file is sent as it is, and the visitor takes only packed ones.', {
    remedy: 'Ask without "identity;q=0".',
  });
}
