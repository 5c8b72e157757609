/**
 * A wallet for pages in Chromium, by the Wallet Standard. It keeps the rules that Phantom publishes: it is there on https, `localhost` and
 * `127.0.0.1` only, never in a frame, and refuses (-32000) to sign in to another host, port or origin than the page's own, before anybody is
 * asked. The key stays in Node.
 */
import { randomBytes } from 'node:crypto';
import type { BrowserContext } from 'playwright-core';
import { concatBytes } from '../../../core/codec.ts';
import { ledgerAddressBytes, type LedgerAddress } from '../../../core/ids.ts';
import { delegateFromSeed, type Signer } from '../../../ledger/receipt/index.ts';
import type { SignedForm } from '../../../sites/siws/index.ts';
import { wrapped } from './kit.ts';
import { installTestWallet, type Signed, type WalletFeature } from './test-wallet-page.ts';

export interface TestWalletOptions {
  /** 32 bytes. Default: a wallet that nobody has seen. */
  readonly seed?: Uint8Array | undefined;
  readonly name?: string | undefined;
  /** How it signs messages, as hardware wallets do. `memo-transaction`: it signs transactions only. Default: raw. */
  readonly form?: SignedForm | undefined;
  /** Which of the ways in which firmwares write that form. Default: the first. */
  readonly variant?: number | undefined;
  /** What it offers beside connecting. Default: all that its form allows. */
  readonly features?: readonly WalletFeature[] | undefined;
  /** It opens once for each click or key, as on phones, where the browser blocks what comes without one. */
  readonly needsGesture?: boolean | undefined;
  /** Its owner says no (4001). */
  readonly refuses?: boolean | undefined;
}

const SIGNATURE_AT = 1;
const MESSAGE_AT = 65;

export class TestWallet {
  readonly name: string;
  readonly address: LedgerAddress;
  /** What it was asked to sign and signed, as text. */
  readonly signed: string[] = [];
  readonly #signer: Signer;
  readonly #options: TestWalletOptions;

  constructor(options: TestWalletOptions = {}) {
    this.#options = options;
    this.#signer = delegateFromSeed(options.seed ?? randomBytes(32));
    this.address = this.#signer.address;
    this.name = options.name ?? 'Test Wallet';
  }

  /** Every page that the context opens from now on has it, where Phantom would be. */
  async injectInto(context: BrowserContext): Promise<void> {
    const binding = `testWallet${randomBytes(8).toString('hex')}`;
    await context.exposeFunction(binding, (kind: 'message' | 'transaction', bytes: readonly number[]) =>
      kind === 'message' ? this.#signText(Uint8Array.from(bytes)) : this.#signTransaction(Uint8Array.from(bytes)),
    );
    const signsMessages = this.#options.form !== 'memo-transaction';
    await context.addInitScript(installTestWallet, {
      name: this.name,
      address: this.address,
      publicKey: [...ledgerAddressBytes(this.address)],
      features: this.#options.features ?? [
        ...(signsMessages ? (['solana:signIn', 'solana:signMessage'] as const) : []),
        'solana:signTransaction',
      ],
      binding,
      needsGesture: this.#options.needsGesture ?? false,
      refuses: this.#options.refuses ?? false,
    });
  }

  #signText(bytes: Uint8Array): Signed {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const signed = wrapped(this.#options.form ?? 'raw', text, this.address)[this.#options.variant ?? 0];
    if (signed === undefined) throw new Error('that form has no such variant');
    this.signed.push(text);
    return { signedMessage: [...signed], signature: [...this.#signer.sign(signed)] };
  }

  /** Puts its signature into the one place of an unsigned transaction. */
  #signTransaction(transaction: Uint8Array): Signed {
    if (transaction[0] !== 1) throw new Error('this wallet signs transactions of one signer');
    const message = transaction.subarray(MESSAGE_AT);
    const signature = this.#signer.sign(message);
    this.signed.push(new TextDecoder().decode(message));
    const whole = concatBytes(transaction.subarray(0, SIGNATURE_AT), signature, message);
    return { signedMessage: [...whole], signature: [...signature] };
  }
}
