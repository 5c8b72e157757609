/** `relaymint site rollback`: a name points at what was published before. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { grammar, name as anyName, type ValuesOf } from '../../app/config/index.ts';
import { baseSection, hostsWanted, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, createProgress } from '../output.ts';
import { staleText } from './name-text.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { loadPublisher } from './site-publish.ts';

const { host, replicas, relays } = siteRole.settings;
const deliverySection = { host, replicas, relays };

type RollbackOptions = CommonOptions & BaseValues & ValuesOf<typeof deliverySection>;

export function siteRollbackCommand(site: Command): void {
  const command = site
    .command('rollback')
    .summary('point a name at what was published before')
    .description(
      'Points the name at an earlier root again: the one before the present one, or the one that is given. Its blocks are kept in the data\n' +
        'folder, for the last 8 roots of each name, and are brought to hosts again that let them go. Nothing that was published after it is lost.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .argument('[root]', 'a number or a CID of "relaymint site history"', argumentOf(grammar(parseTarget)))
    .addHelpText(
      'after',
      '\nExample:\n  relaymint site rollback demo.web3 3 --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addSettings(addCommonOptions(command), deliverySection, siteRole.name), baseSection(siteRole)).action(
    run,
  );
}

/** @throws RelaymintError INVALID_ARGUMENT */
function parseTarget(text: string): CID | number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  try {
    return CID.parse(text);
  } catch (cause) {
    throw new RelaymintError('INVALID_ARGUMENT', `"${text}" is neither a number nor a CID.`, {
      remedy: 'Give what "relaymint site history" lists.',
      cause,
    });
  }
}

async function run(name: string, to: CID | number | undefined, options: RollbackOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const uploading = createProgress('Sending', output.json);
  const wanted = hostsWanted(options);
  const { rollback } = await loadPublisher();
  const result = await rollback(node, {
    name,
    to,
    hosts: options.host,
    replicas: wanted,
    relays: options.relays,
    signal: lifecycle.signal,
    onUpload: ({ sentBytes }, totalBytes) => uploading.update(sentBytes, Math.max(totalBytes, sentBytes)),
  }).finally(() => uploading.finish());
  output.value(result);
  const was = result.record === 'unchanged' ? `${name} points there already` : `${name} points to ${result.cid} again`;
  const from = result.record === 'unchanged' ? '' : ` (was ${result.from ?? 'nothing'})`;
  output.line(
    `${was}${from}: ${counted(result.hosts.length, 'host')} ${result.hosts.length === 1 ? 'has' : 'have'} it, ${formatBytes(result.sentBytes)} were sent.`,
  );
  if (result.stale.length > 0) output.line(staleText(name, result));
  if (result.hosts.length < wanted) {
    output.line(`Only ${result.hosts.length} of ${wanted} hosts took it: do it again when there are more.`);
    process.exitCode = 1;
  }
}
