/** `relaymint settlements`: the receipts that a node settled and what it withdrew, one per line. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { shortId } from '../../core/ids.ts';
import { MAX_SETTLED_KEPT } from '../../core/limits.ts';
import { amount, formatBytes, formatCredits } from '../../core/units.ts';
import { callControl, runningNode, type SettledList } from '../../app/control/index.ts';
import { SETTLEMENTS_FILE, settledList } from '../../app/node/index.ts';
import { readSettlementHistory, type JournalEntryText } from '../../ledger/settlement/index.ts';
import { createPolicy } from '../../node/transport/index.ts';
import {
  count,
  flagsOnly,
  nodeFolderSection,
  standard,
  type NodeFolder,
  type ValuesOf,
} from '../../app/config/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, table } from '../output.ts';
import { addSettings } from '../settings.ts';

const settlementsSection = flagsOnly({
  last: standard('--last <n>', count(1, MAX_SETTLED_KEPT), 'how many', '20'),
});

type SettlementsOptions = CommonOptions & NodeFolder & ValuesOf<typeof settlementsSection>;

export function settlementsCommand(program: Command): void {
  const command = program
    .command('settlements')
    .summary('list what a node settled and withdrew: when, for whom, in which transaction')
    .description(
      'Lists the receipts that a node settled, newest last: what each one moved and for how many bytes since the previous one on its\n' +
        "channel, and its part of the transaction's fee and of the royalties. What the node withdrew from its till to its wallet is in the\n" +
        'list as well. Works on a stopped node too.',
    );
  addSettings(addSettings(addCommonOptions(command), nodeFolderSection), settlementsSection).action(
    async (options: SettlementsOptions) => {
      const output = createOutput(options.json === true);
      const { settlements, damaged } = await listOf(options.data);
      const shown = settlements.slice(-options.last);
      output.value({ settlements: shown, damaged });
      output.line(render(shown, settlements.length));
      if (damaged > 0) output.line(`${counted(damaged, 'line')} of ${SETTLEMENTS_FILE} cannot be read.`);
    },
  );
}

/** From the node while it runs, otherwise from its folder. @throws RelaymintError FILE_NOT_FOUND, STORAGE_FAILED. */
async function listOf(dataDir: string): Promise<SettledList> {
  const fetcher = createPolicy({ transports: [], outbound: 'loopback' }).fetch('control');
  const running = await runningNode(dataDir, fetcher);
  if (running !== undefined) return callControl(fetcher, running.control, 'settlements');
  await access(dataDir).catch((cause: unknown) => {
    throw new RelaymintError('FILE_NOT_FOUND', `There is no folder ${dataDir}.`, {
      remedy: 'With --data, name the data folder of a node that has run.',
      cause,
    });
  });
  return settledList(await readSettlementHistory(path.join(dataDir, SETTLEMENTS_FILE)));
}

function render(shown: readonly JournalEntryText[], all: number): string {
  if (shown.length === 0) return 'Nothing has been settled yet.';
  const receipts = shown.filter(({ kind }) => kind === 'receipt');
  const withdrawals = shown.filter(({ kind }) => kind === 'withdrawal');
  const lines = [
    table(
      [
        ['  WHEN', 'PAYER', 'CHANNEL', 'UP', 'DOWN', 'CREDITS', 'ROYALTIES', 'LAMPORTS', 'TRANSACTION'],
        ...shown.map(row),
      ],
      [3, 4, 5, 6, 7],
    ),
    '',
    `${counted(receipts.length, 'receipt')}, ${sumOf(receipts)} credits in all.`,
  ];
  if (withdrawals.length > 0) {
    lines.push(`${counted(withdrawals.length, 'withdrawal')} to the wallet, ${sumOf(withdrawals)} credits in all.`);
  }
  if (shown.length < all) lines.push(`These are the newest ${shown.length} of ${all}: --last shows more.`);
  return lines.join('\n');
}

function row(one: JournalEntryText): readonly string[] {
  const when = `  ${new Date(one.at).toISOString().slice(0, 19)}Z`;
  const fee = one.feeLamports ?? '?';
  if (one.kind === 'withdrawal') {
    return [when, 'to the wallet', '', '', '', credits(one.amount), '', fee, one.signature];
  }
  return [
    when,
    shortId(one.payer),
    shortId(one.channel),
    formatBytes(Number(one.up)),
    formatBytes(Number(one.down)),
    credits(one.amount),
    one.royalties === null ? '?' : credits(one.royalties),
    fee,
    one.signature,
  ];
}

function sumOf(entries: readonly JournalEntryText[]): string {
  return formatCredits(amount(entries.reduce((total, one) => total + BigInt(one.amount), 0n)));
}

function credits(value: string): string {
  return formatCredits(amount(BigInt(value)));
}
