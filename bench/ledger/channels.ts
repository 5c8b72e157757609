/** What opening and closing a channel costs, from transactions that a real Solana virtual machine executed. */
import { readFileSync } from 'node:fs';
import { address, getTransactionDecoder, lamports as kitLamports } from '@solana/kit';
import { createAssociatedTokenAccountIdempotentInstruction } from '@solana/spl-token';
import { ComputeBudgetProgram, Keypair, PublicKey, Transaction, TransactionInstruction } from '@solana/web3.js';
import type { Message } from '@solana/web3.js';
import { FailedTransactionMetadata, LiteSVM } from 'litesvm';
import { amount, lamports } from '../../core/units.ts';
import { programFile } from '../../ledger/solana/index.ts';
import * as program from '../../ledger/solana/program/index.ts';
import { LOADED_ACCOUNT_OVERHEAD_BYTES, costUnits } from './cost-model.ts';
import type { TransactionFigures } from './cost-model.ts';
import { setUpgradeAuthority, slotRent } from './chain.ts';
import type { RowGroup, RowSource } from './rows.ts';

/** `channel-close`: the payee signs too. Without it: `channel-request-close`, the challenge period, `channel-close-alone`. */
export type ChannelCostName = 'channel-open' | 'channel-close' | 'channel-request-close' | 'channel-close-alone';

export interface ChannelCostRow extends TransactionFigures {
  readonly name: ChannelCostName;
  /** What the scheduler counts: see `cost-model.ts`. */
  readonly costUnits: number;
  /** Bytes of the transaction on the wire. */
  readonly wireBytes: number;
  readonly feeLamports: number;
}

const UPGRADEABLE_LOADER = new PublicKey('BPFLoaderUpgradeab1e11111111111111111111111');
const CHALLENGE_SECONDS = 60n;
/** Slots of the payee's till: what `relaymint relay` opens. */
const SLOTS = 64;
const FEE_LAMPORTS_PER_SIGNATURE = 5_000;
const FUNDS = 10_000_000_000n;
/** `SetLoadedAccountsDataSizeLimit`, for which web3.js has no builder. */
const SET_LOADED_LIMIT = 4;
/** Only what a limit is found out with: more than any of these needs. */
const AMPLE_COMPUTE_UNITS = 100_000;
const AMPLE_LOADED_BYTES = 1024 * 1024;

/** Cost units of opening and closing a channel of a widely used payment-channel program on mainnet, medians: what docs/benchmarks.md compares with. */
const USUAL_COST_UNITS = 60_709;

export const channelRows: RowSource = async (): Promise<RowGroup> => {
  const rows = measureChannelCosts().map(({ name, ...figures }) => ({ name, figures }));
  const both = rows.slice(0, 2).reduce((sum, { figures }) => sum + figures.costUnits, 0);
  const times = (USUAL_COST_UNITS / both).toFixed(1);
  return {
    title: 'a channel of its own',
    rows,
    notes: [
      `Opening and closing costs ${both} units: ${times} times less than the ${USUAL_COST_UNITS} usual on mainnet.`,
    ],
  };
};

/** Executes every row on a machine of its own; equal programs give equal rows. */
export function measureChannelCosts(): readonly ChannelCostRow[] {
  const bench = new ChannelBench();
  return [
    bench.row('channel-open', bench.open(0), [bench.payer]),
    bench.row('channel-close', [bench.close(0, bench.payee.publicKey)], [bench.payer, bench.payee]),
    // Measured on a channel that was opened before.
    ...bench.alone(),
  ];
}

class ChannelBench {
  readonly payer: Keypair = keypair(1);
  readonly payee: Keypair = keypair(2);
  readonly #programId: PublicKey = keypair(3).publicKey;
  readonly #svm: LiteSVM = new LiteSVM();
  readonly #till: PublicKey;

