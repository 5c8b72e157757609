/** What a wallet signs for a node: a till's owner says who earns for it. */
import { concatBytes, utf8 } from '../../core/codec.ts';
import { nodeIdBytes, type NodeId } from '../../core/ids.ts';

const WALLET_DOMAIN = utf8('relaymint:wallet-binding:v1');

/** What a wallet signs to say that `node` earns for it. */
export function walletBindingMessage(node: NodeId): Uint8Array {
  return concatBytes(WALLET_DOMAIN, nodeIdBytes(node));
}
