/** Transports, and the policy through which everything leaves the process. */
export type { HostDialer, Listener, Transport, TransportName } from './contract.ts';
export { formatEndpoint, parseEndpoint, type Endpoint } from './endpoint.ts';
export { createMemoryNetwork, createMemoryTransport, type MemoryNetwork } from './memory.ts';
export { createTcpTransport } from './tcp.ts';
export { ANONYMIZERS, assertAnonymous, type Anonymizer, type RevealingSettings } from './anonymity.ts';
export { isLocalAddress, parseLocations, reveals, type Location } from './location.ts';
export { PHASES, PREFERENCES, isHidden, planDial, type Attempt, type Phase, type Preference } from './preference.ts';
export { onionMultiaddr } from './address.ts';
export { isOnion, onionOf, readOnion } from './tor/address.ts';
export { connectControl, type TorAuth, type TorControl } from './tor/control.ts';
export { USUAL_PLACES, createDetectedTor, findTor, managedTor, type TorPlace } from './tor/detect.ts';
export { ephemeralOnionKey, onionKeyOf, type OnionKey } from './tor/key.ts';
export { onionOfTorrcService, type TorrcService } from './tor/torrc-service.ts';
export { createTorTransport, type TorTransport, type TorTransportOptions } from './tor/transport.ts';
export { createPolicy } from './policy.ts';
export type { Dialed, Outbound, Policy, PolicyOptions, Purpose, PurposeCounts, Target } from './policy.ts';
