/**
 * The one place through which connections leave the process. Every one has a purpose, is counted, and is refused when
 * the setting does not allow where it goes.
 */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Listener, Transport, TransportName } from './contract.ts';

/** What a connection is for: peers, the ledger's RPC, the daemon's own control port, pages fetched for a gateway's user. */
export type Purpose = 'link' | 'ledger' | 'control' | 'gateway' | 'discovery';

/** Where connections may go: anywhere, or only to this machine. */
export type Outbound = 'any' | 'loopback';

export interface PolicyOptions {
  readonly transports: readonly Transport[];
  /** Default 'any'. */
  readonly outbound?: Outbound;
}

export interface Target {
  readonly host: string;
  /** 1 .. 65535. */
  readonly port: number;
}

export interface Dialed {
  readonly connection: Duplex;
  readonly transport: Transport;
}

/** Connections of one purpose since the policy was made. */
export interface PurposeCounts {
  readonly opened: number;
  readonly failed: number;
  readonly refused: number;
  readonly open: number;
}

export interface Policy {
  readonly outbound: Outbound;
  readonly transports: readonly TransportName[];
  /**
   * Opens a connection for a link.
   * @throws RelaymintError POLICY_REFUSED, ADDRESS_UNSUPPORTED, CONNECTION_REFUSED, TIMEOUT, ABORTED.
   */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<Dialed>;
  /** Accepts connections on `address`. @throws RelaymintError ADDRESS_UNSUPPORTED, CONNECTION_REFUSED. */
  listen(address: string, onConnection: (dialed: Dialed) => void): Promise<Listener>;
  /**
   * Opens a plain connection to a host.
   * @throws RelaymintError POLICY_REFUSED, CONNECTION_REFUSED, TIMEOUT, ABORTED.
   */
  connect(purpose: Purpose, target: Target, options: { readonly signal: AbortSignal }): Promise<Duplex>;
  /** A `fetch` for http and https that does not follow redirects and refuses what the policy refuses. */
  fetch(purpose: Purpose): typeof globalThis.fetch;
  /** An agent for node:http, for clients that bring their own requests (WebSocket). */
  httpAgent(purpose: Purpose): HttpAgent;
  httpsAgent(purpose: Purpose): HttpsAgent;
  stats(): Readonly<Record<Purpose, PurposeCounts>>;
}

export declare function createPolicy(options: PolicyOptions): Policy;
