/** One stream of a circuit: a node Duplex on one side, cells and credit on the other. */
import { Duplex } from 'node:stream';
import { attribution, type Attribution, type NameShare } from '../../core/attribution.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_DATAGRAM_BYTES, STREAM_OUT_QUEUE, STREAM_WINDOW_INITIAL } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { cellSize, dataCellLength } from './cell.ts';
import type { CircuitStream } from './contract.ts';
import { overdrawn } from './credit.ts';
import { DatagramsIn, DatagramsOut } from './datagrams.ts';
import { ByteQueue } from './queue.ts';
import { EndReason, endError } from './reason.ts';

/** What node's own buffer takes of what is written before it asks the writer to wait, and of what came in one piece: a few large cells. */
const HIGH_WATER = 64 * 1024;
/** Of what came it takes no more while it holds anything: the rest waits in our inbox, where whole cells count. */
const READ_HIGH_WATER = 1;
/** Data of that size goes to the reader as it is, without being put together with what is beside it. */
const LARGE_PIECE = 4096;

/** What a stream asks of the end of the circuit it belongs to. */
export interface StreamHost {
  readonly price: PricePerMiB;
  /** Data, or the end of it, can be sent. */
  ready(stream: MuxStream): void;
  /** The application has taken so many bytes of cells. */
  consumed(stream: MuxStream, bytes: number): void;
  /** Bytes of cells arrived that the application does not take yet (positive), or no longer wait (negative). */
  unread(bytes: number): void;
  /** Datagrams wait to be sent. */
  talks(stream: MuxStream): void;
  /** So many bytes of cells of datagrams were taken. */
  heard(stream: MuxStream, bytes: number): void;
  /** The other end broke the rules in what the application reads now. */
  fail(error: RelaymintError): void;
  /** Nothing more will be sent: say so. */
  finish(stream: MuxStream): void;
  /** The stream is gone; tell the other end why unless `reason` is undefined. */
  gone(stream: MuxStream, reason: EndReason | undefined, text: string): void;
}

type Done = (error?: Error | null) => void;

/** Unread data, and the size of the cell that it came in, bytes. */
interface Chunk {
  readonly data: Buffer;
  readonly cost: number;
}

export class MuxStream extends Duplex implements CircuitStream {
  readonly id: number;
  readonly circuitPrice: PricePerMiB;
  /** Whom its frames count for. */
  attribution: Attribution | undefined;
  /** Set on the opener's side until CONNECTED or END arrives. */
  awaiting: { resolve(): void; reject(error: Error): void } | undefined;
  readonly out: ByteQueue = new ByteQueue();
  /** undefined where the other end takes none. */
  datagramsOut: DatagramsOut | undefined;
  /** undefined where we take none. */
  datagramsIn: DatagramsIn | undefined;
  /** On the host's list of streams that can send. */
  listed = false;

  /** Bytes of cells of data that we may send: what a cell makes its receiver hold, and its payer pay, whatever is in it. */
  sendCredit: number = STREAM_WINDOW_INITIAL;
  /** What the peer may have unread here; grows to the host's target. */
  window: number = STREAM_WINDOW_INITIAL;
  /** Bytes of cells of data that the peer may still send. */
  receiveCredit: number = STREAM_WINDOW_INITIAL;
  /** Consumed and not yet told. */
  creditDue = 0;
  cellBytesReceived = 0;
  dataBytesReceived = 0;
  /** What `takeFilled` saw of both. */
  #seen: { cells: number; data: number } = { cells: 0, data: 0 };

  /** We said END. */
  ended = false;
  /** The peer said END. */
  peerEnded = false;
  /** We will send nothing after what is queued. */
  ending = false;

  readonly #host: StreamHost;
  #inbox: Chunk[] = [];
  /** What they cost. */
  #inboxCost = 0;
  #demand = false;
  #writeDone: Done | undefined;
  #finalDone: Done | undefined;

  constructor(host: StreamHost, id: number) {
    super({ allowHalfOpen: true, readableHighWaterMark: READ_HIGH_WATER, writableHighWaterMark: HIGH_WATER });
    this.#host = host;
    this.id = id;
    this.circuitPrice = host.price;
    // A lost circuit must not crash a process whose application does not listen; the stream's state says it as well.
    this.on('error', () => {});
  }

  attribute(shares: readonly NameShare[]): void {
    this.attribution = shares.length === 0 ? undefined : attribution(shares);
  }

  get takesDatagrams(): boolean {
    return this.datagramsOut !== undefined;
  }

  sendDatagram(data: Uint8Array): boolean {
    if (data.length > MAX_DATAGRAM_BYTES) {
      throw new RelaymintError('INVALID_ARGUMENT', `A datagram of ${data.length} bytes cannot be sent.`, {
        remedy: `Send at most ${MAX_DATAGRAM_BYTES} bytes in each, or write them to the stream.`,
      });
    }
    const out = this.datagramsOut;
    if (out === undefined || this.destroyed || this.writableEnded || !out.push(data)) return false;
    this.#host.talks(this);
    return true;
  }

  onDatagram(handler: ((data: Buffer) => void) | undefined): void {
    if (this.datagramsIn === undefined) throw new TypeError('this end of the stream takes no datagrams');
    try {
      this.datagramsIn.onDatagram(handler);
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      this.#host.fail(error);
    }
  }

  /** From now on we take datagrams. */
  takeDatagrams(): void {
    this.datagramsIn = new DatagramsIn({
      unread: (bytes) => this.#host.unread(bytes),
      credit: (bytes) => this.#host.heard(this, bytes),
      failed: (error) => void this.destroy(error instanceof Error ? error : undefined),
    });
  }

