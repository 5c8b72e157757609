/**
 * One end of a circuit: turns streams into cells and cells into streams, those that it opens and those that the other end opens.
 * Knows nothing of layers, links or money.
 */
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import type { Attribution } from '../../core/attribution.ts';
import { RelaymintError } from '../../core/errors.ts';
import {
  CIRCUIT_WINDOW,
  LEAST_WINDOW_CREDIT,
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
  CellType,
  cellData,
  cellSize,
  cellStream,
  cellType,
  decodeBegin,
  decodeConnected,
  encodeBegin,
  encodeConnected,
} from './cell.ts';
import type { OpenStreamOptions } from './contract.ts';
import { ControlAllowance } from './control-allowance.ts';
import { Intake, overdrawn } from './credit.ts';
import { Outbox, type OutboxOwner } from './outbox.ts';
import { EndReason, decodeEnd, encodeEnd } from './reason.ts';
import { Pings } from './pings.ts';
import { MuxStream } from './stream.ts';
import type { StreamHost } from './stream.ts';
import { StreamIds, otherSide, type CircuitSide } from './stream-ids.ts';

const SERVICE_NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/;
/** What an end of a circuit asks of the circuit. */
export interface MuxOwner {
  /** Cells wait to be pulled. */
  wake(): void;
  /** The other end broke the rules where no cell of it was being read. */
  fail(error: RelaymintError): void;
  /** Frames of this many bytes count for these names. */
  attribute(shares: Attribution, frameBytes: number): void;
  /** Frame bytes that the other end may still send. */
  granted(): number;
  /** Lets it send so many more, or what money allows of them: `grantDue` again then. */
  grant(bytes: number): void;
  /**
   * The other end opens a stream: serve it (after `connect`), or refuse it by returning why.
   * @throws RelaymintError PROTOCOL_VIOLATION when it is not in a position to.
   */
  serve(service: string, params: Buffer, stream: MuxStream, connect: Connect): Refusal | undefined;
  /** A cell that is not about streams: EXTEND, EXTENDED, JOIN, JOINED. @throws RelaymintError PROTOCOL_VIOLATION when out of place. */
  control(type: number, data: Buffer): void;
}

/** Takes the stream, and its datagrams or none. */
export type Connect = (datagrams?: boolean) => void;

export interface Refusal {
  readonly reason: EndReason;
  readonly text: string;
}

export function isServiceName(name: string): boolean {
  return SERVICE_NAME.test(name);
}

const OPENING = 'Opening the stream';

export class Mux implements StreamHost, OutboxOwner {
  readonly price: PricePerMiB;
  /** What we pay for of the other end's control cells; undefined: it pays for them. */
  readonly #allowance: ControlAllowance | undefined;
  readonly #owner: MuxOwner;
  readonly #streams = new Map<number, MuxStream>();
  /** What we open, and what the other end does. */
  readonly #ours: StreamIds;
  readonly #theirs: StreamIds;
  /** Streams of the other end that were not taken. */
  #refused = 0;
  readonly #intake = new Intake();
  readonly #pings: Pings = new Pings((token) => this.#send(CellType.PING, 0, token));
  readonly #outbox: Outbox = new Outbox(this);
  /** Cells that may still come of streams that have ended here, bytes. */
  #late = 0;
  /** Bytes by which all stream windows together have grown. */
  #grown = 0;
  #waking = false;
  #closed: RelaymintError | undefined;

