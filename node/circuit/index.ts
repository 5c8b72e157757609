/** Circuits: layered-encryption paths through paid relays, and the streams inside them. */
export type {
  Circuit,
  CircuitEndpoint,
  CircuitEndpointOptions,
  CircuitPool,
  CircuitPoolOptions,
  CircuitPoolSettings,
  CircuitStats,
  CircuitStream,
  CircuitTiming,
  CreateCircuitOptions,
  OnionKey,
  OpenStreamOptions,
  ServiceHandler,
  ServiceOptions,
} from './contract.ts';
export { createCircuitEndpoint } from './endpoint.ts';
export { onionKeyFromSeed } from './handshake.ts';
export { createCircuitPool } from './pool.ts';
export { DestroyReason } from './reason.ts';
