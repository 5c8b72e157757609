/** `relaymint site preview`: folders and CAR files as visitors will see them. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { messageOf } from '../../core/errors.ts';
import {
  DEFAULT_GATEWAY_PORT,
  flagsOnly,
  newName,
  optional,
  place,
  port,
  standard,
  type ValuesOf,
} from '../../app/config/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { openPreview, type PreviewedSite } from '../../app/site/index.ts';
import { leftOutText } from '../left-out.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createLog, createOutput, createProgress } from '../output.ts';
import { addSettings } from '../settings.ts';

const previewSection = flagsOnly({
  manifest: optional(
    '--manifest <file>',
    place,
    'show the folder under this manifest (default: public.manifest.json beside ./public, if it is there)',
  ),
  name: optional('--name <name>', newName, "show the folder under this name (default: made of the folder's own)"),
  port: standard('--port <n>', port, 'where browsers connect; 0 for any free port', String(DEFAULT_GATEWAY_PORT)),
});

type PreviewOptions = CommonOptions & ValuesOf<typeof previewSection>;

export function sitePreviewCommand(site: Command): void {
  const command = site
    .command('preview')
    .summary('show folders and CAR files as visitors will see them')
    .description(
      'Serves folders and CAR files on this machine by the code of the gateway, without a node, a wallet or a ledger, under the terms of\ntheir manifests. Each is on an origin of its own; pages reload when their folder or manifest changes. All content is also at /ipfs/CID,\nas files, raw blocks, CAR and tar.',
    )
    .argument('<paths...>', 'folders, and CAR files')
    .addHelpText('after', '\nExample:\n  relaymint site preview ./public\n');
  addSettings(addCommonOptions(command), previewSection).action(run);
}

async function run(paths: readonly string[], options: PreviewOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const importing = createProgress('Importing', output.json);
  const preview = stack.use(
    await openPreview({
      paths,
      manifest: options.manifest,
      name: options.name,
      port: options.port,
      signal: lifecycle.signal,
      onImport: ({ bytes }) => importing.update(bytes, undefined),
      onChange: (site, error) => {
        output.value({
          event: error === undefined ? 'changed' : 'failed',
          ...valueOf(site),
          ...(error !== undefined && { message: messageOf(error) }),
        });
        output.line(
          error === undefined
            ? `Changed: ${site.path} is ${site.root.toString()} now`
            : `${site.path}: ${messageOf(error)}`,
        );
      },
      log: createLog(options.logLevel, 'preview'),
    }).finally(() => importing.finish()),
  );
  const { url, sites, remarks } = preview;
  output.value({ event: 'ready', gateway: url, sites: sites.map(valueOf), remarks });
  for (const remark of remarks) output.line(remark);
  for (const site of sites) {
    const under = site.manifest === undefined ? '' : `, under ${site.manifest}`;
    output.line(`${site.path}${under}\n  ${site.url}\n  ${url}ipfs/${site.root.toString()}/`);
    if (site.skipped.length > 0) output.line(leftOutText(site.skipped));
  }
  output.line('Ctrl-C stops it.');
  await lifecycle.ended;
}

function valueOf({ path, root, url, manifest }: PreviewedSite): object {
  return { path, cid: root.toString(), url, ...(manifest !== undefined && { manifest }) };
}
