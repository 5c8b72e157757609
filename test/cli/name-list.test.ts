/** Whose names `relaymint name list` shows. */
import { Command } from 'commander';
import { expect, it } from 'vitest';
import { nameCommand } from '../../cli/commands/name.ts';

it('is said once: every name on the ledger and the names of one wallet are two lists', async () => {
  const program = new Command('relaymint').exitOverride();
  nameCommand(program);
  for (const name of program.commands) {
    for (const command of name.commands) command.exitOverride().configureOutput({ writeErr: () => {} });
  }
  const owner = '11111111111111111111111111111111';
  // Nothing listens there: a list that is asked for fails for that reason.
  const asked = ['name', 'list', '--ledger', 'http://127.0.0.1:1', '--owner', owner, '--all'];
  await expect(program.parseAsync(asked, { from: 'user' })).rejects.toThrow(
    "'--all' cannot be used with option '--owner <address>'",
  );
});
