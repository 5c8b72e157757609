/** The ledger without its network side: takes transactions, keeps accounts, remembers what happened. */
import { getBase64EncodedWireTransaction } from '@solana/kit';
import bs58 from 'bs58';
import { RelaymintError } from '../../../core/errors.ts';
import type { Clock } from '../../../core/ports.ts';
import type { Change, Journal } from './journal.ts';
import { Machine } from './machine.ts';
import type { AccountState, Outcome, SimulationOutcome } from './machine.ts';
import { History, accountKey, decodeEntry, decodeJson, encodeAccount, encodeJson, recordKey } from './records.ts';
import type { TransactionRecord } from './records.ts';
import { RPC, RpcError } from './rpc-error.ts';
import { Timeline } from './timeline.ts';
import type { TimelineStart } from './timeline.ts';
import { tokenBalances } from './tokens.ts';
import { transactionErrorText } from './transaction-error.ts';
import type { TransactionErrorJson } from './transaction-error.ts';
import { isWritable } from './wire.ts';
import type { WireMessage, WireTransaction } from './wire.ts';

const TIME_KEY = 'time';
const META_KEY = 'meta';
const FORMAT = 1;
/** Owners of accounts that no transaction can change: they are made by the SVM, never stored. */
const NEVER_STORED = ['NativeLoader1111111111111111111111111111111', 'Sysvar1111111111111111111111111111111111111'];
const TABLE_PROGRAM = 'AddressLookupTab1e1111111111111111111111111';
/** An address lookup table is 56 bytes of its own and then one address after the other. */
const TABLE_HEADER_BYTES = 56;
const KEY_BYTES = 32;

/** Decided once, at genesis. */
export interface Genesis {
  readonly genesisHash: string;
  readonly genesisMillis: number;
  /** Hex; the admin's and the faucet's keys follow from it. */
  readonly secret: string;
}

export interface ChainOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  /** Called only for a new ledger. */
  readonly genesis: () => Genesis;
  /** Accounts of a new ledger, beside those every SVM has. */
  readonly accounts: (genesis: Genesis) => ReadonlyMap<string, AccountState>;
  readonly programs: ReadonlyMap<string, Uint8Array>;
}

/** Called after each executed transaction, before it is durable: await `durable()` before telling anybody else. */
export type TransactionListener = (
  record: TransactionRecord,
  changed: ReadonlyMap<string, AccountState | undefined>,
) => void;

export class Chain {
  readonly genesis: Genesis;
  readonly timeline: Timeline;
  readonly machine: Machine;
  readonly history: History;
  readonly listeners: Set<TransactionListener> = new Set();
  /** Newer versions are refused, as by a cluster that does not know them. */
  maxTransactionVersion: 0 | 1 = 1;
  readonly #journal: Journal;

  private constructor(genesis: Genesis, timeline: Timeline, machine: Machine, history: History, journal: Journal) {
    this.genesis = genesis;
    this.timeline = timeline;
    this.machine = machine;
    this.history = history;
    this.#journal = journal;
  }

  /** Restores what the journal holds, or makes a new ledger in it. */
  static async open(options: ChainOptions): Promise<Chain> {
    const { journal, clock } = options;
    const machine = new Machine();
    for (const [key, program] of options.programs) machine.addProgram(key, program);
    const history = new History();
    const executables: [string, AccountState][] = [];
    let meta: (Genesis & { readonly format: number }) | undefined;
    let time: TimelineStart | undefined;
    for await (const [key, value] of journal.load()) {
      const entry = decodeEntry(key, value);
      if (entry.kind === 'transaction') history.add(entry.record);
      else if (entry.kind === 'other' && key === META_KEY)
        meta = decodeJson(value) as Genesis & { readonly format: number };
      else if (entry.kind === 'other' && key === TIME_KEY) time = decodeJson(value) as TimelineStart;
      else if (entry.kind === 'account' && entry.state.executable) executables.push([entry.key, entry.state]);
      else if (entry.kind === 'account') machine.setAccount(entry.key, entry.state);
    }
    // A program's code lies in a second account, which must be there when the SVM loads the program.
    for (const [key, state] of executables) machine.setAccount(key, state);
    if (meta !== undefined && meta.format !== FORMAT) {
      throw new RelaymintError('STORAGE_FAILED', `The stored ledger has format ${meta.format}, not ${FORMAT}.`, {
        remedy: 'Start a new ledger in another directory.',
      });
    }
    const genesis = meta ?? options.genesis();
    const start = time ?? {
      genesisHash: genesis.genesisHash,
      genesisMillis: genesis.genesisMillis,
      warpMillis: 0,
      reachedMillis: 0,
    };
    const chain = new Chain(genesis, new Timeline(start, clock), machine, history, journal);
    if (meta === undefined) chain.#create(options.accounts(genesis));
    return chain;
  }

