/**
 * One end of a circuit: turns streams into cells and cells into streams, those that it opens and those that the other end opens.
 * Knows nothing of layers, links or money.
 */
import { abortError, assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import {
  GRANT_RESERVE,
  MAX_CELL_BYTES,
  MAX_CONTROL_CELLS,
  MAX_REFUSED_STREAMS,
  MAX_STREAMS_PER_CIRCUIT,
  MAX_STREAM_PARAMS,
  STREAM_GRANT,
  STREAM_OUT_QUEUE,
  STREAM_WINDOW_INITIAL,
  STREAM_WINDOW_MAX,
} from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import {
  CELL_HEADER_BYTES,
  CellType,
  cellData,
  cellSize,
  cellStream,
  cellType,
  dataCellLength,
  decodeBegin,
  encodeBegin,
  frameCell,
} from './cell.ts';
import { Intake, overdrawn } from './credit.ts';
import { EndReason, decodeEnd, encodeEnd } from './reason.ts';
import { Pings } from './pings.ts';
import { MuxStream } from './stream.ts';
import type { StreamHost } from './stream.ts';
import { StreamIds, otherSide, type CircuitSide } from './stream-ids.ts';

const SERVICE_NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/;
const NO_DATA = Buffer.alloc(0);
/** An end that grants so much grants more long before it is used. */
const ROOMY_GRANT = 4 * MAX_CELL_BYTES;
/** A grant that is too small for what waits is followed by another within this, or by none: what it came of has become less, milliseconds. */
const SMALL_GRANT_MILLIS = 25;

/** What an end of a circuit asks of the circuit. */
export interface MuxOwner {
  /** Cells wait to be pulled. */
  wake(): void;
  /** The other end broke the rules where no cell of it was being read. */
  fail(error: RelaymintError): void;
  /** Frames of this many bytes carried content of that name. */
  attribute(name: string, frameBytes: number): void;
  /** Frame bytes that the other end may still send. */
  granted(): number;
  /** Lets it send so many more, or what money allows of them: `grantDue` again then. */
  grant(bytes: number): void;
  /**
   * The other end opens a stream: serve it (after `connect`), or refuse it by returning why.
   * @throws RelaymintError PROTOCOL_VIOLATION when it is not in a position to.
   */
  serve(service: string, params: Buffer, stream: MuxStream, connect: () => void): Refusal | undefined;
  /** A cell that is not about streams: EXTEND, EXTENDED. @throws RelaymintError PROTOCOL_VIOLATION when out of place. */
  control(type: number, data: Buffer): void;
}

export interface Refusal {
  readonly reason: EndReason;
  readonly text: string;
}

interface ControlCell {
  readonly type: CellType;
  readonly stream: number;
  readonly data: Uint8Array;
}

export function isServiceName(name: string): boolean {
  return SERVICE_NAME.test(name);
}

const OPENING = 'Opening the stream';

export class Mux implements StreamHost {
  readonly price: PricePerMiB;
  readonly #side: CircuitSide;
  readonly #owner: MuxOwner;
  readonly #streams = new Map<number, MuxStream>();
  /** What we open, and what the other end does. */
  readonly #ours: StreamIds;
  readonly #theirs: StreamIds;
  /** Streams of the other end that were not taken. */
  #refused = 0;
  readonly #intake = new Intake();
  readonly #pings: Pings = new Pings((token) => this.#send(CellType.PING, 0, token));
  /** Small cells go before data. */
  #control: ControlCell[] = [];
  /** Streams that can send, in turn. */
  #ready: MuxStream[] = [];
  /** The stream whose cell was pulled last. */
  #pulled: MuxStream | undefined;
  /** Bytes by which all stream windows together have grown. */
  #grown = 0;
  #waking = false;
  /** The most that was granted us since we last gave something back, or had to make do. */
  #most = 0;
  /** The grant is small, and no larger one came: data may take a half of it. */
  #small = false;
  /** Of the grant that data waits to see grow, what was left when it was last looked at. */
  #waitsWith: number | undefined;
  #patience: NodeJS.Timeout | undefined;
  #closed: RelaymintError | undefined;

  /** `price`: what the payer of the circuit pays its last hop. */
  constructor(side: CircuitSide, owner: MuxOwner, price: PricePerMiB) {
    this.#side = side;
    this.#owner = owner;
    this.price = price;
    this.#ours = new StreamIds(side);
    this.#theirs = new StreamIds(otherSide(side));
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** False once every stream number of ours was used. */
  get acceptsStreams(): boolean {
    return this.#ours.left;
  }

  // --- from the application ---------------------------------------------------------------------------------------------

  /** @throws RelaymintError as Circuit.openStream. */
  async open(service: string, params: Uint8Array, signal?: AbortSignal): Promise<MuxStream> {
    if (this.#closed !== undefined) throw this.#closed;
    if (!isServiceName(service) || params.length > MAX_STREAM_PARAMS) {
      throw new RelaymintError('INVALID_ARGUMENT', `The service "${service.slice(0, 40)}" cannot be asked for.`, {
        remedy: `Its name is 1 to 32 of a-z 0-9 . _ - and its parameters at most ${MAX_STREAM_PARAMS} bytes.`,
      });
    }
    assertNotAborted(signal, OPENING);
    if (this.#ours.open >= MAX_STREAMS_PER_CIRCUIT || !this.acceptsStreams) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'This circuit takes no more streams.', {
        remedy: 'Close some, or build another circuit.',
      });
    }
    const stream = new MuxStream(this, this.#ours.next());
    this.#add(stream);
    this.#send(CellType.BEGIN, stream.id, encodeBegin(service, params));
    this.#expectAnswer();
    const onAbort = (): void => void stream.destroy(signal === undefined ? undefined : abortError(signal, OPENING));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        stream.awaiting = { resolve, reject };
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    return stream;
  }

  /** One round trip to the other end, milliseconds. @throws RelaymintError CIRCUIT_DESTROYED, CLOSED, LIMIT_EXCEEDED. */
  ping(): Promise<number> {
    return this.#closed === undefined ? this.#pings.ask() : Promise.reject(this.#closed);
  }

  /** Queues a cell that is not about streams. */
  sendControl(type: CellType, data: Uint8Array): void {
    this.#send(type, 0, data);
  }

  /** The circuit is gone: so are its streams. */
  close(error: RelaymintError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#waitNoLonger();
    this.#control = [];
    this.#ready = [];
    for (const stream of this.#streams.values()) stream.destroy(error);
    this.#streams.clear();
    this.#pings.failAll(error);
  }

  // --- out: cells for the link --------------------------------------------------------------------------------------------

  /**
   * Writes the next cell, of at most `limit` bytes, into `cell` (MAX_CELL_BYTES). Data leaves a little of the limit to control
   * cells. @returns its size, 0 when there is nothing to send. Runs no code of the application.
   */
  pull(cell: Buffer, limit: number): number {
    this.#pulled = undefined;
    if (limit > this.#most) this.#most = limit;
    const control = this.#control[0];
    if (control !== undefined) {
      if (cellSize(control.data.length) > limit) return 0;
      this.#control.shift();
      cell.set(control.data, CELL_HEADER_BYTES);
      return frameCell(cell, control.type, control.stream, control.data.length);
    }
    for (let stream = this.#ready[0]; stream !== undefined; stream = this.#ready[0]) {
      if (!stream.canSend) {
        this.#ready.shift();
        stream.listed = false;
        continue;
      }
      const length = this.#dataLength(stream.out.bytes, limit - this.#reserve(limit));
      if (length === 0) return 0;
      this.#waitNoLonger();
      const size = cellSize(length);
      this.#ready.shift();
      stream.sendCredit -= length;
      stream.out.moveTo(cell, CELL_HEADER_BYTES, length);
      frameCell(cell, CellType.DATA, stream.id, length);
      if (stream.canSend) this.#ready.push(stream);
      else stream.listed = false;
      this.#pulled = stream;
      // Whoever asks expects an answer.
      if (this.#ours.owns(stream.id)) this.#expectAnswer();
      return size;
    }
    return 0;
  }

  #expectAnswer(): void {
    this.#expectData();
    this.grantDue();
  }

  #expectData(): void {
    if (this.#intake.window.expect(STREAM_GRANT)) this.#measure();
  }

  #measure(): void {
    const { window } = this.#intake;
    if (this.#pings.send(() => window.measured(performance.now()))) window.began(performance.now());
  }

  /** A large grant that is nearly used is waited for, rather than cut into small cells: more is on its way. */
  #dataLength(queued: number, limit: number): number {
    const length = dataCellLength(queued);
    if (cellSize(length) <= limit) return length;
    if (this.#most < ROOMY_GRANT) return dataCellLength(queued, limit);
    if (this.#waitsWith !== undefined && limit > this.#waitsWith) {
      this.#patience ??= setTimeout(() => this.#losePatience(), SMALL_GRANT_MILLIS).unref();
    }
    this.#waitsWith = limit;
    return 0;
  }

  #losePatience(): void {
    this.#patience = undefined;
    if (this.#waitsWith === undefined || this.#closed !== undefined) return;
    this.makeDo();
    this.#owner.wake();
  }

  #waitNoLonger(): void {
    this.#waitsWith = undefined;
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  /** Cells wait. */
  get wantsToSend(): boolean {
    return this.#control.length > 0 || this.#ready.some((stream) => stream.canSend);
  }

  /** No larger grant came: small cells will do, and of a small grant data takes a half, or nobody would ever use it. */
  makeDo(): void {
    this.#most = 0;
    this.#small = true;
  }

  /** Gave back what it did not use. `idle`: but for two of the smallest frames, and one of them may be data. */
  gaveBack(idle: boolean): void {
    this.#most = 0;
    this.#small = idle;
  }

  #reserve(limit: number): number {
    if (limit > 2 * GRANT_RESERVE) this.#small = false;
    return this.#small ? Math.floor(limit / 2) : GRANT_RESERVE;
  }

  /** The pulled cell went out in a frame of that size. */
  sent(frameBytes: number): void {
    const stream = this.#pulled;
    if (stream === undefined) return;
    this.#pulled = undefined;
    if (stream.contentName !== undefined) this.#owner.attribute(stream.contentName, frameBytes);
    if (stream.ending || stream.out.bytes <= STREAM_OUT_QUEUE / 2) stream.drained();
  }

  // --- in: cells from the other end ---------------------------------------------------------------------------------------

  /** Takes a cell that came in a frame of that size; its buffer is ours. @throws RelaymintError PROTOCOL_VIOLATION, INVALID_ENCODING: the circuit must end. */
  receive(cell: Buffer, frameBytes: number): void {
    const type = cellType(cell);
    this.#take(cell, type);
    if (this.#intake.arrived(frameBytes, type === CellType.DATA)) this.#measure();
    this.grantDue();
  }

  #take(cell: Buffer, type: number): void {
    const data = cellData(cell);
    const id = cellStream(cell);
    switch (type) {
      case CellType.DATA:
        this.#onData(id, data);
        return;
      case CellType.WINDOW:
        this.#onWindow(id, data);
        return;
      case CellType.BEGIN:
        this.#onBegin(id, data);
        return;
      case CellType.CONNECTED: {
        const stream = this.#find(id);
        const awaiting = stream?.awaiting;
        if (stream === undefined || awaiting === undefined) return;
        stream.awaiting = undefined;
        awaiting.resolve();
        return;
      }
      case CellType.END: {
        const { reason, text } = decodeEnd(data);
        this.#find(id)?.deliverEnd(reason, text);
        return;
      }
      case CellType.PING:
        this.#send(CellType.PONG, 0, Uint8Array.from(data.subarray(0, 4)));
        return;
      case CellType.PONG:
        this.#pings.answer(data);
        return;
      default:
        this.#owner.control(type, data);
    }
  }

  #onData(id: number, data: Buffer): void {
    const stream = this.#find(id);
    if (stream !== undefined) {
      if (stream.peerEnded) throw overdrawn(`sent data after the end of stream ${id}`);
      stream.deliver(data);
    }
  }

  #onWindow(id: number, data: Buffer): void {
    if (data.length !== 4) throw overdrawn('sent a WINDOW of the wrong length');
    const bytes = data.readUInt32LE(0);
    const stream = this.#find(id);
    if (stream === undefined) return;
    stream.sendCredit += bytes;
    if (stream.sendCredit > STREAM_WINDOW_MAX) throw overdrawn(`opened stream ${id} beyond the largest window`);
    this.ready(stream);
    if (this.#ready.length > 0) this.#wake();
  }

  #onBegin(id: number, data: Buffer): void {
    if (!this.#theirs.take(id)) throw overdrawn(`opened stream ${id} out of turn`);
    const { service, params } = decodeBegin(data);
    if (this.#theirs.open >= MAX_STREAMS_PER_CIRCUIT) {
      this.#refuse(id, { reason: EndReason.LIMIT, text: 'too many streams in this circuit' });
      return;
    }
    const stream = new MuxStream(this, id);
    this.#add(stream);
    let connected = false;
    const connect = (): void => {
      connected = true;
      // Only now: what is expected is granted, and a stream that is refused must be worth nothing to whoever is paid for what comes.
      this.#expectData();
      this.#send(CellType.CONNECTED, id, NO_DATA);
    };
    const refusal = this.#owner.serve(service, params, stream, connect);
    if (refusal === undefined || connected) return;
    this.#remove(stream);
    stream.destroy();
    this.#refuse(id, refusal);
  }

  /** Says no. Whoever pays for both the question and the answer does so a few times only. */
  #refuse(id: number, { reason, text }: Refusal): void {
    this.#refused += 1;
    if (this.#side === 'initiator' && this.#refused > MAX_REFUSED_STREAMS)
      throw overdrawn('opens streams that nobody takes');
    this.#send(CellType.END, id, encodeEnd(reason, text));
  }

  #add(stream: MuxStream): void {
    this.#streams.set(stream.id, stream);
    this.#openedBy(stream).open += 1;
  }

  #remove(stream: MuxStream): void {
    this.#streams.delete(stream.id);
    this.#openedBy(stream).open -= 1;
  }

  #openedBy({ id }: MuxStream): StreamIds {
    return this.#ours.owns(id) ? this.#ours : this.#theirs;
  }

  /** undefined: it has ended here already. @throws RelaymintError PROTOCOL_VIOLATION when it never was. */
  #find(id: number): MuxStream | undefined {
    const stream = this.#streams.get(id);
    if (stream === undefined && !this.#ours.wasUsed(id) && !this.#theirs.wasUsed(id)) {
      throw overdrawn(`sent a cell of stream ${id}, which was never opened`);
    }
    return stream;
  }

  // --- what streams ask -----------------------------------------------------------------------------------------------------

  ready(stream: MuxStream): void {
    if (stream.listed || !stream.canSend) return;
    stream.listed = true;
    this.#ready.push(stream);
    this.#wake();
  }

  consumed(stream: MuxStream, bytes: number): void {
    stream.creditDue += bytes;
    if (stream.peerEnded || stream.creditDue < stream.window / 2) return;
    let growth = 0;
    // What is granted bounds what is on its way: a stream's own window need not shrink with it, and is not what it waits for.
    const target = Math.min(2 * this.#intake.window.target, STREAM_WINDOW_MAX);
    if (stream.keepsUp && stream.window < target) {
      // What windows have grown by stays below one circuit window in all: more could not be used.
      growth = Math.min(target - stream.window, STREAM_WINDOW_MAX - this.#grown);
      this.#grown += growth;
      stream.window += growth;
    }
    const credit = stream.creditDue + growth;
    stream.creditDue = 0;
    stream.receiveCredit += credit;
    this.#sendWindow(stream.id, credit);
  }

  unread(bytes: number): void {
    this.#intake.unread += bytes;
    if (bytes < 0) this.grantDue();
  }

  finish(stream: MuxStream): void {
    this.#send(CellType.END, stream.id, encodeEnd(EndReason.FINISHED, ''));
  }

  gone(stream: MuxStream, reason: EndReason | undefined, text: string): void {
    // An open stream's window counts; what it grew by is free for others again.
    if (this.#streams.get(stream.id) !== stream) return;
    this.#remove(stream);
    this.#grown -= stream.window - STREAM_WINDOW_INITIAL;
    if (reason !== undefined) this.#send(CellType.END, stream.id, encodeEnd(reason, text));
  }

  // --- sending ----------------------------------------------------------------------------------------------------------------

  /** Grants what is due, as far as money allows. */
  grantDue(): void {
    if (this.#closed !== undefined) return;
    const due = this.#intake.due(this.#owner.granted());
    if (due > 0) this.#owner.grant(due);
  }

  /** The other end gave back what it did not use, and may still send so much. */
  rest(granted: number): void {
    this.#intake.window.rest(granted);
  }

  #sendWindow(stream: number, bytes: number): void {
    const data = Buffer.allocUnsafe(4);
    data.writeUInt32LE(bytes, 0);
    this.#send(CellType.WINDOW, stream, data);
  }

  #send(type: CellType, stream: number, data: Uint8Array): void {
    if (this.#closed !== undefined) return;
    if (this.#control.length >= MAX_CONTROL_CELLS) {
      this.#owner.fail(overdrawn('asks for answers and does not take them'));
      return;
    }
    this.#control.push({ type, stream, data });
    this.#wake();
  }

  /** The deferred half of #wake. */
  wakeNow(): void {
    this.#waking = false;
    if (this.#closed === undefined) this.#owner.wake();
  }

  /** Once a tick, so that small writes share a cell and no code of the application runs inside another's call. */
  #wake(): void {
    if (this.#waking || this.#closed !== undefined) return;
    this.#waking = true;
    process.nextTick(wakeOwner, this);
  }
}

function wakeOwner(mux: Mux): void {
  mux.wakeNow();
}
