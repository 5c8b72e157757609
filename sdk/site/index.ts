/** What the ledger says of a name: who has it, what it points to, and what it earned. */
export { RelaymintError, isRelaymintError } from '../../core/errors.ts';
export type { ErrorCode } from '../../core/errors.ts';
export { formatCredits } from '../../core/units.ts';
export type { Amount } from '../../core/units.ts';
export { revenue, status } from './name.ts';
export type { NameStatus, Revenue, Share } from './name.ts';