  account(key: string): AccountState | undefined {
    // Time passes by itself, but only shows when it is read.
    if (key.startsWith('Sysvar')) this.machine.follow(this.timeline);
    return this.machine.account(key);
  }

  /** Resolves when everything that was executed so far survives the process. */
  durable(): Promise<void> {
    return this.#journal.settled();
  }

  warp(seconds: number): void {
    this.timeline.warp(seconds);
    this.#journal.put([this.#timeChange()]);
  }

  async close(): Promise<void> {
    this.#journal.put([this.#timeChange()]);
    await this.#journal.close();
  }

  /**
   * Executes a transaction and returns its signature. One that fails after it was let in costs its fee and is
   * remembered with its error, as on every cluster; with `preflight` it is tried first and refused without cost.
   * @throws RpcError preflightFailure, signatureFailure
   */
  send(transaction: WireTransaction, options: { readonly preflight: boolean }): string {
    const signature = transaction.signatures[0];
    if (transaction.signatures.includes(undefined) || signature === undefined) throw signatureFailure();
    const refused = this.#refusal(transaction.message, signature);
    if (refused !== undefined) {
      if (options.preflight) throw preflightFailure({ error: refused, logs: [], computeUnits: 0, returnData: null });
      return signature;
    }
    this.machine.follow(this.timeline);
    if (options.preflight) {
      const tried = this.machine.simulate(transaction, true);
      if (tried.error === 'SignatureFailure') throw signatureFailure();
      if (tried.error !== null) throw preflightFailure(tried);
    }
    const { keys, loadedWritable } = this.resolve(transaction.message);
    const lookup = (key: string): AccountState | undefined => this.machine.account(key);
    const preBalances = keys.map((key) => this.machine.balance(key).toString());
    const preTokenBalances = tokenBalances(keys, lookup);
    const outcome = this.machine.execute(transaction, !options.preflight);
    if (outcome.error === 'SignatureFailure') throw signatureFailure();
    // Not even its fee could be taken: it never was on the chain.
    if (typeof outcome.error === 'string') return signature;
    const record: TransactionRecord = {
      sequence: this.history.total + 1,
      signature,
      slot: this.timeline.slot(),
      version: transaction.message.version,
      error: outcome.error,
      wire: getBase64EncodedWireTransaction(transaction.transaction),
      keys,
      loadedWritable,
      preBalances,
      postBalances: keys.map((key) => this.machine.balance(key).toString()),
      preTokenBalances,
      postTokenBalances: tokenBalances(keys, lookup),
      ...executionFields(outcome),
    };
    this.#commit(record, transaction.message);
    return signature;
  }

  /** Runs a transaction without keeping anything. */
  simulate(
    transaction: WireTransaction,
    options: { readonly verifySignatures: boolean; readonly anyBlockhash: boolean },
  ): SimulationOutcome {
    const refused = options.anyBlockhash ? undefined : this.#refusal(transaction.message, transaction.signatures[0]);
    if (refused !== undefined) return { ...nothingHappened(refused), accounts: new Map() };
    if (options.verifySignatures && transaction.signatures.includes(undefined)) throw signatureFailure();
    this.machine.follow(this.timeline);
    return this.machine.simulate(transaction, options.verifySignatures);
  }

