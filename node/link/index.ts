/** Links: authenticated, encrypted, framed connections between nodes. */

export { FRAME_HEADER_BYTES, FrameType } from './contract.ts';
export type { ConnectOptions, FrameHandler, Link, LinkManager, LinkManagerOptions, LinkTiming } from './contract.ts';
export { createLinkManager } from './manager.ts';
export { nodeAt } from './identify.ts';
