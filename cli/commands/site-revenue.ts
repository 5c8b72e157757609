/** `relaymint site revenue`: what a name earned, whose pages showed it, and who served it. */
import type { Command } from 'commander';
import { formatShare } from '../../core/grammar.ts';
import { amount, formatCredits, unixSeconds, type Millis } from '../../core/units.ts';
import { duration, flagsOnly, name as anyName, optional, place, type Section } from '../../app/config/index.ts';
import type * as RevenueModule from '../../app/roles/site-revenue.ts';
import type { RevenueRow, SiteRevenue } from '../../app/roles/site-revenue.ts';
import type { Stated } from '../../app/roles/stated.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import type { ReaderOptions } from '../options.ts';
import { counted, createOutput, createSteps, table } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { addReaderOptions, openLedger, properties } from './transact.ts';

interface RevenueOptions {
  readonly since: Millis | undefined;
  readonly inbox: string | undefined;
}

const revenueSection: Section<RevenueOptions> = flagsOnly({
  since: optional('--since <duration>', duration, 'only what was settled in that time, for example 7d (default: all)'),
  inbox: optional(
    '--inbox <dir>',
    place,
    "data folder of the owner's node with --inbox: also compare what hosts declared with what they signed for visitors",
  ),
});

export function siteRevenueCommand(site: Command): void {
  const command = site
    .command('revenue')
    .summary('what a name earned, by page and by host')
    .description(
      'Reads from the chain what each settlement gave a name: for its own content, on its own pages and on those of others, and for the\n' +
        'content of others that its pages showed. Sellers settle when it is worth a fee, so what was served lately may not be there yet.\n' +
        'Without --since all of it must come to what the record says; exit code 1 if it does not.\n' +
        'With --inbox, sellers are named that declared less than they signed for visitors, once they had a week to settle; exit code 1 too.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText(
      'after',
      '\nExamples:\n  relaymint site revenue demo.web3\n  relaymint site revenue dawn.image --since 7d --json\n' +
        '  relaymint site revenue demo.web3 --inbox ~/.relaymint/relay\n',
    );
  addSettings(addReaderOptions(command), revenueSection).action(run);
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function loadRevenue(): Promise<typeof RevenueModule> {
  return import('../../app/roles/site-revenue.ts');
}

async function run(name: string, options: ReaderOptions & RevenueOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const { siteRevenue, statementsIn } = await loadRevenue();
  const statements = options.inbox === undefined ? undefined : await statementsIn(options.inbox);
  await using opened = openLedger(options);
  const { ledger } = opened;
  const reading = createSteps('Reading', output.json);
  const since =
    options.since === undefined ? undefined : (await ledger.now()) - BigInt(Math.ceil(options.since / 1000));
  const revenue = await siteRevenue({
    ledger,
    name,
    ...(since !== undefined && { since: unixSeconds(since) }),
    statements,
    signal: lifecycle.signal,
    onProgress: (read, of) => reading.update(read, of, counted(of, 'transaction')),
  }).finally(() => reading.finish());
  output.value(revenue);
  output.line(revenueText(revenue));
  const isShort = revenue.statements?.some(({ verdict }) => verdict === 'little') === true;
  if (revenue.adds === false || isShort) process.exitCode = 1;
}

/** What people read. */
export function revenueText(revenue: SiteRevenue): string {
  const { name, accrued, lifetime, transactions, unread, total, adds, shownBy, showing, sellers } = revenue;
  const parts = [
    properties([
      ['earned', `${credits(total.earned)} credits${revenue.since === undefined ? '' : ' in that time'}`],
      ['in all', `${credits(lifetime)} credits, ${credits(accrued)} of them not paid out yet`],
      [
        'terms',
        `royalty ${formatShare(revenue.royaltyBps)}, ${formatShare(revenue.referrerBps)} of it for pages that show it`,
      ],
      ['read', counted(transactions, 'transaction')],
    ]),
    section(`${name} was shown in`, 'PAGE', shownBy, ({ referrer, referred }) => [
      referrer ?? 'its own pages',
      referrer === null ? '' : `${credits(referred)} went to it`,
    ]),
    section(`Its pages showed`, 'NAME', showing, (row) => [row.name, '']),
    section('Served by', 'WALLET', sellers, ({ seller }) => [seller, '']),
  ];
  if (total.settlements === 0) parts.push('  Nothing was settled for it.');
  if (unread > 0) {
    parts.push(
      `  The node does not say what happened in ${counted(unread, 'transaction')}: ask one that keeps all logs (--ledger).`,
    );
  } else if (adds === false) {
    parts.push(
      '  THIS DOES NOT ADD UP to what the record says: the node does not remember all of it. Ask another one (--ledger).',
    );
  } else if (adds === true) parts.push('  It adds up to what the record says.');
  if (revenue.statements !== undefined) parts.push(statementsText(revenue.statements));
  return parts.filter((part) => part !== '').join('\n\n');
}

function statementsText(all: readonly Stated[]): string {
  if (all.length === 0) return '  There are no statements of its hosts in the inbox.';
  const lines = all.map(({ seller, stated, recent, declared, statements, verdict }) => [
    `  ${seller}`,
    credits(stated),
    credits(recent),
    credits(declared),
    String(statements),
    VERDICTS[verdict],
  ]);
  const head = ['  WALLET', 'STATED', 'OF IT RECENT', 'DECLARED', 'STATEMENTS', ''];
  const named = all
    .filter(({ verdict }) => verdict === 'little')
    .map(
      ({ seller, stated, recent, declared, hosts }) =>
        `  ${seller} DECLARES TOO LITTLE: stated ${credits(String(BigInt(stated) - BigInt(recent)))}, declared ${credits(declared)} credits (host ${hosts.join(', ')}).`,
    );
  return [`  Signed for visitors, and declared\n${table([head, ...lines], [1, 2, 3, 4])}`, ...named].join('\n\n');
}

const VERDICTS: Readonly<Record<Stated['verdict'], string>> = {
  enough: '',
  little: 'too little',
  unknown: 'not all was read',
};

function section<Row extends RevenueRow>(
  title: string,
  first: string,
  rows: readonly Row[],
  words: (row: Row) => readonly [string, string],
): string {
  if (rows.length === 0) return '';
  const lines = rows.map((row) => {
    const [what, remark] = words(row);
    return [`  ${what}`, credits(row.earned), credits(row.gross), String(row.settlements), remark];
  });
  return `  ${title}\n${table([[`  ${first}`, 'EARNED', 'OF', 'SETTLEMENTS', ''], ...lines], [1, 2, 3])}`;
}

function credits(units: string): string {
  return formatCredits(amount(BigInt(units)));
}
