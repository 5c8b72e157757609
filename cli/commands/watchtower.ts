/** `relaymint watchtower`: answers close requests for nodes that are offline. */
import path from 'node:path';
import type { Command } from 'commander';
import { formatCredits, formatSol, type Lamports } from '../../core/units.ts';
import type { Log } from '../../core/ports.ts';
import { createWatchtower, type Answer, type Look } from '../../ledger/settlement/index.ts';
import { openSolanaLedger } from '../../ledger/solana/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  defaultDataDir,
  durationBetween,
  feeSection,
  flagsOnly,
  place,
  standard,
  toggle,
  type ValuesOf,
} from '../../app/config/index.ts';
import {
  addCommonOptions,
  addLedgerOptions,
  addOutboundOptions,
  outboundOf,
  type CommonOptions,
  type LedgerOptions,
  type OutboundOptions,
} from '../options.ts';
import { addSettings } from '../settings.ts';
import { openOutbound, loadWalletKey } from '../../app/node/index.ts';
import { createLog, createOutput, type Output } from '../output.ts';

const watchtowerSection = flagsOnly({
  data: standard('--data <dir>', place, 'folder of its fee wallet (created if missing)', defaultDataDir('watchtower')),
  poll: standard(
    '--poll <duration>',
    durationBetween('1s', '1d'),
    'time between two checks; at most a quarter of the challenge period',
    '10s',
  ),
  once: toggle('--once', 'check once, settle what is needed, and exit'),
});

type WatchtowerCommandOptions = CommonOptions &
  LedgerOptions &
  OutboundOptions &
  ValuesOf<typeof watchtowerSection> &
  ValuesOf<typeof feeSection>;

/** What an account has to keep (890,880) and fees of some twenty answers; with less, the operator should send more. */
const LOW_LAMPORTS = 1_100_000n;

export function watchtowerCommand(program: Command): void {
  const command = program
    .command('watchtower')
    .argument('<file...>', 'receipt files that nodes write with --export-receipts')
    .summary('settle for nodes that are offline when their payers close channels')
    .description(
      'Watches the tills of the nodes whose receipts it is given. When a payer asks to close a channel that has settled less\n' +
        'than its newest receipt says, it settles that receipt before the challenge period ends. It needs no key of a node:\n' +
        'its own wallet pays the fees, and what it settles goes to the node.',
    );
  addSettings(addOutboundOptions(addLedgerOptions(addCommonOptions(command))), watchtowerSection);
  addSettings(command, feeSection)
    .addHelpText(
      'after',
      '\nExample:\n  relaymint relay --export-receipts /backup/relay.receipts\n  relaymint watchtower /backup/relay.receipts\n',
    )
    .action(run);
}

async function run(files: readonly string[], options: WatchtowerCommandOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const log = createLog(options.logLevel, 'watchtower');
  using lifecycle = watchLifecycle();
  await using outbound = openOutbound(outboundOf(options), log);
  const { policy } = outbound;
  const ledger = openSolanaLedger({
    url: options.ledger,
    programId: options.program,
    fetch: policy.fetch('ledger'),
    ...(options.maxPriorityFee === undefined ? {} : { maxPriorityFee: options.maxPriorityFee }),
    log,
  });
  const wallet = ledger.wallet(await loadWalletKey({ dataDir: options.data, seed: undefined, label: 'watchtower' }));
  const watchtower = createWatchtower({
    wallet,
    reader: ledger,
    program: options.program,
    files: files.map((file) => path.resolve(file)),
    pollMillis: options.poll,
    onAnswer: (answer) => tell(output, answer),
    log,
  });
  const { lamports } = await ledger.balances(wallet.address);
  warnWhenLow(lamports, wallet.address, log);
  const first = await watchtower.look(lifecycle.signal);
  if (options.once === true) return finish(output, first);
  for (const failure of first.failures) log.warn({ err: failure }, 'a till could not be watched');
  output.value({
    event: 'ready',
    wallet: wallet.address,
    lamports: lamports.toString(),
    payees: first.payees,
    receipts: first.receipts,
  });
  output.line(
    `Watching ${first.payees} ${first.payees === 1 ? 'till' : 'tills'}, ${first.receipts} receipts.\n` +
      `Fees are paid by ${wallet.address}, which has ${formatSol(lamports)} SOL.\nCtrl-C stops it.`,
  );
  await watchtower.run(lifecycle.signal);
}

function tell(output: Output, answer: Answer): void {
  const { payee, channels, amount, signature, feeLamports } = answer;
  output.value({
    event: 'answered',
    payee,
    channels,
    amount: amount.toString(),
    signature,
    feeLamports: feeLamports.toString(),
  });
  output.line(
    `Settled ${formatCredits(amount)} credits of ${channels.length} closing ${channels.length === 1 ? 'channel' : 'channels'} for ${payee}: ${signature}`,
  );
}

/** With --once. @throws RelaymintError the first failure of the check. */
function finish(output: Output, look: Look): void {
  const { payees, receipts, answers, failures } = look;
  output.value({ event: 'looked', payees, receipts, answers: answers.length, failures: failures.length });
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  if (answers.length === 0) output.line(`${receipts} receipts of ${payees} payees: nothing to answer.`);
}

function warnWhenLow(lamports: Lamports, address: string, log: Log): void {
  if (lamports >= LOW_LAMPORTS) return;
  log.warn({ wallet: address, sol: formatSol(lamports) }, 'the fee wallet is nearly empty: send it some SOL');
}
