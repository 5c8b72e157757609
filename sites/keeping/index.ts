/** Whether a host keeps what it says: the list of a site's blocks, samples of it, and a host that is asked for them. */
export { bringIn } from './bring.ts';
export { challenge, type Challenged, type ChallengeOptions, type KeepingResult } from './challenge.ts';
export { listBlocks, type BlockList, type ListOptions } from './list.ts';
export { sampleOf } from './sample.ts';
