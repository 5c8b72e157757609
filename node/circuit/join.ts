/**
 * Two circuits that end at one node are joined there: from then on each of their initiators has the other at the far end.
 *
 *   JOIN     downwards, to both: all that follows is the other initiator's, and this one opens odd streams, or even ones
 *   JOINED   upwards: all that follows is for the other initiator
 *
 * What an initiator sent before its JOINED was meant for the node between them, which drops it. So nothing on its way to one is
 * taken for the other's, whenever each of them is told.
 */
import type { RelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import type { CircuitEnd, ExpectedJoin, ServiceHandler, ServiceOptions } from './contract.ts';
import { DestroyReason, ending, type Ending } from './reason.ts';
import { NO_PRICE, Services } from './services.ts';
import type { CircuitSide } from './stream-ids.ts';
import { violation } from './violation.ts';

/** What ends the streams with the node between the two. */
export const GOES_ON: Ending = ending(DestroyReason.FINISHED, 'the circuit goes on to another one');

const SIDES: readonly CircuitSide[] = ['initiator', 'host'];

/** side u8: 0 if the receiver opens odd streams from now on, 1 if even ones */
export function encodeJoin(side: CircuitSide): Buffer {
  return Buffer.of(SIDES.indexOf(side));
}

/** @throws RelaymintError PROTOCOL_VIOLATION. */
export function decodeJoin(data: Buffer): CircuitSide {
  const side = data.length === 1 ? SIDES[data[0] ?? 0] : undefined;
  if (side !== undefined) return side;
  throw violation('a JOIN that does not fit');
}

/** What an initiator has ready for the other one. */
export class JoinPlan implements ExpectedJoin {
  readonly services: Services;
  readonly end: Promise<CircuitEnd>;
  #settle: { resolve(end: CircuitEnd): void; reject(error: RelaymintError): void } | undefined;

  constructor(log: Log) {
    this.services = new Services(log);
    this.end = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // A caller that does not wait for it learns it from the circuit.
    this.end.catch(() => {});
  }

  register(service: string, handler: ServiceHandler, options: Pick<ServiceOptions, 'datagrams'> = {}): void {
    this.services.register(service, { ...options, ...NO_PRICE }, handler);
  }

  joined(end: CircuitEnd): void {
    this.#settle?.resolve(end);
  }

  failed(error: RelaymintError): void {
    this.#settle?.reject(error);
  }
}
