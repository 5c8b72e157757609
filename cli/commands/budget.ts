/** `relaymint budget`: what the sites that a running gateway shows may spend. */
import type { Command } from 'commander';
import { amount, formatCredits, type Amount } from '../../core/units.ts';
import { createPolicy } from '../../node/transport/index.ts';
import { callControl, orderControl, readControlFile, type SiteBudgetStats } from '../../app/control/index.ts';
import { credits, name, nodeFolderSection, type NodeFolder } from '../../app/config/index.ts';
import type { SiteOrder } from '../../ledger/budget/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createOutput, table } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';

type BudgetOptions = CommonOptions & NodeFolder;

export function budgetCommand(program: Command): void {
  const budget = program
    .command('budget')
    .summary('see what sites cost a running gateway, stop them, and change what they may cost')
    .description(
      'A site may cost --spend-limit-site of the gateway in an hour, unless it has a limit of its own. The front page of the gateway shows and does the same. What is said here holds over restarts.',
    );
  subcommand(budget, 'list', 'what sites spent in the last hour, and may').action(list);
  subcommand(budget, 'stop', 'from now on a site spends nothing: its downloads end, and nothing of it is shown')
    .argument('<name>', 'the site', argumentOf(name))
    .action((site: string, options: BudgetOptions) => order({ do: 'stop', name: site }, options));
  subcommand(budget, 'start', 'a site that was stopped may spend again, up to its limit')
    .argument('<name>', 'the site', argumentOf(name))
    .action((site: string, options: BudgetOptions) => order({ do: 'start', name: site }, options));
  subcommand(budget, 'limit', 'set what one site may cost in an hour, more or less than others')
    .argument('<name>', 'the site', argumentOf(name))
    .argument('[credits]', 'in an hour (default: what all sites may)', argumentOf(credits))
    .action((site: string, most: Amount | undefined, options: BudgetOptions) =>
      order({ do: 'limit', name: site, limit: most?.toString() ?? null }, options),
    );
}

function subcommand(parent: Command, called: string, summary: string): Command {
  return addSettings(
    addCommonOptions(
      parent
        .command(called)
        .summary(summary)
        .description(`${capital(summary)}.`),
    ),
    nodeFolderSection,
  );
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

async function list(options: BudgetOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const { fetcher, control } = await reach(options);
  const budgets = await callControl(fetcher, control, 'budgets');
  output.value(budgets);
  output.line(budgets.sites.length === 0 ? 'No site has spent anything in the last hour.' : render(budgets.sites));
}

async function order(what: SiteOrder, options: BudgetOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const { fetcher, control } = await reach(options);
  const site = await orderControl(fetcher, control, 'budget', what);
  output.value(site);
  output.line(
    site.stopped
      ? `${site.name} is stopped. Start it again with "relaymint budget start ${site.name}".`
      : `${site.name} may cost ${said(site.limit)} credits in an hour, and has cost ${said(site.spent)}.`,
  );
}

async function reach({
  data,
}: BudgetOptions): Promise<{ fetcher: typeof fetch; control: Awaited<ReturnType<typeof readControlFile>> }> {
  const policy = createPolicy({ transports: [], outbound: 'loopback' });
  return { fetcher: policy.fetch('control'), control: await readControlFile(data) };
}

function render(sites: readonly SiteBudgetStats[]): string {
  return table(
    [
      ['SITE', 'SPENT', 'LIMIT', 'STATE'],
      ...sites.map((site) => [site.name, said(site.spent), said(site.limit), stateOf(site)]),
    ],
    [1, 2],
  );
}

function stateOf({ stopped, hasOwnLimit, freesAt }: SiteBudgetStats): string {
  const free = freesAt === null ? [] : [`some of it free again at ${new Date(freesAt).toISOString()}`];
  return [...(stopped ? ['stopped'] : []), ...(hasOwnLimit ? ['a limit of its own'] : []), ...free].join(', ');
}

function said(units: string | undefined): string {
  return units === undefined ? 'unknown' : formatCredits(amount(BigInt(units)));
}
