/**
 * The datagrams of a stream. They are a flow beside the stream's bytes, each with its length u16 before it, and cut into cells as those are:
 * small ones share a cell, and where little is granted a large one takes several small cells. So every grant that lets data go lets
 * datagrams go. Their credit counts whole cells: what a cell makes its receiver hold, and its payer pay, whatever is in it.
 */
import { DATAGRAM_QUEUE, DATAGRAM_WINDOW, MAX_DATAGRAM_BYTES } from '../../core/limits.ts';
import { CELL_HEADER_BYTES, CellType, SMALL_CELL, dataCellLength, frameCell } from './cell.ts';
import { overdrawn } from './credit.ts';
import { ByteQueue } from './queue.ts';

const LENGTH_BYTES = 2;

/** What we send. */
export class DatagramsOut {
  readonly #queue = new ByteQueue();
  /** Bytes of cells that the other end takes. */
  #credit: number = DATAGRAM_WINDOW;
  /** On the list of those that wait for their turn. */
  listed = false;

  get isEmpty(): boolean {
    return this.#queue.bytes === 0;
  }

  get canSend(): boolean {
    return this.#queue.bytes > 0 && this.#credit >= SMALL_CELL;
  }

  /** Copies it. @returns false when it is dropped: too much waits. */
  push(data: Uint8Array): boolean {
    if (this.#queue.bytes + LENGTH_BYTES + data.length > DATAGRAM_QUEUE) return false;
    const record = Buffer.allocUnsafe(LENGTH_BYTES + data.length);
    record.writeUInt16LE(data.length, 0);
    record.set(data, LENGTH_BYTES);
    this.#queue.push(record);
    return true;
  }

  /** @throws RelaymintError PROTOCOL_VIOLATION when it is more than was ever taken from us. */
  credited(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > DATAGRAM_WINDOW) throw overdrawn('takes more datagrams than it ever did');
  }

  /** Writes the next cell, of at most `limit` bytes. @returns its size, 0 when none fits. */
  pull(cell: Buffer, stream: number, limit: number): number {
    const length = dataCellLength(this.#queue.bytes, Math.min(limit, this.#credit));
    if (length === 0) return 0;
    this.#queue.moveTo(cell, CELL_HEADER_BYTES, length);
    const size = frameCell(cell, CellType.DATAGRAM, stream, length);
    this.#credit -= size;
    return size;
  }

  clear(): void {
    this.#queue.clear();
  }
}

/** A stream that has datagrams to send. */
export interface Talker {
  readonly id: number;
  readonly datagramsOut: DatagramsOut | undefined;
}

/** Streams with datagrams to send, in turn. */
export class DatagramTurns<T extends Talker> {
  #talkers: T[] = [];

  get wantToSend(): boolean {
    return this.#talkers.some(({ datagramsOut }) => datagramsOut?.canSend === true);
  }

  /** @returns false when it cannot send, or waits already. */
  add(talker: T): boolean {
    const out = talker.datagramsOut;
    if (out === undefined || out.listed || !out.canSend) return false;
    out.listed = true;
    this.#talkers.push(talker);
    return true;
  }

  /** Writes a cell of at most `limit` bytes. @returns whose it is, and its size; undefined when there is none. */
  pull(cell: Buffer, limit: number): { readonly talker: T; readonly size: number } | undefined {
    for (let talker = this.#talkers[0]; talker !== undefined; talker = this.#talkers[0]) {
      const out = talker.datagramsOut;
      if (out?.canSend === true) {
        const size = out.pull(cell, talker.id, limit);
        if (size === 0) return undefined;
        this.#talkers.shift();
        out.listed = false;
        this.add(talker);
        return { talker, size };
      }
      this.#talkers.shift();
      if (out !== undefined) out.listed = false;
    }
    return undefined;
  }

