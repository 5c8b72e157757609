/** Finds out which node answers at an address that came without a node id. */
import type { NodeId } from '../../core/ids.ts';
import { LINK_HANDSHAKE_MILLIS } from '../../core/limits.ts';
import { deadline } from '../../core/abort.ts';
import type { Policy } from '../transport/index.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';
import { createTlsContext, secureOutbound } from './tls.ts';

/**
 * The node that proves its key there; nothing is sent to it. Its offer says whether the address is its own.
 * @throws RelaymintError as `Policy.dial` and `secureOutbound`.
 */
export async function nodeAt(
  address: string,
  options: { readonly identity: NodeIdentity; readonly policy: Policy; readonly signal: AbortSignal },
): Promise<NodeId> {
  const { identity, policy, signal } = options;
  const millis = policy.handshakeMillis(address) ?? LINK_HANDSHAKE_MILLIS;
  using limit = deadline(millis, `Asking who is at ${address}`, signal);
  const { connection } = await policy.dial(address, limit);
  const { socket, peer } = await secureOutbound(connection, createTlsContext(identity), undefined, limit.signal);
  socket.destroy();
  return peer;
}
