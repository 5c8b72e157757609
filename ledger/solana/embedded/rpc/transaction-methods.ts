/** Methods that take, try and report transactions. */
import bs58 from 'bs58';
import { z } from 'zod';
import { airdrop } from '../genesis.ts';
import { innerJson, returnDataJson } from '../chain.ts';
import type { Chain } from '../chain.ts';
import type { TransactionRecord } from '../records.ts';
import { RPC, RpcError } from '../rpc-error.ts';
import { MAX_V1_TRANSACTION_BYTES, decodeMessage, decodeTransaction } from '../wire.ts';
import type { WireTransaction } from '../wire.ts';
import { encodeAccountJson, encodingField } from './account-encoding.ts';
import { addressText, checkContext, inContext, parse, queryConfig, queryFields, signatureText } from './method.ts';
import type { MethodTable } from './method.ts';
import { transactionJson } from './transaction-json.ts';

/** base64 of the longest transaction; base58 is a little longer than that. */
const MAX_ENCODED = Math.ceil(MAX_V1_TRANSACTION_BYTES * 1.4);
const MAX_STATUSES = 256;
const MAX_SIGNATURES = 1000;
const BASE_FEE = 5000n;

const wireEncoding = z.enum(['base58', 'base64']).nullish();
const encodedTransaction = z.string().max(MAX_ENCODED, { message: 'transaction too large' });
const sendConfig = z
  .looseObject({
    encoding: wireEncoding,
    skipPreflight: z.boolean().nullish(),
    preflightCommitment: z.string().nullish(),
    maxRetries: z.number().int().nonnegative().nullish(),
    minContextSlot: queryFields.minContextSlot,
  })
  .nullish();
const simulateConfig = z
  .looseObject({
    ...queryFields,
    encoding: wireEncoding,
    sigVerify: z.boolean().nullish(),
    replaceRecentBlockhash: z.boolean().nullish(),
    innerInstructions: z.boolean().nullish(),
    accounts: z.object({ encoding: encodingField, addresses: z.array(addressText).max(64) }).nullish(),
  })
  .nullish();
const historyConfig = z
  .looseObject({
    ...queryFields,
    before: signatureText.nullish(),
    until: signatureText.nullish(),
    limit: z.number().int().min(1).max(MAX_SIGNATURES).nullish(),
  })
  .nullish();
const transactionEncoding = z.enum(['json', 'jsonParsed', 'base58', 'base64']);
const transactionConfig = z.union([
  transactionEncoding.transform((encoding) => ({ encoding, maxSupportedTransactionVersion: undefined })),
  z
    .looseObject({
      commitment: queryFields.commitment,
      encoding: transactionEncoding.nullish(),
      maxSupportedTransactionVersion: z.number().int().nonnegative().nullish(),
    })
    .nullish(),
]);

