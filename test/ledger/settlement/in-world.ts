/** A ledger for all tests of a file, and a world of its own for each. */
import { afterAll, beforeAll } from 'vitest';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { startLedger, World } from './world.ts';

/** @param payers how many have a channel */
export type InWorld = (
  label: string,
  payers: number,
  work: (world: World, server: EmbeddedLedger) => Promise<void>,
) => Promise<void>;

export function worlds(): InWorld {
  let server: EmbeddedLedger;
  beforeAll(async () => {
    server = await startLedger();
  });
  afterAll(async () => {
    await server.close();
  });
  return async (label, payers, work) => {
    const world = await World.create(server, label, payers);
    try {
      await work(world, server);
    } finally {
      await world.close();
    }
  };
}
