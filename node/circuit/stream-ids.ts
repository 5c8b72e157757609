/** The ids of the streams that one end of a circuit opens: every second one, rising, each used once. */

/** The initiator opens odd ones, the end that serves it even ones: so neither waits for the other to choose. */
export type CircuitSide = 'initiator' | 'host';

const MAX_STREAM_ID = 0xffff;

export class StreamIds {
  /** Streams of these that are open. */
  open = 0;
  #newest: number;

  constructor(side: CircuitSide) {
    this.#newest = side === 'initiator' ? -1 : 0;
  }

  /** False once every number was used. */
  get left(): boolean {
    return this.#newest + 2 <= MAX_STREAM_ID;
  }

  /** The next number, when there is one left. */
  next(): number {
    this.#newest += 2;
    return this.#newest;
  }

  /** The other end says that it opens this one. @returns false when it is not its turn. */
  take(id: number): boolean {
    if (!this.owns(id) || id <= this.#newest) return false;
    this.#newest = id;
    return true;
  }

  /** It is one of these, used or not. Stream 0 is the circuit itself. */
  owns(id: number): boolean {
    return id > 0 && (id & 1) === (this.#newest & 1);
  }

  /** It was opened once. */
  wasUsed(id: number): boolean {
    return this.owns(id) && id <= this.#newest;
  }
}

export function otherSide(side: CircuitSide): CircuitSide {
  return side === 'initiator' ? 'host' : 'initiator';
}
