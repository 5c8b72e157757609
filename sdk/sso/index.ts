/** Signing people in to a site of a `.web3` name, by an issuer that any OpenID Connect site can use (docs/sign-in.md), and reading profiles. */
export { RelaymintError, isRelaymintError } from '../../core/errors.ts';
export type { ErrorCode } from '../../core/errors.ts';
export { completeSignIn, signIn, signOut } from './flow.ts';
export type { Completed, Scope, SignInOptions, SignOutOptions } from './flow.ts';
export { profile } from './profile.ts';
export type { Profile } from './profile.ts';
export { session } from './session.ts';
export type { Claims, Session } from './session.ts';
