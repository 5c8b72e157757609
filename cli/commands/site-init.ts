/** `relaymint site init`: an empty folder becomes a small site. */
import type { Command } from 'commander';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { initSite } from '../../app/site/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createOutput } from '../output.ts';

export function siteInitCommand(site: Command): void {
  const command = site
    .command('init')
    .summary('make a small site in an empty folder')
    .description(
      'Writes a front page, a page about the site, a page for what is missing, a style sheet and _redirects with examples. Nothing is\n' +
        'overwritten: the folder is new, or has nothing in it but names that begin with a dot.',
    )
    .argument('[dir]', 'the folder, made when it is missing (default: this one)')
    .addHelpText('after', '\nExample:\n  relaymint site init ./public\n');
  addCommonOptions(command).action(run);
}

async function run(given: string | undefined, options: CommonOptions): Promise<void> {
  const folder = given ?? '.';
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const files = await initSite(folder, lifecycle.signal);
  const said = quoted(folder);
  const next = [
    `relaymint site preview ${said}`,
    `relaymint site check ${said}`,
    `relaymint site publish ${said} --name NAME.web3`,
  ];
  output.value({ folder, files, next });
  output.line(`${folder} is a site now: ${files.join(', ')}\n\nNext:\n${next.map((line) => `  ${line}`).join('\n')}`);
}

/** As a shell takes it for one word. */
function quoted(folder: string): string {
  return /^[\w./~-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", String.raw`'\''`)}'`;
}
