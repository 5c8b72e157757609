/**
 * Wallets in the page, by the Wallet Standard: which there are, and signing in with one (Sign-In-With-Solana). In a page on a server there are
 * none. Call `connect` and `signIn` in the handler of a click: wallets open windows, and browsers let them for a click only.
 */
export { RelaymintError, isRelaymintError } from '../../core/errors.ts';
export type { ErrorCode } from '../../core/errors.ts';
export { onWallets, wallets } from './registry.ts';
export { connect, signIn, signInText } from './sign-in.ts';
export type { ConnectOptions, NeedsGesture, SignInOptions, SignedIn } from './sign-in.ts';
export type { SignInInput, SignInOutput, StandardAccount, StandardWallet, Wallet } from './standard.ts';
