/**
 * Posts that a visitor writes in a page: the visitor's wallet permits it once, at the issuer, and the page signs with a key of its own from then
 * on, for a day at most and below this name alone. The key never leaves the browser, and no script reads it.
 */
export { RelaymintError, isRelaymintError } from '../../core/errors.ts';
export type { ErrorCode } from '../../core/errors.ts';
export { askToPost, endPosting, finishAsking, postingAs } from './permit.ts';
export type { AskToPost, Posting } from './permit.ts';
export { editPost, removePost, writePost } from './write.ts';
export type { PostRef, WriteOptions } from './write.ts';
