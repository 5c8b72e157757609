/**
 * Transactions as they come in. The SVM is native code that ends the process when bytes do not decode, so everything
 * is checked here first: it gets only what decodes here, encodes back to the same bytes and passes Agave's sanity rules.
 */
import {
  getBase58Decoder,
  getCompiledTransactionMessageDecoder,
  getCompiledTransactionMessageEncoder,
  getTransactionDecoder,
  getTransactionEncoder,
} from '@solana/kit';
import type { Transaction } from '@solana/kit';
import { equalBytes } from '../../../core/codec.ts';
import { RpcError, SANITIZE_FAILURE } from './rpc-error.ts';

/** One UDP packet: legacy and version 0 transactions. */
export const MAX_TRANSACTION_BYTES = 1232;
/** Version 1 transactions (SIMD-0385). */
export const MAX_V1_TRANSACTION_BYTES = 4096;
const MAX_ACCOUNTS = 256;

export type TransactionVersion = 'legacy' | 0 | 1;

export interface WireInstruction {
  readonly programIndex: number;
  readonly accounts: readonly number[];
  readonly data: Uint8Array;
}

export interface WireLookup {
  readonly table: string;
  readonly writable: readonly number[];
  readonly readonly: readonly number[];
}

export interface WireMessage {
  readonly version: TransactionVersion;
  /** All required signers come first, the fee payer first of all. */
  readonly signers: number;
  readonly readonlySigners: number;
  readonly readonlyOthers: number;
  /** Addresses in the message itself, base58. */
  readonly keys: readonly string[];
  readonly blockhash: string;
  readonly instructions: readonly WireInstruction[];
  readonly lookups: readonly WireLookup[];
}

export interface WireTransaction {
  readonly transaction: Transaction;
  readonly bytes: Uint8Array;
  readonly message: WireMessage;
  /** base58, in signer order; undefined where the 64 bytes are all zero. */
  readonly signatures: readonly (string | undefined)[];
}

/** @throws RpcError -32602 when the bytes are not a transaction, or one of a newer version. */
export function decodeTransaction(bytes: Uint8Array, maxVersion: 0 | 1 = 1): WireTransaction {
  const most = maxVersion === 1 ? MAX_V1_TRANSACTION_BYTES : MAX_TRANSACTION_BYTES;
  if (bytes.length > most) throw tooLarge(bytes.length, most);
  let transaction: Transaction;
  let encoded: Uint8Array;
  try {
    transaction = getTransactionDecoder().decode(bytes);
    encoded = Uint8Array.from(getTransactionEncoder().encode(transaction));
  } catch (cause) {
    throw undecodable(cause);
  }
  if (!equalBytes(encoded, bytes)) throw undecodable();
  const message = decodeMessage(Uint8Array.from(transaction.messageBytes));
  if (message.version === 1 && maxVersion < 1) throw undecodable();
  if (message.version !== 1 && bytes.length > MAX_TRANSACTION_BYTES) {
    throw tooLarge(bytes.length, MAX_TRANSACTION_BYTES);
  }
  const signatures = Object.values(transaction.signatures).map((signature) =>
    signature === null ? undefined : getBase58Decoder().decode(signature),
  );
  if (signatures.length !== message.signers) throw RpcError.invalidParams(`invalid transaction: ${SANITIZE_FAILURE}`);
  return { transaction, bytes, message, signatures };
}

/** @throws RpcError -32602 if the bytes are not a message, or are one that no validator would take. */
export function decodeMessage(bytes: Uint8Array): WireMessage {
  let message: WireMessage;
  let encoded: Uint8Array;
  try {
    const compiled = getCompiledTransactionMessageDecoder().decode(bytes);
    encoded = Uint8Array.from(getCompiledTransactionMessageEncoder().encode(compiled));
    message = plainMessage(compiled);
  } catch (cause) {
    throw undecodable(cause);
  }
  if (!equalBytes(encoded, bytes)) throw undecodable();
  if (!isSane(message)) throw RpcError.invalidParams(`invalid transaction: ${SANITIZE_FAILURE}`);
  return message;
}

type CompiledMessage = ReturnType<ReturnType<typeof getCompiledTransactionMessageDecoder>['decode']>;

function plainMessage(compiled: CompiledMessage): WireMessage {
  const base = {
    version: compiled.version,
    signers: compiled.header.numSignerAccounts,
    readonlySigners: compiled.header.numReadonlySignerAccounts,
    readonlyOthers: compiled.header.numReadonlyNonSignerAccounts,
    keys: compiled.staticAccounts,
    blockhash: compiled.lifetimeToken,
  };
  if (compiled.version === 1) {
    if (!isKnownConfig(compiled.configMask)) throw new RangeError('unknown fields in the transaction config');
    const instructions = compiled.instructionHeaders.map((header, index) => ({
      programIndex: header.programAccountIndex,
      accounts: compiled.instructionPayloads[index]?.instructionAccountIndices ?? [],
      data: Uint8Array.from(compiled.instructionPayloads[index]?.instructionData ?? []),
    }));
    return { ...base, instructions, lookups: [] };
  }
  return {
    ...base,
    instructions: compiled.instructions.map((instruction) => ({
      programIndex: instruction.programAddressIndex,
      accounts: instruction.accountIndices ?? [],
      data: Uint8Array.from(instruction.data ?? []),
    })),
    lookups: (compiled.version === 0 ? (compiled.addressTableLookups ?? []) : []).map((lookup) => ({
      table: lookup.lookupTableAddress,
      writable: lookup.writableIndexes,
      readonly: lookup.readonlyIndexes,
    })),
  };
}

/** Two bits for the priority fee, set together, then one each for compute units, loaded data and heap. */
function isKnownConfig(mask: number): boolean {
  const fee = mask & 0b11;
  return mask >>> 0 < 0b100000 && (fee === 0 || fee === 0b11);
}

/** Agave's `sanitize` of a message. */
function isSane(message: WireMessage): boolean {
  const { signers, readonlySigners, readonlyOthers, keys, instructions, lookups } = message;
  if (signers < 1 || readonlySigners >= signers || signers + readonlyOthers > keys.length) return false;
  let loaded = 0;
  for (const { writable, readonly } of lookups) {
    if (writable.length + readonly.length === 0) return false;
    loaded += writable.length + readonly.length;
  }
  const total = keys.length + loaded;
  if (total > MAX_ACCOUNTS) return false;
  return instructions.every(
    ({ programIndex, accounts }) =>
      programIndex > 0 && programIndex < keys.length && accounts.every((index) => index < total),
  );
}

/** Who may sign and who may write, by index, the loaded addresses (writable ones first) after those in the message. */
export function isWritable(message: WireMessage, index: number): boolean {
  if (index < message.signers) return index < message.signers - message.readonlySigners;
  if (index < message.keys.length) return index < message.keys.length - message.readonlyOthers;
  const loadedWritable = message.lookups.reduce((sum, lookup) => sum + lookup.writable.length, 0);
  return index - message.keys.length < loadedWritable;
}

function tooLarge(size: number, max: number): RpcError {
  return RpcError.invalidParams(`transaction too large: ${size} bytes (max: encoded/raw ${max})`);
}

function undecodable(cause?: unknown): RpcError {
  return RpcError.invalidParams('failed to deserialize the transaction: its bytes are malformed', cause);
}