  /** The other end takes datagrams. */
  sendDatagrams(): void {
    this.datagramsOut = new DatagramsOut();
  }

  /** True when a DATA cell can be filled: a small credit is left to grow rather than cut into small cells. */
  get canSend(): boolean {
    const queued = this.out.bytes;
    return queued > 0 && this.sendCredit >= cellSize(dataCellLength(queued));
  }

  /** Everything that reads has read what came. */
  get keepsUp(): boolean {
    return this.#inboxCost === 0;
  }

  /**
   * Data came from the other end, in a cell of that size, which it is a part of.
   * @throws RelaymintError PROTOCOL_VIOLATION when it had no credit for it.
   */
  deliver(data: Buffer, cost: number): void {
    this.receiveCredit -= cost;
    if (this.receiveCredit < 0) throw overdrawn(`sent more than the window of stream ${this.id}`);
    this.cellBytesReceived += cost;
    this.dataBytesReceived += data.length;
    // A reader that keeps a little data must not keep a large cell by it.
    const kept = data.length < cost / 2 ? Buffer.from(data) : data;
    if (this.#demand && this.#inbox.length === 0) {
      this.#demand = this.push(kept);
      if (!this.destroyed) this.#host.consumed(this, cost);
    } else {
      this.#inbox.push({ data: kept, cost });
      this.#inboxCost += cost;
      this.#host.unread(cost);
    }
  }

  /** END came from the other end. */
  deliverEnd(reason: number, text: string): void {
    const connected = this.awaiting === undefined;
    this.peerEnded = true;
    if (reason === EndReason.FINISHED && connected) {
      if (this.#inbox.length === 0) this.push(null);
      return;
    }
    // The other end has forgotten the stream: there is nobody to say END to.
    this.ended = true;
    this.destroy(endError(reason, text, connected));
  }

  /** The host took data out: lets the writer go on, and says END once the last byte is out. */
  drained(): void {
    if (this.#writeDone !== undefined && this.out.bytes <= STREAM_OUT_QUEUE / 2) {
      const done = this.#writeDone;
      this.#writeDone = undefined;
      done();
    }
    if (this.ending && !this.ended && this.#isSent) this.#finish();
  }

  override _read(): void {
    this.#demand = true;
    if (this.#inbox.length === 0) return;
    let [freed, count, bytes] = [0, 0, 0];
    while (bytes < HIGH_WATER && count < this.#inbox.length) {
      const piece = this.#piece(count);
      for (const { cost, data } of piece) {
        freed += cost;
        bytes += data.length;
      }
      count += piece.length;
      const [first, second] = piece;
      if (first === undefined) break;
      this.#demand = this.push(second === undefined ? first.data : Buffer.concat(piece.map(({ data }) => data)));
    }
    this.#inbox.splice(0, count);
    // Destroyed by whoever got the data: everything was settled then.
    if (this.destroyed) return;
    this.#inboxCost -= freed;
    this.#host.unread(-freed);
    this.#host.consumed(this, freed);
    if (this.#inbox.length === 0 && this.peerEnded) this.push(null);
  }

  /** What of the inbox is read in one piece, from there on: small ones together, so that node's buffer never holds many. */
  #piece(from: number): Chunk[] {
    const piece: Chunk[] = [];
    let bytes = 0;
    for (let at = from; at < this.#inbox.length && bytes < HIGH_WATER; at += 1) {
      const chunk = this.#inbox[at];
      if (chunk === undefined || (piece.length > 0 && chunk.data.length >= LARGE_PIECE)) break;
      piece.push(chunk);
      bytes += chunk.data.length;
      if (chunk.data.length >= LARGE_PIECE) break;
    }
    return piece;
  }

  /** @returns whether what came since the last call was at least half data. */
  takeFilled(): boolean {
    const cells = this.cellBytesReceived - this.#seen.cells;
    const data = this.dataBytesReceived - this.#seen.data;
    this.#seen = { cells: this.cellBytesReceived, data: this.dataBytesReceived };
    return 2 * data >= cells;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.out.push(chunk);
    this.#host.ready(this);
    if (this.out.bytes > STREAM_OUT_QUEUE) this.#writeDone = done;
    else done();
  }

  override _final(done: Done): void {
    this.ending = true;
    this.#finalDone = done;
    if (this.#isSent) this.#finish();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#host.unread(-this.#inboxCost);
    this.#inbox = [];
    this.#inboxCost = 0;
    this.datagramsIn?.close();
    this.out.clear();
    this.datagramsOut?.clear();
    const complete = this.ended && this.peerEnded;
    const reason = error === null ? EndReason.ABORTED : EndReason.FAILED;
    // Only codes travel: a message may hold what is nobody else's business.
    this.#host.gone(this, complete ? undefined : reason, isRelaymintError(error) ? error.code : '');
    const { awaiting } = this;
    this.awaiting = undefined;
    awaiting?.reject(error ?? endError(EndReason.ABORTED, '', true));
    const waiting = [this.#writeDone, this.#finalDone];
    this.#writeDone = undefined;
    this.#finalDone = undefined;
    for (const callback of waiting) callback?.(error);
    done(error);
  }

  get #isSent(): boolean {
    return this.out.bytes === 0 && this.datagramsOut?.isEmpty !== false;
  }

  #finish(): void {
    this.ended = true;
    this.#host.finish(this);
    const done = this.#finalDone;
    this.#finalDone = undefined;
    done?.();
  }
}
