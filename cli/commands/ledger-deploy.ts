/** `relaymint ledger deploy`: puts the program on a cluster, after showing the cost. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { ledgerAddress } from '../../core/ids.ts';
import { formatSol, lamports } from '../../core/units.ts';
import {
  Deployment,
  readCluster,
  type DeploymentPlan,
  type DeploymentResult,
  type DeploymentStep,
} from '../../ledger/solana/deployment/index.ts';
import { MAX_CHALLENGE_SECONDS, programFile, readKeyFile, walletAddress } from '../../ledger/solana/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  count,
  flagsOnly,
  grammar,
  ledgerSection,
  optional,
  place,
  standard,
  toggle,
  type LedgerPlace,
  type Section,
  type ValuesOf,
} from '../../app/config/index.ts';
import {
  addCommonOptions,
  addOutboundOptions,
  addWalletOptions,
  urlSection,
  walletFile,
  withUrl,
  type WalletOptions,
} from '../options.ts';
import { counted, createOutput, createProgress, durationText, type Output } from '../output.ts';
import { canAsk, confirm } from '../prompt.ts';
import { addSettings } from '../settings.ts';
import { readOrMakeKey } from '../../app/node/index.ts';
import { openLedger, priceText, properties } from './transact.ts';

const PROGRAM_KEY_FILE = 'relaymint-program.json';
const BUFFER_KEY_FILE = 'relaymint-buffer.json';

/** Which ledger, without which program on it: that is made here. */
const clusterSection: Section<Pick<LedgerPlace, 'ledger'>> = { ledger: ledgerSection.ledger };

const deploySection = flagsOnly({
  programKey: optional(
    '--program-key <file>',
    place,
    `key file of the program address (default: ${PROGRAM_KEY_FILE} beside the wallet, created if missing)`,
  ),
  unitsPerLamport: standard(
    '--units-per-lamport <n>',
    count(1, 1_000_000_000),
    "the bank's price: base units of credit per lamport; 1 means 1000 credits for 1 SOL",
    '1',
  ),
  // A day.
  challengeSeconds: standard(
    '--challenge-seconds <n>',
    count(1, Number(MAX_CHALLENGE_SECONDS)),
    'time a payee has to settle after a payer asks to close',
    '86400',
  ),
  acceptAdmin: optional(
    '--accept-admin <address>',
    grammar((text) => (text === 'nobody' ? text : ledgerAddress(text))),
    'admin that an existing bank may have ("nobody": given up)',
  ),
  final: toggle('--final', 'give up the authority to change the program'),
  yes: toggle('--yes', 'do not ask for confirmation (required without a terminal)'),
});

type DeployOptions = Omit<WalletOptions, 'program'> & ValuesOf<typeof urlSection> & ValuesOf<typeof deploySection>;

const STEP_TEXTS: Readonly<Record<DeploymentStep, string>> = {
  buffer: 'Making room for the code',
  write: 'Writing the code',
  deploy: 'Deploying it',
  initialize: 'Initializing the bank',
  verify: 'Comparing the deployment with this release',
  finalize: 'Giving up the authority to change it',
};

export function ledgerDeployCommand(ledger: Command): void {
  const deploy = ledger
    .command('deploy')
    .summary('deploy the program on a cluster and initialize its bank')
    .description(
      'Deploys the program of this release with the upgradeable loader, initializes its bank and compares the deployment with ' +
        'this release byte by byte. It shows the cost and asks before it spends anything. If it is interrupted, run it again to ' +
        'continue. Once it has finished, another run changes nothing. The price and the challenge period can never be changed.',
    );
  addSettings(addOutboundOptions(addWalletOptions(addCommonOptions(deploy))), clusterSection);
  addSettings(addSettings(deploy, urlSection), deploySection).action((options: DeployOptions) => run(withUrl(options)));
}

