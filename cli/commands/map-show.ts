/** `relaymint map show`: what is in a tile set. */
import type { Command } from 'commander';
import { formatBytes } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { describeMap } from '../../sites/map/index.ts';
import type { Bounds, Center, MapSummary } from '../../sites/map/contract.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { printable } from '../../core/printable.ts';
import { createOutput, table } from '../output.ts';
import { leftOutFiles } from './map-pack.ts';

export function mapShowCommand(map: Command): void {
  const command = map
    .command('show')
    .summary('look at a set of tiles')
    .description(
      'Says what is in a PMTiles archive, an MBTiles file or a folder of tiles. Of an archive, header and all directories are read and compared:\nit fails when they do not agree.',
    )
    .argument('<map>', 'the archive, the MBTiles file or the folder')
    .addHelpText('after', '\nExample:\n  relaymint map show ./public/harbour.pmtiles\n');
  addCommonOptions(command).action(run);
}

async function run(input: string, options: CommonOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const summary = await describeMap(input, lifecycle.signal);
  output.value({ map: input, ...summary });
  output.line(table(rowsOf(summary).map(([what, value]) => [what, printable(value)])));
  if (summary.leftOut.length > 0) output.line(leftOutFiles(summary.leftOut));
}

function rowsOf(summary: MapSummary): (readonly [string, string])[] {
  const { form, type, minZoom, maxZoom, bounds, center, tiles, contents, bytes, metadata } = summary;
  const told = ['name', 'description', 'attribution'].flatMap((key) => {
    const value = metadata[key];
    return typeof value === 'string' && value !== '' ? [[key, value] as const] : [];
  });
  return [
    ['form', form],
    ['tiles', `${tiles} of ${type}${contents === undefined ? '' : `, ${contents} different`}`],
    ['zooms', `${minZoom} to ${maxZoom}`],
    ['bounds', boundsText(bounds)],
    ['begins at', centerText(center)],
    ['size', formatBytes(bytes)],
    ...told,
  ];
}

function boundsText({ west, south, east, north }: Bounds): string {
  return [west, south, east, north].map((value) => value.toFixed(5)).join(', ');
}

function centerText({ longitude, latitude, zoom }: Center): string {
  return `${longitude.toFixed(5)}, ${latitude.toFixed(5)}, zoom ${zoom}`;
}
