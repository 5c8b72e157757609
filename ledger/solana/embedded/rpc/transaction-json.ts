/** An executed transaction in the encodings of `getTransaction`. */
import bs58 from 'bs58';
import type { Chain } from '../chain.ts';
import type { TransactionRecord } from '../records.ts';
import { decodeTransaction, isWritable } from '../wire.ts';
import type { WireMessage, WireTransaction } from '../wire.ts';

export type TransactionEncoding = 'json' | 'jsonParsed' | 'base58' | 'base64';

export function transactionJson(
  chain: Chain,
  record: TransactionRecord,
  encoding: TransactionEncoding,
  withVersion: boolean,
): object {
  const transaction = decodeTransaction(Uint8Array.from(Buffer.from(record.wire, 'base64')));
  const parsed = encoding === 'jsonParsed';
  return {
    blockTime: chain.timeline.blockTime(record.slot),
    meta: metaJson(record, transaction.message, parsed),
    slot: record.slot,
    transaction: bodyJson(record, transaction, encoding),
    ...(withVersion ? { version: record.version } : {}),
  };
}

function metaJson(record: TransactionRecord, message: WireMessage, parsed: boolean): object {
  const ownKeys = message.keys.length;
  const loaded = {
    writable: record.keys.slice(ownKeys, ownKeys + record.loadedWritable),
    readonly: record.keys.slice(ownKeys + record.loadedWritable),
  };
  return {
    computeUnitsConsumed: record.computeUnits,
    err: record.error,
    fee: BigInt(record.feeLamports),
    innerInstructions: record.innerInstructions.map(({ index, instructions }) => ({
      index,
      instructions: parsed
        ? instructions.map((entry) => ({
            accounts: entry.accounts.map((at) => record.keys[at]),
            data: entry.data,
            programId: record.keys[entry.programIdIndex],
            stackHeight: entry.stackHeight,
          }))
        : instructions,
    })),
    ...(parsed ? {} : { loadedAddresses: loaded }),
    logMessages: record.logs,
    postBalances: record.postBalances.map(BigInt),
    postTokenBalances: record.postTokenBalances,
    preBalances: record.preBalances.map(BigInt),
    preTokenBalances: record.preTokenBalances,
    ...(record.returnData === null ? {} : { returnData: record.returnData }),
    rewards: [],
    status: record.error === null ? { Ok: null } : { Err: record.error },
  };
}

function bodyJson(record: TransactionRecord, transaction: WireTransaction, encoding: TransactionEncoding): unknown {
  if (encoding === 'base64') return [record.wire, 'base64'];
  if (encoding === 'base58') return [bs58.encode(transaction.bytes), 'base58'];
  const { message, signatures } = transaction;
  return {
    message: encoding === 'json' ? messageJson(message) : parsedMessageJson(record, message),
    signatures,
  };
}

function messageJson(message: WireMessage): object {
  return {
    accountKeys: message.keys,
    ...(message.version === 0
      ? {
          addressTableLookups: message.lookups.map(({ table, writable, readonly }) => ({
            accountKey: table,
            readonlyIndexes: readonly,
            writableIndexes: writable,
          })),
        }
      : {}),
    header: {
      numReadonlySignedAccounts: message.readonlySigners,
      numReadonlyUnsignedAccounts: message.readonlyOthers,
      numRequiredSignatures: message.signers,
    },
    instructions: message.instructions.map(({ programIndex, accounts, data }) => ({
      accounts,
      data: bs58.encode(data),
      programIdIndex: programIndex,
      stackHeight: 1,
    })),
    recentBlockhash: message.blockhash,
  };
}

/** Instructions are shown as of an unknown program, which every client of "jsonParsed" must be ready for. */
function parsedMessageJson(record: TransactionRecord, message: WireMessage): object {
  return {
    accountKeys: record.keys.map((pubkey, index) => ({
      pubkey,
      signer: index < message.signers,
      source: index < message.keys.length ? 'transaction' : 'lookupTable',
      writable: isWritable(message, index),
    })),
    instructions: message.instructions.map(({ programIndex, accounts, data }) => ({
      accounts: accounts.map((at) => record.keys[at]),
      data: bs58.encode(data),
      programId: record.keys[programIndex],
      stackHeight: 1,
    })),
    recentBlockhash: message.blockhash,
  };
}
