/** Rows: what it costs to settle a receipt, in each way there is. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ComputeBudgetProgram, PublicKey } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { FeatureSet, LiteSVM } from 'litesvm';
import { isRelaymintError } from '../../core/errors.ts';
import { ledgerAddressBytes } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import { buildProgram, programFolder } from '../../ledger/program/build/main.ts';
import {
  aggregateSignatures,
  delegateFromSeed,
  receiptMessage,
  receiptSignature,
  signReceipt,
} from '../../ledger/receipt/index.ts';
import type { SignedReceipt, Signer } from '../../ledger/receipt/index.ts';
import * as program from '../../ledger/solana/program/index.ts';
import { receiptsThatFit, settleUnits } from '../../ledger/solana/settle-size.ts';
import { MAX_PACKET_BYTES } from '../../ledger/solana/transaction-size.ts';
import { settlementsAsSent } from './as-sent.ts';
import { BenchChain, keypair, slotRent } from './chain.ts';
import type { Cost } from './chain.ts';
import type { LedgerRow, RowGroup, RowSource } from './rows.ts';

/** Transactions of each row; the figures are means over them. */
const TRANSACTIONS = 4;
const SLOTS = 64;
/** Counters of channels in their prime: 100 credits, 100 GB each way. Each transaction raises them a little. */
const AMOUNT = 100_000_000n;
const BYTES = 100_000_000_000n;
const DEPOSIT = amount(1_000_000_000n);

/** A till whose channels all have a receipt to settle. */
class Till {
  readonly chain: BenchChain;
  readonly #till: PublicKey;
  readonly #delegates: readonly Signer[];
  /** Of every slot: they were made together. */
  readonly #generation: number;
  #round = 0n;

  constructor(chain: BenchChain) {
    this.chain = chain;
    const payer = chain.payer.publicKey;
    chain.execute([program.openTill(chain.programId, { owner: payer, slots: SLOTS })]);
    this.#till = program.tillAddress(chain.programId, payer);
    this.#delegates = Array.from({ length: SLOTS }, (_, slot) =>
      delegateFromSeed(keypair(`delegate ${slot}`).secretKey.subarray(0, 32)),
    );
    this.#generation = program.decodeTill(chain.data(this.#till)).slots[0]?.generation ?? 0;
    for (const [slot, { address }] of this.#delegates.entries()) {
      const channel = { payer, till: this.#till, slot, delegate: new PublicKey(address), deposit: DEPOSIT };
      const { svm, programId } = chain;
      chain.execute([slotRent(svm, programId, payer), program.openChannel(programId, channel)]);
    }
  }

