/**
 * A circuit of somebody else: we carry it onward, or it ends here.
 *
 * The packet path, in order. Forward (from the initiator):
 *   1 count    the port has counted the frame and found it paid for
 *   2 open     take our layer off; a wrong tag destroys the circuit
 *   3 pass on  while there is a next hop, queue what is left for it ...
 *   4 or take  ... otherwise it is a cell for us: EXTEND, or a stream's
 * Backward (from the next hop, or from our own streams):
 *   1 count    as above, as the payer
 *   2 seal     put our layer on
 *   3 pass on  queue it for the hop before us
 */
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { LAYER_BYTES, MAX_FRAME_PAYLOAD } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import { CELL_HEADER_BYTES, CellType, cellData, cellType, frameCell } from './cell.ts';
import type { HopKeys } from './handshake.ts';
import { OpeningLayer, SealingLayer, scratch } from './layer.ts';
import type { FrameSource, Leg, LegOwner } from './leg.ts';
import { decodeCreated, decodeExtend, encodeCreate, encodeCreated } from './messages.ts';
import type { Extend } from './messages.ts';
import { Mux } from './mux.ts';
import type { MuxOwner, Refusal } from './mux.ts';
import type { CircuitPort } from './port.ts';
import { DestroyReason, ending, endingError } from './reason.ts';
import type { Ending } from './reason.ts';
import type { MuxStream } from './stream.ts';
import { isAnonymizing } from '../transport/preference.ts';

/** What a relayed circuit asks of the node. */
export interface RelayHost {
  readonly nodeId: NodeId;
  /** undefined: this node carries nothing onward. */
  readonly relayPrice: PricePerMiB | undefined;
  readonly buildMillis: number;
  readonly hiddenBuildMillis: number;
  /** A link to the next hop on which we can pay. @throws RelaymintError. */
  reach(node: NodeId, addresses: readonly string[], signal: AbortSignal): Promise<CircuitPort>;
  /** Serves a stream, or says why not. */
  serve(service: string, params: Buffer, stream: MuxStream, connect: () => void): Refusal | undefined;
  attribute(leg: Leg, name: string, frameBytes: number): void;
  over(circuit: RelayedCircuit, why: Ending): void;
}

export class RelayedCircuit implements LegOwner, FrameSource, MuxOwner {
  readonly #host: RelayHost;
  readonly #up: Leg;
  readonly #opening: OpeningLayer;
  readonly #sealing: SealingLayer;
  /** Towards the next hop; undefined while the circuit ends here. */
  #down: Leg | undefined;
  /** The next hop said CREATED. */
  #extended = false;
  #extending: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #mux: Mux | undefined;
  #over = false;
  #active = true;
  #idleTurns = 0;

  constructor(host: RelayHost, up: Leg, keys: HopKeys) {
    this.#host = host;
    this.#up = up;
    this.#opening = new OpeningLayer(keys.forward);
    this.#sealing = new SealingLayer(keys.backward);
  }

  /** True when it goes on to another node. */
  get relays(): boolean {
    return this.#extended;
  }

  get openStreams(): number {
    return this.#mux?.openStreams ?? 0;
  }

  /** One turn of the node's watch. Ends a circuit that carried nothing for this many turns. */
  watch(maxIdleTurns: number): void {
    this.#idleTurns = this.#active ? 0 : this.#idleTurns + 1;
    this.#active = false;
    if (this.#idleTurns >= maxIdleTurns) this.end(ending(DestroyReason.FINISHED, 'it carried nothing for a long time'));
  }

  // --- the packet path ------------------------------------------------------------------------------------------------------

  receive(leg: Leg, type: FrameType, payload: Buffer): void {
    this.#active = true;
    if (type === FrameType.RELAY) {
      if (leg === this.#up) this.#forward(payload);
      else if (this.#extended) this.#backward(payload);
      else throw violation('a RELAY frame before CREATED');
    } else if (type === FrameType.CREATED && leg === this.#down && !this.#extended) {
      this.#created(payload);
    } else {
      throw violation(`a frame of type ${type} out of place`);
    }
  }

  #forward(payload: Buffer): void {
    const opened = this.#opening.open(payload);
    if (opened === undefined) {
      this.end(ending(DestroyReason.TAMPERED, 'a frame was changed, lost, repeated or out of order'));
    } else if (this.#extended && this.#down !== undefined) {
      const frame = this.#down.port.link.allocFrame(opened.length);
      frame.set(opened, FRAME_HEADER_BYTES);
      this.#queue(this.#down, frame);
    } else if (this.#extending !== undefined) {
      throw violation('a cell while EXTEND is not answered');
    } else {
      this.#take(opened);
    }
  }

  #backward(payload: Buffer): void {
    if (payload.length + LAYER_BYTES > MAX_FRAME_PAYLOAD) throw violation('a frame with more layers than allowed');
    this.#queue(this.#up, this.#sealing.intoFrame(payload, this.#up.port.link));
  }

  #queue(leg: Leg, frame: Buffer): void {
    if (!leg.push(frame, FrameType.RELAY)) {
      this.end(ending(DestroyReason.RESOURCE, 'more was sent than the circuit window allows'));
    }
  }