  constructor() {
    this.#svm.addProgram(address(this.#programId.toBase58()), readFileSync(programFile()));
    this.#till = program.tillAddress(this.#programId, this.payee.publicKey);
    const payer = this.payer.publicKey;
    for (const { publicKey } of [this.payer, this.payee]) {
      this.#svm.airdrop(address(publicKey.toBase58()), kitLamports(FUNDS));
    }
    const tokens = program.creditAccountAddress(this.#programId, payer);
    const mint = program.mintAddress(this.#programId);
    setUpgradeAuthority(this.#svm, this.#programId, payer);
    const bank = { clusterTag: new Uint8Array(16), unitsPerLamport: 1n, challengeSeconds: CHALLENGE_SECONDS };
    this.#execute([program.initialize(this.#programId, { admin: payer, ...bank })], [this.payer]);
    this.#execute(
      [
        createAssociatedTokenAccountIdempotentInstruction(payer, tokens, payer, mint),
        program.buy(this.#programId, { buyer: payer, lamports: lamports(1_000_000n) }),
      ],
      [this.payer],
    );
    const owner = this.payee.publicKey;
    this.#execute([program.openTill(this.#programId, { owner, slots: SLOTS })], [this.payee]);
  }

  /** The slot's rent, and the opening. */
  open(slot: number): TransactionInstruction[] {
    const deposit = amount(1_000n);
    const delegate = keypair(4).publicKey;
    const payer = this.payer.publicKey;
    return [
      slotRent(this.#svm, this.#programId, payer),
      program.openChannel(this.#programId, { payer, till: this.#till, slot, delegate, deposit, opening: amount(10n) }),
    ];
  }

  close(slot: number, tillOwner?: PublicKey): TransactionInstruction {
    return program.closeChannel(this.#programId, { ...this.#place(slot), tillOwner });
  }

  /** Closing without the payee: two transactions, the challenge period between them. */
  alone(): readonly ChannelCostRow[] {
    this.#execute(this.open(1), [this.payer]);
    const request = program.requestClose(this.#programId, this.#place(1));
    const requested = this.row('channel-request-close', [request], [this.payer]);
    const clock = this.#svm.getClock();
    clock.unixTimestamp += CHALLENGE_SECONDS;
    clock.slot += 2n * CHALLENGE_SECONDS;
    this.#svm.setClock(clock);
    return [requested, this.row('channel-close-alone', [this.close(1)], [this.payer])];
  }

  /** Executes the instructions with compute-budget requests that leave no room. */
  row(name: ChannelCostName, instructions: TransactionInstruction[], signers: readonly Keypair[]): ChannelCostRow {
    const trial = this.#transaction(requests(AMPLE_COMPUTE_UNITS, AMPLE_LOADED_BYTES, instructions), signers);
    const computeUnits = this.#simulate(trial);
    const loadedBytes = this.#loadedBytes(trial.compileMessage());
    const transaction = this.#transaction(requests(computeUnits, loadedBytes, instructions), signers);
    const message = transaction.compileMessage();
    const figures = {
      signatures: signers.length,
      writeLocks: message.accountKeys.filter((_, index) => message.isAccountWritable(index)).length,
      dataBytes: transaction.instructions.reduce((sum, { data }) => sum + data.length, 0),
      computeUnits: this.#send(transaction),
      loadedBytes,
    };
    return {
      name,
      costUnits: costUnits(figures),
      ...figures,
      wireBytes: transaction.serialize().length,
      feeLamports: signers.length * FEE_LAMPORTS_PER_SIGNATURE,
    };
  }

  #place(slot: number): program.RequestCloseArguments {
    const account = this.#svm.getAccount(address(this.#till.toBase58()));
    if (!account.exists) throw new Error('the till was not opened');
    const { generation } = program.decodeTill(new Uint8Array(account.data)).slots[slot] ?? { generation: 0 };
    return { payer: this.payer.publicKey, till: this.#till, slot, generation };
  }

  #execute(instructions: readonly TransactionInstruction[], signers: readonly Keypair[]): void {
    this.#send(this.#transaction(instructions, signers));
  }

  #transaction(instructions: readonly TransactionInstruction[], signers: readonly Keypair[]): Transaction {
    this.#svm.expireBlockhash();
    const transaction = new Transaction();
    transaction.recentBlockhash = this.#svm.latestBlockhash();
    transaction.add(...instructions).sign(...signers);
    return transaction;
  }

  #send(transaction: Transaction): number {
    const result = this.#svm.sendTransaction(decoded(transaction));
    if (result instanceof FailedTransactionMetadata) throw new Error(result.meta().logs().join('\n') || String(result));
    return Number(result.computeUnitsConsumed());
  }

  #simulate(transaction: Transaction): number {
    const result = this.#svm.simulateTransaction(decoded(transaction));
    if (result instanceof FailedTransactionMetadata) throw new Error(result.meta().logs().join('\n') || String(result));
    return Number(result.meta().computeUnitsConsumed());
  }

  /** By SIMD-0186: data of every account the message names, and of the programs' own data accounts. */
  #loadedBytes(message: Message): number {
    return message.accountKeys.reduce((sum, key) => {
      const account = this.#svm.getAccount(address(key.toBase58()));
      const data = account.exists ? account.data.length : 0;
      return sum + data + LOADED_ACCOUNT_OVERHEAD_BYTES + this.#programDataBytes(key);
    }, 0);
  }

  /** A program of the upgradeable loader keeps its code in a second account. */
  #programDataBytes(key: PublicKey): number {
    const [at] = PublicKey.findProgramAddressSync([key.toBytes()], UPGRADEABLE_LOADER);
    const account = this.#svm.getAccount(address(at.toBase58()));
    return account.exists ? account.data.length + LOADED_ACCOUNT_OVERHEAD_BYTES : 0;
  }
}

function requests(
  units: number,
  loadedBytes: number,
  instructions: readonly TransactionInstruction[],
): TransactionInstruction[] {
  const data = Buffer.alloc(5);
  data.writeUInt8(SET_LOADED_LIMIT, 0);
  data.writeUInt32LE(loadedBytes, 1);
  return [
    ComputeBudgetProgram.setComputeUnitLimit({ units }),
    new TransactionInstruction({ keys: [], programId: ComputeBudgetProgram.programId, data }),
    ...instructions,
  ];
}

function decoded(transaction: Transaction): ReturnType<ReturnType<typeof getTransactionDecoder>['decode']> {
  return getTransactionDecoder().decode(new Uint8Array(transaction.serialize()));
}

function keypair(label: number): Keypair {
  return Keypair.fromSeed(new Uint8Array(32).fill(label));
}
