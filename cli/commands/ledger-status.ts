/** `relaymint ledger status`: which cluster answers, what code is deployed, and whether its money adds up. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { toHex } from '../../core/codec.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { amount, formatCredits, formatSol } from '../../core/units.ts';
import type { BankState } from '../../ledger/contract.ts';
import {
  isCodeOf,
  readCluster,
  readDeployed,
  type ClusterInfo,
  type DeployedProgram,
} from '../../ledger/solana/deployment/index.ts';
import { programFile, type SolanaLedger } from '../../ledger/solana/index.ts';
import type { ValuesOf } from '../../app/config/index.ts';
import { urlSection, withUrl, type ReaderOptions } from '../options.ts';
import { createOutput, durationText, table } from '../output.ts';
import { addSettings } from '../settings.ts';
import { openLedger, priceText, properties, addReaderOptions } from './transact.ts';

type StatusOptions = ReaderOptions & ValuesOf<typeof urlSection>;

interface ProgramStatus {
  readonly deployed: DeployedProgram | undefined;
  /** Whether it is the binary that came with this command. */
  readonly ours: boolean;
}

/** What must hold at every moment, checked with figures that were read together. */
interface Checks {
  /** bought - redeemed = supply + openDeposits + unminted. */
  readonly identity: boolean;
  /** The reserve buys back every credit there is. */
  readonly backed: boolean;
  /** The bank's account holds what its books call the reserve. */
  readonly held: boolean;
}

export function ledgerStatusCommand(ledger: Command): void {
  const status = ledger
    .command('status')
    .summary('show which cluster, which program, and whether the money adds up')
    .description(
      "Reads the cluster, the program and its bank, and checks the bank's figures: every credit bought and not redeemed must be somewhere, and the reserve must cover all of them. Exit code 1 when they do not.",
    );
  addSettings(addReaderOptions(status), urlSection).action((options: StatusOptions) => run(withUrl(options)));
}

async function run(options: StatusOptions): Promise<void> {
  const output = createOutput(options.json === true);
  await using opened = openLedger(options);
  const { ledger } = opened;
  const cluster = await readCluster(ledger);
  const deployed = await readDeployed(ledger);
  const program = { deployed, ours: deployed !== undefined && isCodeOf(deployed.code, await readFile(programFile())) };
  const bank = deployed === undefined ? undefined : await bankOf(ledger);
  const checks = bank === undefined ? undefined : await checked(ledger, bank);
  output.value({
    cluster: { ...cluster, name: cluster.name ?? null },
    program: programValue(ledger, program),
    bank: bank === undefined || checks === undefined ? null : { ...bankValue(bank), checks },
  });
  output.line(properties([...clusterRows(cluster), ...programRows(ledger, program)]));
  if (bank !== undefined && checks !== undefined) output.line(bankText(bank, checks));
  else if (deployed !== undefined) output.line('\n  Its bank is not initialized: run "relaymint ledger deploy".');
  if (checks !== undefined && !Object.values(checks).every(Boolean)) process.exitCode = 1;
}

/** undefined when it is not initialized. */
async function bankOf(ledger: SolanaLedger): Promise<BankState | undefined> {
  try {
    return await ledger.bank();
  } catch (error) {
    if (isRelaymintError(error, 'LEDGER_REJECTED')) return undefined;
    throw error;
  }
}

async function checked(ledger: SolanaLedger, bank: BankState): Promise<Checks> {
  const outstanding = bank.bought - bank.redeemed;
  const held = await ledger.balances(bank.address);
  return {
    // Not equal: holders may burn their own credits, whose backing nobody can claim any more.
    identity: outstanding >= bank.supply + bank.openDeposits + bank.unminted + bank.forgone,
    backed: bank.reserve * bank.unitsPerLamport >= outstanding,
    held: held.lamports >= bank.reserve,
  };
}

function programValue(ledger: SolanaLedger, { deployed, ours }: ProgramStatus): object {
  const address = ledger.programId;
  if (deployed === undefined) return { address, deployed: false };
  return {
    address,
    deployed: true,
    upgradeAuthority: deployed.upgradeAuthority ?? null,
    slot: deployed.slot.toString(),
    sha256: codeHash(deployed.code),
    ours,
  };
}

function bankValue(bank: BankState): object {
  return {
    address: bank.address,
    mint: bank.mint,
    clusterTag: toHex(bank.clusterTag),
    unitsPerLamport: bank.unitsPerLamport.toString(),
    challengeSeconds: bank.challengeSeconds.toString(),
    bought: bank.bought.toString(),
    redeemed: bank.redeemed.toString(),
    burned: bank.burned.toString(),
    minted: bank.minted.toString(),
    openDeposits: bank.openDeposits.toString(),
    unminted: bank.unminted.toString(),
    forgone: bank.forgone.toString(),
    supply: bank.supply.toString(),
    reserveLamports: bank.reserve.toString(),
  };
}

function clusterRows(cluster: ClusterInfo): [string, string][] {
  return [
    ['cluster', cluster.name ?? 'none of the public ones'],
    ['genesis', cluster.genesisHash],
    ['slot', `${cluster.slot} (node version ${cluster.version})`],
  ];
}

function programRows(ledger: SolanaLedger, { deployed, ours }: ProgramStatus): [string, string][] {
  if (deployed === undefined) return [['program', `${ledger.programId}: not deployed`]];
  return [
    ['program', `${ledger.programId}, deployed in slot ${deployed.slot}`],
    [
      'code',
      `${codeHash(deployed.code)} (SHA-256), ${ours ? 'the one of this release' : 'NOT the one of this release'}`,
    ],
    ['may be changed by', deployed.upgradeAuthority ?? 'nobody: it is final'],
  ];
}

function bankText(bank: BankState, checks: Checks): string {
  const outstanding = amount(bank.bought - bank.redeemed);
  const money: [string, bigint][] = [
    ['bought', bank.bought],
    ['redeemed', bank.redeemed],
    ['', -1n],
    ['in wallets', bank.supply],
    ['in open channels', bank.openDeposits],
    ['earned, to withdraw', bank.unminted],
    ['staked and lost', bank.forgone],
  ];
  const figures = table(
    money.map(([name, value]) => [`  ${name}`, value < 0n ? '' : formatCredits(amount(value))]),
    [1],
  );
  return [
    '',
    properties([
      ['bank', bank.address],
      ['mint', bank.mint],
      ['price', priceText(bank.unitsPerLamport)],
      ['challenge period', durationText(Number(bank.challengeSeconds))],
      ['reserve', `${formatSol(bank.reserve)} SOL`],
    ]),
    '',
    figures,
    '',
    `  ${mark(checks.identity)} bought - redeemed >= in wallets + in open channels + to withdraw + staked and lost (${formatCredits(outstanding)})`,
    `  ${mark(checks.backed)} the reserve buys back every one of them`,
    `  ${mark(checks.held)} the bank's account holds the reserve`,
  ].join('\n');
}

function mark(holds: boolean): string {
  return holds ? 'ok    ' : 'BROKEN';
}

/** Of the code without the zeros that fill it up, as other tools for verified programs count it. */
function codeHash(code: Uint8Array): string {
  const end = code.findLastIndex((byte) => byte !== 0) + 1;
  return createHash('sha256').update(code.subarray(0, end)).digest('hex');
}
