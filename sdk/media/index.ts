/** Whose a picture, a film or a page is, and what others may do with it. */
export { RelaymintError, isRelaymintError } from '../../core/errors.ts';
export type { ErrorCode } from '../../core/errors.ts';
export { ownership } from './ownership.ts';
export type { Ownership } from './ownership.ts';
