/** What owners of a marketplace, and its visitor, do with their own wallets by themselves. */
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

/** What authors get of what delivering their words earns. */
const AUTHORS_ROYALTY_BPS = 5_000;

/** A profile for who visits, so that they can say something: registered unless it is theirs. False: it is somebody else's. */
export async function nameVisitor(ledger: SolanaLedger, dataDir: string, name: string): Promise<boolean> {
  const wallet = await ownerWallet(ledger, dataDir);
  const record = await ledger.name(name);
  if (record !== undefined && record.status !== 'expired') return record.owner === wallet.address;
  await wallet.registerName({ name, root: new Uint8Array(), royaltyBps: AUTHORS_ROYALTY_BPS });
  return true;
}

/** Takes back what the upload did not use. */
export async function closeOwnChannels(ledger: SolanaLedger, dataDir: string): Promise<void> {
  const signal = AbortSignal.timeout(CLOSE_MILLIS);
  const wallet = await ownerWallet(ledger, dataDir);
  await closeChannels(await ledger.channelsOf(wallet.address), { reader: ledger, wallet, signal });
}

const CLOSE_MILLIS = 60_000;
