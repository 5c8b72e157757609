/** What a transport is. Types only: every implementation and every user of one meets here. */
import type { Duplex } from 'node:stream';

export type TransportName = 'tcp' | 'tor' | 'i2p' | 'memory';

/** How bytes reach a peer. Addresses are multiaddr texts: `/ip4/127.0.0.1/tcp/4001`, `/onion3/ADDRESS:PORT`,
 * `/garlic32/HASH`, `/memory/NAME`. */
export interface Transport {
  readonly name: TransportName;
  /** Time a link may take from dial to hello over this transport, milliseconds. Absent: LINK_HANDSHAKE_MILLIS. */
  readonly handshakeMillis?: number;
  /** True when `address` is written in a form this transport reaches. Never throws. */
  canDial(address: string): boolean;
  /**
   * Opens a connection. Only the policy calls this.
   * @throws RelaymintError ADDRESS_UNSUPPORTED, CONNECTION_REFUSED, TIMEOUT, ABORTED.
   */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<Duplex>;
  /**
   * Accepts connections. The receiver of a connection owns it, its 'error' event included. `source` identifies the peer behind all
   * connections that share it; absent if one place may serve many peers (a proxy of this machine, tor).
   * @throws RelaymintError ADDRESS_UNSUPPORTED, ADDRESS_IN_USE (somebody listens there), CONNECTION_REFUSED (the address is not ours), ABORTED.
   */
  listen(address: string, onConnection: OnConnection, options?: ListenOptions): Promise<Listener>;
}

export type OnConnection = (connection: Duplex, source?: string) => void;

export interface ListenOptions {
  /** Ends the wait until others can dial, which takes minutes on some networks. Default: none. */
  readonly signal?: AbortSignal;
}

/** A transport that also reaches hosts by name: what HTTP asks the policy for. The name is resolved at the far end, never here. */
export interface HostDialer {
  /** True if `host` is in this network or reachable from it. Never throws. */
  reachesHost(host: string): boolean;
  /**
   * Opens a connection to `host`, 1 .. 65535 `port`. Connections with different `isolation` texts share no path. Only the policy calls this.
   * @throws RelaymintError ADDRESS_UNSUPPORTED, POLICY_REFUSED, INVALID_ARGUMENT (a host that is not reached: nothing is opened), TIMEOUT, ABORTED,
   * LIMIT_EXCEEDED (one isolation text too many), and as the network says: CONNECTION_REFUSED, I2P_UNREACHABLE, TOR_NOT_RUNNING and others.
   */
  dialHost(
    host: string,
    port: number,
    options: { readonly isolation: string; readonly signal: AbortSignal },
  ): Promise<Duplex>;
}

export interface Listener {
  /** What others can dial, with the real port where 0 was asked for. */
  readonly addresses: readonly string[];
  /** Stops accepting. Connections that were handed out stay as they are. */
  close(): Promise<void>;
}
