/** A node, composed: keys, ways out, money, links, discovery and circuits. */
export { settleHeld, type Held } from './held.ts';
export { NODE_KEY_FILE, WALLET_FILE, delegateAddress, loadWalletKey, readOrMakeKey, signerOf } from './keys.ts';
export {
  BOOKS_DIRECTORY,
  I2P_KEY_FILE,
  SETTLEMENTS_FILE,
  openNode,
  relayWindowPrice,
  type NodeSettings,
  type RunningNode,
} from './node.ts';
export { openOutbound, type OutboundSettings } from './outbound.ts';
export { ONION_PORT } from './places.ts';
export { ChainView, closedOf, controlHandlers, pairsOf, settledList, watchTransports } from './stats.ts';
