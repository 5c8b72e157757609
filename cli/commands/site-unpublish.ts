/** `relaymint site unpublish`: a name points to nothing. */
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { flagsOnly, name as anyName, optional, place, toggle, type ValuesOf } from '../../app/config/index.ts';
import { WALLET_FILE } from '../../app/config/index.ts';
import type { ReaderOptions } from '../options.ts';
import { createLog, createOutput } from '../output.ts';
import { canAsk, confirm } from '../prompt.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { loadRecords, siteFolderOf, siteFolderSection, type SiteFolder } from './site-history.ts';
import { addReaderOptions, openWallet } from './transact.ts';

const walletSection = {
  ...siteFolderSection,
  wallet: optional('--wallet <file>', place, `Solana key file (default: ${WALLET_FILE} in the data folder)`),
};
const unpublishSection = flagsOnly({
  yes: toggle('--yes', 'do not ask for confirmation (required without a terminal)'),
});

type UnpublishOptions = ReaderOptions & SiteFolder & ValuesOf<typeof walletSection> & ValuesOf<typeof unpublishSection>;

export function siteUnpublishCommand(site: Command): void {
  const command = site
    .command('unpublish')
    .summary('take a site away from its name')
    .description(
      'Points the name to nothing. Gateways then say that it has no content, and hosts let the content go within a day. The name stays\n' +
        'yours, and what is kept in the data folder stays there: "relaymint site rollback" brings it back.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText('after', '\nExample:\n  relaymint site unpublish demo.web3\n');
  addSettings(addSettings(addReaderOptions(command), walletSection), unpublishSection).action(run);
}

async function run(name: string, options: UnpublishOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const dataDir = siteFolderOf(options);
  const { isPublished, unpublish } = await loadRecords();
  const wallet = options.wallet ?? path.join(dataDir, WALLET_FILE);
  await using opened = await openWallet({ ...options, wallet });
  const log = createLog(options.logLevel, 'site');
  const parts = { name, dataDir, ledger: opened.ledger, wallet: opened.wallet, log };
  // What cannot be done is said before it is asked.
  if (await isPublished(parts)) await assertMeant(name, options.yes === true);
  const transaction = await unpublish(parts);
  output.value({
    event: 'unpublished',
    name,
    record: transaction === undefined ? 'unchanged' : 'updated',
    transaction,
  });
  output.line(
    transaction === undefined
      ? `${name} points to nothing already.`
      : `${name} points to nothing now. To bring it back: relaymint site rollback ${name}`,
  );
}

/** @throws RelaymintError INVALID_ARGUMENT (nobody to ask), ABORTED. */
async function assertMeant(name: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!canAsk()) {
    throw new RelaymintError('INVALID_ARGUMENT', 'A site is taken away, and there is no terminal to confirm it on.', {
      remedy: 'Add --yes to do it without confirmation.',
    });
  }
  if (await confirm(`Take the content of ${name} away from its visitors?`)) return;
  throw new RelaymintError('ABORTED', `${name} stays as it is.`);
}
