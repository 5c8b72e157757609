/** The records of executed transactions, and how state and history are written to the journal. */
import { Reader, Writer, utf8 } from '../../../core/codec.ts';
import { RelaymintError } from '../../../core/errors.ts';
import bs58 from 'bs58';
import type { AccountState } from './machine.ts';
import { BLOCKHASH_SLOTS } from './timeline.ts';
import type { TokenBalance } from './tokens.ts';
import type { TransactionErrorJson } from './transaction-error.ts';
import type { TransactionVersion } from './wire.ts';

/** An executed transaction, in JSON's own types: bytes as base64 or base58, u64 as decimal text. */
export interface TransactionRecord {
  /** Order of execution, from 1. */
  readonly sequence: number;
  readonly signature: string;
  readonly slot: number;
  readonly version: TransactionVersion;
  readonly error: TransactionErrorJson | null;
  /** base64 of the transaction as it came in. */
  readonly wire: string;
  /** The message's own addresses, then the loaded ones. */
  readonly keys: readonly string[];
  readonly loadedWritable: number;
  readonly feeLamports: string;
  readonly preBalances: readonly string[];
  readonly postBalances: readonly string[];
  readonly preTokenBalances: readonly TokenBalance[];
  readonly postTokenBalances: readonly TokenBalance[];
  readonly logs: readonly string[];
  readonly computeUnits: number;
  readonly returnData: { readonly programId: string; readonly data: readonly [string, 'base64'] } | null;
  readonly innerInstructions: readonly {
    readonly index: number;
    readonly instructions: readonly {
      readonly programIdIndex: number;
      readonly accounts: readonly number[];
      /** base58 */
      readonly data: string;
      readonly stackHeight: number;
    }[];
  }[];
}

/** Records kept for queries: a few KB each, so some 40 MB. Those that guard against duplicates are kept regardless. */
const MAX_RECORDS = 10_000;

/** Executed transactions by signature, oldest first. */
export class History {
  readonly #records = new Map<string, TransactionRecord>();
  #total = 0;

  /** Transactions ever executed. */
  get total(): number {
    return this.#total;
  }

  get(signature: string): TransactionRecord | undefined {
    return this.#records.get(signature);
  }

  add(record: TransactionRecord): void {
    this.#records.set(record.signature, record);
    this.#total = Math.max(this.#total, record.sequence);
  }

  /** Forgets what is over the bound and too old to be sent again. */
  trim(slot: number): readonly TransactionRecord[] {
    const dropped: TransactionRecord[] = [];
    for (const record of this.#records.values()) {
      if (this.#records.size <= MAX_RECORDS || record.slot + BLOCKHASH_SLOTS + 1 >= slot) break;
      this.#records.delete(record.signature);
      dropped.push(record);
    }
    return dropped;
  }

  /** Newest first. */
  newestFirst(): readonly TransactionRecord[] {
    return [...this.#records.values()].toReversed();
  }
}

const ACCOUNT = 'account:';
const TRANSACTION = 'transaction:';

export function accountKey(key: string): string {
  return ACCOUNT + key;
}

/** Zero-padded, so that LevelDB's order is the order of execution. */
export function recordKey(sequence: number): string {
  return TRANSACTION + sequence.toString().padStart(16, '0');
}

export type StoredEntry =
  | { readonly kind: 'account'; readonly key: string; readonly state: AccountState }
  | { readonly kind: 'transaction'; readonly record: TransactionRecord }
  | { readonly kind: 'other'; readonly key: string; readonly value: Uint8Array };

/** @throws RelaymintError STORAGE_FAILED when the entry does not decode. */
export function decodeEntry(key: string, value: Uint8Array): StoredEntry {
  try {
    if (key.startsWith(ACCOUNT)) {
      return { kind: 'account', key: key.slice(ACCOUNT.length), state: decodeAccount(value) };
    }
    if (key.startsWith(TRANSACTION)) return { kind: 'transaction', record: decodeJson(value) as TransactionRecord };
  } catch (cause) {
    throw new RelaymintError('STORAGE_FAILED', `The ledger's stored entry ${key} is damaged.`, {
      remedy: 'Restore the directory from a copy, or start a new ledger in another one.',
      cause,
    });
  }
  return { kind: 'other', key, value };
}

export function encodeAccount(state: AccountState): Uint8Array {
  return new Writer(41 + state.data.length)
    .u64(state.lamports)
    .u8(state.executable ? 1 : 0)
    .bytes(bs58.decode(state.owner))
    .bytes(state.data)
    .finish();
}

function decodeAccount(value: Uint8Array): AccountState {
  const reader = new Reader(value, 'stored account');
  const lamports = reader.u64();
  const executable = reader.u8() === 1;
  const owner = bs58.encode(reader.bytes(32));
  return { lamports, executable, owner, data: reader.rest().slice() };
}

/** Only for values this process wrote itself. */
export function decodeJson(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value).toString('utf8'));
}

export function encodeJson(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}
