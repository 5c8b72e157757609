/** Circuits: layered-encryption paths through paid relays, and the streams inside them. */
export type {
  Circuit,
  CircuitEnd,
  CircuitEndpoint,
  CircuitEndpointOptions,
  CircuitStats,
  CircuitStream,
  CircuitTiming,
  CreateCircuitOptions,
  ExpectedJoin,
  ExtendRules,
  OnionKey,
  OpenStreamOptions,
  ServiceHandler,
  ServiceOptions,
} from './contract.ts';
export { CreateRate } from './create-rate.ts';
export { createCircuitEndpoint } from './endpoint.ts';
export { ExtendDials, extendFailure, extendTarget } from './extend-target.ts';
export { onionKeyFromSeed } from './handshake.ts';
export { onwardPriceAllowed } from './price.ts';
export { DestroyReason } from './reason.ts';
export {
  RELAY_SERVICE,
  defaultMaxPrice,
  marketPrice,
  priceOfPath,
  priced,
  pricesOfPath,
  shuffledByPrice,
  type KnownOffers,
  type Priced,
} from './price.ts';
export { reasonWord } from './reason.ts';
export { joinCircuits } from './relayed.ts';