  clear(): void {
    this.#talkers = [];
  }
}

/** What those that come ask of their stream. */
export interface DatagramReader {
  /** Bytes of cells that wait for the application (positive), or no longer (negative). */
  unread(bytes: number): void;
  /** The other end may send so many bytes of cells more. */
  credit(bytes: number): void;
  /** The application's handler failed. */
  failed(error: unknown): void;
}

interface Chunk {
  readonly data: Buffer;
  /** Bytes of the cell that it came in. */
  readonly cost: number;
}

/** What comes. It stays in its cells until the application takes it: so its credit bounds what it takes of memory, however small it is. */
export class DatagramsIn {
  readonly #reader: DatagramReader;
  #handler: ((data: Buffer) => void) | undefined;
  /** Bytes of cells that the other end may still send. */
  credit: number = DATAGRAM_WINDOW;
  #due = 0;
  #chunks: Chunk[] = [];
  /** Bytes of the first chunk that were taken. */
  #offset = 0;
  #bytes = 0;
  #reading = false;

  constructor(reader: DatagramReader) {
    this.#reader = reader;
  }

  /** A cell came, of `cost` bytes with its header. @throws RelaymintError PROTOCOL_VIOLATION. */
  deliver(data: Buffer, cost: number): void {
    this.credit -= cost;
    if (this.credit < 0) throw overdrawn('sent more datagrams than were taken from it');
    if (data.length === 0) throw overdrawn('sent a cell of datagrams without any');
    this.#chunks.push({ data, cost });
    this.#bytes += data.length;
    this.#reader.unread(cost);
    this.#read();
  }

  /** undefined: they wait. @throws RelaymintError PROTOCOL_VIOLATION: what waited was malformed. */
  onDatagram(handler: ((data: Buffer) => void) | undefined): void {
    this.#handler = handler;
    this.#read();
  }

  close(): void {
    this.#handler = undefined;
    let held = 0;
    for (const { cost } of this.#chunks) held += cost;
    this.#chunks = [];
    this.#bytes = 0;
    if (held > 0) this.#reader.unread(-held);
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#handler !== undefined) {
        const record = this.#next();
        if (record === undefined) return;
        try {
          this.#handler(record);
        } catch (error) {
          this.#reader.failed(error);
        }
      }
    } finally {
      this.#reading = false;
    }
  }

  /** The next one that is here as a whole. */
  #next(): Buffer | undefined {
    if (this.#bytes < LENGTH_BYTES) return undefined;
    const length = this.#byteAt(0) | (this.#byteAt(1) << 8);
    if (length > MAX_DATAGRAM_BYTES) throw overdrawn(`sent a datagram of ${length} bytes`);
    if (this.#bytes < LENGTH_BYTES + length) return undefined;
    this.#take(LENGTH_BYTES);
    return this.#take(length);
  }

  /** Of the first two bytes. */
  #byteAt(index: number): number {
    const at = this.#offset + index;
    const [first, second] = this.#chunks;
    return (first !== undefined && at < first.data.length ? first.data[at] : second?.data[0]) ?? 0;
  }

  /** A view where it lies in one chunk. */
  #take(length: number): Buffer {
    const parts: Buffer[] = [];
    let used = 0;
    let freed = 0;
    for (let left = length; left > 0;) {
      const chunk = this.#chunks[used];
      if (chunk === undefined) break;
      const part = chunk.data.subarray(this.#offset, this.#offset + left);
      parts.push(part);
      left -= part.length;
      this.#offset += part.length;
      if (this.#offset < chunk.data.length) break;
      this.#offset = 0;
      used += 1;
      freed += chunk.cost;
    }
    this.#bytes -= length;
    if (used > 0) {
      this.#chunks.splice(0, used);
      this.#free(freed);
    }
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }

  #free(bytes: number): void {
    this.#reader.unread(-bytes);
    this.#due += bytes;
    if (this.#due < DATAGRAM_WINDOW / 2) return;
    this.credit += this.#due;
    this.#reader.credit(this.#due);
    this.#due = 0;
  }
}
