/** Checks of a site before it is published. */
export { checkSite } from './check.ts';
export { MAX_FINDINGS } from './contract.ts';
export type { CheckOptions, CheckProgress, CheckReport, Finding, FindingCode, Severity } from './contract.ts';
