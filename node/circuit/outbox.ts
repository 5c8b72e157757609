/** What waits at one end of a circuit to be sent, and which cell of it goes next. Runs no code of the application while it writes one. */
import { MAX_CONTROL_CELLS } from '../../core/limits.ts';
import { CELL_HEADER_BYTES, CellType, cellSize, frameCell } from './cell.ts';
import { DatagramTurns } from './datagrams.ts';
import type { MuxStream } from './stream.ts';
import { Thrift } from './thrift.ts';

interface ControlCell {
  readonly type: CellType;
  readonly stream: number;
  readonly data: Uint8Array;
}

export interface OutboxOwner {
  /** Cells wait to be pulled. */
  wake(): void;
  /** A cell was written; `stream`: of its data. */
  written(type: CellType, stream?: MuxStream): void;
}

export class Outbox {
  readonly #owner: OutboxOwner;
  /** Small cells go before data. */
  #control: ControlCell[] = [];
  /** Of these, ENDs. */
  #ends = 0;
  /** Streams that can send, in turn. */
  #ready: MuxStream[] = [];
  readonly #datagrams = new DatagramTurns<MuxStream>();
  /** The last cell was one of datagrams: data goes next, if there is any. */
  #dataNext = false;
  /** The stream whose cell was pulled last. */
  #pulled: MuxStream | undefined;
  readonly #thrift: Thrift;

  constructor(owner: OutboxOwner) {
    this.#owner = owner;
    this.#thrift = new Thrift(() => owner.wake());
  }

  /** @returns false when too many wait: the other end asks for answers and does not take them. */
  addControl(type: CellType, stream: number, data: Uint8Array): boolean {
    if (this.#control.length >= MAX_CONTROL_CELLS) return false;
    this.#control.push({ type, stream, data });
    if (type === CellType.END) this.#ends += 1;
    return true;
  }

  /** @returns false when it cannot send, or waits already. */
  addReady(stream: MuxStream): boolean {
    if (stream.listed || !stream.canSend) return false;
    stream.listed = true;
    this.#ready.push(stream);
    return true;
  }

  /** @returns false when it has no datagrams that can be sent, or waits already. */
  addTalker(stream: MuxStream): boolean {
    return this.#datagrams.add(stream);
  }

  get wantsToSend(): boolean {
    return this.#control.length > 0 || this.#datagrams.wantToSend || this.#ready.some((stream) => stream.canSend);
  }

  /** The other end has not been told yet of every stream that ended here. */
  get holdsEnds(): boolean {
    return this.#ends > 0;
  }

  /**
   * Writes the next cell, of at most `limit` bytes, into `cell` (MAX_CELL_BYTES). Data and datagrams take turns, and leave a little of the
   * limit to control cells. @returns its size, 0 when there is nothing to send.
   */
  pull(cell: Buffer, limit: number): number {
    this.#pulled = undefined;
    this.#thrift.saw(limit);
    if (this.#control.length > 0) return this.#pullControl(cell, limit);
    if (this.#dataNext) return this.#pullData(cell, limit) || this.#pullDatagrams(cell, limit);
    return this.#pullDatagrams(cell, limit) || this.#pullData(cell, limit);
  }

  #pullControl(cell: Buffer, limit: number): number {
    const [control] = this.#control;
    if (control === undefined || cellSize(control.data.length) > limit) return 0;
    this.#control.shift();
    if (control.type === CellType.END) this.#ends -= 1;
    cell.set(control.data, CELL_HEADER_BYTES);
    const size = frameCell(cell, control.type, control.stream, control.data.length);
    this.#owner.written(control.type);
    return size;
  }

  #pullDatagrams(cell: Buffer, limit: number): number {
    const pulled = this.#datagrams.pull(cell, this.#thrift.room(limit));
    if (pulled === undefined) return 0;
    this.#pulled = pulled.talker;
    this.#dataNext = true;
    this.#owner.written(CellType.DATAGRAM);
    return pulled.size;
  }

  #pullData(cell: Buffer, limit: number): number {
    for (let stream = this.#ready[0]; stream !== undefined; stream = this.#ready[0]) {
      if (!stream.canSend) {
        this.#ready.shift();
        stream.listed = false;
        continue;
      }
      const length = this.#thrift.dataLength(stream.out.bytes, this.#thrift.room(limit));
      if (length === 0) return 0;
      this.#thrift.waitNoLonger();
      this.#ready.shift();
      stream.out.moveTo(cell, CELL_HEADER_BYTES, length);
      const size = frameCell(cell, CellType.DATA, stream.id, length);
      stream.sendCredit -= size;
      if (stream.canSend) this.#ready.push(stream);
      else stream.listed = false;
      this.#pulled = stream;
      this.#dataNext = false;
      this.#owner.written(CellType.DATA, stream);
      return size;
    }
    return 0;
  }

  /** The pulled cell went out. @returns the stream whose data or datagrams it holds. */
  sent(): MuxStream | undefined {
    const stream = this.#pulled;
    this.#pulled = undefined;
    return stream;
  }

  /** No larger grant came: small cells will do. */
  makeDo(): void {
    this.#thrift.makeDo();
  }

  /** Gave back what it did not use; see `Thrift`. */
  gaveBack(idle: boolean): void {
    this.#thrift.gaveBack(idle);
  }

  clear(): void {
    this.#thrift.waitNoLonger();
    this.#control = [];
    this.#ends = 0;
    this.#ready = [];
    this.#datagrams.clear();
  }
}
