/** `relaymint tor ..`: our own tor process, and connections through it. */
import type { Command } from 'commander';
import { torNetworkCommands } from './tor-network.ts';
import { torDaemonCommands } from './tor-daemon.ts';

export function torCommand(program: Command): void {
  const tor = program
    .command('tor')
    .summary('run tor for Relaymint, inspect it, and reach nodes through it')
    .description(
      'Starts and stops a tor process, shows what it does, and finds and reaches other nodes through it.\nNodes find a tor that was started here by themselves; docs/anonymity.md says what it hides and what it does not.',
    );
  torDaemonCommands(tor);
  torNetworkCommands(tor);
}
