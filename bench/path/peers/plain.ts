/** An end of the rows `tcp` and `tls`: the links' own transport and the links' own TLS, without frames or circuits. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { LINK_HANDSHAKE_MILLIS } from '../../../core/limits.ts';
import { SEED_BYTES, identityFromSeed } from '../../../platform/keys/identity.ts';
import { createTlsContext, secureInbound, secureOutbound } from '../../../node/link/tls.ts';
import { createPolicy, createTcpTransport, type Policy } from '../../../node/transport/index.ts';
import { pingPong, serveEcho, serveSource, transfer } from '../load.ts';
import type { Peer, PlainPeer } from '../protocol.ts';

const ANY_PORT = '/ip4/127.0.0.1/tcp/0';

export async function openPlainPeer({ tls, to }: PlainPeer): Promise<Peer> {
  const identity = identityFromSeed(randomBytes(SEED_BYTES));
  const context = createTlsContext(identity);
  const policy = createPolicy({ transports: [createTcpTransport()], outbound: 'loopback' });
  const signal = (): AbortSignal => AbortSignal.timeout(LINK_HANDSHAKE_MILLIS);
  const inbound = async (connection: Duplex): Promise<Duplex> =>
    tls ? (await secureInbound(connection, context, signal())).socket : connection;

  if (to === undefined) {
    const addresses = [await listen(policy, inbound, serveSource), await listen(policy, inbound, serveEcho)];
    return { where: { nodeId: identity.nodeId, addresses }, commands: {} };
  }

  const outbound = async (address: string | undefined): Promise<Duplex> => {
    const { connection } = await policy.dial(address ?? '', { signal: signal() });
    return tls ? (await secureOutbound(connection, context, to.nodeId, signal())).socket : connection;
  };
  const [source, echo] = [await outbound(to.addresses[0]), await outbound(to.addresses[1])];
  return {
    where: { nodeId: identity.nodeId, addresses: [] },
    commands: {
      join: async () => {},
      transfer: (bytes) => transfer(source, bytes),
      pingPong: (count) => pingPong(echo, count),
    },
  };
}

/** @returns the address to dial. */
async function listen(
  policy: Policy,
  inbound: (connection: Duplex) => Promise<Duplex>,
  serve: (stream: Duplex) => void,
): Promise<string> {
  const listener = await policy.listen(ANY_PORT, ({ connection }) => {
    inbound(connection).then(serve, () => connection.destroy());
  });
  return listener.addresses[0] ?? '';
}
