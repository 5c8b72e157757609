/** Signing in with a wallet: the message, the forms in which wallets sign it, and whether one did. */
export type {
  Challenge,
  ChallengeOptions,
  SignInAnswer,
  SignInRefusal,
  SignedBytes,
  SignedForm,
  SignedIn,
  SolanaChain,
} from './contract.ts';
export { createChallenge } from './challenge.ts';
export { SIGNED_FORMS } from './contract.ts';
export { checkedAddress, formsOf, formsOfText, memoTransaction, memoTransactionOf, messageOf } from './forms.ts';
export { verifySignIn } from './verify.ts';
export { answerByHand, challengeSchema, decodeAnswer, encodeChallenge, readChallenge } from './by-hand.ts';
