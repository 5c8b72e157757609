/** What wallet commands have in common: open the wallet, run transactions, show what they cost and what they changed. */
import type { Command } from 'commander';
import { amount, formatCredits, formatSol, lamports } from '../../core/units.ts';
import type { TransactionResult } from '../../ledger/contract.ts';
import { openSolanaLedger, readKeyFile, type SolanaLedger, type SolanaWallet } from '../../ledger/solana/index.ts';
import {
  addCommonOptions,
  addLedgerOptions,
  addWalletOptions,
  walletFile,
  type ReaderOptions,
  type WalletOptions,
  addOutboundOptions,
  outboundOf,
} from '../options.ts';
import { openOutbound } from '../../app/node/index.ts';
import type { DeclaredPurpose, Policy } from '../../node/transport/index.ts';
import { createLog, createOutput, table } from '../output.ts';

/** The label of a figure, if it is not its name. */
const LABELS: Readonly<Record<string, string>> = { lamports: 'SOL', inChannels: 'in channels' };

export interface OpenedLedger extends AsyncDisposable {
  readonly ledger: SolanaLedger;
  /** By which everything else leaves as well. */
  readonly policy: Policy;
}

export interface OpenedWallet extends OpenedLedger {
  readonly wallet: SolanaWallet;
  /** What the wallet had confirmed since it was opened. */
  readonly transactions: readonly TransactionResult[];
}

/** What a transaction may change, base units by name: `lamports`, and amounts of credits under any other name. */
export type Figures = Readonly<Record<string, bigint>>;

export interface Transaction {
  readonly options: WalletOptions;
  readonly opened: OpenedWallet;
  /** Figures beside the wallet's balances, read before and after. */
  readonly figures?: () => Promise<Figures>;
  /** Resolves with what was done, one sentence for people, and fields to add for scripts. */
  readonly work: () => Promise<{ readonly done: string; readonly value?: object }>;
}

/** A wallet command, with the options that all of them have. */
export function walletSubcommand(parent: Command, name: string, summary: string): Command {
  const command = parent.command(name).summary(summary).description(summary);
  return addReaderOptions(addWalletOptions(command));
}

/** The options of every command that reads the ledger. */
export function addReaderOptions(command: Command): Command {
  return addOutboundOptions(addLedgerOptions(addCommonOptions(command)));
}

/** `purposes`: what the command opens connections for besides. */
export function openLedger(options: ReaderOptions, purposes: readonly DeclaredPurpose[] = []): OpenedLedger {
  const log = createLog(options.logLevel, 'wallet');
  const outbound = openOutbound(outboundOf(options), log, { purposes });
  const ledger = openSolanaLedger({
    url: options.ledger,
    programId: options.program,
    fetch: outbound.policy.fetch('ledger'),
    log,
  });
  return {
    ledger,
    policy: outbound.policy,
    async [Symbol.asyncDispose]() {
      ledger.close();
      // A session with an I2P router would keep the command from ending.
      await outbound[Symbol.asyncDispose]();
    },
  };
}

export async function openWallet(options: WalletOptions): Promise<OpenedWallet> {
  const key = await readKeyFile(walletFile(options));
  const opened = openLedger(options);
  const transactions: TransactionResult[] = [];
  const wallet = opened.ledger.wallet(key, (result) => transactions.push(result));
  return { ...opened, wallet, transactions };
}

/** Runs what a command does and prints before and after, signatures and fees. */
export async function transact({ options, opened, figures, work }: Transaction): Promise<void> {
  const output = createOutput(options.json === true);
  const read = async (): Promise<Figures> => ({
    ...(await opened.ledger.balances(opened.wallet.address)),
    ...(await figures?.()),
  });
  const before = await read();
  const { done, value } = await work();
  const after = await read();
  const { transactions } = opened;
  const fees = lamports(transactions.reduce((sum, one) => sum + one.feeLamports, 0n));
  const [first] = transactions;
  output.value({
    ...value,
    ...(transactions.length === 1 && first !== undefined
      ? resultTexts(first)
      : { transactions: transactions.map(resultTexts), feeLamports: fees.toString() }),
    before: figureTexts(before),
    after: figureTexts(after),
  });
  output.line(`${done}\n`);
  output.line(
    properties([
      ...changes(before, after),
      ...(transactions.length === 0 ? [] : [['fee', `${formatSol(fees)} SOL (${fees} lamports)`] as const]),
      ...transactions.map(({ signature }) => ['signature', signature] as const),
    ]),
  );
}

/** Names and values, one per line, indented. */
export function properties(rows: readonly (readonly [name: string, value: string])[]): string {
  return table(rows.map(([name, value]) => [`  ${name}`, value]));
}

/** A SOL is 1,000,000,000 lamports and a credit 1,000,000 base units. */
export function priceText(unitsPerLamport: bigint): string {
  return `1 SOL buys ${unitsPerLamport * 1000n} credits`;
}

export function figureTexts(figures: Figures): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, value.toString()]));
}

function resultTexts(result: TransactionResult): object {
  return { ...result, feeLamports: result.feeLamports.toString() };
}

/** One row per figure, with the arrows aligned. */
function changes(before: Figures, after: Figures): readonly (readonly [name: string, value: string])[] {
  const names = Object.keys({ ...before, ...after });
  const text = (figures: Figures, name: string): string => {
    const value = figures[name];
    if (value === undefined) return 'none';
    return name === 'lamports' ? formatSol(lamports(value)) : formatCredits(amount(value));
  };
  const values = table(
    names.map((name) => {
      const is = text(after, name);
      const was = text(before, name);
      return was === is ? [was, '   (unchanged)'] : [was, `-> ${is}`];
    }),
  ).split('\n');
  return names.map((name, index) => [LABELS[name] ?? name, values[index] ?? '']);
}
