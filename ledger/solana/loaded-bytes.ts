/** How many bytes of accounts and programs a transaction loads: anything it requests beyond that would be paid for nothing. */
import { PublicKey } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { z } from 'zod';
import type { Rpc } from './rpc.ts';

/** Counted for each account beside its data, and the page by which leaders count: SIMD-0186. */
const OVERHEAD_BYTES = 64;
const PAGE_BYTES = 32 * 1024;
/** A till may grow until the transaction is carried out. */
const SPARE_PAGES = 1;
/** The network's own limit, and what a transaction may load when nobody tells how much it will. */
export const MOST_LOADED_BYTES: number = 64 * 1024 * 1024;
const UPGRADEABLE_LOADER = new PublicKey('BPFLoaderUpgradeab1e11111111111111111111111');

const sizes = z.object({
  value: z.array(z.object({ space: z.number().int().nonnegative().optional() }).nullable()),
});

/**
 * By what the node says of each account now, in whole pages, with one to spare. `MOST_LOADED_BYTES` from a node that does
 * not say. @throws RelaymintError LEDGER_UNREACHABLE, LEDGER_REJECTED, CLOSED.
 */
export async function loadedBytes(
  rpc: Rpc,
  instructions: readonly TransactionInstruction[],
  payer: PublicKey,
): Promise<number> {
  const keys = new Set([payer.toBase58()]);
  for (const { programId, keys: accounts } of instructions) {
    for (const { pubkey } of accounts) keys.add(pubkey.toBase58());
    keys.add(programId.toBase58());
    // A program that can be upgraded keeps its code in a second account, which counts as well.
    keys.add(PublicKey.findProgramAddressSync([programId.toBytes()], UPGRADEABLE_LOADER)[0].toBase58());
  }
  const config = { encoding: 'base64', dataSlice: { offset: 0, length: 0 }, commitment: 'confirmed' };
  const { value } = await rpc.call('getMultipleAccounts', [[...keys], config], sizes);
  let bytes = 0;
  for (const account of value) bytes += OVERHEAD_BYTES + (account === null ? 0 : (account.space ?? MOST_LOADED_BYTES));
  return Math.min((Math.ceil(bytes / PAGE_BYTES) + SPARE_PAGES) * PAGE_BYTES, MOST_LOADED_BYTES);
}