  #take(cell: Buffer): void {
    if (cellType(cell) === CellType.EXTEND) {
      if (this.#mux !== undefined) throw violation('EXTEND in a circuit that is in use');
      this.#extend(decodeExtend(cellData(cell)));
      return;
    }
    if (this.#mux === undefined) {
      this.#mux = new Mux(this, this.#up.price);
      this.#up.source = this;
    }
    this.#mux.receive(cell);
  }

  // --- our own cells, when the circuit ends here ----------------------------------------------------------------------------

  pull(): Buffer | undefined {
    const size = this.#mux?.pull(scratch) ?? 0;
    return size === 0 ? undefined : this.#sealing.intoFrame(scratch.subarray(0, size), this.#up.port.link);
  }

  sent(frameBytes: number): void {
    this.#mux?.sent(frameBytes);
  }

  wake(): void {
    this.#up.wake();
  }

  serve(service: string, params: Buffer, stream: MuxStream, connect: () => void): Refusal | undefined {
    return this.#host.serve(service, params, stream, connect);
  }

  attribute(name: string, frameBytes: number): void {
    this.#host.attribute(this.#up, name, frameBytes);
  }

  control(type: number): void {
    throw violation(`a cell of type ${type} out of place`);
  }

  // --- extending --------------------------------------------------------------------------------------------------------------

  #extend(request: Extend): void {
    const own = this.#host.relayPrice;
    if (own === undefined || request.node === this.#host.nodeId) {
      this.end(ending(DestroyReason.REFUSED, own === undefined ? 'this node does not relay' : 'a hop twice in a row'));
      return;
    }
    if (this.#up.price - request.price < own) {
      const left = this.#up.price - request.price;
      this.end(ending(DestroyReason.PRICE, `of ${this.#up.price} per MiB, ${left} would be left, and ${own} is asked`));
      return;
    }
    this.#extending = new AbortController();
    const far = request.addresses.some(isAnonymizing);
    this.#timer = setTimeout(
      () => {
        this.end(ending(DestroyReason.TIMEOUT, 'the next hop did not answer in time'));
      },
      far ? this.#host.hiddenBuildMillis : this.#host.buildMillis,
    );
    void this.#reach(request, this.#extending.signal);
  }

  async #reach(request: Extend, signal: AbortSignal): Promise<void> {
    try {
      const port = await this.#host.reach(request.node, request.addresses, signal);
      if (this.#over) return;
      this.#down = port.open(request.price, this);
      this.#down.pushPayload(encodeCreate(request), FrameType.CREATE);
    } catch (error) {
      const why = isRelaymintError(error) ? error.code : messageOf(error);
      this.end(ending(DestroyReason.UNREACHABLE, `the next hop cannot be reached or paid: ${why}`));
    }
  }

  #created(payload: Buffer): void {
    clearTimeout(this.#timer);
    this.#extending = undefined;
    this.#extended = true;
    const answer = encodeCreated(decodeCreated(payload));
    scratch.set(answer, CELL_HEADER_BYTES);
    const size = frameCell(scratch, CellType.EXTENDED, 0, answer.length);
    this.#queue(this.#up, this.#sealing.intoFrame(scratch.subarray(0, size), this.#up.port.link));
  }

  // --- the end ----------------------------------------------------------------------------------------------------------------

  fault(_leg: Leg, error: RelaymintError): void {
    this.fail(error);
  }

  fail(error: RelaymintError): void {
    this.end(ending(DestroyReason.PROTOCOL, error.message));
  }

  ended(leg: Leg, why: Ending): void {
    const other = leg === this.#up ? this.#down : this.#up;
    this.#finish(why);
    other?.destroy(why);
  }

  /** Destroys it in both directions. */
  end(why: Ending): void {
    if (this.#over) return;
    this.#up.destroy(why);
    this.#down?.destroy(why);
    this.#finish(why);
  }

  #finish(why: Ending): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#extending?.abort(endingError(why));
    this.#opening.close();
    this.#sealing.close();
    this.#mux?.close(endingError(why));
    this.#host.over(this, why);
  }
}

function violation(what: string): RelaymintError {
  return new RelaymintError('PROTOCOL_VIOLATION', `The circuit carried ${what}.`, {
    remedy: 'The nodes may run different versions.',
  });
}
