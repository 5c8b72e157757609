/** Signing in with a wallet: at one click where it can, else by connecting and signing a text. */
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { RelaymintError, violation } from '../../core/errors.ts';
import { featureOf, type SignInInput, type SignInOutput, type StandardAccount, type Wallet } from './standard.ts';

export interface ConnectOptions {
  /** Only what the visitor allowed before: no window opens. Default false. */
  readonly silent?: boolean;
  /** What the wallet shows stays open: pages cannot close it. */
  readonly signal?: AbortSignal;
}

export interface SignInOptions {
  /**
   * What a wallet is to sign that cannot sign in by itself: a text, or what makes it of the address, such as `signInText`. Without it
   * such wallets are refused.
   */
  readonly text?: string | ((address: string) => string);
  /** `signMessage`: also with a wallet that can sign in, for accounts of hardware that cannot. */
  readonly by?: 'signIn' | 'signMessage';
  readonly signal?: AbortSignal;
}

/** What an issuer verifies: the signature over the bytes that it makes itself, by the key of the address. */
export interface SignedIn {
  readonly needsGesture?: undefined;
  /** Base58. */
  readonly address: string;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  /** What the wallet says that it signed. */
  readonly signedMessage: Uint8Array;
}

/** The wallet is connected, and the click used up: show a second button whose click calls `signIn` again. */
export interface NeedsGesture {
  readonly needsGesture: true;
  /** Of the account that will sign. */
  readonly address: string;
}

const SIGNATURE_BYTES = 64;
const ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;

/**
 * Asks for the wallet's accounts.
 * @returns their addresses
 * @throws RelaymintError WALLET_REFUSED, ABORTED; PROTOCOL_VIOLATION for what is no account.
 */
export async function connect(wallet: Wallet, options: ConnectOptions = {}): Promise<readonly string[]> {
  return (await accountsOf(wallet, options)).map(({ address }) => address);
}

/**
 * Call it in the handler of a click.
 * @throws RelaymintError WALLET_REFUSED, ABORTED; INVALID_ARGUMENT where a text is needed and none is given; PROTOCOL_VIOLATION for an answer
 * that is none.
 */
export async function signIn(
  wallet: Wallet,
  input: SignInInput,
  options: SignInOptions = {},
): Promise<SignedIn | NeedsGesture> {
  const { text, signal, by = 'signIn' } = options;
  const feature = by === 'signIn' ? featureOf(wallet.standard, 'solana:signIn') : undefined;
  if (feature !== undefined) {
    const [output] = await byWallet(() => feature.signIn(stated(input)), wallet, signal);
    return signedIn(wallet, output?.account.address, output);
  }
  const signer = featureOf(wallet.standard, 'solana:signMessage');
  if (text === undefined || signer === undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', `${wallet.name} cannot sign in by itself.`, {
      remedy: 'Give signIn a text to sign, or offer wallets with signsIn alone.',
    });
  }
  const [known] = wallet.standard.accounts;
  const [account] = known === undefined ? await accountsOf(wallet, options) : [known];
  if (account === undefined) throw refused(wallet, 'It has no account here.');
  const { address } = account;
  // A window that opens without a click is blocked, and many a wallet then never answers. Not every browser says whether there is one.
  const { userActivation } = navigator as { readonly userActivation?: UserActivation };
  if (known === undefined && userActivation?.isActive !== true) return { needsGesture: true, address };
  const message = new TextEncoder().encode(typeof text === 'string' ? text : text(address));
  const [output] = await byWallet(() => signer.signMessage({ account, message }), wallet, signal);
  return signedIn(wallet, address, output);
}

/** The text that a wallet shows and signs for this input (Sign-In-With-Solana), for an address. */
export function signInText(input: SignInInput, address: string): string {
  const { domain, statement, resources } = input;
  const fields = [
    ['URI', input.uri],
    ['Version', input.version],
    ['Chain ID', input.chainId],
    ['Nonce', input.nonce],
    ['Issued At', input.issuedAt],
    ['Expiration Time', input.expirationTime],
    ['Not Before', input.notBefore],
    ['Request ID', input.requestId],
  ].flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  if (resources !== undefined) fields.push('Resources:', ...resources.map((resource) => `- ${resource}`));
  const parts = [`${domain} wants you to sign in with your Solana account:\n${address}`];
  if (statement !== undefined) parts.push(statement);
  if (fields.length > 0) parts.push(fields.join('\n'));
  return parts.join('\n\n');
}

async function accountsOf(wallet: Wallet, options: ConnectOptions): Promise<readonly StandardAccount[]> {
  const { silent, signal } = options;
  const feature = featureOf(wallet.standard, 'standard:connect');
  if (feature === undefined) throw refused(wallet, 'It cannot be connected.');
  const connected = await byWallet(() => feature.connect(silent === true ? { silent } : undefined), wallet, signal);
  const { accounts } = connected;
  if (!Array.isArray(accounts) || !accounts.every(({ address }) => ADDRESS.test(address))) throw strange(wallet);
  return accounts;
}

/** Fields without a value are left out: wallets take `undefined` for a value. */
function stated(input: SignInInput): SignInInput {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

/** The wallet is called before anything else is waited for: while the click counts. */
async function byWallet<T>(work: () => Promise<T>, wallet: Wallet, signal: AbortSignal | undefined): Promise<T> {
  const what = `Asking ${wallet.name}`;
  assertNotAborted(signal, what);
  const answer = (async () => {
    try {
      return await work();
    } catch (error) {
      // Wallets throw plain objects too.
      const { message = String(error) } = Object(error) as { readonly message?: unknown };
      throw refused(wallet, String(message), error);
    }
  })();
  return await orAborted(answer, signal, what);
}

function signedIn(
  wallet: Wallet,
  address: string | undefined,
  output: Pick<SignInOutput, 'signature' | 'signedMessage'> | undefined,
): SignedIn {
  const { signature, signedMessage } = output ?? {};
  if (address === undefined || !ADDRESS.test(address)) throw strange(wallet);
  if (!isBytes(signature) || signature.length !== SIGNATURE_BYTES || !isBytes(signedMessage)) throw strange(wallet);
  return { address, signature: Uint8Array.from(signature), signedMessage: Uint8Array.from(signedMessage) };
}

/** Also of another window, whose classes are not ours. */
function isBytes(value: unknown): value is Uint8Array {
  return Object.prototype.toString.call(value) === '[object Uint8Array]';
}

function refused(wallet: Wallet, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('WALLET_REFUSED', `${wallet.name} did not do it: ${why.replace(/[.\s]+$/, '')}.`, {
    remedy: 'Try again, or take another wallet.',
    cause,
  });
}

function strange(wallet: Wallet): RelaymintError {
  return violation(`${wallet.name} answered something that is no signature.`, 'Take another wallet.');
}
