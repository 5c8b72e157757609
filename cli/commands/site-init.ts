/** `relaymint site init`: an empty folder becomes a small site. */
import type { Command } from 'commander';
import { flagsOnly, oneOf, optional, place, someWords, type ValuesOf } from '../../app/config/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { initSite, TEMPLATES } from '../../app/site/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';

const initSection = flagsOnly({
  template: oneOf('--template <name>', TEMPLATES, 'what kind of site (default: a page or two)'),
  title: optional('--title <text>', someWords, "what the template's site is called (default: as its folder)"),
  manifest: optional(
    '--manifest <file>',
    place,
    'where the manifest goes (default: beside the folder, public.manifest.json for ./public)',
  ),
});

/** In the place of the manifest's path. */
const NOWHERE =
  'is not said, because the folder above takes no files. Write a manifest elsewhere (docs/sites.md), and give it with --manifest.';

type InitOptions = CommonOptions & ValuesOf<typeof initSection>;

export function siteInitCommand(site: Command): void {
  const command = site
    .command('init')
    .summary('make a small site in an empty folder')
    .description(
      'Writes a front page, a page about the site, a page for what is missing, a style sheet and _redirects with examples; and beside\n' +
        'the folder a manifest, which says whose it is and what others may do with it. Nothing is overwritten: the folder is new, or has\n' +
        'nothing in it but names that begin with a dot. --template writes the files of a template instead, with its manifest, and in relaymint/ the\n' +
        'modules of the SDK that its pages use; nothing is fetched.',
    )
    .argument('[dir]', 'the folder, made when it is missing (default: this one)')
    .addHelpText(
      'after',
      '\nExamples:\n  relaymint site init ./public\n  relaymint site init ./forum --template forum --title "The Harbour Wall"\n',
    );
  addSettings(addCommonOptions(command), initSection).action(run);
}

async function run(given: string | undefined, options: InitOptions): Promise<void> {
  const folder = given ?? '.';
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const { manifest: wanted, template, title } = options;
  const { files, manifest } = await initSite(folder, { manifest: wanted, template, title, signal: lifecycle.signal });
  const said = quoted(folder);
  // They look for it beside the folder.
  const named = wanted === undefined ? '' : ` --manifest ${quoted(wanted)}`;
  const next = [
    `relaymint site preview ${said}${named}`,
    `relaymint site check ${said}${named}`,
    `relaymint site publish ${said} --name NAME.web3${manifest === undefined ? '' : ` --manifest ${quoted(manifest)}`}`,
  ];
  output.value({ folder, files, manifest, next });
  output.line(
    `${folder} is a site now: ${files.join(', ')}\n` +
      `Whose it is, and what others may do with it: ${manifest ?? NOWHERE}\n\nNext:\n${next.map((line) => `  ${line}`).join('\n')}`,
  );
}

/** As a shell takes it for one word. */
function quoted(folder: string): string {
  return /^[\w./~-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", String.raw`'\''`)}'`;
}
