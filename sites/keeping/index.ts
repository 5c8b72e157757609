/** Whether a host keeps what it says: the list of a site's blocks, samples of it, and a host that is asked for them. And where blocks come from else. */
export { bringIn, bringManifest } from './bring.ts';
export { challenge, type Challenged, type ChallengeOptions, type KeepingResult } from './challenge.ts';
export { listBlocks, type BlockList, type ListOptions } from './list.ts';
export { sampleOf } from './sample.ts';
export { trustlessGateway, type TrustlessOptions } from './trustless.ts';
