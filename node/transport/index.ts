/** Transports, and the policy through which everything leaves the process. */
export type { HostDialer, ListenOptions, Listener, Transport, TransportName } from './contract.ts';
export { assertSocketPath, formatEndpoint, parseEndpoint, type Endpoint } from './endpoint.ts';
export { persistentDestination, type I2pDestination } from './i2p/destination.ts';
export { samVersion } from './i2p/sam.ts';
export { createI2pTransport, parseTunnels, type I2pTransport, type I2pTunnels } from './i2p/transport.ts';
export { createMemoryNetwork, createMemoryTransport, type MemoryNetwork } from './memory.ts';
export { createTcpTransport } from './tcp.ts';
export {
  ANONYMIZERS,
  assertAnonymous,
  assertPublishable,
  type Anonymizer,
  type RevealingSettings,
} from './anonymity.ts';
export { hides, isLocalAddress, parseLocations, reveals, type Location } from './location.ts';
export { PHASES, PREFERENCES, isHidden, planDial, type Attempt, type Phase, type Preference } from './preference.ts';
export { garlicMultiaddr, isLoopback, onionMultiaddr, parseAddress, tcpAddress, unsupported } from './address.ts';
export { isPublicIp, networkOfIp } from './reach.ts';
export {
  fetchFromStrangers,
  fetchFromThisMachine,
  type StrangersAnswer,
  type StrangersFetch,
  type StrangersOptions,
  type StrangersRequest,
} from './strangers.ts';
export { isOnion, onionOf, readOnion } from './tor/address.ts';
export { parseBridges, type Bridges } from './tor/bridges.ts';
export { startTorDaemon, type TorDaemon, type TorDaemonOptions } from './tor/daemon.ts';
export { appendAccess, parseClientKey, readAccessFile } from './tor/client-auth.ts';
export { connectControl, type TorAuth, type TorControl } from './tor/control.ts';
export { USUAL_PLACES, createDetectedTor, findTor, managedTor, type FoundTor, type TorPlace } from './tor/detect.ts';
export { clientKeyText, createClientKey, ephemeralOnionKey, onionKeyOf, type OnionKey } from './tor/key.ts';
export type { OnionAccess } from './tor/commands.ts';
export { onionOfTorrcService, type TorrcService } from './tor/torrc-service.ts';
export { runningDaemon } from './tor/pid-file.ts';
export { createTorTransport, type TorTransport, type TorTransportOptions } from './tor/transport.ts';
export { createPolicy, declarePurpose } from './policy.ts';
export type {
  DeclaredPurpose,
  Dialed,
  Outbound,
  Policy,
  PolicyOptions,
  PolicyStats,
  Purpose,
  PurposeCounts,
  Target,
} from './policy.ts';
export { plainOrHalfClosing, spoken } from './halfclose.ts';
export { isAnonymizing } from './preference.ts';
