/** `relaymint site check`: what would be broken once a folder is published. */
import type { Command } from 'commander';
import { formatBytes } from '../../core/units.ts';
import { flagsOnly, newName, optional, place, toggle, type ValuesOf } from '../../app/config/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { requireDirectory } from '../../app/market/index.ts';
import { checkSite, type CheckReport, type Finding } from '../../sites/check/index.ts';
import { manifestFound, readManifestFile } from '../../sites/manifest/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { printable } from '../../core/printable.ts';
import { counted, createOutput, createSteps } from '../output.ts';
import { addSettings } from '../settings.ts';

const checkSection = flagsOnly({
  name: optional('--name <name>', newName, 'also look whether this name is taken for another one'),
  manifest: optional(
    '--manifest <file>',
    place,
    'also check the file that says whose it is, for "relaymint site publish --manifest" (default: public.manifest.json beside ./public, if it is there)',
  ),
  strict: toggle('--strict', 'fail on warnings too'),
});

type CheckOptions = CommonOptions & ValuesOf<typeof checkSection>;

/** Where none is given: its ending demands nothing of a manifest. */
const ANY_NAME = 'site.web3';
/** Findings that people are shown; all are in --json. */
const SHOWN = 50;
/** Files between two looks at the progress. */
const STEP = 64;

export function siteCheckCommand(site: Command): void {
  const command = site
    .command('check')
    .summary('find what would be broken once a folder is published')
    .description(
      'Looks through the folder as it would be published: names that visitors cannot type, files that pages and style sheets name and that are\n' +
        'not there, addresses of your own machine, _redirects that breaks its rules, files that are not what their names say, what is left\n' +
        'out, and limits. It fails when there are errors. Nothing is written, and nothing leaves the machine.',
    )
    .argument('<dir>', 'the folder')
    .addHelpText('after', '\nExample:\n  relaymint site check ./public --name demo.web3\n');
  addSettings(addCommonOptions(command), checkSection).action(run);
}

async function run(directory: string, options: CheckOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const steps = createSteps('Checking', output.json);
  const folder = await requireDirectory(directory);
  const manifest = options.manifest ?? (await manifestFound(directory));
  if (manifest !== undefined) await readManifestFile(manifest, options.name ?? ANY_NAME);
  const report = await checkSite(folder, {
    name: options.name,
    manifest,
    signal: lifecycle.signal,
    onProgress: ({ files, total, path }) => {
      if (files % STEP === 0) steps.update(files, total, path);
    },
  }).finally(() => steps.finish());
  const { errors, warnings, findings } = report;
  output.value({ folder: directory, ...(manifest !== undefined && { manifest }), ...report });
  for (const finding of findings.slice(0, SHOWN)) output.line(findingText(finding));
  if (findings.length > SHOWN) output.line(`.. and ${findings.length - SHOWN} more: --json has all of them.`);
  output.line(`${findings.length > 0 ? '\n' : ''}${summaryOf(report)}`);
  if (manifest !== undefined) output.line(`Its manifest ${manifest} is as it has to be.`);
  if (errors > 0 || (options.strict === true && warnings > 0)) process.exitCode = 1;
}

/** As compilers write it, so that editors find the line. */
export function findingText({ severity, file, line, message, remedy }: Finding): string {
  const place = [file, line].filter((part) => part !== undefined && part !== '').join(':');
  return printable(
    `${place === '' ? '' : `${place}: `}${severity}: ${message}${remedy === undefined ? '' : ` ${remedy}`}`,
  );
}

function summaryOf({ files, bytes, errors, warnings }: CheckReport): string {
  const found =
    errors + warnings === 0 ? 'nothing wrong' : `${counted(errors, 'error')}, ${counted(warnings, 'warning')}`;
  return `${counted(files, 'file')}, ${formatBytes(bytes)}: ${found}.`;
}
