/** `relaymint map pack`: tiles as one PMTiles archive. */
import { lstat } from 'node:fs/promises';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { flagsOnly, toggle, type ValuesOf } from '../../app/config/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { packMap } from '../../sites/map/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { printable } from '../../core/printable.ts';
import { counted, createOutput, createSteps } from '../output.ts';
import { addSettings } from '../settings.ts';

const packSection = flagsOnly({
  force: toggle('--force', 'replace the archive when it is there'),
});

type PackOptions = CommonOptions & ValuesOf<typeof packSection>;

/** Tiles between two looks at the progress. */
const STEP = 64;
/** Files that were left out, for people; all are in --json. */
const SHOWN = 5;

export function mapPackCommand(map: Command): void {
  const command = map
    .command('pack')
    .summary('pack tiles into a PMTiles archive')
    .description(
      'Packs a folder of tiles (zoom/column/row.mvt, .pbf, .png, .jpg, .webp or .avif, rows from the north) or an MBTiles file into one\n' +
        'PMTiles archive, of which pages fetch the tiles that they show. The same tiles give the same archive, and so the same address.\n' +
        'The archive appears whole or not at all.',
    )
    .argument('<input>', 'the folder of tiles, or the MBTiles file')
    .argument('<out>', 'the archive to write')
    .addHelpText('after', '\nExample:\n  relaymint map pack ./tiles ./public/harbour.pmtiles\n');
  addSettings(addCommonOptions(command), packSection).action(run);
}

async function run(input: string, file: string, options: PackOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  if (options.force !== true) await requireNothing(file);
  const steps = createSteps('Packing', output.json);
  const packed = await packMap(input, file, {
    signal: lifecycle.signal,
    onProgress: (done, total) => {
      if (done % STEP === 0) steps.update(done, total, `${done} of ${total} tiles`);
    },
  }).finally(() => steps.finish());
  const { tiles, contents, minZoom, maxZoom, bytes, leftOut } = packed;
  output.value({ file, ...packed });
  output.line(
    `${counted(tiles, 'tile')} (${contents} different), zooms ${minZoom} to ${maxZoom}: ${formatBytes(bytes)} in ${file}`,
  );
  if (leftOut.length > 0) output.line(leftOutFiles(leftOut));
}

/** Files in a folder that are no tiles. */
export function leftOutFiles(names: readonly string[]): string {
  const more = names.length > SHOWN ? `, and ${names.length - SHOWN} more` : '';
  return printable(`Left out, being no tiles: ${names.slice(0, SHOWN).join(', ')}${more}.`);
}

async function requireNothing(file: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined) return;
  throw new RelaymintError('FILE_EXISTS', `${file} is there already.`, {
    remedy: 'Name another file, or replace it with --force.',
  });
}