  /** `price`: what the payer of the circuit pays its last hop. `pays`: this end does, for what the other sends as well. */
  constructor(side: CircuitSide, owner: MuxOwner, price: PricePerMiB, pays: boolean = side === 'initiator') {
    this.#allowance = pays ? new ControlAllowance() : undefined;
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
  async open(service: string, params: Uint8Array, options: OpenStreamOptions = {}): Promise<MuxStream> {
    if (this.#closed !== undefined) throw this.#closed;
    if (!isServiceName(service) || params.length > MAX_STREAM_PARAMS) {
      throw new RelaymintError('INVALID_ARGUMENT', `The service "${service.slice(0, 40)}" cannot be asked for.`, {
        remedy: `Its name is 1 to 32 of a-z 0-9 . _ - and its parameters at most ${MAX_STREAM_PARAMS} bytes.`,
      });
    }
    const { signal, datagrams = false } = options;
    assertNotAborted(signal, OPENING);
    if (this.#ours.open >= MAX_STREAMS_PER_CIRCUIT || !this.acceptsStreams) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'This circuit takes no more streams.', {
        remedy: 'Close some, or build another circuit.',
      });
    }
    const stream = new MuxStream(this, this.#ours.next());
    if (datagrams) stream.takeDatagrams();
    this.#add(stream);
    this.#send(CellType.BEGIN, stream.id, encodeBegin(service, params, datagrams));
    this.#expectAnswer();
    const tie = onAbort(
      signal,
      () => void stream.destroy(signal === undefined ? undefined : abortError(signal, OPENING)),
    );
    try {
      await new Promise<void>((resolve, reject) => {
        stream.awaiting = { resolve, reject };
      });
    } finally {
      tie[Symbol.dispose]();
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
    this.#outbox.clear();
    for (const stream of this.#streams.values()) stream.destroy(error);
    this.#streams.clear();
    this.#pings.failAll(error);
  }

  // --- out: cells for the link --------------------------------------------------------------------------------------------

  /** See `Outbox.pull`. */
  pull(cell: Buffer, limit: number): number {
    return this.#outbox.pull(cell, limit);
  }

  written(type: CellType, stream?: MuxStream): void {
    this.#allowance?.sent(type);
    if (type === CellType.END && !this.#outbox.holdsEnds) {
      this.#intake.told();
      this.grantDue();
    }
    // Whoever asks expects an answer.
    if (stream !== undefined && this.#ours.owns(stream.id)) this.#expectAnswer();
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

  /** Cells wait. */
  get wantsToSend(): boolean {
    return this.#outbox.wantsToSend;
  }

  /** No larger grant came: small cells will do. */
  makeDo(): void {
    this.#outbox.makeDo();
  }

  /** Gave back what it did not use; see `Thrift`. */
  gaveBack(idle: boolean): void {
    this.#outbox.gaveBack(idle);
  }

  /** The pulled cell went out in a frame of that size. */
  sent(frameBytes: number): void {
    const stream = this.#outbox.sent();
    if (stream === undefined) return;
    if (stream.attribution !== undefined) this.#owner.attribute(stream.attribution, frameBytes);
    if (stream.ending || stream.out.bytes <= STREAM_OUT_QUEUE / 2) stream.drained();
  }

  // --- in: cells from the other end ---------------------------------------------------------------------------------------

  /** Takes a cell that came in a frame of that size; its buffer is ours. @throws RelaymintError PROTOCOL_VIOLATION, INVALID_ENCODING: the circuit must end. */
  receive(cell: Buffer, frameBytes: number): void {
    const type = cellType(cell);
    const data = cellData(cell);
    const id = cellStream(cell);
    const isData = type === CellType.DATA || type === CellType.DATAGRAM;
    if (type === CellType.DATA) this.#onData(id, data, cell.length);
    else if (type === CellType.DATAGRAM) this.#onDatagrams(id, data, cell.length);
    else this.#onControl(type, id, data, cell.length);
    // The other end goes on with what ended here until it hears of it. What it was granted before bounds that.
    const forNobody = isData && this.#outbox.holdsEnds && !this.#streams.has(id);
    if (this.#intake.arrived(frameBytes, isData, forNobody)) this.#measure();
    this.grantDue();
  }

  /** @throws RelaymintError PROTOCOL_VIOLATION, INVALID_ENCODING. */
  #onControl(type: number, id: number, data: Buffer, cellBytes: number): void {
    // Its payer pays for the cell, not for what is in it.
    if (cellBytes !== cellSize(data.length)) throw overdrawn(`padded a cell of type ${type} to ${cellBytes} bytes`);
    if (!this.#isDue(type, id, data)) this.#allowance?.came();
    switch (type) {
      case CellType.WINDOW:
        this.#onWindow(id, data);
        return;
      case CellType.DATAGRAM_WINDOW:
        this.#onDatagramWindow(id, data);
        return;
      case CellType.BEGIN:
        this.#onBegin(id, data);
        return;
      case CellType.CONNECTED: {
        const stream = this.#find(id);
        const awaiting = stream?.awaiting;
        if (stream === undefined || awaiting === undefined) return;
        if (decodeConnected(data)) stream.sendDatagrams();
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

  /** It was waited for: each stream has one of these. */
  #isDue(type: number, id: number, data: Buffer): boolean {
    const stream = this.#streams.get(id);
    if (stream === undefined) return false;
    if (type === CellType.CONNECTED) return stream.awaiting !== undefined;
    return type === CellType.END && (!stream.peerEnded || data[0] !== EndReason.FINISHED);
  }

  #onData(id: number, data: Buffer, cellBytes: number): void {
    // It would use no credit, and be held.
    if (data.length === 0) throw overdrawn('sent a cell of data without any');
    const stream = this.#find(id);
    if (stream === undefined) {
      this.#tooLate(id, cellBytes);
      return;
    }
    if (stream.peerEnded) throw overdrawn(`sent data after the end of stream ${id}`);
    stream.deliver(data, cellBytes);
  }

  #onDatagrams(id: number, data: Buffer, cellBytes: number): void {
    const stream = this.#find(id);
    if (stream === undefined) {
      this.#tooLate(id, cellBytes);
      return;
    }
    if (stream.peerEnded || stream.awaiting !== undefined || stream.datagramsIn === undefined)
      throw overdrawn(`sent datagrams of stream ${id}, which takes none`);
    stream.datagramsIn.deliver(data, cellBytes);
  }

  /** For a stream that has ended here: what was on its way, and no more. It would be paid for, and nobody takes it. */
  #tooLate(id: number, bytes: number): void {
    this.#late -= bytes;
    if (this.#late < 0) throw overdrawn(`goes on with stream ${id}, which has ended`);
  }

  #onDatagramWindow(id: number, data: Buffer): void {
    const bytes = windowOf(data);
    const stream = this.#find(id);
    if (stream === undefined) return;
    if (stream.datagramsOut === undefined) throw overdrawn(`takes datagrams of stream ${id}, which it did not say`);
    stream.datagramsOut.credited(bytes);
    this.talks(stream);
  }

  #onWindow(id: number, data: Buffer): void {
    const bytes = windowOf(data);
    const stream = this.#find(id);
    if (stream === undefined) return;
    stream.sendCredit += bytes;
    if (stream.sendCredit > STREAM_WINDOW_MAX) throw overdrawn(`opened stream ${id} beyond the largest window`);
    this.ready(stream);
  }

  #onBegin(id: number, data: Buffer): void {
    if (!this.#theirs.take(id)) throw overdrawn(`opened stream ${id} out of turn`);
    const { service, params, datagrams } = decodeBegin(data);
    if (this.#theirs.open >= MAX_STREAMS_PER_CIRCUIT) {
      this.#refuse(id, { reason: EndReason.LIMIT, text: 'too many streams in this circuit' });
      return;
    }
    const stream = new MuxStream(this, id);
    if (datagrams) stream.sendDatagrams();
    this.#add(stream);
    let connected = false;
    const connect: Connect = (takes = false) => {
      connected = true;
      if (takes) stream.takeDatagrams();
      // Only now: what is expected is granted, and a stream that is refused must be worth nothing to whoever is paid for what comes.
      this.#expectData();
      this.#send(CellType.CONNECTED, id, encodeConnected(takes));
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
    if (this.#allowance !== undefined && this.#refused > MAX_REFUSED_STREAMS)
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
    if (this.#outbox.addReady(stream)) this.#wake();
  }

  consumed(stream: MuxStream, bytes: number): void {
    stream.creditDue += bytes;
    if (stream.peerEnded || stream.creditDue < stream.window / 2) return;
    let growth = 0;
    // What is granted bounds what is on its way: a stream's own window need not shrink with it, and is not what it waits for.
    const target = Math.min(2 * this.#intake.window.target, STREAM_WINDOW_MAX);
    // One that is filled with padding would be paid more for it.
    const filled = stream.takeFilled();
    if (filled && stream.keepsUp && stream.window < target) {
      // What windows have grown by stays below one circuit window in all: more could not be used.
      growth = Math.min(target - stream.window, STREAM_WINDOW_MAX - this.#grown);
      this.#grown += growth;
      stream.window += growth;
    }
    const credit = stream.creditDue + growth;
    stream.creditDue = 0;
    stream.receiveCredit += credit;
    this.#sendWindow(CellType.WINDOW, stream.id, credit);
  }

  talks(stream: MuxStream): void {
    if (this.#outbox.addTalker(stream)) this.#wake();
  }

  heard(stream: MuxStream, bytes: number): void {
    if (!stream.peerEnded) this.#sendWindow(CellType.DATAGRAM_WINDOW, stream.id, bytes);
  }

  fail(error: RelaymintError): void {
    this.#owner.fail(error);
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
    // All that is on its way is within what was granted, so that what ended long ago counts for nothing beyond that.
    if (!stream.peerEnded)
      this.#late = Math.min(CIRCUIT_WINDOW, this.#late + stream.receiveCredit + (stream.datagramsIn?.credit ?? 0));
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

  #sendWindow(type: CellType, stream: number, bytes: number): void {
    const data = Buffer.allocUnsafe(4);
    data.writeUInt32LE(bytes, 0);
    this.#send(type, stream, data);
  }

  #send(type: CellType, stream: number, data: Uint8Array): void {
    if (this.#closed !== undefined) return;
    if (this.#outbox.addControl(type, stream, data)) this.#wake();
    else this.#owner.fail(overdrawn('asks for answers and does not take them'));
  }

  /** Once a tick, so that small writes share a cell and no code of the application runs inside another's call. */
  #wake(): void {
    if (this.#waking || this.#closed !== undefined) return;
    this.#waking = true;
    process.nextTick(wakeOwner, this);
  }

  /** Cells wait, and nothing of the application runs. */
  wake(): void {
    this.#waking = false;
    if (this.#closed === undefined) this.#owner.wake();
  }
}

function wakeOwner(mux: Mux): void {
  mux.wake();
}

/** Of WINDOW and DATAGRAM_WINDOW. @throws RelaymintError PROTOCOL_VIOLATION. */
function windowOf(data: Buffer): number {
  if (data.length !== 4) throw overdrawn('sent a WINDOW of the wrong length');
  const bytes = data.readUInt32LE(0);
  if (bytes < LEAST_WINDOW_CREDIT) throw overdrawn(`gave a credit of ${bytes} bytes`);
  return bytes;
}
