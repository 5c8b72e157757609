/** What the owner of the published site does with its own wallet once the visitors are gone. */
import type { LedgerWallet } from '../../ledger/contract.ts';
import { readKeyFile, type SolanaLedger } from '../../ledger/solana/index.ts';
import path from 'node:path';
import { closeChannels } from '../../ledger/channel/index.ts';
import { WALLET_FILE } from '../config/index.ts';

async function ownerWallet(ledger: SolanaLedger, dataDir: string): Promise<LedgerWallet> {
  return ledger.wallet(await readKeyFile(path.join(dataDir, WALLET_FILE)));
}

/** Pays out what the name accrued: to its splits' wallets, in proportion. */
export async function distributeOwnName(ledger: SolanaLedger, dataDir: string, name: string): Promise<void> {
  await (await ownerWallet(ledger, dataDir)).distributeName(name);
}

/** Takes back what the upload did not use. */
export async function closeOwnChannels(ledger: SolanaLedger, dataDir: string): Promise<void> {
  const signal = AbortSignal.timeout(CLOSE_MILLIS);
  const wallet = await ownerWallet(ledger, dataDir);
  await closeChannels(await ledger.channelsOf(wallet.address), { reader: ledger, wallet, signal });
}

const CLOSE_MILLIS = 60_000;
