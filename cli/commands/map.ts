/** `relaymint map`: tile sets, before they are published. */
import type { Command } from 'commander';
import { mapPackCommand } from './map-pack.ts';
import { mapShowCommand } from './map-show.ts';

export function mapCommand(program: Command): void {
  const map = program
    .command('map')
    .summary('pack and look at maps (sets of tiles)')
    .description('Tools for publishers of maps: from tiles to one file that is published like any other.');
  mapPackCommand(map);
  mapShowCommand(map);
}
