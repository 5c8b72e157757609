/** A gateway that sells, over a real host and the embedded ledger, and customers who pay as the usual client does. */
import { createKeyPairSignerFromBytes } from '@solana/kit';
import { decodePaymentRequiredHeader, encodePaymentSignatureHeader } from '@x402/core/http';
import type { PaymentPayload, PaymentRequired, PaymentRequirements } from '@x402/core/types';
import { ExactSvmScheme } from '@x402/svm/exact/client';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { silentLog, systemClock, type Clock } from '../../../core/ports.ts';
import { MIB, amount, bytes, lamports, type Amount } from '../../../core/units.ts';
import type { LedgerAddress } from '../../../core/ids.ts';
import {
  EMBEDDED_PROGRAM_ID,
  generateWalletKey,
  openSolanaLedger,
  programFile,
  startEmbeddedLedger,
  walletAddress,
  type EmbeddedLedger,
  type SolanaLedger,
  type WalletKey,
} from '../../../ledger/solana/index.ts';
import { openSale, type Sale } from '../../../sites/pay/index.ts';
import { startFront, type Front } from '../gateway/kit.ts';
import { temporaryFolder, type Cleanup } from '../kit.ts';

export const PRICE: Amount = amount(100_000n);
export const QUOTA: number = MIB;
/** What each customer begins with. */
export const PURSE: bigint = 1_000_000n;

/** One chain for a whole file. */
export interface Chain {
  readonly embedded: EmbeddedLedger;
  readonly ledger: SolanaLedger;
  readonly mint: LedgerAddress;
  credits(owner: LedgerAddress): Promise<bigint>;
}

export async function startChain(cleanup: Cleanup): Promise<Chain> {
  const embedded = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  cleanup.add(() => embedded.close());
  const ledger = openSolanaLedger({ url: embedded.url, programId: EMBEDDED_PROGRAM_ID, fetch });
  cleanup.add(() => ledger.close());
  return {
    embedded,
    ledger,
    mint: (await ledger.bank()).mint,
    credits: async (owner) => (await ledger.balances(owner)).credits,
  };
}

export interface Shop {
  readonly front: Front;
  readonly sale: Sale;
  readonly payTo: LedgerAddress;
  /** What the gateway has asked the ledger: methods of JSON-RPC. */
  readonly asked: string[];
  /** What a 402 at that path asks for. */
  offer(path?: string, host?: string): Promise<PaymentRequired>;
  /** Another gateway of the same seller, or the same one after a restart. */
  again(options: { readonly directory: string; readonly key: Uint8Array }): Promise<Shop>;
  readonly directory: string;
  readonly key: Uint8Array;
}

export interface ShopOptions {
  readonly quota?: number;
  readonly free?: readonly string[];
  readonly waitMillis?: number;
  readonly clock?: Clock;
  readonly domain?: string;
  /** Whole answers are kept by this clock, if they are at all. */
  readonly keeping?: Clock;
  /** Stands between the gateway and its ledger. */
  readonly meddle?: (method: string, pass: () => Promise<Response>) => Promise<Response>;
  readonly directory?: string;
  readonly key?: Uint8Array;
  readonly seller?: WalletKey;
}

export async function startShop(cleanup: Cleanup, chain: Chain, options: ShopOptions = {}): Promise<Shop> {
  const asked: string[] = [];
  const heard: typeof fetch = async (input, init) => {
    const { method } = JSON.parse(typeof init?.body === 'string' ? init.body : '{}') as { readonly method: string };
    asked.push(method);
    const pass = async (): Promise<Response> => fetch(input, init);
    return options.meddle === undefined ? pass() : options.meddle(method, pass);
  };
  const ledger = openSolanaLedger({ url: chain.embedded.url, programId: EMBEDDED_PROGRAM_ID, fetch: heard });
  cleanup.add(() => ledger.close());
  const seller = options.seller ?? generateWalletKey();
  const wallet = ledger.wallet(seller);
  if (options.seller === undefined) await wallet.airdrop(lamports(1_000_000_000n));
  const cashier = wallet.cashier();
  const payTo = wallet.address;
  await cashier.ready(chain.mint, payTo);
  const directory = options.directory ?? join(await temporaryFolder(cleanup), 'sold');
  const key = options.key ?? randomBytes(32);
  const sale = await openSale({
    cashier,
    terms: {
      network: await cashier.network(),
      feePayer: cashier.feePayer,
      payTo,
      quotaBytes: bytes(options.quota ?? QUOTA),
      prices: [{ mint: chain.mint, amount: PRICE, text: '0.1 credits' }],
    },
    key,
    directory,
    free: options.free ?? [],
    clock: options.clock ?? systemClock,
    log: silentLog,
    ...(options.waitMillis !== undefined && { waitMillis: options.waitMillis }),
  });
  cleanup.add(() => sale[Symbol.asyncDispose]());
  const front = await startFront(cleanup, {
    sale,
    ...(options.domain !== undefined && { domain: options.domain }),
    ...(options.keeping && { keeping: options.keeping }),
  });
  asked.length = 0;
  return {
    front,
    sale,
    payTo,
    asked,
    directory,
    key,
    async offer(path = '/', host) {
      const { headers } = await front.get(path, host === undefined ? {} : { host });
      return decodePaymentRequiredHeader(String(headers['payment-required']));
    },
    again: (kept) => startShop(cleanup, chain, { ...options, ...kept, seller }),
  };
}

export interface Customer {
  readonly address: LedgerAddress;
  readonly key: WalletKey;
  /** A payment for it, signed; `change` is what the payer's client is made to believe. */
  pay(required: PaymentRequired, change?: Partial<PaymentRequirements>): Promise<PaymentPayload>;
}

/** Has PURSE credits. */
export async function newCustomer(chain: Chain, credits: bigint = PURSE): Promise<Customer> {
  const key = generateWalletKey();
  const wallet = chain.ledger.wallet(key);
  await wallet.airdrop(lamports(100_000_000n));
  await wallet.buy(lamports(credits));
  const scheme = new ExactSvmScheme(await createKeyPairSignerFromBytes(key.secretKey), { rpcUrl: chain.embedded.url });
  return {
    address: walletAddress(key),
    key,
    async pay(required, change = {}) {
      const [asked] = required.accepts;
      if (asked === undefined) throw new TypeError('nothing is asked for');
      const { payload } = await scheme.createPaymentPayload(2, { ...asked, ...change });
      return { x402Version: 2, resource: required.resource, accepted: asked, payload };
    },
  };
}

/** The headers that show it. */
export function showing(payment: PaymentPayload): Readonly<Record<string, string>> {
  return { 'payment-signature': encodePaymentSignatureHeader(payment) };
}
