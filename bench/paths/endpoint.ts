/** An endpoint that builds nothing: circuits stand, are refused or are lost as somebody says. */
import { RelaymintError } from '../../core/errors.ts';
import type { Circuit, CircuitEndpoint } from '../../node/circuit/index.ts';
import type { GuardStore } from '../../node/tunnel/index.ts';
import type { SignedOffer } from '../../node/offer/index.ts';

/** As the initiator sees it: `node/circuit/initiated.ts`. */
export function unreachable(hop: number): RelaymintError {
  return new RelaymintError('CIRCUIT_DESTROYED', `At hop ${hop + 1}: The circuit was destroyed (UNREACHABLE).`, {
    details: { reason: 'UNREACHABLE', hop },
  });
}

/** `build` throws what a circuit over this path would fail with, and may return what it is lost with as soon as it stands. */
export function endpointOf(
  build: (path: readonly SignedOffer[]) => Promise<RelaymintError | undefined>,
): CircuitEndpoint {
  const nothing = (): never => {
    throw new TypeError('a simulated endpoint only builds circuits');
  };
  return {
    register: nothing,
    async createCircuit(path) {
      return circuitOf(path, await build(path));
    },
    stats: nothing,
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

function circuitOf(path: readonly SignedOffer[], lostWith: RelaymintError | undefined): Circuit {
  let end: (error: RelaymintError | undefined) => void = () => {};
  const closed = new Promise<RelaymintError | undefined>((resolve) => {
    end = resolve;
  });
  let isOpen = lostWith === undefined;
  if (lostWith !== undefined) end(lostWith);
  return {
    hops: path.map(({ nodeId }) => nodeId),
    closed,
    get isOpen() {
      return isOpen;
    },
    bytes: 0,
    openStreams: 0,
    get acceptsStreams() {
      return isOpen;
    },
    openStream: async () => {
      throw new TypeError('a simulated circuit carries nothing');
    },
    register() {
      throw new TypeError('a simulated circuit carries nothing');
    },
    expectJoin() {
      throw new TypeError('a simulated circuit carries nothing');
    },
    rttMillis: async () => 1,
    destroy() {
      isOpen = false;
      end(undefined);
    },
  };
}

/** What a disk would keep. */
export function storeInMemory(): GuardStore {
  let kept: Uint8Array | undefined;
  return {
    name: 'memory',
    read: async () => kept,
    write: async (content) => {
      kept = content;
    },
  };
}
