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
  ExtendRules,
  OnionKey,
  OpenStreamOptions,
  ServiceHandler,
  ServiceOptions,
} from './contract.ts';
export { CreateRate } from './create-rate.ts';
export { createCircuitEndpoint } from './endpoint.ts';
export type { GuardStore, GuardView, Guards } from '../tunnel/guards/contract.ts';
export { guardFile } from '../tunnel/guards/format.ts';
export { createGuards, openGuards } from '../tunnel/guards/guards.ts';
export { extendFailure, extendTarget } from './extend-target.ts';
export { onionKeyFromSeed } from './handshake.ts';
export { sellersOf } from '../tunnel/path.ts';
export { createCircuitPool } from '../tunnel/pool.ts';
export { onwardPriceAllowed } from './price.ts';
export { DestroyReason } from './reason.ts';
