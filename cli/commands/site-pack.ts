/** `relaymint site pack`: a folder as one CAR file. */
import path from 'node:path';
import type { Command } from 'commander';
import { formatBytes } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { requireDirectory } from '../../app/market/index.ts';
import { packSite } from '../../app/site/index.ts';
import { leftOutText } from '../left-out.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, createProgress } from '../output.ts';

export function sitePackCommand(site: Command): void {
  const command = site
    .command('pack')
    .summary('pack a folder into a CAR file')
    .description(
      'Packs the folder as it would be published: the same folder has the same CID as with other IPFS tools (profile unixfs-v1-2025), and\nthe same CAR file each time.',
    )
    .argument('<dir>', 'the folder')
    .argument('[file]', 'the CAR file to write; replaced when it is there (default: the name of the folder with .car)')
    .addHelpText('after', '\nExample:\n  relaymint site pack ./public public.car\n');
  addCommonOptions(command).action(run);
}

async function run(folder: string, given: string | undefined, options: CommonOptions): Promise<void> {
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
