/** `relaymint till evict`: the payee closes channels that pay into its till. */
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { amount, formatCredits } from '../../core/units.ts';
import { returnableOf } from '../../ledger/settlement/index.ts';
import { createPolicy } from '../../node/transport/index.ts';
import { flagsOnly, toggle, toggleOff, type ValuesOf } from '../../app/config/index.ts';
import { walletFile, type WalletOptions } from '../options.ts';
import { counted, createLog } from '../output.ts';
import { addSettings } from '../settings.ts';
import { settleHeld, type Held } from '../../app/node/index.ts';
import { leftIn, named } from './channel-table.ts';
import { openWallet, transact, walletSubcommand, type OpenedWallet } from './transact.ts';

const evictSection = flagsOnly({
  all: toggle('--all', 'every channel of the till'),
  settle: toggleOff(
    '--no-settle',
    'do not settle first: receipts for these channels that a node holds are lost, and no opening payment goes back',
  ),
});

type EvictOptions = WalletOptions & ValuesOf<typeof evictSection>;

export function tillEvictCommand(till: Command): void {
  addSettings(walletSubcommand(till, 'evict', 'close channels that pay into the till'), evictSection)
    .description(
      'Settles what the node in the data folder holds, running or not, then closes the channels at once and frees their slots.\nWhat is left in them goes back to their payers, or waits for them, together with their opening payments less what they\nowe. Receipts that a running node takes in between are lost to it.',
    )
    .argument('[channel...]', 'channel ids, or their first characters')
    .action(evict);
}

async function evict(ids: readonly string[], options: EvictOptions): Promise<void> {
  if (ids.length > 0 === (options.all === true)) {
    throw new RelaymintError('INVALID_ARGUMENT', 'No channels to close were named.', {
      remedy: 'Give their ids from "relaymint till show", or --all.',
    });
  }
  await using opened = await openWallet(options);
  const { ledger, wallet } = opened;
  // Before the channels are read, because settling changes what is left in them.
  const held = options.settle ? await settleFirst(options, opened) : undefined;
  const channels = (await ledger.till(wallet.address))?.channels ?? [];
  const chosen = options.all === true ? channels : [...new Set(ids.map((id) => named(channels, id)))];
  await transact({
    options,
    opened,
    work: async () => {
      let returned = 0n;
      for (const channel of chosen) {
        // The current state: it may have been settled since.
        const last = await ledger.channel(channel.till, channel.slot);
        if (last?.id !== channel.id) continue;
        // Without books nobody knows what its payer owes.
        const opening = held === undefined ? amount(0n) : returnableOf(last, held.debts.get(last.payer) ?? amount(0n));
        await wallet.closeByPayee(last, opening);
        returned += leftIn(last) + opening;
      }
      return {
        done: `${held === undefined ? '' : `Settled ${counted(held.receipts, 'receipt')}. `}Closed ${counted(chosen.length, 'channel')}, ${formatCredits(amount(returned))} credits go back to their payers.`,
        value: {
          settledReceipts: held?.receipts ?? 0,
          closed: chosen.map(({ id }) => id),
          returned: returned.toString(),
        },
      };
    },
  });
}

/** A node keeps its books beside its wallet. */
function settleFirst(options: EvictOptions, { ledger, wallet }: OpenedWallet): Promise<Held> {
  return settleHeld({
    dataDir: path.resolve(options.data ?? path.dirname(walletFile(options))),
    reader: ledger,
    wallet,
    fetch: createPolicy({ transports: [], outbound: 'loopback' }).fetch('control'),
    log: createLog(options.logLevel, 'wallet'),
  });
}
