/** `relaymint site export`: what a name points to, as a CAR file. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { MAX_RELAYS } from '../../core/limits.ts';
import { amount, formatBytes, formatCredits } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  count,
  flagsOnly,
  list,
  name as anyName,
  node as nodeGrammar,
  standard,
  type ValuesOf,
} from '../../app/config/index.ts';
import { openNode } from '../../app/node/index.ts';
import { baseSection, settingsOf, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type * as ExportModule from '../../app/roles/site-export.ts';
import type * as VerifyModule from '../../app/roles/site-verify.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createLog, createOutput, createProgress } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { openLedger } from './transact.ts';

const exportSection = flagsOnly({
  host: list(
    '--host <node>',
    nodeGrammar,
    'fetch it from this host (repeatable; default: those that say they keep the name)',
  ),
  relays: standard('--relays <n>', count(0, MAX_RELAYS), `paid relays between you and a host, 0 to ${MAX_RELAYS}`, '0'),
});

type ExportOptions = CommonOptions & BaseValues & ValuesOf<typeof exportSection>;

export function siteExportCommand(site: Command): void {
  const command = site
    .command('export')
    .summary('write what a name points to into a CAR file')
    .description(
      'Writes all blocks of what the name points to into a CAR file, which IPFS tools read and "relaymint site publish" takes: from the data\n' +
        'folder if that has them (of a publisher, or of a host that is stopped), otherwise from hosts, which are paid. Every block is checked.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .argument('<file>', 'the CAR file; replaced when it is there, once all of it is written')
    .addHelpText(
      'after',
      '\nExample:\n  relaymint site export demo.web3 demo.car --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addSettings(addCommonOptions(command), exportSection), baseSection(siteRole)).action(run);
}

async function run(name: string, file: string, options: ExportOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const { signal } = lifecycle;
  const role = { ...siteRole, terms: () => ({}) };
  const settings = settingsOf(role, options, (label) => createLog(options.logLevel, label));
  const { exportFetched, exportKept, rootOf } = await load();
  const writing = createProgress('Writing', output.json);
  const root = await rootNamed(name, options, rootOf);
  const parts = { name, root, file, signal, onBytes: (bytes: number) => writing.update(bytes, undefined) };
  const fetched = async (): Promise<ExportModule.SiteExported> => {
    await using stack = new AsyncDisposableStack();
    const node = stack.use(await openNode(settings, signal));
    await node.announce(signal);
    return await exportFetched(node, parts, { hosts: options.host, relays: options.relays });
  };
  const exported = await exportKept(parts, settings)
    .then(async (kept) => kept ?? (await fetched()))
    .finally(() => writing.finish());
  output.value(exported);
  const cost = exported.from === 'hosts' ? ` It cost ${formatCredits(amount(BigInt(exported.cost)))} credits.` : '';
  output.line(
    `${name}, content ${exported.cid}: ${counted(exported.blocks, 'block')} from ${exported.from === 'hosts' ? 'hosts' : 'the data folder'}, ${formatBytes(exported.size)} in ${file}.${cost}`,
  );
}

async function rootNamed(
  name: string,
  options: ExportOptions,
  rootOf: typeof VerifyModule.rootOf,
): Promise<ExportModule.ExportParts['root']> {
  await using opened = openLedger(options);
  return rootOf(name, await opened.ledger.name(name));
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
async function load(): Promise<
  Pick<typeof ExportModule, 'exportFetched' | 'exportKept'> & Pick<typeof VerifyModule, 'rootOf'>
> {
  const [{ exportFetched, exportKept }, { rootOf }] = await Promise.all([
    import('../../app/roles/site-export.ts'),
    import('../../app/roles/site-verify.ts'),
  ]);
  return { exportFetched, exportKept, rootOf };
}
