/** `relaymint settlements`: the receipts that a node settled, one per line. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { shortId } from '../../core/ids.ts';
import { MAX_SETTLED_KEPT } from '../../core/limits.ts';
import { amount, formatBytes, formatCredits } from '../../core/units.ts';
import { callControl, runningNode, type SettledList } from '../../app/control/index.ts';
import { SETTLEMENTS_FILE, settledList } from '../../app/node/index.ts';
import { readSettlementHistory, type SettledReceiptText } from '../../ledger/settlement/index.ts';
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
    .summary('list what a node settled: when, for whom, in which transaction')
    .description(
      'Lists the receipts that a node settled, newest last: what each one moved and for how many bytes since the previous one on its\n' +
        "channel, and its part of the transaction's fee and of the royalties. Works on a stopped node too.",
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

function render(shown: readonly SettledReceiptText[], all: number): string {
  if (shown.length === 0) return 'Nothing has been settled yet.';
  const rows = shown.map((one) => [
    `  ${new Date(one.at).toISOString().slice(0, 19)}Z`,
    shortId(one.payer),
    shortId(one.channel),
    formatBytes(Number(one.up)),
    formatBytes(Number(one.down)),
    credits(one.amount),
    one.royalties === null ? '?' : credits(one.royalties),
    one.feeLamports ?? '?',
    one.signature,
  ]);
  const sum = shown.reduce((total, one) => total + BigInt(one.amount), 0n);
  return [
    table(
      [['  WHEN', 'PAYER', 'CHANNEL', 'UP', 'DOWN', 'CREDITS', 'ROYALTIES', 'LAMPORTS', 'TRANSACTION'], ...rows],
      [3, 4, 5, 6, 7],
    ),
    '',
    `${counted(shown.length, 'receipt')} of the newest ${all}, ${formatCredits(amount(sum))} credits in all.`,
  ].join('\n');
}

function credits(value: string): string {
  return formatCredits(amount(BigInt(value)));
}
