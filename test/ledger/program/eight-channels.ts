/** Eight payers with a channel each to one till, for tests of what settles them. */
import type { Keypair, PublicKey } from '@solana/web3.js';
import { Chain, keypair } from './svm.ts';

const LABELS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((letter) => `payer ${letter}`);
const payers: readonly Keypair[] = LABELS.map(keypair);
/** Of the channels, in the order of their slots. */
export const delegates: readonly Keypair[] = LABELS.map((_, index) => keypair(`delegate ${index}`));
/** Of slot 0. */
export const payer: Keypair = keypair('payer a');
export const delegate: Keypair = keypair('delegate 0');
export const owner: Keypair = keypair('till owner');

export function eightChannels(): { readonly chain: Chain; readonly till: PublicKey } {
  const chain = Chain.start();
  chain.wallet('till owner');
  const till = chain.openTill(owner, 9);
  for (const [slot, each] of payers.entries()) {
    chain.wallet(LABELS[slot] ?? '', 2_000n);
    chain.openChannel(each, till, slot, 1_000n, delegates[slot]);
  }
  return { chain, till };
}
