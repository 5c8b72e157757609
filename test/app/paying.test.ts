/** Paying without a node: the usual x402 client buys a quota from a gateway over the embedded ledger, and streams a film with it. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { createKeyPairSignerFromBytes } from '@solana/kit';
import {
  AccountLayout,
  MINT_SIZE,
  TOKEN_PROGRAM_ID,
  createAssociatedTokenAccountIdempotentInstruction,
  createInitializeMint2Instruction,
  createMintToInstruction,
  getAssociatedTokenAddressSync,
} from '@solana/spl-token';
import { SystemProgram } from '@solana/web3.js';
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { ExactSvmScheme } from '@x402/svm/exact/client';
import { gateway } from '../../app/roles/index.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import { MIB, amount, lamports } from '../../core/units.ts';
import {
  EMBEDDED_PROGRAM_ID,
  generateWalletKey,
  walletAddress,
  type SolanaWallet,
  type WalletKey,
} from '../../ledger/solana/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { fetchHere } from './visitor.ts';

const SITE = 'films.web3';
const OTHER = 'other.web3';
const FREE = 'gift.web3';
/** Whose owner earns nothing by views. */
const UNOWED = 'unowed.web3';
const FILM = randomBytes(3 * MIB + 12_345);
/** 8 MiB at 0.0125 credits each. */
const QUOTA = 8 * MIB;
const PRICE = 100_000n;
const SOLD = { port: '0', relays: '1', sell: '0.0125', sellQuota: '8M', free: [FREE] };

const stack = new AsyncDisposableStack();
let testnet: Testnet;
let shop: TestnetNode;
/** Who is paid. */
let seller: WalletKey;
let mint: string;

beforeAll(async () => {
  const site = stack.use(await temporaryFolder()).path;
  await writeFile(path.join(site, 'index.html'), '<!doctype html><title>Films</title>');
  await writeFile(path.join(site, 'film.mp4'), FILM);
  testnet = stack.use(await createTestnet({ relays: 1 }));
  for (const name of [SITE, OTHER, FREE]) await testnet.publish(site, name);
  await testnet.publish(site, UNOWED, { royalty: '0%' });
  seller = generateWalletKey();
  mint = (await testnet.gateway.node.ledger.bank()).mint;
  shop = await testnet.open(gateway, 'shop', { ...SOLD, sellTo: walletAddress(seller) });
});
afterAll(() => stack.disposeAsync());

const hostOf = (name: string): string => `${name.replace('.', '-')}.localhost`;
const urlOf = (name: string, page: string, at: TestnetNode = shop): string =>
  `http://${hostOf(name)}:${new URL(String(at.ready['gateway'])).port}${page}`;

const earned = async (): Promise<bigint> => (await testnet.gateway.node.ledger.balances(walletAddress(seller))).credits;

/** A wallet with a million base units of credits. */
async function customer(): Promise<{ key: WalletKey; wallet: SolanaWallet; client: x402Client }> {
  const key = generateWalletKey();
  const wallet = testnet.gateway.node.ledger.wallet(key);
  await wallet.airdrop(lamports(100_000_000n));
  await wallet.buy(lamports(1_000_000n));
  const signer = await createKeyPairSignerFromBytes(key.secretKey);
  const client = x402Client.fromConfig({
    schemes: [{ network: 'solana:*', client: new ExactSvmScheme(signer, { rpcUrl: testnet.ledger.url }) }],
    spendControls: { allowedAssets: [{ network: 'solana:*', asset: mint, maxAmountPerPayment: String(PRICE) }] },
  });
  return { key, wallet, client };
}

