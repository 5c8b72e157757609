/** The Wallet Standard and Sign-In-With-Solana, as far as signing in needs them. */

/** As a wallet registers itself: its word, and nobody else's. */
export interface StandardWallet {
  readonly version: string;
  readonly name: string;
  readonly icon: string;
  readonly chains: readonly string[];
  readonly features: Readonly<Record<string, unknown>>;
  readonly accounts: readonly StandardAccount[];
}

export interface StandardAccount {
  /** Base58. */
  readonly address: string;
  readonly publicKey: Uint8Array;
  readonly chains: readonly string[];
  readonly features: readonly string[];
  readonly label?: string;
}

/** A wallet that can sign in. */
export interface Wallet {
  /** To be shown as text: at most 64 characters, none of which hides or turns others. */
  readonly name: string;
  /** A `data:` image for `<img src>`; undefined where the wallet's is something else, which would be fetched or run. */
  readonly icon: string | undefined;
  /** Whether one click is enough to sign in. Else the wallet is connected first, and may need a second one. */
  readonly signsIn: boolean;
  readonly standard: StandardWallet;
}

/** What is to be signed. Times are ISO 8601, `domain` is the page's host with its port. */
export interface SignInInput {
  readonly domain?: string | undefined;
  readonly address?: string | undefined;
  readonly statement?: string | undefined;
  readonly uri?: string | undefined;
  readonly version?: string | undefined;
  /** `mainnet`, `devnet`, `testnet`, `localnet`, or one of these after `solana:`. */
  readonly chainId?: string | undefined;
  /** At least 8 letters and digits. */
  readonly nonce?: string | undefined;
  readonly issuedAt?: string | undefined;
  readonly expirationTime?: string | undefined;
  readonly notBefore?: string | undefined;
  readonly requestId?: string | undefined;
  readonly resources?: readonly string[] | undefined;
}

/** As a wallet's feature `solana:signIn` gives it. */
export interface SignInOutput {
  readonly account: StandardAccount;
  readonly signedMessage: Uint8Array;
  readonly signature: Uint8Array;
  readonly signatureType?: 'ed25519';
}

export interface ConnectFeature {
  connect(input?: { readonly silent?: boolean }): Promise<{ readonly accounts: readonly StandardAccount[] }>;
}

export interface SignInFeature {
  signIn(...inputs: readonly SignInInput[]): Promise<readonly SignInOutput[]>;
}

export interface SignMessageFeature {
  signMessage(
    ...inputs: readonly { readonly account: StandardAccount; readonly message: Uint8Array }[]
  ): Promise<readonly Pick<SignInOutput, 'signedMessage' | 'signature'>[]>;
}

/** The features that are used, under their names. */
export interface Features {
  readonly 'standard:connect': ConnectFeature;
  readonly 'solana:signIn': SignInFeature;
  readonly 'solana:signMessage': SignMessageFeature;
}

export function featureOf<Name extends keyof Features>(
  { features }: StandardWallet,
  name: Name,
): Features[Name] | undefined {
  return features[name] as Features[Name] | undefined;
}
