/**
 * The wallet's half that runs in pages: `installTestWallet` is sent there as text, so that it uses nothing but its settings and what a browser has.
 */

/** What of a browser it uses. */
declare const location: {
  readonly protocol: string;
  readonly hostname: string;
  readonly host: string;
  readonly origin: string;
};
declare const navigator: { readonly userActivation: { readonly isActive: boolean } };
declare const top: unknown;
declare const self: unknown;
declare function addEventListener(kind: string, heard: (event: never) => void, capture?: boolean): void;
declare function dispatchEvent(event: CustomEvent<unknown>): void;

export type WalletFeature = 'solana:signIn' | 'solana:signMessage' | 'solana:signTransaction';

export interface PageSettings {
  readonly name: string;
  readonly address: string;
  readonly publicKey: readonly number[];
  readonly features: readonly WalletFeature[];
  /** The function of the page that asks the half in Node to sign. */
  readonly binding: string;
  readonly needsGesture: boolean;
  readonly refuses: boolean;
}

/** What the half in Node gives back. */
export interface Signed {
  readonly signedMessage: readonly number[];
  readonly signature: readonly number[];
}

interface SignInInput {
  readonly domain?: string;
  readonly address?: string;
  readonly statement?: string;
  readonly uri?: string;
  readonly version?: string;
  readonly chainId?: string;
  readonly nonce?: string;
  readonly issuedAt?: string;
  readonly expirationTime?: string;
  readonly notBefore?: string;
  readonly requestId?: string;
  readonly resources?: readonly string[];
}

type Ask = (kind: 'message' | 'transaction', bytes: readonly number[]) => Promise<Signed>;

