/** Two ends of a circuit without hops between them. */
import { isRelaymintError } from '../../../core/errors.ts';
import type { RelaymintError } from '../../../core/errors.ts';
import { MAX_CELL_BYTES, QUIET_GRANT } from '../../../core/limits.ts';
import { CELL_HEADER_BYTES, frameCell, type CellType } from '../../../node/circuit/cell.ts';
import type { CircuitStream } from '../../../node/circuit/index.ts';
import { Mux, type MuxOwner } from '../../../node/circuit/mux.ts';
import { PRICE } from './net.ts';

type Serve = (stream: CircuitStream, service: string, params: Buffer) => void;

/** Bytes, by where they go. */
type PerDirection = Record<'toServer' | 'toOpener', number>;

/** Cells go from one end to the other on a later turn. */
export class MuxPair {
  /** The initiator. */
  readonly opener: Mux;
  /** The host. */
  readonly server: Mux;
  readonly faults: RelaymintError[] = [];
  readonly faulted: Promise<RelaymintError>;
  #onFault: (error: RelaymintError) => void = () => {};
  /** Cell bytes handed to each end. */
  readonly carried: PerDirection = { toServer: 0, toOpener: 0 };
  /** What each end was granted to send towards the other. */
  readonly credit: PerDirection = { toServer: QUIET_GRANT, toOpener: QUIET_GRANT };
  /** Whoever serves takes datagrams. */
  datagrams = false;
  /** Pauses the flow towards the opener. */
  held = false;

  /** `onStream`: the host serves all streams; `onBack`: so does the initiator, which refuses them where it is absent. */
  constructor(onStream: Serve, onBack?: Serve) {
    this.faulted = new Promise((resolve) => {
      this.#onFault = resolve;
    });
    const carryToServer = (): void => this.#carry(this.opener, this.server, 'toServer');
    const carryToOpener = (): void => this.#carry(this.server, this.opener, 'toOpener');
    this.opener = this.#mux('initiator', carryToServer, 'toOpener', carryToOpener, onBack);
    this.server = this.#mux('host', carryToOpener, 'toServer', carryToServer, onStream);
  }

  release(): void {
    this.held = false;
    this.#carry(this.server, this.opener, 'toOpener');
  }

  /** `comes`: the direction in which cells come to this end; `more` makes the other end go on. */
  #mux(
    side: 'initiator' | 'host',
    wake: () => void,
    comes: 'toServer' | 'toOpener',
    more: () => void,
    onStream: Serve | undefined,
  ): Mux {
    const owner: MuxOwner = {
      wake,
      fail: (error) => this.#fault(mux, error),
      attribute() {},
      control: () => {},
      granted: () => this.credit[comes],
      grant: (bytes) => {
        this.credit[comes] += bytes;
        setImmediate(more);
      },
      serve: (service, params, stream, connect) => {
        if (onStream === undefined) return { reason: 2, text: `no service "${service}" here` };
        connect(this.datagrams);
        onStream(stream, service, Buffer.from(params));
        return undefined;
      },
    };
    const mux: Mux = new Mux(side, owner, PRICE);
    return mux;
  }

  #carry(from: Mux, to: Mux, direction: 'toServer' | 'toOpener'): void {
    for (;;) {
      if (this.held && direction === 'toOpener') return;
      const cell = Buffer.alloc(MAX_CELL_BYTES);
      const size = from.pull(cell, this.credit[direction]);
      if (size === 0) return;
      this.credit[direction] -= size;
      this.carried[direction] += size;
      from.sent(size);
      setImmediate(() => {
        if (this.faults.length > 0) return;
        try {
          to.receive(cell.subarray(0, size), size);
        } catch (error) {
          this.#fault(to, error);
        }
      });
    }
  }

  #fault(mux: Mux, error: unknown): void {
    if (!isRelaymintError(error)) throw error;
    this.faults.push(error);
    this.#onFault(error);
    mux.close(error);
  }
}

/** A cell as somebody makes it by hand. */
export function cellOf(type: CellType, stream: number, data: Buffer): Buffer {
  const cell = Buffer.alloc(MAX_CELL_BYTES);
  cell.set(data, CELL_HEADER_BYTES);
  return cell.subarray(0, frameCell(cell, type, stream, data.length));
}
