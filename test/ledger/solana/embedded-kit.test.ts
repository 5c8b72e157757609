/** @solana/kit against the embedded ledger: exact u64, subscriptions, error codes, version 1 transactions. */
import {
  AccountRole,
  SOLANA_ERROR__INSTRUCTION_ERROR__CUSTOM,
  SOLANA_ERROR__JSON_RPC__INVALID_PARAMS,
  SOLANA_ERROR__JSON_RPC__SERVER_ERROR_SEND_TRANSACTION_PREFLIGHT_FAILURE,
  address,
  airdropFactory,
  appendTransactionMessageInstructions,
  assertIsSendableTransaction,
  assertIsTransactionWithBlockhashLifetime,
  createSolanaRpc,
  createSolanaRpcSubscriptions,
  createTransactionMessage,
  devnet,
  generateKeyPairSigner,
  getBase64EncodedWireTransaction,
  getSignatureFromTransaction,
  isSolanaError,
  lamports,
  pipe,
  sendAndConfirmTransactionFactory,
  setTransactionMessageComputeUnitLimit,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  setTransactionMessageLoadedAccountsDataSizeLimit,
  signTransactionMessageWithSigners,
} from '@solana/kit';
import type { Address, Base64EncodedWireTransaction, Instruction, KeyPairSigner } from '@solana/kit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Writer } from '../../../core/codec.ts';
import { startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';

const SYSTEM = address('11111111111111111111111111111111');
/** A version 1 message: version, three bytes of header, then the mask of its config fields. */
const CONFIG_MASK_OFFSET = 4;
const MEMO = address('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr');

let ledger: EmbeddedLedger;
const connect = (url: string) => createSolanaRpc(devnet(url));
const subscribe = (url: string) => createSolanaRpcSubscriptions(devnet(url));
let rpc: ReturnType<typeof connect>;
let rpcSubscriptions: ReturnType<typeof subscribe>;
let payer: KeyPairSigner;

beforeAll(async () => {
  ledger = await startEmbeddedLedger();
  rpc = connect(ledger.url);
  rpcSubscriptions = subscribe(ledger.wsUrl);
  payer = await generateKeyPairSigner();
  await airdropFactory({ rpc, rpcSubscriptions })({
    commitment: 'confirmed',
    lamports: lamports(10_000_000_000n),
    recipientAddress: payer.address,
  });
});

afterAll(async () => {
  await ledger.close();
});

function transfer(to: Address, amount: bigint): Instruction {
  return {
    programAddress: SYSTEM,
    accounts: [
      { address: payer.address, role: AccountRole.WRITABLE_SIGNER },
      { address: to, role: AccountRole.WRITABLE },
    ],
    data: new Writer(12).u32(2).u64(amount).finish(),
  };
}

async function sendAndConfirm(instructions: readonly Instruction[]): Promise<string> {
  const { value: latest } = await rpc.getLatestBlockhash().send();
  const message = pipe(
    createTransactionMessage({ version: 0 }),
    (draft) => setTransactionMessageFeePayerSigner(payer, draft),
    (draft) => setTransactionMessageLifetimeUsingBlockhash(latest, draft),
    (draft) => appendTransactionMessageInstructions(instructions, draft),
  );
  const transaction = await signTransactionMessageWithSigners(message);
  assertIsSendableTransaction(transaction);
  assertIsTransactionWithBlockhashLifetime(transaction);
  await sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions })(transaction, { commitment: 'confirmed' });
  return getSignatureFromTransaction(transaction);
}

describe('kit', () => {
  test('sends and confirms through its subscriptions', async () => {
    const to = (await generateKeyPairSigner()).address;
    const signature = await sendAndConfirm([transfer(to, 1_234_567n)]);
    expect((await rpc.getBalance(to).send()).value).toBe(1_234_567n);
    const found = await rpc
      .getTransaction(signature as never, { maxSupportedTransactionVersion: 0, encoding: 'json' })
      .send();
    expect(found?.meta?.fee).toBe(5000n);
    expect(found?.version).toBe(0);
  });

  test('reads lamports beyond 2^53 exactly', async () => {
    const to = (await generateKeyPairSigner()).address;
    const airdrop = airdropFactory({ rpc, rpcSubscriptions });
    for (const value of [9_007_199_254_740_991n, 9_007_199_254_740_990n]) {
      await airdrop({ commitment: 'confirmed', lamports: lamports(value), recipientAddress: to });
    }
    expect((await rpc.getBalance(to).send()).value).toBe(18_014_398_509_481_981n);
    const { value } = await rpc.getAccountInfo(to, { encoding: 'base64' }).send();
    expect(value?.lamports).toBe(18_014_398_509_481_981n);
  });

  test('a preflight failure decodes to the instruction error and its logs', async () => {
    const to = (await generateKeyPairSigner()).address;
    const error: unknown = await sendAndConfirm([transfer(to, 10n ** 15n)]).catch((caught: unknown) => caught);
    if (!isSolanaError(error, SOLANA_ERROR__JSON_RPC__SERVER_ERROR_SEND_TRANSACTION_PREFLIGHT_FAILURE)) throw error;
    expect(error.context.logs?.join()).toContain('insufficient lamports');
    expect(isSolanaError(error.cause, SOLANA_ERROR__INSTRUCTION_ERROR__CUSTOM) && error.cause.context.code).toBe(1);
  });

  test('a version 1 transaction longer than one packet is carried out', async () => {
    const { value: latest } = await rpc.getLatestBlockhash().send();
    const memo = (length: number): Instruction => ({
      programAddress: MEMO,
      data: new Uint8Array(length).fill(0x61),
    });
    const message = pipe(
      createTransactionMessage({ version: 1 }),
      (draft) => setTransactionMessageFeePayerSigner(payer, draft),
      (draft) => setTransactionMessageLifetimeUsingBlockhash(latest, draft),
      (draft) => setTransactionMessageComputeUnitLimit(1_000_000, draft),
      (draft) => setTransactionMessageLoadedAccountsDataSizeLimit(1_000_000, draft),
      (draft) => appendTransactionMessageInstructions([memo(900), memo(900), memo(900)], draft),
    );
    const transaction = await signTransactionMessageWithSigners(message);
    assertIsSendableTransaction(transaction);
    assertIsTransactionWithBlockhashLifetime(transaction);
    await sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions })(transaction, { commitment: 'confirmed' });
    const signature = getSignatureFromTransaction(transaction);
    const { value } = await rpc.getSignatureStatuses([signature]).send();
    expect(value[0]?.err).toBeNull();

    // Config fields that do not exist end the process inside the SVM, so they must not get there.
    const wire = Buffer.from(getBase64EncodedWireTransaction(transaction), 'base64');
    for (const mask of [0b1, 0b10, 0b100000, 0xff]) {
      wire[CONFIG_MASK_OFFSET] = mask;
      const spoiled = wire.toString('base64') as Base64EncodedWireTransaction;
      const error: unknown = await rpc
        .simulateTransaction(spoiled, { encoding: 'base64', replaceRecentBlockhash: true })
        .send()
        .catch((caught: unknown) => caught);
      expect(isSolanaError(error, SOLANA_ERROR__JSON_RPC__INVALID_PARAMS)).toBe(true);
    }
    expect(await rpc.getHealth().send()).toBe('ok');
  });
});
