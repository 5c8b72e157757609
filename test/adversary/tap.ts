/**
 * What went over one link, as the node at this end of it wrote and read it: counted on the frames themselves, so that no
 * figure of a row rests on the books of the node that is being judged. A bent tap also changes frames on their way.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Reader } from '../../core/codec.ts';
import { isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { QUIET_GRANT } from '../../core/limits.ts';
import { decodeSignedReceipt } from '../../ledger/receipt/index.ts';
import { NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import { decodeCreate, decodeGrants } from '../../node/circuit/messages.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../node/link/index.ts';
import type { Link } from '../../node/link/index.ts';

/** A link is quiet when so many looks in a row found nothing new. */
const QUIET_LOOKS = 60;
const LOOK_MILLIS = 10;

export interface Frame {
  readonly type: FrameType;
  readonly circuit: number;
  /** A copy: may be changed. */
  readonly payload: Buffer;
}

/** What becomes of a frame: gone, as it is, or others in its place. */
export type Bent = readonly Frame[];

/** How a rogue departs from the protocol, frame by frame. */
export interface Bend {
  out?: ((frame: Frame, tap: LinkTap) => Bent) | undefined;
  in?: ((frame: Frame, tap: LinkTap) => Bent) | undefined;
}

/** One circuit on one link, as this end saw it. Bytes are whole frames. */
export class TappedCircuit {
  readonly id: number;
  /** Numerators are bytes x price. */
  readonly price: bigint;
  /** This end created it, and pays. */
  readonly ours: boolean;
  in = 0;
  out = 0;
  relayIn = 0;
  relayOut = 0;
  relayInFrames = 0;
  relayOutFrames = 0;
  /** RELAY bytes that this end lets the other send, and has not taken. */
  granted = 0;
  /** RELAY bytes that the other end lets this one send, and it has not sent. */
  credit = 0;
  /** What was granted when this end said DESTROY; undefined before. */
  grantedAtEnd: number | undefined;
  /** RELAY bytes that came after this end's DESTROY. */
  late = 0;
  heardDestroy = false;
  /** CREATED went over it. */
  answered = false;

  constructor(id: number, ours: boolean, create: { price: bigint }) {
    this.id = id;
    this.ours = ours;
    this.price = create.price;
  }

  /** What its frames cost, both ways: a numerator. */
  get cost(): bigint {
    return BigInt(this.in + this.out) * this.price;
  }

  /** The part of it for frames that were carried on: what comes after a payee's own DESTROY is dropped. */
  get served(): bigint {
    return this.ours ? this.cost : this.cost - BigInt(this.late) * this.price;
  }
}

export class LinkTap {
  readonly link: Link;
  readonly circuits: Map<number, TappedCircuit> = new Map();
  /** The greatest amount of a receipt in each direction, by channel. */
  readonly signed: Map<string, bigint> = new Map();
  readonly got: Map<string, bigint> = new Map();
  /** Frames of each type. */
  readonly ins: Map<FrameType, number> = new Map();
  readonly outs: Map<FrameType, number> = new Map();
  /** The newest totals of NET frames. */
  netOut = 0n;
  netIn = 0n;
  readonly #send: Link['sendFrame'];
  readonly #watchers = new Set<() => void>();
  #closed = false;

