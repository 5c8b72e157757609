/** `relaymint site history`: what was published under a name from a data folder. */
import path from 'node:path';
import type { Command } from 'commander';
import { formatBytes } from '../../core/units.ts';
import { defaultDataDir, name as anyName, optional, place, type Section } from '../../app/config/index.ts';
import type * as RecordsModule from '../../app/roles/site-record.ts';
import type { HistoryEntry } from '../../app/roles/site-record.ts';
import type { ReaderOptions } from '../options.ts';
import { counted, createLog, createOutput, table } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { addReaderOptions, openLedger } from './transact.ts';

export interface SiteFolder {
  readonly data: string | undefined;
}

/** The folder of "relaymint site publish". */
export const siteFolderSection: Section<SiteFolder> = {
  data: optional('--data <dir>', place, 'the data folder from which it was published (default: ~/.relaymint/site)'),
};

export function siteFolderOf({ data }: SiteFolder): string {
  return path.resolve(data ?? defaultDataDir('site'));
}

export function siteHistoryCommand(site: Command): void {
  const command = site
    .command('history')
    .summary('what was published under a name')
    .description(
      'Lists what was published under a name from this data folder, newest first, and which of it the name points to now. The numbers\n' +
        'stay what they are; "relaymint site rollback" takes them.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText('after', '\nExample:\n  relaymint site history demo.web3\n');
  addSettings(addReaderOptions(command), siteFolderSection).action(run);
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
export function loadRecords(): Promise<typeof RecordsModule> {
  return import('../../app/roles/site-record.ts');
}

async function run(name: string, options: ReaderOptions & SiteFolder): Promise<void> {
  const output = createOutput(options.json === true);
  const { siteHistory } = await loadRecords();
  await using opened = openLedger(options);
  const log = createLog(options.logLevel, 'site');
  const { entries } = await siteHistory({ name, dataDir: siteFolderOf(options), ledger: opened.ledger, log });
  output.value({ name, entries });
  if (entries.length === 0) output.line(`Nothing was published as ${name} from here.`);
  else output.line(historyTable(entries));
  if (entries.some(({ current }) => current === null)) {
    output.line('\nThe ledger does not answer: which of them the name points to is not known.');
  }
}

export function historyTable(entries: readonly HistoryEntry[]): string {
  return table(
    [
      ['NO', 'WHEN', 'WHAT', 'FILES', 'BYTES', 'CONTENT', ''],
      ...entries.map((entry) => [
        String(entry.number),
        timeText(entry.at),
        entry.step,
        entry.files === undefined ? '' : counted(entry.files, 'file'),
        entry.bytes === undefined ? '' : formatBytes(entry.bytes),
        entry.cid ?? 'nothing',
        remarksOf(entry),
      ]),
    ],
    [0, 3, 4],
  );
}

/** UTC, to the second. */
export function timeText(millis: number): string {
  return `${new Date(millis).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function remarksOf({ current, kept, cid, transaction }: HistoryEntry): string {
  return [
    ...(current === true ? ['now'] : []),
    ...(kept === false && cid !== null ? ['no longer kept here'] : []),
    ...(transaction === null && current !== true ? ['not confirmed'] : []),
  ].join(', ');
}
