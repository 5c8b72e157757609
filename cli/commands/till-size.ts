/** `relaymint till grow` and `till close`: gives a till more slots, or closes it. */
import type { Command } from 'commander';
import { MAX_TILL_SLOTS } from '../../ledger/solana/index.ts';
import { count } from '../../app/config/index.ts';
import type { WalletOptions } from '../options.ts';
import { argumentOf } from '../settings.ts';
import { openWallet, transact, walletSubcommand } from './transact.ts';

export function tillSizeCommands(till: Command): void {
  walletSubcommand(till, 'grow', "give a wallet's till more slots")
    .description(
      'Grows the till to this many slots; a till never shrinks. The wallet pays rent for the new slots and gets it back when the\ntill is closed. Existing channels do not change.',
    )
    .argument('<slots>', `slots it has afterwards, at most ${MAX_TILL_SLOTS}`, argumentOf(count(1, MAX_TILL_SLOTS)))
    .action(grow);
  walletSubcommand(till, 'close', "close a wallet's till and get its rent back")
    .description(
      'Refused while the till holds an open channel or earnings: "relaymint till evict" closes channels, "relaymint till withdraw"\ntakes what was earned. A till that is opened later starts empty: old receipts do not count there.',
    )
    .action(close);
}

async function grow(slots: number, options: WalletOptions): Promise<void> {
  await using opened = await openWallet(options);
  await transact({
    options,
    opened,
    work: async () => {
      await opened.wallet.growTill(slots);
      return {
        done: `The till now has ${slots} slots. Besides the fee, the wallet paid their rent.`,
        value: { till: opened.ledger.tillAddress(opened.wallet.address), slots },
      };
    },
  });
}

async function close(options: WalletOptions): Promise<void> {
  await using opened = await openWallet(options);
  await transact({
    options,
    opened,
    work: async () => {
      await opened.wallet.closeTill();
      return {
        done: 'Closed the till. Its rent is back in the wallet.',
        value: { till: opened.ledger.tillAddress(opened.wallet.address), slots: 0 },
      };
    },
  });
}
