/** A node, composed: keys, ways out, money, links, discovery and circuits. */
export { Glance, type Seen } from './glance.ts';
export { settleHeld, type Held } from './held.ts';
export { NODE_KEY_FILE, WALLET_FILE, delegateAddress, loadWalletKey, readOrMakeKey, signerOf } from './keys.ts';
export {
  BOOKS_DIRECTORY,
  I2P_KEY_FILE,
  openNode,
  relayWindowPrice,
  type NodeSettings,
  type RunningNode,
} from './node.ts';
export { openOutbound, type OutboundSettings } from './outbound.ts';
export { ONION_PORT } from './places.ts';
export { ChainView, controlHandlers, pairsOf, watchTransports } from './stats.ts';
