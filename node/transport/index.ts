/** Transports, and the policy through which everything leaves the process. */
export type { HostDialer, Listener, Transport, TransportName } from './contract.ts';
export { formatEndpoint, parseEndpoint, type Endpoint } from './endpoint.ts';
export { createMemoryNetwork, createMemoryTransport, type MemoryNetwork } from './memory.ts';
export { createTcpTransport } from './tcp.ts';
export { createPolicy } from './policy.ts';
export type { Dialed, Outbound, Policy, PolicyOptions, Purpose, PurposeCounts, Target } from './policy.ts';
