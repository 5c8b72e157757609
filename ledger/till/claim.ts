/** Collects what waits for this node's wallet on the ledger. */
import { isRelaymintError } from '../../core/errors.ts';
import { BID_PARTS } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import type { LedgerReader, LedgerWallet } from '../contract.ts';

export interface ClaimOptions {
  readonly reader: Pick<LedgerReader, 'claim' | 'bank'>;
  readonly wallet: LedgerWallet;
  readonly log: Log;
}

/**
 * Checks once. A payee that closed a channel of ours left the rest of it, with the slot rent, as our claim if our wallet had no
 * credit account then. It is taken once the fee is no more than a part of it (`BID_PARTS`); until then it waits, and grows with the next.
 * @throws RelaymintError INSUFFICIENT_FUNDS for the fee; LEDGER_UNREACHABLE.
 */
export async function collectClaim({ reader, wallet, log }: ClaimOptions): Promise<void> {
  const waiting = await reader.claim(wallet.address);
  if (waiting === undefined) return;
  const [{ unitsPerLamport }, { fee }] = await Promise.all([reader.bank(), wallet.settleFees()]);
  const worth = waiting.amount + waiting.lamports * unitsPerLamport;
  if (fee.first * unitsPerLamport * BID_PARTS > worth) return;
  try {
    await wallet.payClaim();
  } catch (error) {
    // Anybody may pay it out, and somebody did.
    if (isRelaymintError(error, 'CHANNEL_UNKNOWN')) return;
    throw error;
  }
  log.info(
    { amount: waiting.amount.toString(), lamports: waiting.lamports.toString() },
    'collected what was left in channels that payees closed',
  );
}