  constructor(link: Link, bend?: Bend) {
    this.link = link;
    const sendFrame = link.sendFrame.bind(link);
    const handle = link.handle.bind(link);
    this.#send = sendFrame;
    link.sendFrame = (frame, type, circuit) => {
      if (bend?.out === undefined) {
        this.#wrote(type, circuit, frame.subarray(FRAME_HEADER_BYTES));
        sendFrame(frame, type, circuit);
        return;
      }
      const payload = Buffer.from(frame.subarray(FRAME_HEADER_BYTES));
      for (const bent of bend.out({ type, circuit, payload }, this)) this.write(bent.type, bent.circuit, bent.payload);
    };
    link.handle = (type, handler) => {
      handle(type, (circuit, payload) => {
        if (bend?.in === undefined) {
          const length = payload.length;
          // Messages are read before the handler may change them; RELAY frames are only counted.
          const seen = type === FrameType.RELAY ? undefined : Buffer.from(payload);
          this.#expect(type, circuit, seen);
          handler(circuit, payload);
          this.#read(type, circuit, length, seen);
          return;
        }
        for (const bent of bend.in({ type, circuit, payload: Buffer.from(payload) }, this)) {
          const seen = Buffer.from(bent.payload);
          this.#expect(bent.type, bent.circuit, seen);
          handler(bent.circuit, bent.payload);
          this.#read(bent.type, bent.circuit, seen.length, seen);
        }
      });
    };
    void link.closed.then(() => this.#end());
  }

  get peer(): NodeId {
    return this.link.peer;
  }

  /** Writes a frame past every bend, counted. */
  write(type: FrameType, circuit: number, payload: Uint8Array): void {
    if (!this.link.isOpen) return;
    const frame = this.link.allocFrame(payload.length);
    frame.set(payload, FRAME_HEADER_BYTES);
    this.#wrote(type, circuit, frame.subarray(FRAME_HEADER_BYTES));
    this.#send(frame, type, circuit);
  }

  count(direction: 'in' | 'out', type: FrameType): number {
    return (direction === 'in' ? this.ins : this.outs).get(type) ?? 0;
  }

  /** Resolves true once it is so, false when the link is gone first: looked at after each frame of the link. */
  until(reached: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const look = (): void => {
        const so = reached();
        if (!so && !this.#closed) return;
        this.#watchers.delete(look);
        resolve(so);
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** Resolves once the link is gone, `over` says so, or nothing came for a while: what stalls for good is over too. */
  async quiet(over: () => boolean = () => false): Promise<void> {
    let heard = -1;
    for (let still = 0; still < QUIET_LOOKS && !this.#closed && !over(); still += 1) {
      let frames = 0;
      for (const count of this.ins.values()) frames += count;
      if (frames !== heard) still = 0;
      heard = frames;
      await delay(LOOK_MILLIS);
    }
  }

  /** What circuits that this end (`ours`) or the other created cost, base units. */
  due(ours: boolean): bigint {
    let numerator = 0n;
    for (const circuit of this.circuits.values()) {
      if (circuit.ours !== ours) continue;
      // Nothing was done for a CREATE that was refused.
      if (!ours && !circuit.answered) continue;
      numerator += circuit.served;
    }
    return numerator >> NUMERATOR_BITS;
  }

  #wrote(type: FrameType, id: number, payload: Buffer): void {
    this.outs.set(type, this.count('out', type) + 1);
    try {
      if (type >= FrameType.CREATE) this.#circuit(type, id, payload, true)?.wrote(type, payload.length);
      else this.#control(type, payload, true);
    } catch (error) {
      // What a rogue writes need not be a message: nobody counts it.
      if (!isRelaymintError(error)) throw error;
    }
    this.#tell();
  }

  #read(type: FrameType, id: number, length: number, payload: Buffer | undefined): void {
    this.ins.set(type, this.count('in', type) + 1);
    if (type >= FrameType.CREATE) this.#circuit(type, id, payload, false)?.read(type, length);
    else if (payload !== undefined) this.#control(type, payload, false);
    this.#tell();
  }

  /** A CREATE may be answered before its handler returns: the answer is counted too. */
  #expect(type: FrameType, id: number, payload: Buffer | undefined): void {
    try {
      this.#circuit(type, id, payload, false);
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
    }
  }

  #circuit(type: FrameType, id: number, payload: Buffer | undefined, ours: boolean): CountedCircuit | undefined {
    const known = this.circuits.get(id);
    if (known instanceof CountedCircuit) return known;
    if (type !== FrameType.CREATE || payload === undefined) return undefined;
    const create = decodeCreate(payload);
    const circuit = new CountedCircuit(id, ours, create);
    if (ours) circuit.granted = create.grant;
    else circuit.credit = create.grant;
    this.circuits.set(id, circuit);
    return circuit;
  }

  #control(type: FrameType, payload: Buffer, ours: boolean): void {
    if (type === FrameType.RECEIPT) {
      const { channel, amount } = decodeSignedReceipt(payload);
      const most = ours ? this.signed : this.got;
      if (amount > (most.get(channel) ?? 0n)) most.set(channel, amount);
    } else if (type === FrameType.NET) {
      const total = new Reader(payload, 'NET').u64();
      if (ours) this.netOut = total;
      else this.netIn = total;
    } else if (type === FrameType.GRANT || type === FrameType.RETURN) {
      const sign = type === FrameType.GRANT ? 1 : -1;
      decodeGrants(payload, (id, bytes) => {
        const circuit = this.circuits.get(id);
        if (circuit === undefined) return;
        // A grant that we write lets the peer send; a RETURN that we write gives back what it let us send.
        if (ours === (type === FrameType.GRANT)) circuit.granted += sign * bytes;
        else circuit.credit += sign * bytes;
      });
    }
  }

  #end(): void {
    this.#closed = true;
    this.#tell();
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

class CountedCircuit extends TappedCircuit {
  wrote(type: FrameType, length: number): void {
    const bytes = FRAME_HEADER_BYTES + length;
    this.out += bytes;
    if (type === FrameType.RELAY) {
      this.relayOut += bytes;
      this.relayOutFrames += 1;
      this.credit -= bytes;
    } else if (type === FrameType.CREATED) {
      this.granted += QUIET_GRANT;
      this.answered = true;
    } else if (type === FrameType.DESTROY) {
      this.grantedAtEnd ??= this.granted;
    }
  }

  read(type: FrameType, length: number): void {
    const bytes = FRAME_HEADER_BYTES + length;
    this.in += bytes;
    if (type === FrameType.RELAY) {
      this.relayIn += bytes;
      this.relayInFrames += 1;
      this.granted -= bytes;
      if (this.grantedAtEnd !== undefined) this.late += bytes;
    } else if (type === FrameType.CREATED) {
      this.credit += QUIET_GRANT;
      this.answered = true;
    } else if (type === FrameType.DESTROY) {
      this.heardDestroy = true;
    }
  }
}
