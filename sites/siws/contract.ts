/** Signing in with a wallet: what the wallet is asked, and what its answer shows. */
import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';

/** The networks of Sign-In-With-Solana, as its grammar writes them: there is no `solana:localnet` in it. */
export type SolanaChain = 'solana:mainnet' | 'solana:testnet' | 'solana:devnet' | 'localnet';

/**
 * What a wallet is asked to sign, all but its address: the input of `solana:signIn`, field by field. Made by the issuer before it knows who
 * comes. Plain JSON: whoever made it keeps it, by its nonce, and takes it from its own store only, once.
 */
export interface Challenge {
  /** The issuer's host, with its port unless that is the scheme's own: what the wallet compares with the page's address. */
  readonly domain: string;
  /** The issuer. */
  readonly uri: string;
  /** One line for the person: where this signs in, and that it does nothing else. */
  readonly statement: string;
  readonly version: '1';
  readonly chainId: SolanaChain;
  /** 128 random bits in hex. */
  readonly nonce: string;
  /** ISO 8601, UTC, with milliseconds. */
  readonly issuedAt: string;
  readonly expirationTime: string;
  /** The interaction that this belongs to. */
  readonly requestId: string;
}

export interface ChallengeOptions {
  /** http or https, without query, fragment and user. From the configuration, never from a request. */
  readonly issuer: URL;
  /** What the person recognises: the client's origin, or its name. Text of others, made safe here. */
  readonly client: string;
  readonly chainId: SolanaChain;
  /** What the issuer calls this interaction: letters, digits and `-._~!$&'()*+,;=:@`, 1 .. 128. */
  readonly requestId: string;
  readonly clock: Clock;
}

/**
 * What wallets sign of one and the same message: its text alone; the text behind one of the three preambles of Solana's off-chain messages,
 * as hardware wallets do; or a transaction whose memo the text is.
 */
export type SignedForm = (typeof SIGNED_FORMS)[number];
export const SIGNED_FORMS = ['raw', 'offchain-legacy', 'offchain-v0', 'offchain-v1', 'memo-transaction'] as const;

/** Bytes that a wallet may sign. Several can be of one form: firmwares differ in what they put into its preamble. */
export interface SignedBytes {
  readonly form: SignedForm;
  readonly bytes: Uint8Array;
}

/** What a wallet's owner hands in. Anything else that a wallet returns is not looked at. */
export interface SignInAnswer {
  /** base58, as the wallet says it. */
  readonly address: string;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
}

export interface SignedIn {
  readonly address: LedgerAddress;
  readonly form: SignedForm;
}

/**
 * Why a sign-in was refused, in `details.reason` of SIGN_IN_REFUSED. `challenge`: what was kept is none of ours; `early`: made in the future by
 * this clock; `expired`; `address`: no address, or one written in another way; `key`: an address whose key signs for everybody; `signature`.
 */
export type SignInRefusal = 'challenge' | 'early' | 'expired' | 'address' | 'key' | 'signature';