describe('a visitor without a node', () => {
  it('buys once and streams a film, by ranges too, with the usual client', async () => {
    const { wallet, client } = await customer();
    const before = await earned();
    const { credits } = await testnet.gateway.node.ledger.balances(wallet.address);
    const paying = wrapFetchWithPayment(fetchHere, client);

    const film = await paying(urlOf(SITE, '/film.mp4'));
    expect(film.status).toBe(200);
    expect(film.headers.get('content-type')).toBe('video/mp4');
    const token = film.headers.get('x-relaymint-quota') ?? '';
    expect(Buffer.from(await film.arrayBuffer()).equals(FILM)).toBe(true);
    const response = decodePaymentResponseHeader(film.headers.get('payment-response') ?? '');
    expect(response).toMatchObject({ success: true, payer: wallet.address, amount: String(PRICE) });

    const part = await fetchHere(urlOf(SITE, '/film.mp4'), {
      headers: { 'x-relaymint-quota': token, range: 'bytes=1000000-1999999' },
    });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(FILM.subarray(1_000_000, 2_000_000))).toBe(true);
    // The film, and what names its blocks.
    const left = Number(part.headers.get('x-relaymint-quota-left'));
    expect(left).toBeLessThanOrEqual(QUOTA - FILM.length);
    expect(left).toBeGreaterThan(QUOTA - FILM.length - 1024);

    expect((await earned()) - before).toBe(PRICE);
    const after = await testnet.gateway.node.ledger.balances(wallet.address);
    expect(credits - after.credits).toBe(PRICE);
    expect(amount(after.credits)).toBe(amount(1_000_000n - PRICE));
  });

  it('is sold what the gateway keeps, and gets nothing for what another one paid', async () => {
    const { client } = await customer();
    const paying = wrapFetchWithPayment(fetchHere, client);
    const page = urlOf(UNOWED, '/');
    expect([(await paying(page)).status, (await fetchHere(page)).status]).toEqual([200, 402]);
  });

  it('is not asked to pay at a gateway that sells nothing, nor for a name that is free', async () => {
    const own = await fetchHere(urlOf(SITE, '/', testnet.gateway));
    const free = await fetchHere(urlOf(FREE, '/'));
    expect([own.status, free.status, (await fetchHere(urlOf(OTHER, '/'))).status]).toEqual([200, 200, 402]);
  });

  it('pays in another token too, where the gateway takes it', async () => {
    const { ledger } = testnet.gateway.node;
    const { key, client, wallet } = await customer();
    const token = generateWalletKey();
    const account = getAssociatedTokenAddressSync(token.publicKey, key.publicKey);
    const lamportsForMint = await ledger.rpc.ask((connection) =>
      connection.getMinimumBalanceForRentExemption(MINT_SIZE),
    );
    await ledger.submitter.run(
      [
        SystemProgram.createAccount({
          fromPubkey: key.publicKey,
          newAccountPubkey: token.publicKey,
          lamports: lamportsForMint,
          space: MINT_SIZE,
          programId: TOKEN_PROGRAM_ID,
        }),
        createInitializeMint2Instruction(token.publicKey, 2, key.publicKey, null),
        createAssociatedTokenAccountIdempotentInstruction(key.publicKey, account, key.publicKey, token.publicKey),
        createMintToInstruction(token.publicKey, account, key.publicKey, 1_000n),
      ],
      [key, token],
    );
    const mall = await testnet.open(gateway, 'mall', {
      ...SOLD,
      sellTo: walletAddress(seller),
      sellAsset: [`${walletAddress(token)}=0.03`],
    });
    client.setSpendControls({ allowedAssets: [{ network: 'solana:*', asset: walletAddress(token) }] });
    const page = await wrapFetchWithPayment(fetchHere, client)(urlOf(SITE, '/', mall));
    expect([page.status, decodePaymentResponseHeader(page.headers.get('payment-response') ?? '')]).toMatchObject([
      200,
      { payer: wallet.address, amount: '24' },
    ]);
    const receiver = getAssociatedTokenAddressSync(token.publicKey, seller.publicKey);
    const [info] = await ledger.accounts([receiver]);
    expect(AccountLayout.decode(info?.data ?? Buffer.alloc(0)).amount).toBe(24n);
    await mall[Symbol.asyncDispose]();
  });

  it.each([
    ['nothing is sold', { sell: undefined }],
    ['a token is none', { sellAsset: [`${EMBEDDED_PROGRAM_ID}=1`] }],
  ])('finds no gateway whose settings do not go together: %s', async (_, said) => {
    const opening = testnet.open(gateway, 'wrong', { ...SOLD, ...said });
    await expect(opening).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });
});
