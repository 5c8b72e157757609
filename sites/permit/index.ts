/** Permits to post: what a wallet signs once, so that a page need not ask it for each post. */
export type { Permit, PermitTerms, SignedPermit } from './contract.ts';
export { encodePermit } from './code.ts';
export { permitFields, wrongWithTerms } from './fields.ts';
export { isPermitted, permitForms, permitText, permitTransaction, signedForm } from './statement.ts';
