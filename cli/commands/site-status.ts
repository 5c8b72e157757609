/** `relaymint site status`: where a name points, since when, and who keeps the content. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { unixSeconds } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { name as anyName } from '../../app/config/index.ts';
import { baseSection, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type { SiteStatus } from '../../app/roles/site-record.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { printable } from '../../core/printable.ts';
import { counted, createOutput } from '../output.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { dateText } from './name-text.ts';
import { loadRecords, timeText } from './site-history.ts';
import { properties } from './transact.ts';

type StatusOptions = CommonOptions & BaseValues;

export function siteStatusCommand(site: Command): void {
  const command = site
    .command('status')
    .summary('where a name points, and who keeps the content')
    .description(
      'Says what the name points to, since when and how long it is paid for, which hosts say in their offers that they keep it, and whether\n' +
        'it is what was published last from this data folder. It asks the nodes that --bootstrap names for offers, and pays for nothing.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText(
      'after',
      '\nExample:\n  relaymint site status demo.web3 --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addCommonOptions(command), baseSection(siteRole)).action(run);
}

async function run(name: string, options: StatusOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { siteStatus } = await loadRecords();
  const status = await siteStatus(node, name);
  output.value(status);
  output.line(statusText(status));
}

export function statusText(status: SiteStatus): string {
  const { name, registered, cid, since, seq, expiresAt, daysLeft, newest, isNewest, hosts, ours, owner } = status;
  if (!registered) return `Nobody has registered ${name}.`;
  const rows: (readonly [string, string])[] = [
    ['content', cid ?? 'nothing'],
    ['manifest', manifestText(status)],
    ['since', since === undefined ? `not from this data folder (change ${seq} of the name)` : timeText(since)],
    ['owner', `${owner}${ours === true ? ' (this wallet)' : ''}`],
    [
      'expires',
      expiresAt === undefined
        ? 'never'
        : `${dateText(unixSeconds(BigInt(expiresAt)))}, in ${counted(daysLeft ?? 0, 'day')}`,
    ],
    ['newest', newestText(newest, isNewest)],
    ['hosts', hosts.length === 0 ? 'none says that it keeps the name' : hosts.join(' ')],
  ];
  return `${name}\n${properties(rows)}`;
}

function manifestText({ manifest, cid }: Pick<SiteStatus, 'manifest' | 'cid'>): string {
  if (manifest === undefined) return 'none';
  if (cid === null) return `${manifest.cid}, whose terms wait for what is published next`;
  if (manifest.good === null) return `${manifest.cid}, published from another data folder`;
  return manifest.good ? manifest.cid : `${manifest.cid}, which visitors do not take: ${printable(manifest.why ?? '')}`;
}

function newestText(newest: SiteStatus['newest'], isNewest: boolean | undefined): string {
  if (newest === undefined) return 'nothing was published from this data folder';
  if (isNewest === true) return `yes: number ${newest.number} of this data folder`;
  return `no: this data folder last published number ${newest.number}, ${newest.cid ?? 'nothing'}`;
}