async function run(options: DeployOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const walletPath = walletFile(options);
  const wallet = await readKeyFile(walletPath);
  const folder = path.dirname(walletPath);
  const programKeyFile = options.programKey ?? path.join(folder, PROGRAM_KEY_FILE);
  const bufferKeyFile = path.join(folder, BUFFER_KEY_FILE);
  const program = await readOrMakeKey(programKeyFile);
  using lifecycle = watchLifecycle();
  await using opened = openLedger({ ...options, program: walletAddress(program) });
  const { ledger } = opened;
  const deployment = new Deployment({
    ledger,
    wallet,
    program,
    buffer: await readOrMakeKey(bufferKeyFile),
    file: await readFile(programFile()),
    bank: {
      unitsPerLamport: BigInt(options.unitsPerLamport),
      challengeSeconds: BigInt(options.challengeSeconds),
    },
    acceptAdmin: options.acceptAdmin,
    final: options.final === true,
  });
  const cluster = await readCluster(ledger);
  const plan = await deployment.plan();
  const before = await ledger.balances(walletAddress(wallet));
  output.line(
    properties([
      ['cluster', `${cluster.name ?? 'none of the public ones'}, genesis ${cluster.genesisHash}`],
      ['wallet', `${walletAddress(wallet)}, ${formatSol(before.lamports)} SOL`],
      ['program', `${ledger.programId}, key in ${programKeyFile}`],
      ...costRows(plan),
    ]),
  );
  if (plan.transactions > 0) await requireConsent(options, output);
  const result = await carryOut(deployment, plan, output, lifecycle.signal);
  // Its account is gone: the loader turned it into the program.
  await rm(bufferKeyFile, { force: true });
  const after = await ledger.balances(walletAddress(wallet));
  const fees = lamports(result.transactions.reduce((sum, one) => sum + one.feeLamports, 0n));
  output.value({
    ...resultValue(result),
    genesisHash: cluster.genesisHash,
    programKeyFile,
    planned: planValue(plan),
    feeLamports: fees.toString(),
    signatures: result.transactions.map(({ signature }) => signature),
    before: { lamports: before.lamports.toString() },
    after: { lamports: after.lamports.toString() },
  });
  output.line(
    result.transactions.length === 0
      ? '\nEverything is there already: nothing was sent.\n'
      : `\nDone in ${counted(result.transactions.length, 'transaction')}.\n`,
  );
  output.line(
    properties([
      ...resultRows(result),
      ['fees', `${formatSol(fees)} SOL`],
      ['SOL', `${formatSol(before.lamports)} -> ${formatSol(after.lamports)}`],
    ]),
  );
  output.line(`\nGive it to every command: --program ${result.programId}, or RELAYMINT_PROGRAM in the environment.`);
}

/** @throws RelaymintError INVALID_ARGUMENT when nobody can be asked; ABORTED when the answer is no. */
async function requireConsent(options: DeployOptions, output: Output): Promise<void> {
  if (options.yes === true) return;
  if (!canAsk()) {
    throw new RelaymintError(
      'INVALID_ARGUMENT',
      'A deployment spends SOL, and there is no terminal to confirm it on.',
      {
        remedy: 'Add --yes to deploy without confirmation.',
      },
    );
  }
  if (await confirm('\nDeploy?')) return;
  output.line('Nothing was deployed.');
  throw new RelaymintError('ABORTED', 'The answer was no.');
}

async function carryOut(
  deployment: Deployment,
  plan: DeploymentPlan,
  output: Output,
  signal: AbortSignal,
): Promise<DeploymentResult> {
  const progress = createProgress(STEP_TEXTS.write, output.json);
  output.line();
  try {
    return await deployment.run(plan, {
      signal,
      onStep: (step) => {
        progress.finish();
        output.line(`  ${STEP_TEXTS[step]} ..`);
      },
      onWritten: (bytes) => progress.update(bytes, plan.codeBytes),
    });
  } catch (error) {
    if (isRelaymintError(error, 'ABORTED')) output.line('  Interrupted. Run the same command again to continue.');
    throw error;
  } finally {
    progress.finish();
  }
}

function costRows(plan: DeploymentPlan): [string, string][] {
  if (plan.transactions === 0) return [];
  const written = plan.chunks - plan.missingChunks.length;
  const code =
    plan.program === 'deployed'
      ? 'is there already'
      : `${plan.codeBytes} bytes in ${counted(plan.chunks, 'transaction')}${written > 0 ? `, ${written} of them done` : ''}`;
  return [
    ['code', code],
    ['bank', plan.bank === 'initialized' ? 'is there already' : 'to be initialized'],
    ['rent', `${formatSol(plan.rentLamports)} SOL, locked for as long as the accounts exist`],
    ['fees', `${formatSol(plan.feeLamports)} SOL for ${counted(plan.transactions, 'transaction')}`],
    ['needed now', `${formatSol(plan.neededLamports)} SOL: both, and what a wallet must keep`],
  ];
}

function planValue(plan: DeploymentPlan): object {
  return {
    codeBytes: plan.codeBytes,
    chunks: plan.chunks,
    chunksToWrite: plan.program === 'deployed' ? 0 : plan.missingChunks.length,
    transactions: plan.transactions,
    feeLamports: plan.feeLamports.toString(),
    rentLamports: plan.rentLamports.toString(),
    neededLamports: plan.neededLamports.toString(),
  };
}

function resultValue(result: DeploymentResult): object {
  return {
    programId: result.programId,
    upgradeAuthority: result.upgradeAuthority ?? null,
    bank: result.bank,
    admin: result.admin,
    unitsPerLamport: result.unitsPerLamport.toString(),
    challengeSeconds: result.challengeSeconds.toString(),
  };
}

function resultRows(result: DeploymentResult): [string, string][] {
  return [
    ['program', result.programId],
    ['may be changed by', result.upgradeAuthority ?? 'nobody: it is final'],
    ['bank', `${result.bank}, initialized by ${result.admin}`],
    ['price', priceText(result.unitsPerLamport)],
    ['challenge period', durationText(Number(result.challengeSeconds))],
  ];
}
