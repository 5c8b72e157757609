import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { publishCommand } from '../../cli/commands/publish.ts';

/** What the command line says to a name, before anything is opened or registered. */
async function told(name: string): Promise<string> {
  const program = new Command('relaymint').exitOverride();
  publishCommand(program);
  let said = '';
  for (const command of program.commands) {
    command.exitOverride().configureOutput({ writeErr: (text) => (said += text) });
  }
  const folder = fileURLToPath(new URL('nothing-here', import.meta.url));
  await program.parseAsync(['publish', folder, '--name', name], { from: 'user' }).catch((error: unknown) => {
    said += String(error);
  });
  return said;
}

describe('relaymint publish --name', () => {
  it('refuses a name that no browser would open', async () => {
    expect(await told('xn-foo.web3')).toContain(
      'No browser would open xn-foo.web3: its address begins with "xn--". Choose a name that does not begin with "xn-".',
    );
  });

  it('refuses a name that the ledger would refuse', async () => {
    expect(await told('news.com')).toContain('must end in one of .web3');
  });

  it('goes on with any other', async () => {
    expect(await told('xna.web3')).toContain('nothing-here');
    expect(await told('xna.web3')).not.toContain('--name');
  });
});
