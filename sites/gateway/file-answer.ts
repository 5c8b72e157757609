/** A file as an answer: its type, the ranges of it that are wanted, its bytes. */
import { randomBytes } from 'node:crypto';
import { isRelaymintError } from '../../core/errors.ts';
import type { BlockReader } from '../blocks/index.ts';
import { readFile, type FileNode } from '../unixfs/index.ts';
import { writeAll } from '../wire/index.ts';
import { parseRanges, type ByteRange } from './byte-range.ts';
import { rangeApplies } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import { disposition } from './disposition.ts';
import { setHeads, type Told } from './heads.ts';
import { UNKNOWN_TYPE, describeType, needsBytes, typeByName, type MediaType } from './media-type.ts';
import type { Place } from './place.ts';
import { parameter } from './representation.ts';

/** Bytes looked at to tell what a file is when its name does not say. */
const SNIFFED_BYTES = 2048;
const NO_BYTES = new Uint8Array(0);

/** What is the same for whatever answers a request for a place. */
export interface Answering {
  readonly asked: ContentAsked;
  readonly place: Place;
  readonly blocks: BlockReader;
  /** What the answer is said to be. Default: what the file is. */
  readonly type: string | undefined;
}

/** How a file is sent. */
export interface Sending extends Told {
  readonly filename: string;
  /** Default 200, or 206 for a range. */
  readonly status: number | undefined;
}

/** @throws RelaymintError before anything was sent (tell it) or after (cut the connection). */
export async function sendFile(answering: Answering, file: FileNode, sending: Sending): Promise<void> {
  await new FileAnswer(answering, file, sending).send();
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
    const { status, tag, filename } = this.#sending;
    const { size } = this.#file;
    const isHead = request.method === 'HEAD';
    const whole = status !== undefined || isHead || !rangeApplies(request, tag);
    const ranges = whole ? undefined : parseRanges(request.headers.range, size);
    if (ranges === 'unsatisfiable') {
      setHeads(asked, place, this.#sending);
      response.set('Content-Range', `bytes */${size}`).status(416).end();
      return;
    }
    const known = typeByName(parameter(request, 'filename') ?? filename);
    const type = this.#answering.type ?? (await this.#typeOf(known));
    const appendix = ranges === undefined && type.startsWith('text/html') ? place.appendix : undefined;
    setHeads(asked, place, this.#sending);
    response.status(status ?? (ranges === undefined ? 200 : 206));
    response.set('Accept-Ranges', 'bytes');
    // Express would add a charset.
    response.setHeader('Content-Type', type);
    if (this.#answering.type === undefined && known?.encoding !== undefined) {
      response.set('Content-Encoding', known.encoding);
    }
    this.#saveAs();
    if (appendix !== undefined) response.removeHeader('ETag');
    const [only, ...others] = ranges ?? [{ start: 0, end: size }];
    if (only === undefined || others.length > 0) return await this.#parts(ranges ?? [], type);
    if (ranges !== undefined) response.set('Content-Range', `bytes ${only.start}-${only.end - 1}/${size}`);
    response.set('Content-Length', String(only.end - only.start + (appendix?.length ?? 0)));
    if (!isHead) {
      await this.#write(only);
      if (appendix !== undefined) await writeAll(response, appendix);
    }
    response.end();
    return undefined;
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
    const first = await chunks.next();
    if (head !== undefined) await writeAll(response, head);
    if (first.done === true) return;
    await writeAll(response, first.value);
    for await (const chunk of chunks) await writeAll(response, chunk);
  }

  async #typeOf(known: MediaType | undefined): Promise<string> {
    if (known !== undefined && !needsBytes(known)) return known.type;
    const { size } = this.#file;
    try {
      const first = await this.#read({ start: 0, end: Math.min(size, SNIFFED_BYTES) }).next();
      const head = first.done === true ? NO_BYTES : first.value;
      return describeType(known, head, head.length === size);
    } catch (error) {
      // What is wanted of the file may be here although its beginning is not.
      if (isRelaymintError(error, 'CONTENT_NOT_FOUND')) return known?.type ?? UNKNOWN_TYPE;
      throw error;
    }
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
