/** `relaymint books`: checks what a stopped node keeps of its channels, and restores what it lost. */
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { formatCredits } from '../../core/units.ts';
import { inspectBooks, openBookStore, type Inspection } from '../../ledger/accounting/index.ts';
import { importReceipts, readReceiptFile, type ImportedReceipts } from '../../ledger/settlement/index.ts';
import { openSolanaLedger } from '../../ledger/solana/index.ts';
import { place, required, type NodeFolder, type Section } from '../../app/config/index.ts';
import {
  addCommonOptions,
  addLedgerOptions,
  type CommonOptions,
  type LedgerOptions,
  addOutboundOptions,
  outboundOf,
  type OutboundOptions,
} from '../options.ts';
import { counted, createLog, createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';
import { BOOKS_DIRECTORY, openOutbound } from '../../app/node/index.ts';

const booksSection: Section<NodeFolder> = { data: required('--data <dir>', place, 'data folder of the node') };

type BooksOptions = CommonOptions & NodeFolder;

export function booksCommand(program: Command): void {
  const books = program
    .command('books')
    .summary('check the books of a stopped node, and import receipts into them')
    .description(
      'The books say who owes what: the newest receipt of each channel, what names earned, settlements under way. They are on\n' +
        'disk twice, and a node repairs one copy from the other when it starts. Stop the node before these commands.',
    );
  const checking = books
    .command('check')
    .summary('show what is in the books and what is damaged')
    .description('Reads both copies of the books and changes nothing. The exit code is 1 when something is damaged.');
  addSettings(addCommonOptions(checking), booksSection).action(check);
  const importing = books
    .command('import')
    .argument('<file>', 'receipt file that the node wrote with --export-receipts')
    .summary('import receipts that the books lost')
    .description(
      'Imports each receipt of the file that is newer than what the books hold. Signatures are verified, and channels are\n' +
        'read from the ledger.',
    );
  addSettings(addOutboundOptions(addLedgerOptions(addCommonOptions(importing))), booksSection).action(importFile);
}

function directoryOf({ data }: BooksOptions): string {
  return path.join(data, BOOKS_DIRECTORY);
}

async function check(options: BooksOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const directory = directoryOf(options);
  const found = await inspectBooks(directory);
  if (found.absent) {
    throw new RelaymintError('FILE_NOT_FOUND', `There are no books in ${directory}.`, {
      remedy: 'With --data, name the data folder of a node that has run.',
    });
  }
  const { channels, held, heldAmount, damaged, complete, missing } = found;
  output.value({
    directory,
    channels,
    receipts: held,
    amount: heldAmount.toString(),
    damaged: damaged.map(({ copy, faults }) => ({ copy, faults })),
    complete,
    missing: { records: missing.records, amount: missing.worth.toString(), unreadable: missing.keys },
  });
  output.line(render(directory, found));
  if (damaged.length > 0 || !complete) process.exitCode = 1;
}

function render(directory: string, { channels, held, heldAmount, damaged, complete, missing }: Inspection): string {
  const lines = [
    `${directory}: ${counted(channels, 'channel')}, ${counted(held, 'receipt')} held, ${formatCredits(heldAmount)} credits in all since they were opened.`,
  ];
  for (const { copy, faults } of damaged) lines.push(`Damaged copy (${copy}): ${faults.join('; ')}.`);
  if (!complete) {
    lines.push(
      `Missing: at least ${counted(missing.records, 'record')}, ${formatCredits(missing.worth)} credits in receipts.`,
      ...missing.keys.map((key) => `  cannot be read: ${key}`),
      'Payers send their newest receipts when they connect; "relaymint books import" reads them from a receipt file.',
    );
  } else if (damaged.length > 0) {
    lines.push('Nothing is missing: the other copy is complete, and the next start rebuilds the damaged one from it.');
  } else {
    lines.push('Both copies are whole.');
  }
  return lines.join('\n');
}

async function importFile(file: string, options: BooksOptions & LedgerOptions & OutboundOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const log = createLog(options.logLevel, 'books');
  const receipts = await readReceiptFile(path.resolve(file));
  await using outbound = openOutbound(outboundOf(options), log);
  const reader = openSolanaLedger({
    url: options.ledger,
    programId: options.program,
    fetch: outbound.policy.fetch('ledger'),
    log,
  });
  await using store = await openBookStore(directoryOf(options), { log });
  const imported = await importReceipts({ store, reader, program: options.program, file: receipts });
  output.value({ receipts: receipts.receipts.length, ...imported });
  output.line(summary(imported));
}

function summary({ taken, known, closed, invalid }: ImportedReceipts): string {
  return [
    `Imported ${counted(taken, 'receipt')}; for ${known} the books hold the same or a newer one.`,
    ...(closed > 0
      ? [`${counted(closed, 'receipt')} for closed channels: nothing of that can be settled any more.`]
      : []),
    ...(invalid > 0 ? [`${counted(invalid, 'receipt')} not signed by the payer, or for more than its deposit.`] : []),
  ].join('\n');
}
