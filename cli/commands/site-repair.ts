/** `relaymint site repair`: brings a site back to as many hosts as are wanted. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { amount, formatBytes, formatCredits } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { flagsOnly, name as anyName, type ValuesOf } from '../../app/config/index.ts';
import { baseSection, hostsWanted, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type * as RepairModule from '../../app/roles/site-repair.ts';
import type { SiteRepaired } from '../../app/roles/site-repair.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, createProgress } from '../output.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { askingSection, keepersTable, type AskingValues } from './site-verify.ts';

const { host, replicas, relays } = siteRole.settings;
const repairSection = flagsOnly({ host, replicas, relays });

type RepairOptions = CommonOptions & BaseValues & ValuesOf<typeof repairSection> & AskingValues;

export function siteRepairCommand(site: Command): void {
  const command = site
    .command('repair')
    .summary('bring a site back to as many hosts as are wanted')
    .description(
      'Asks the hosts as "relaymint site verify" does, and brings what the name points to now to as many as are missing: from the data folder,\n' +
        'or from a host that has all of it. Hosts are sent what they lack, and count once they delivered blocks of it. The name is not changed.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText(
      'after',
      '\nExample:\n  relaymint site repair demo.web3 --replicas 3 --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addSettings(addCommonOptions(command), repairSection), askingSection);
  addSettings(command, baseSection(siteRole)).action(run);
}

async function run(name: string, options: RepairOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { repair } = await loadRepair();
  const uploading = createProgress('Sending', output.json);
  const repaired = await repair(node, {
    name,
    hosts: options.host,
    replicas: hostsWanted(options),
    samples: options.samples,
    relays: options.relays,
    waitMillis: options.wait,
    signal: lifecycle.signal,
    onUpload: ({ sentBytes }, totalBytes) => uploading.update(sentBytes, Math.max(totalBytes, sentBytes)),
  }).finally(() => uploading.finish());
  output.value(repaired);
  output.line(repairedText(repaired));
  if (repaired.keeping.length < repaired.wanted) process.exitCode = 1;
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function loadRepair(): Promise<typeof RepairModule> {
  return import('../../app/roles/site-repair.ts');
}

export function repairedText(repaired: SiteRepaired): string {
  const { name, before, keeping, wanted, hosts, source, sentBytes, cost } = repaired;
  const what =
    source === null
      ? 'Nothing had to be sent.'
      : `${formatBytes(sentBytes)} were sent, from ${source === 'hosts' ? 'what a host delivered' : 'the data folder'}.`;
  const lines = [
    `${name}: ${counted(keeping.length, 'host')} of ${wanted} wanted ${keeping.length === 1 ? 'keeps' : 'keep'} it, ${before.length} did before. ${what}`,
    ...(hosts.length > 0 ? [keepersTable(hosts)] : []),
    `Asking cost ${formatCredits(amount(BigInt(cost)))} credits.`,
  ];
  if (keeping.length < wanted) lines.push('Do it again when there are more hosts, or name them with --host.');
  return lines.join('\n');
}
