/** Blocks: what a host keeps, by their hashes. */
export * from './contract.ts';
export { BlockFiles } from './block-files.ts';
export { openBlockStore } from './store.ts';
export type { BlockStoreOptions } from './store.ts';
export {
  blockKey,
  blockMissing,
  checkCarried,
  checkCid,
  decodeCid,
  holdsFileBytes,
  isDirectoryCodec,
  isManifestCodec,
  verifyBlock,
} from './block.ts';
export { cborDepth } from './nesting.ts';
export { linksOf } from './walk.ts';