  /** All addresses of a message: its own, then those its lookup tables give, the writable ones first. */
  resolve(message: WireMessage): { readonly keys: readonly string[]; readonly loadedWritable: number } {
    const writable: string[] = [];
    const readonly: string[] = [];
    for (const lookup of message.lookups) {
      const table = this.machine.account(lookup.table);
      const data = table?.owner === TABLE_PROGRAM ? table.data : new Uint8Array();
      const at = (index: number): string => {
        const start = TABLE_HEADER_BYTES + index * KEY_BYTES;
        // An index past the table's end makes the transaction fail; until it does, it stands for the table itself.
        return start + KEY_BYTES > data.length ? lookup.table : bs58.encode(data.subarray(start, start + KEY_BYTES));
      };
      writable.push(...lookup.writable.map(at));
      readonly.push(...lookup.readonly.map(at));
    }
    return { keys: [...message.keys, ...writable, ...readonly], loadedWritable: writable.length };
  }

  #refusal(message: WireMessage, signature: string | undefined): TransactionErrorJson | undefined {
    if (this.timeline.slotOfBlockhash(message.blockhash) === undefined) return 'BlockhashNotFound';
    if (signature !== undefined && this.history.get(signature) !== undefined) return 'AlreadyProcessed';
    return undefined;
  }

  #commit(record: TransactionRecord, message: WireMessage): void {
    const changed = new Map<string, AccountState | undefined>();
    const changes: Change[] = [];
    for (const [index, key] of record.keys.entries()) {
      if (!isWritable(message, index)) continue;
      const state = this.machine.account(key);
      if (state !== undefined && NEVER_STORED.includes(state.owner)) continue;
      changed.set(key, state);
      changes.push({ key: accountKey(key), value: state === undefined ? undefined : encodeAccount(state) });
    }
    this.history.add(record);
    const dropped = this.history.trim(record.slot);
    this.#journal.put([
      ...changes,
      { key: recordKey(record.sequence), value: encodeJson(record) },
      ...dropped.map(({ sequence }) => ({ key: recordKey(sequence), value: undefined })),
      this.#timeChange(),
    ]);
    for (const listener of this.listeners) listener(record, changed);
  }

  #create(accounts: ReadonlyMap<string, AccountState>): void {
    const changes: Change[] = [{ key: META_KEY, value: encodeJson({ ...this.genesis, format: FORMAT }) }];
    for (const [key, state] of accounts) {
      this.machine.setAccount(key, state);
      changes.push({ key: accountKey(key), value: encodeAccount(state) });
    }
    this.#journal.put([...changes, this.#timeChange()]);
  }

  #timeChange(): Change {
    return { key: TIME_KEY, value: encodeJson(this.timeline.state()) };
  }
}

function executionFields(
  outcome: Outcome,
): Pick<TransactionRecord, 'feeLamports' | 'logs' | 'computeUnits' | 'returnData' | 'innerInstructions'> {
  return {
    feeLamports: outcome.feeLamports.toString(),
    logs: outcome.logs,
    computeUnits: outcome.computeUnits,
    returnData: returnDataJson(outcome.returnData),
    innerInstructions: innerJson(outcome.inner),
  };
}

export function innerJson(inner: Outcome['inner']): TransactionRecord['innerInstructions'] {
  return inner.flatMap((list, index) =>
    list.length === 0
      ? []
      : [
          {
            index,
            instructions: list.map((entry) => ({
              programIdIndex: entry.programIndex,
              accounts: entry.accounts,
              data: bs58.encode(entry.data),
              stackHeight: entry.stackHeight,
            })),
          },
        ],
  );
}

export function returnDataJson(returned: Outcome['returnData']): TransactionRecord['returnData'] {
  if (returned === null) return null;
  return { programId: returned.program, data: [Buffer.from(returned.data).toString('base64'), 'base64'] };
}

function nothingHappened(error: TransactionErrorJson): Outcome {
  return { error, logs: [], computeUnits: 0, feeLamports: 0n, returnData: null, inner: [] };
}

function signatureFailure(): RpcError {
  return new RpcError(RPC.signatureFailure, 'Transaction signature verification failure');
}

function preflightFailure(
  tried: Pick<Outcome, 'logs' | 'computeUnits' | 'returnData'> & {
    readonly error: TransactionErrorJson | null;
  },
): RpcError {
  const text = transactionErrorText(tried.error ?? '');
  return new RpcError(RPC.preflightFailure, `Transaction simulation failed: ${text}`, {
    data: {
      accounts: null,
      err: tried.error,
      innerInstructions: null,
      logs: tried.logs,
      replacementBlockhash: null,
      returnData: returnDataJson(tried.returnData),
      unitsConsumed: tried.computeUnits,
    },
  });
}
