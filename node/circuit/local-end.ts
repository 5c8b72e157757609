/** The far side of a circuit that ends here: our services, and the streams that they open. */
import { FRAME_HEADER_BYTES } from '../link/contract.ts';
import { STACK_BYTES } from '../../core/limits.ts';
import type { Attribution } from '../../core/attribution.ts';
import type { RelaymintError } from '../../core/errors.ts';
import type { CircuitEnd, CircuitStream, OpenStreamOptions } from './contract.ts';
import type { FarSide, NearSide } from './far-side.ts';
import { scratch } from './layer.ts';
import type { FrameSource } from './leg.ts';
import { Mux, type Connect, type MuxOwner, type Refusal } from './mux.ts';
import { endingError, type Ending } from './reason.ts';
import type { RelayHost } from './relay-host.ts';
import type { MuxStream } from './stream.ts';
import { violation } from './violation.ts';

export class LocalEnd implements FarSide, FrameSource, MuxOwner, CircuitEnd {
  readonly relays = false;
  readonly onward: undefined = undefined;
  readonly held = 0;
  readonly near: NearSide;
  readonly #host: RelayHost;
  readonly #mux: Mux;
  #stopped = false;

  constructor(host: RelayHost, near: NearSide) {
    this.#host = host;
    this.near = near;
    this.#mux = new Mux('host', this, near.leg.price);
    near.leg.source = this;
  }

  get openStreams(): number {
    return this.#mux.openStreams;
  }

  // --- as the far side ------------------------------------------------------------------------------------------------------

  take(payload: Buffer, text: Buffer): void {
    this.#mux.receive(text, FRAME_HEADER_BYTES + payload.length);
  }

  written(): void {
    // What goes from here is pulled.
  }

  nearRoomier(): void {
    // The leg is woken, and pulls.
  }

  nearGaveBack(): void {
    this.#mux.rest(this.near.leg.granted);
  }

  returnUnused(): void {
    this.near.unused.look(this.near.leg, this.#mux);
  }

  tellKept(): void {
    // Nothing passes.
  }

  stop(why: Ending): void {
    this.#stopped = true;
    this.#mux.close(endingError(why));
  }

  close(): boolean {
    return false;
  }

  nearLost(): void {
    // Nothing waits.
  }

  // --- cells ----------------------------------------------------------------------------------------------------------------

  pull(limit: number): Buffer | undefined {
    const size = this.#mux.pull(scratch, limit - FRAME_HEADER_BYTES - STACK_BYTES);
    return size === 0 ? undefined : this.near.seal(scratch.subarray(0, size));
  }

  sent(frameBytes: number): void {
    this.near.unused.sent(frameBytes);
    this.#mux.sent(frameBytes);
  }

  wake(): void {
    this.near.leg.wake();
  }

  granted(): number {
    return this.near.leg.granted;
  }

  grant(bytes: number): void {
    this.near.leg.port.grants.grant(this.near.leg, bytes);
  }

  serve(service: string, params: Buffer, stream: MuxStream, connect: Connect): Refusal | undefined {
    return this.#host.serve(service, params, stream, this, connect);
  }

  attribute(shares: Attribution, frameBytes: number): void {
    this.#host.attribute(this.near.leg, shares, frameBytes);
  }

  control(type: number): void {
    throw violation(`a cell of type ${type} out of place`);
  }

  fail(error: RelaymintError): void {
    this.near.fail(error);
  }

  // --- for services ---------------------------------------------------------------------------------------------------------

  get isOpen(): boolean {
    return !this.#stopped;
  }

  get acceptsStreams(): boolean {
    return this.isOpen && this.#mux.acceptsStreams;
  }

  openStream(service: string, params: Uint8Array, options: OpenStreamOptions = {}): Promise<CircuitStream> {
    return this.#mux.open(service, params, options);
  }
}
