/** `NODEID@MULTIADDR`: a node and where to find it, as people write it. */
import { RelaymintError } from '../../core/errors.ts';
import { nodeId } from '../../core/ids.ts';
import { MAX_ADDRESS_BYTES } from '../../core/limits.ts';
import type { PeerAddress } from './contract.ts';

/** @throws RelaymintError INVALID_ARGUMENT. */
export function parsePeer(text: string): PeerAddress {
  const at = text.indexOf('@');
  const address = text.slice(at + 1);
  try {
    if (at > 0 && /^\/[\x21-\x7e]+$/.test(address) && address.length <= MAX_ADDRESS_BYTES) {
      return { nodeId: nodeId(text.slice(0, at)), address };
    }
  } catch (cause) {
    throw malformed(text, cause);
  }
  throw malformed(text);
}

export function formatPeer(peer: PeerAddress): string {
  return `${peer.nodeId}@${peer.address}`;
}

function malformed(text: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `"${text.slice(0, 100)}" is not the address of a node.`, {
    remedy: 'Use NODEID@/ip4/ADDRESS/tcp/PORT.',
    cause,
  });
}
