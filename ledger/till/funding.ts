/** Gets a new node's wallet ready to earn and to pay: SOL for fees, credits for deposits, a till to be paid into. */
import type { Log } from '../../core/ports.ts';
import { lamports, type Lamports } from '../../core/units.ts';
import type { LedgerReader, LedgerWallet, TillTerms } from '../contract.ts';

export interface FundingOptions {
  readonly reader: LedgerReader;
  readonly wallet: LedgerWallet;
  /** Test ledgers only: asked from the faucet when the wallet is empty; half of it buys credits. */
  readonly airdrop: Lamports | undefined;
  /** Slots of the till to open; undefined for a node that sells nothing. */
  readonly tillSlots: number | undefined;
  /** Terms of a till that is opened; an existing one keeps its own. */
  readonly tillTerms: TillTerms;
  readonly log: Log;
}

/** Idempotent: does only what is missing. @throws RelaymintError INSUFFICIENT_FUNDS that names the wallet, and what it lacks. */
export async function fundNode(options: FundingOptions): Promise<void> {
  const { reader, wallet, airdrop, log } = options;
  if (airdrop !== undefined) {
    const balances = await reader.balances(wallet.address);
    if (balances.lamports < airdrop / 4n) {
      await wallet.airdrop(airdrop);
      log.info({ lamports: airdrop.toString() }, 'the faucet filled the wallet');
    }
    if (balances.credits === 0n) await wallet.buy(lamports(airdrop / 2n));
  }
  if (options.tillSlots !== undefined && (await reader.till(wallet.address)) === undefined) {
    const { tillTerms: terms } = options;
    await wallet.openTill(options.tillSlots, terms);
    log.info({ slots: options.tillSlots, opening: terms.opening.toString() }, 'opened the till');
  }
  // A node that sells nothing learns this when it first has to pay: it also starts without the ledger.
  if (options.tillSlots === undefined) return;
  const { credits } = await reader.balances(wallet.address);
  if (credits > 0n) return;
  log.warn(
    { wallet: wallet.address },
    'the wallet has no credits, so this node cannot pay anybody; send it SOL and buy credits with "relaymint wallet buy"',
  );
}
