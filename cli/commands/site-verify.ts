/** `relaymint site verify`: whether the hosts of a site have what they say they keep. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { MAX_REPLICAS } from '../../core/limits.ts';
import { amount, formatBytes, formatCredits, type Millis } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  count,
  durationBetween,
  flagsOnly,
  list,
  name as anyName,
  node as nodeGrammar,
  standard,
  type Section,
  type ValuesOf,
} from '../../app/config/index.ts';
import { baseSection, hostsWanted, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type * as VerifyModule from '../../app/roles/site-verify.ts';
import type { KeeperReport, SiteVerified } from '../../app/roles/site-verify.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, createStatus, table } from '../output.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';

/** Of this command and of `repair`. */
export interface AskingValues {
  readonly samples: number;
  readonly wait: Millis;
}

export const askingSection: Section<AskingValues> = flagsOnly({
  samples: standard(
    '--samples <n>',
    count(1, 1000),
    'blocks that each host is asked for, beside the root; each as likely as any other',
    '30',
  ),
  wait: standard('--wait <duration>', durationBetween('1s', '1h'), 'how long a host has to deliver them', '120s'),
});

const verifySection = flagsOnly({
  host: list('--host <node>', nodeGrammar, 'ask this host (repeatable; default: all that say they keep the name)'),
  replicas: standard(
    '--replicas <n>',
    count(1, MAX_REPLICAS),
    `hosts that are to keep it, 1 to ${MAX_REPLICAS}; the exit code is 1 if fewer do`,
    '1',
  ),
  relays: siteRole.settings.relays,
});

type VerifyOptions = CommonOptions & BaseValues & ValuesOf<typeof verifySection> & AskingValues;

export function siteVerifyCommand(site: Command): void {
  const command = site
    .command('verify')
    .summary('whether hosts have what they say they keep')
    .description(
      'Asks each host that says it keeps the name for the root and for blocks that are drawn at random, as a visitor would, and checks them.\n' +
        'A host that lacks a share p of the blocks is found with a chance of at least 1-(1-p)^n with n samples. It pays the hosts for what\n' +
        'they deliver. The exit code is 1 if fewer hosts pass than --replicas asks for; hosts that are leaving do not count.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText(
      'after',
      '\nExample:\n  relaymint site verify demo.web3 --replicas 2 --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addSettings(addCommonOptions(command), verifySection), askingSection);
  addSettings(command, baseSection(siteRole)).action(run);
}

async function run(name: string, options: VerifyOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { verify } = await loadVerify();
  const status = createStatus(output.json);
  const verified = await verify(node, {
    name,
    hosts: options.host,
    replicas: hostsWanted(options),
    samples: options.samples,
    relays: options.relays,
    waitMillis: options.wait,
    signal: lifecycle.signal,
    onHost: (done, hosts) => status.show(`${done} of ${counted(hosts, 'host')} asked`),
  }).finally(() => status.clear());
  output.value(verified);
  output.line(verifiedText(verified));
  if (verified.keeping < verified.wanted) process.exitCode = 1;
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function loadVerify(): Promise<typeof VerifyModule> {
  return import('../../app/roles/site-verify.ts');
}

export function verifiedText(verified: SiteVerified): string {
  const { name, cid, keeping, wanted, hosts, blocks, unread, unasked, samples, cost } = verified;
  const head = `${name}, content ${cid}: ${counted(keeping, 'host')} of ${wanted} wanted ${keeping === 1 ? 'keeps' : 'keep'} it.`;
  if (hosts.length === 0) return `${head}\nNo host says that it keeps the name.`;
  const lines = [head, keepersTable(hosts)];
  lines.push(`${chanceText(samples, blocks)} Asking cost ${formatCredits(amount(BigInt(cost)))} credits.`);
  if (unread > 0) lines.push(`${counted(unread, 'block')} that no host delivers: what is below is not known.`);
  if (unasked > 0) lines.push(`Hosts that claim it and were not asked: ${unasked}. Name them with --host.`);
  return lines.join('\n');
}

export function keepersTable(hosts: readonly KeeperReport[]): string {
  return table(
    [
      ['HOST', 'WHAT', 'BLOCKS', 'BYTES', 'TIME', 'CREDITS', ''],
      ...hosts.map((report) => [
        report.host,
        whatText(report),
        `${report.delivered} of ${report.asked}`,
        formatBytes(report.bytes),
        `${(report.millis / 1000).toFixed(1)} s`,
        formatCredits(amount(BigInt(report.cost))),
        whyText(report),
      ]),
    ],
    [2, 3, 4, 5],
  );
}

function whyText({ why, refused }: KeeperReport): string {
  return refused === undefined ? (why?.message ?? '') : `It did not take it: ${refused.message}`;
}

function whatText({ result, leaving }: KeeperReport): string {
  if (result === 'lacks') return 'lacks blocks';
  if (result === 'silent') return 'does not answer';
  return leaving ? 'keeps it, is leaving' : 'keeps it';
}

/** What passing says about a host. */
function chanceText(samples: number, blocks: number): string {
  if (samples >= blocks) return 'Each was asked for all blocks.';
  const missed = 0.9 ** samples * 100;
  return `Of the hosts that lack a tenth of the ${counted(blocks, 'block')}, ${missed.toFixed(1)} % pass at most.`;
}