  /** A newer receipt of each of the first channels. */
  receipts(
    count: number,
  ): readonly { readonly signer: Signer; readonly slot: number; readonly receipt: SignedReceipt }[] {
    this.#round += 1n;
    const { programId, clusterTag } = this.chain;
    return this.#delegates.slice(0, count).map((signer, slot) => {
      const place = { clusterTag, till: this.#till, slot, generation: this.#generation };
      const channel = program.channelId(programId, place);
      const counted = BYTES + this.#round;
      return {
        signer,
        slot,
        receipt: signReceipt({ channel, amount: amount(AMOUNT + this.#round), up: counted, down: counted }, signer),
      };
    });
  }

  /** Both instructions of the precompile's way. */
  verified(count: number): readonly TransactionInstruction[] {
    const given = this.receipts(count);
    const signed = given.map(({ signer, receipt }) => ({
      delegate: new PublicKey(signer.address),
      message: receiptMessage(receipt),
      signature: receiptSignature(receipt),
    }));
    const slots = given.map(({ slot }) => slot);
    return [
      program.ed25519BatchInstruction(signed),
      program.settleVerified(this.chain.programId, { till: this.#till, slots }),
    ];
  }

  aggregated(count: number): TransactionInstruction {
    const given = this.receipts(count);
    const scalar = aggregateSignatures(
      given.map(({ signer, receipt }) => ({
        key: ledgerAddressBytes(signer.address),
        message: receiptMessage(receipt),
        signature: receiptSignature(receipt),
      })),
    );
    const receipts = given.map(({ slot, receipt }) => ({
      ...receipt,
      slot,
      r: receiptSignature(receipt).subarray(0, 32),
    }));
    return program.settle(this.chain.programId, { till: this.#till, receipts, scalar });
  }
}

export const settlementRows: RowSource = async (): Promise<RowGroup> => {
  const folder = programFolder();
  const till = new Till(new BenchChain(await readFile(path.join(folder, 'relaymint.so'))));
  const rows: LedgerRow[] = [];
  const notes: string[] = [];
  const add = async (name: string, count: number, execute: () => Cost | Promise<Cost>): Promise<void> => {
    const costs: Cost[] = [];
    for (let left = TRANSACTIONS; left > 0; left -= 1) costs.push(await execute());
    rows.push({ name, figures: figuresOf(count, costs) });
  };

  await add('precompile-single', 1, () => till.chain.execute(till.verified(1)));
  const together = mostVerified(till);
  await add('precompile-batch', together, () => till.chain.execute(till.verified(together)));
  const fitting = receiptsThatFit(
    till.receipts(SLOTS).map(({ receipt }) => receipt),
    [],
    false,
  );
  await add('half-aggregated', fitting, () => till.chain.execute(limited(till, fitting)));
  const variant = await sha512Variant(folder);
  if (variant === undefined) {
    notes.push(
      'half-aggregated-sha512 is left out: apt-get install rustc-web libstd-rust-web-dev-bpf llvm-22 builds that variant.',
    );
  } else {
    const other = new Till(new BenchChain(variant, everyFeature()));
    await add('half-aggregated-sha512', fitting, () => other.chain.execute(limited(other, fitting)));
  }
  await add('half-aggregated-4096', SLOTS, () => till.chain.executeLarge([till.aggregated(SLOTS)]));
  const { receipts, costs } = await settlementsAsSent({
    transactions: TRANSACTIONS,
    channels: SLOTS,
    deposit: DEPOSIT,
    counters: (transaction) => {
      const raised = BigInt(transaction + 1);
      return { amount: amount(AMOUNT + raised), up: BYTES + raised, down: BYTES + raised };
    },
  });
  rows.push({ name: 'half-aggregated-v1', figures: figuresOf(receipts, costs) });
  return { title: 'settling a receipt of 100 credits and 200 GB', rows, notes: [...notes, ratio(rows)] };
};

/** With both instructions that a wallet may put before it: the limit of compute units, and a price for them. */
function limited(till: Till, count: number): readonly TransactionInstruction[] {
  return [
    ComputeBudgetProgram.setComputeUnitLimit({ units: settleUnits(count, []) }),
    ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 0 }),
    till.aggregated(count),
  ];
}

/** As many as fit a packet with the precompile's copies of key, signature and message. */
function mostVerified(till: Till): number {
  const bytesOf = (count: number): number => till.chain.execute(till.verified(count)).bytes;
  const [one, two] = [bytesOf(1), bytesOf(2)];
  return 1 + Math.floor((MAX_PACKET_BYTES - one) / (two - one));
}

/** undefined when the compilers are not installed. */
async function sha512Variant(folder: string): Promise<Uint8Array | undefined> {
  try {
    return await buildProgram(folder, { sha512Syscall: true });
  } catch (error) {
    if (isRelaymintError(error, 'FILE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function everyFeature(): LiteSVM {
  return LiteSVM.default()
    .withFeatureSet(FeatureSet.allEnabled())
    .withBuiltins()
    .withLamports(10_000_000_000_000_000n)
    .withSysvars()
    .withPrecompiles()
    .withDefaultPrograms()
    .withSigverify(true)
    .withBlockhashCheck(true);
}

function figuresOf(count: number, costs: readonly Cost[]): Readonly<Record<string, number>> {
  const perReceipt = (of: (cost: Cost) => number): number =>
    Math.round((10 * costs.reduce((sum, cost) => sum + of(cost), 0)) / (costs.length * count)) / 10;
  return {
    receiptsPerTransaction: count,
    lamportsPerReceipt: perReceipt(({ lamports }) => lamports),
    computeUnitsPerReceipt: perReceipt(({ computeUnits }) => computeUnits),
    bytesPerReceipt: perReceipt(({ bytes }) => bytes),
  };
}

function ratio(rows: readonly LedgerRow[]): string {
  const fee = (name: string): number =>
    rows.find((row) => row.name === name)?.figures['lamportsPerReceipt'] ?? Number.NaN;
  const times = fee('precompile-batch') / fee('half-aggregated');
  return `A receipt that is half-aggregated costs ${times.toFixed(1)} times less than one the precompile verifies.`;
}
