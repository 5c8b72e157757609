/** `relaymint route history`: the updates of a name that a host keeps. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { formatBytes } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { flagsOnly, name as anyName, node as nodeGrammar, optional, type ValuesOf } from '../../app/config/index.ts';
import { baseSection, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type * as LiveModule from '../../app/roles/live-updates.ts';
import type { UpdateHistory } from '../../app/roles/live-updates.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createOutput, table } from '../output.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { timeText } from './site-history.ts';

const { relays } = siteRole.settings;
const historySection = flagsOnly({
  host: optional('--host <node>', nodeGrammar, 'ask this host (default: one that says it keeps the name)'),
  relays,
});

type HistoryOptions = CommonOptions & BaseValues & ValuesOf<typeof historySection>;

export function routeHistoryCommand(route: Command): void {
  const command = route
    .command('history')
    .summary('the updates of a name that a host keeps')
    .description(
      'Asks one host for the updates of a name that it keeps, newest first, and checks them. Hosts keep the newest and a few before it.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText(
      'after',
      '\nExample:\n  relaymint route history ferry.route --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addCommonOptions(command), historySection);
  addSettings(command, baseSection(siteRole)).action(run);
}

async function run(name: string, options: HistoryOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { updateHistory } = await load();
  const { host, relays: between } = options;
  const history = await updateHistory(node, { name, host, relays: between, signal: lifecycle.signal });
  output.value(history);
  output.line(updatesText(history));
}

export function updatesText({ name, host, updates }: UpdateHistory): string {
  if (updates.length === 0) return `The host ${host} keeps no update of ${name}.`;
  const rows = updates.map(({ sequence, created, expires, mediaType, bytes, state }) => [
    String(sequence),
    timeText(created),
    expires === undefined ? '' : timeText(expires),
    formatBytes(bytes),
    mediaType ?? '',
    { counts: '', over: 'over', foreign: 'not signed by who has the name' }[state],
  ]);
  const head = ['NUMBER', 'MADE', 'COUNTS UNTIL', 'BYTES', 'TYPE', ''];
  return `${name} at the host ${host}:\n${table([head, ...rows], [0, 3])}`;
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function load(): Promise<typeof LiveModule> {
  return import('../../app/roles/live-updates.ts');
}