export const transactionMethods: MethodTable = {
  sendTransaction(chain, params) {
    const [text, config] = parse(params, encodedTransaction, sendConfig);
    checkContext(chain, { minContextSlot: config?.minContextSlot });
    const transaction = decodeTransaction(decodeWire(text, config?.encoding ?? 'base58'), chain.maxTransactionVersion);
    return chain.send(transaction, { preflight: config?.skipPreflight !== true });
  },

  simulateTransaction(chain, params) {
    const [text, config] = parse(params, encodedTransaction, simulateConfig);
    checkContext(chain, config);
    const replace = config?.replaceRecentBlockhash === true;
    if (replace && config.sigVerify === true) {
      throw RpcError.invalidParams('sigVerify may not be used with replaceRecentBlockhash');
    }
    const transaction = decodeTransaction(decodeWire(text, config?.encoding ?? 'base58'), chain.maxTransactionVersion);
    const outcome = chain.simulate(transaction, {
      verifySignatures: config?.sigVerify === true,
      anyBlockhash: replace,
    });
    const wanted = config?.accounts;
    const lookup = (key: string): ReturnType<Chain['account']> => outcome.accounts.get(key) ?? chain.account(key);
    return inContext(chain, {
      accounts:
        wanted === undefined || wanted === null || outcome.error !== null
          ? null
          : wanted.addresses.map((key) => {
              const state = lookup(key);
              return state === undefined || state.lamports === 0n
                ? null
                : encodeAccountJson(state, wanted.encoding ?? 'base64', undefined, lookup);
            }),
      err: outcome.error,
      fee: outcome.feeLamports,
      innerInstructions: config?.innerInstructions === true ? innerJson(outcome.inner) : null,
      logs: outcome.logs,
      replacementBlockhash: replace ? chain.timeline.latestBlockhash() : null,
      returnData: returnDataJson(outcome.returnData),
      unitsConsumed: outcome.computeUnits,
    });
  },

  requestAirdrop(chain, params) {
    const [to, lamports] = parse(params, addressText, z.number().int().positive().max(Number.MAX_SAFE_INTEGER));
    return airdrop(chain, to, BigInt(lamports));
  },

  getSignatureStatuses(chain, params) {
    const list = z.array(signatureText).max(MAX_STATUSES, { message: `Too many inputs provided; max ${MAX_STATUSES}` });
    const [signatures] = parse(params, list);
    return inContext(
      chain,
      signatures.map((signature) => statusJson(chain.history.get(signature))),
    );
  },

  getSignaturesForAddress(chain, params) {
    const [key, config] = parse(params, addressText, historyConfig);
    checkContext(chain, config);
    let all = chain.history.newestFirst();
    const { before, until } = config ?? {};
    if (typeof before === 'string') all = all.slice(1 + all.findIndex(({ signature }) => signature === before));
    const end = typeof until === 'string' ? all.findIndex(({ signature }) => signature === until) : -1;
    return (end < 0 ? all : all.slice(0, end))
      .filter(({ keys }) => keys.includes(key))
      .slice(0, config?.limit ?? MAX_SIGNATURES)
      .map((record) => ({
        blockTime: chain.timeline.blockTime(record.slot),
        confirmationStatus: 'finalized',
        err: record.error,
        memo: null,
        signature: record.signature,
        slot: record.slot,
      }));
  },

  getTransaction(chain, params) {
    const [signature, config] = parse(params, signatureText, transactionConfig);
    const record = chain.history.get(signature);
    if (record === undefined) return null;
    checkVersion(record, config?.maxSupportedTransactionVersion);
    return transactionJson(
      chain,
      record,
      config?.encoding ?? 'json',
      typeof config?.maxSupportedTransactionVersion === 'number',
    );
  },

  getFeeForMessage(chain, params) {
    const [text, config] = parse(params, encodedTransaction, queryConfig);
    checkContext(chain, config);
    const bytes = decodeWire(text, 'base64');
    const message = decodeMessage(bytes);
    if (chain.timeline.slotOfBlockhash(message.blockhash) === undefined) return inContext(chain, null);
    // Unsigned, it is tried for its fee only; its other effects do not matter.
    const unsigned = decodeTransaction(
      withEmptySignatures(bytes, message.signers, message.version),
      chain.maxTransactionVersion,
    );
    const { feeLamports } = chain.simulate(unsigned, { verifySignatures: false, anyBlockhash: true });
    return inContext(chain, feeLamports === 0n ? BASE_FEE * BigInt(message.signers) : feeLamports);
  },
};

function statusJson(record: TransactionRecord | undefined): object | null {
  if (record === undefined) return null;
  return {
    confirmationStatus: 'finalized',
    confirmations: null,
    err: record.error,
    slot: record.slot,
    status: record.error === null ? { Ok: null } : { Err: record.error },
  };
}

function checkVersion(record: TransactionRecord, supported: number | null | undefined): void {
  if (record.version === 'legacy' || (typeof supported === 'number' && supported >= record.version)) return;
  throw new RpcError(
    RPC.unsupportedVersion,
    `Transaction version (${record.version}) is not supported by the requesting client. Please try the request again ` +
      'with the following configuration parameter: "maxSupportedTransactionVersion": ' +
      String(record.version),
    { data: record.version },
  );
}

function decodeWire(text: string, encoding: 'base58' | 'base64'): Uint8Array {
  try {
    const bytes = encoding === 'base58' ? bs58.decode(text) : Uint8Array.from(Buffer.from(text, 'base64'));
    if (encoding === 'base64' && Buffer.from(bytes).toString('base64') !== text) throw new Error('not base64');
    return bytes;
  } catch (cause) {
    throw RpcError.invalidParams(`invalid ${encoding} encoding`, cause);
  }
}

/** A transaction of this message with all signatures zero. Version 1 puts its signatures last, the others first. */
function withEmptySignatures(
  message: Uint8Array,
  signers: number,
  version: WireTransaction['message']['version'],
): Uint8Array {
  const signatures = new Uint8Array(64 * signers);
  return version === 1
    ? Buffer.concat([message, signatures])
    : Buffer.concat([Uint8Array.of(signers), signatures, message]);
}
