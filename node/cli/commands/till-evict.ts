/** `relaymint till evict`: the payee closes channels that pay into its till. */
import type { Command } from 'commander';
import { RelaymintError } from '../../../core/errors.ts';
import { amount, formatCredits } from '../../../core/units.ts';
import type { WalletOptions } from '../options.ts';
import { counted } from '../output.ts';
import { leftIn, named } from './channel-table.ts';
import { openWallet, transact, walletSubcommand } from './transact.ts';

interface EvictOptions extends WalletOptions {
  readonly all?: true;
}

export function tillEvictCommand(till: Command): void {
  walletSubcommand(till, 'evict', 'close channels that pay into the till')
    .description(
      'Closes them at once and frees their slots. What is left in them goes back to their payers, or waits for them. What a node\nholds of them and has not settled is lost to it: let it settle first, or stop it, which settles.',
    )
    .argument('[channel...]', 'ids, or the first characters of them')
    .option('--all', 'every channel of the till')
    .action(evict);
}

async function evict(ids: readonly string[], options: EvictOptions): Promise<void> {
  if (ids.length > 0 === (options.all === true)) {
    throw new RelaymintError('INVALID_ARGUMENT', 'Which channels shall be closed?', {
      remedy: 'Name them as "relaymint till show" shows them, or say --all.',
    });
  }
  await using opened = await openWallet(options);
  const { ledger, wallet } = opened;
  const channels = (await ledger.till(wallet.address))?.channels ?? [];
  const chosen = options.all === true ? channels : [...new Set(ids.map((id) => named(channels, id)))];
  await transact({
    options,
    opened,
    work: async () => {
      let returned = 0n;
      for (const channel of chosen) {
        // As it is now: it may have been settled since.
        const last = await ledger.channel(channel.till, channel.slot);
        if (last?.id !== channel.id) continue;
        await wallet.closeByPayee(last);
        returned += leftIn(last);
      }
      return {
        done: `Closed ${counted(chosen.length, 'channel')}, ${formatCredits(amount(returned))} credits go back to their payers.`,
        value: { closed: chosen.map(({ id }) => id), returned: returned.toString() },
      };
    },
  });
}
