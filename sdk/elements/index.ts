/**
 * Elements for pages: `<relaymint-image>`, `<relaymint-video>` and `<relaymint-posts>`. They draw themselves into the page as ordinary elements, which the
 * page's own style sheet styles. Importing them does nothing: call `defineElements`.
 */
export { RelaymintError, isRelaymintError } from '../../core/errors.ts';
export type { ErrorCode } from '../../core/errors.ts';
export { defineElements } from './define.ts';
export type { ElementsOptions } from './define.ts';
