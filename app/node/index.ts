/** A node, composed: keys, ways out, money, links, discovery and circuits. */
export { Glance, type Seen } from './glance.ts';
export { settleHeld, type Held } from './held.ts';
export { I2P_KEY_FILE } from './identity.ts';
export { NODE_KEY_FILE, delegateAddress, loadWalletKey, readOrMakeKey, signerOf } from './keys.ts';
export { BOOKS_DIRECTORY, SETTLEMENTS_FILE, relayWindowPrice, type LastSettling } from './money.ts';
export { openNode, type RunningNode } from './node.ts';
export { bindWallet } from './peers.ts';
export { openOutbound } from './outbound.ts';
export { ChainView, closedOf, controlHandlers, pairsOf, settledList, watchTransports } from './stats.ts';