export function installTestWallet(settings: PageSettings): void {
  // Phantom: only https, localhost and 127.0.0.1, and never in a frame.
  const isPlace = location.protocol === 'https:' || ['localhost', '127.0.0.1'].includes(location.hostname);
  if (!isPlace || top !== self) return;

  const INVALID = -32_000;
  const CHAIN_IDS = ['mainnet', 'testnet', 'devnet', 'localnet', 'solana:mainnet', 'solana:testnet', 'solana:devnet'];
  const CHAINS = ['solana:mainnet', 'solana:testnet', 'solana:devnet', 'solana:localnet'];
  const SKEW_MILLIS = 600_000;
  const account = {
    address: settings.address,
    publicKey: Uint8Array.from(settings.publicKey),
    chains: CHAINS,
    features: settings.features,
  };
  let accounts: readonly (typeof account)[] = [];
  const changed = new Set<(change: unknown) => void>();
  let hasGesture = false;
  for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, () => (hasGesture = true), true);

  const failure = (code: number, message: string): Error => Object.assign(new Error(message), { code });

  /** One gesture opens one window of a wallet: a phone's browser blocks the second. */
  function takeGesture(): void {
    if (!settings.needsGesture) return;
    if (!hasGesture || !navigator.userActivation.isActive) throw failure(-32_603, 'The browser blocked the wallet.');
    hasGesture = false;
  }

  async function sign(kind: 'message' | 'transaction', bytes: Uint8Array): Promise<Signed> {
    takeGesture();
    if (settings.refuses) throw failure(4001, 'User rejected the request.');
    const ask = (globalThis as unknown as Record<string, Ask>)[settings.binding];
    if (ask === undefined) throw failure(-32_603, 'The wallet is not there.');
    return ask(kind, [...bytes]);
  }

  function ensure(isRight: boolean, what: string): void {
    if (!isRight) throw failure(INVALID, `Missing or invalid parameters: ${what}.`);
  }

  function ensureOfThisPage(domain: string | undefined, uri: string | undefined, issuedAt: string | undefined): void {
    ensure(domain === undefined || domain === location.host, 'domain');
    ensure(uri === undefined || (URL.canParse(uri) && new URL(uri).origin === location.origin), 'uri');
    const skew = issuedAt === undefined ? 0 : Math.abs(Date.parse(issuedAt) - Date.now());
    ensure(skew <= SKEW_MILLIS, 'issuedAt');
  }

  function textOf(input: SignInInput): string {
    const fields: readonly (readonly [string, string | undefined])[] = [
      ['URI', input.uri],
      ['Version', input.version],
      ['Chain ID', input.chainId],
      ['Nonce', input.nonce],
      ['Issued At', input.issuedAt],
      ['Expiration Time', input.expirationTime],
      ['Not Before', input.notBefore],
      ['Request ID', input.requestId],
    ];
    const lines = fields.filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`);
    if (input.resources !== undefined) lines.push('Resources:', ...input.resources.map((one) => `- ${one}`));
    const head = `${input.domain ?? location.host} wants you to sign in with your Solana account:\n${settings.address}`;
    const parts = [head, input.statement, lines.length === 0 ? undefined : lines.join('\n')];
    return parts.filter((part) => part !== undefined).join('\n\n');
  }

  function connected(): readonly (typeof account)[] {
    accounts = [account];
    for (const heard of changed) heard({ accounts });
    return accounts;
  }

  async function signIn(...inputs: readonly SignInInput[]): Promise<readonly unknown[]> {
    const outputs: unknown[] = [];
    for (const input of inputs.length === 0 ? [{}] : inputs) {
      ensureOfThisPage(input.domain, input.uri, input.issuedAt);
      ensure(input.address === undefined || input.address === settings.address, 'address');
      ensure(input.statement === undefined || !/[\r\n]/.test(input.statement), 'statement');
      ensure(input.version === undefined || input.version === '1', 'version');
      ensure(input.chainId === undefined || CHAIN_IDS.includes(input.chainId), 'chainId');
      ensure(input.nonce === undefined || /^[A-Za-z0-9]{8,}$/.test(input.nonce), 'nonce');
      const { signedMessage, signature } = await sign('message', new TextEncoder().encode(textOf(input)));
      const [signer] = connected();
      outputs.push({
        account: signer,
        signedMessage: Uint8Array.from(signedMessage),
        signature: Uint8Array.from(signature),
        signatureType: 'ed25519',
      });
    }
    return outputs;
  }

  async function signMessage(...inputs: readonly { readonly message: Uint8Array }[]): Promise<readonly unknown[]> {
    const outputs: unknown[] = [];
    for (const { message } of inputs) {
      const text = new TextDecoder().decode(message);
      const domain = /^(.*) wants you to sign in with your Solana account:\n/.exec(text)?.[1];
      // Phantom looks into messages that it recognises.
      if (domain !== undefined) {
        ensureOfThisPage(domain, /\nURI: (.*)/.exec(text)?.[1], /\nIssued At: (.*)/.exec(text)?.[1]);
      }
      const { signedMessage, signature } = await sign('message', message);
      outputs.push({ signedMessage: Uint8Array.from(signedMessage), signature: Uint8Array.from(signature) });
    }
    return outputs;
  }

  async function signTransaction(
    ...inputs: readonly { readonly transaction: Uint8Array }[]
  ): Promise<readonly unknown[]> {
    const outputs: unknown[] = [];
    for (const { transaction } of inputs) {
      const { signedMessage } = await sign('transaction', transaction);
      outputs.push({ signedTransaction: Uint8Array.from(signedMessage) });
    }
    return outputs;
  }

  const offered: Readonly<Record<WalletFeature, object>> = {
    'solana:signIn': { version: '1.0.0', signIn },
    'solana:signMessage': { version: '1.1.0', signMessage },
    'solana:signTransaction': { version: '1.0.0', supportedTransactionVersions: ['legacy', 0], signTransaction },
  };
  const wallet = Object.freeze({
    version: '1.0.0',
    name: settings.name,
    icon: 'data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=',
    chains: CHAINS,
    get accounts() {
      return accounts;
    },
    features: {
      'standard:connect': {
        version: '1.0.0',
        connect: async () => {
          takeGesture();
          if (settings.refuses) throw failure(4001, 'User rejected the request.');
          return { accounts: connected() };
        },
      },
      'standard:events': {
        version: '1.0.0',
        on: (_event: 'change', heard: (change: unknown) => void) => {
          changed.add(heard);
          return () => changed.delete(heard);
        },
      },
      ...Object.fromEntries(settings.features.map((feature) => [feature, offered[feature]])),
    },
  });
  const register = (api: { readonly register: (one: object) => void }): void => api.register(wallet);
  dispatchEvent(new CustomEvent('wallet-standard:register-wallet', { detail: register }));
  addEventListener('wallet-standard:app-ready', (event: { readonly detail: Parameters<typeof register>[0] }) => {
    register(event.detail);
  });
}
