/** The data folder of a relay that was paid: what it earned is in its books, too little to be settled before it stops. */
import path from 'node:path';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { walletKeyFromSeed, writeKeyFile } from '../../ledger/solana/index.ts';
import { World } from '../ledger/settlement/world.ts';

export const EARNED = 1_000n;

/** Its books are closed: the relay opens them. `earned`: nothing where there is to be nothing to settle. */
export async function earnedWorld(server: EmbeddedLedger, label: string, earned: bigint = EARNED): Promise<World> {
  const world = await World.create(server, label, 1);
  if (earned > 0n) await world.receive(0, earned);
  await writeKeyFile(path.join(world.directory, 'wallet.json'), walletKeyFromSeed(label, 'payee'));
  await world.store.close();
  return world;
}

/** The command line of that relay. */
export function relayOf({ directory }: World, ledgerUrl: string, ...more: readonly string[]): readonly string[] {
  return ['relay', '--data', directory, '--ledger', ledgerUrl, '--listen', '/ip4/127.0.0.1/tcp/0', ...more];
}
