/** `relaymint site`: what publishers of sites work with. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { messageOf } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { DEFAULT_GATEWAY_PORT, flagsOnly, port, standard, type ValuesOf } from '../../app/config/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { requireDirectory } from '../../app/market/index.ts';
import { openPreview, packSite, type PreviewedSite } from '../../app/site/index.ts';
import { leftOutText } from '../left-out.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createLog, createOutput, createProgress } from '../output.ts';
import { addSettings } from '../settings.ts';
import { siteCheckCommand } from './site-check.ts';

const previewSection = flagsOnly({
  port: standard('--port <n>', port, 'where browsers connect; 0 for any free port', String(DEFAULT_GATEWAY_PORT)),
});

type PreviewOptions = CommonOptions & ValuesOf<typeof previewSection>;

export function siteCommand(program: Command): void {
  const site = program
    .command('site')
    .summary('look at sites before they are published')
    .description('Tools for publishers of sites.');
  siteCheckCommand(site);
  const preview = site
    .command('preview')
    .summary('show folders and CAR files as visitors will see them')
    .description(
      'Serves folders and CAR files on this machine by the code of the gateway, without a node, a wallet or a ledger. Each is on an\norigin of its own; pages reload when their folder changes. All content is also at /ipfs/CID, as files, raw blocks, CAR and tar.',
    )
    .argument('<paths...>', 'folders, and CAR files')
    .addHelpText('after', '\nExample:\n  relaymint site preview ./public\n');
  addSettings(addCommonOptions(preview), previewSection).action(runPreview);

  const pack = site
    .command('pack')
    .summary('pack a folder into a CAR file')
    .description(
      'Packs the folder as it would be published: the same folder has the same CID as with other IPFS tools (profile unixfs-v1-2025), and\nthe same CAR file each time.',
    )
    .argument('<dir>', 'the folder')
    .argument('[file]', 'the CAR file to write; replaced when it is there (default: the name of the folder with .car)')
    .addHelpText('after', '\nExample:\n  relaymint site pack ./public public.car\n');
  addCommonOptions(pack).action(runPack);
}

async function runPack(folder: string, given: string | undefined, options: CommonOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const importing = createProgress('Importing', output.json);
  const file = given ?? `${path.basename(path.resolve(folder))}.car`;
  const packed = await packSite({
    folder: await requireDirectory(folder),
    file,
    signal: lifecycle.signal,
    onImport: ({ bytes }) => importing.update(bytes, undefined),
  }).finally(() => importing.finish());
  const { root, files, bytes, size, skipped } = packed;
  const cid = root.toString();
  output.value({ cid, file, files, bytes, size, skipped });
  output.line(`${counted(files, 'file')}, ${formatBytes(bytes)}, content ${cid}: ${formatBytes(size)} in ${file}`);
  if (skipped.length > 0) output.line(leftOutText(skipped));
}

async function runPreview(paths: readonly string[], options: PreviewOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const importing = createProgress('Importing', output.json);
  const preview = stack.use(
    await openPreview({
      paths,
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
    output.line(`${site.path}\n  ${site.url}\n  ${url}ipfs/${site.root.toString()}/`);
    if (site.skipped.length > 0) output.line(leftOutText(site.skipped));
  }
  output.line('Ctrl-C stops it.');
  await lifecycle.ended;
}

function valueOf({ path, root, url }: PreviewedSite): object {
  return { path, cid: root.toString(), url };
}
