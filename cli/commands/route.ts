/** `relaymint route`: live updates of names. */
import type { Command } from 'commander';
import { routeHistoryCommand } from './route-history.ts';
import { routeUpdateCommand } from './route-update.ts';
import { routeWatchCommand } from './route-watch.ts';

export function routeCommand(program: Command): void {
  const route = program
    .command('route')
    .summary('live updates of a name: say, watch, look back')
    .description(
      'Live data of a name, such as traffic: each update is signed by who has the name, takes the place of the one before, and ends by itself.',
    );
  routeUpdateCommand(route);
  routeWatchCommand(route);
  routeHistoryCommand(route);
}
