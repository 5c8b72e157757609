/** `relaymint ledger`: where the money is kept. */
import type { Command } from 'commander';
import { ledgerDeployCommand } from './ledger-deploy.ts';
import { ledgerStartCommand } from './ledger-start.ts';
import { ledgerStatusCommand } from './ledger-status.ts';

export function ledgerCommand(program: Command): void {
  const ledger = program
    .command('ledger')
    .summary('the embedded ledger, and the program on any Solana cluster')
    .description(
      'The ledger is a Solana cluster with the Relaymint program on it: the embedded one, which is a real Solana virtual machine on this machine for development and tests, or any other.',
    );
  ledgerStartCommand(ledger);
  ledgerDeployCommand(ledger);
  ledgerStatusCommand(ledger);
}
