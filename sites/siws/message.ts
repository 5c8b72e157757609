/**
 * The text of Sign-In-With-Solana (docs/sign-in.md, "What a wallet signs"). It is only ever written: nobody here reads one, since whoever
 * parses what a wallet returns believes what a stranger says that the wallet signed.
 */
import type { Challenge } from './contract.ts';

/** The text of a challenge that was checked, for an address that was checked. ASCII. */
export function textOf(challenge: Challenge, address: string): string {
  return [
    `${challenge.domain} wants you to sign in with your Solana account:`,
    address,
    '',
    challenge.statement,
    '',
    `URI: ${challenge.uri}`,
    `Version: ${challenge.version}`,
    `Chain ID: ${challenge.chainId}`,
    `Nonce: ${challenge.nonce}`,
    `Issued At: ${challenge.issuedAt}`,
    `Expiration Time: ${challenge.expirationTime}`,
    `Request ID: ${challenge.requestId}`,
  ].join('\n');
}
