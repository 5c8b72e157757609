/** The services at one end of circuits, by name, with their prices and handlers. */
import { RelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { pricePerMiB, type PricePerMiB } from '../../core/units.ts';
import type { CircuitEnd, ServiceHandler, ServiceOptions } from './contract.ts';
import { isServiceName, type Connect, type Refusal } from './mux.ts';
import { EndReason } from './reason.ts';
import type { MuxStream } from './stream.ts';

/** Who pays for the circuit asks nothing for what it serves on it. */
export const NO_PRICE: ServiceOptions = { price: pricePerMiB(0n) };

interface Service extends ServiceOptions {
  readonly handler: ServiceHandler;
}

export class Services {
  readonly #log: Log;
  readonly #byName = new Map<string, Service>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** What the cheapest asks; undefined without any. */
  get cheapest(): PricePerMiB | undefined {
    let cheapest: PricePerMiB | undefined;
    for (const { price } of this.#byName.values()) {
      if (cheapest === undefined || price < cheapest) cheapest = price;
    }
    return cheapest;
  }

  /** @throws TypeError, RelaymintError as CircuitEndpoint.register. */
  register(name: string, { price, datagrams = false }: ServiceOptions, handler: ServiceHandler): void {
    if (!isServiceName(name)) {
      throw new RelaymintError('INVALID_ARGUMENT', `"${name}" cannot be the name of a service.`, {
        remedy: 'Use 1 to 32 of a-z 0-9 . _ -',
      });
    }
    if (this.#byName.has(name)) throw new TypeError(`the service "${name}" is registered already`);
    this.#byName.set(name, { price, datagrams, handler });
  }

  /** Serves a stream of that circuit (after `connect`), or says why not. */
  serve(name: string, params: Buffer, stream: MuxStream, circuit: CircuitEnd, connect: Connect): Refusal | undefined {
    const service = this.#byName.get(name);
    if (service === undefined) return { reason: EndReason.REFUSED, text: `no service "${name}" here` };
    if (stream.circuitPrice < service.price) {
      return { reason: EndReason.PRICE, text: `${service.price} per MiB is asked for "${name}"` };
    }
    connect(service.datagrams);
    try {
      service.handler(stream, Buffer.from(params), circuit);
    } catch (error) {
      this.#log.error({ service: name, err: error }, 'A service failed to take a stream.');
      stream.destroy(error instanceof Error ? error : undefined);
    }
    return undefined;
  }
}
