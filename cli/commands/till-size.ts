/** `relaymint till grow` and `till close`: how many slots a till has, and none. */
import type { Command } from 'commander';
import { MAX_TILL_SLOTS } from '../../ledger/solana/index.ts';
import { wholeNumber, type WalletOptions } from '../options.ts';
import { openWallet, transact, walletSubcommand } from './transact.ts';

export function tillSizeCommands(till: Command): void {
  walletSubcommand(till, 'grow', 'give the till of a wallet more slots')
    .description(
      'Makes the till that many slots large; it never shrinks. The rent of what is new is taken from the wallet and comes back\nwhen the till is closed. Channels stay as they are.',
    )
    .argument('<slots>', `how many it has afterwards, at most ${MAX_TILL_SLOTS}`, wholeNumber(1, MAX_TILL_SLOTS))
    .action(grow);
  walletSubcommand(till, 'close', 'end the till of a wallet and get its rent back')
    .description(
      'Refused while the till holds an open channel or earnings: "relaymint till evict" closes channels, "relaymint till withdraw"\ntakes what was earned. A till that is opened later begins with channels of its own: no old receipt counts there.',
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
        done: `The till has ${slots} slots now. What it took beside the fee is their rent.`,
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
        done: 'Closed the till. Its rent is in the wallet again.',
        value: { till: opened.ledger.tillAddress(opened.wallet.address), slots: 0 },
      };
    },
  });
}
