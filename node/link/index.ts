/** Links: authenticated, encrypted, framed connections between nodes. */

export { FRAME_HEADER_BYTES, FrameType } from './contract.ts';
export type { ConnectOptions, FrameHandler, Link, LinkManager, LinkManagerOptions, LinkTiming } from './contract.ts';
export { identityFromSeed, newIdentity, verifySignature, type NodeIdentity } from '../../platform/keys/identity.ts';
export { createNodeKey, readNodeKey } from '../../platform/keys/key-file.ts';
export { createLinkManager } from './manager.ts';
export { nodeAt } from './identify.ts';
