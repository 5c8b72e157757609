/** A relay's till on the real program: it grows before payers find it full. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { amount, lamports } from '../../../core/units.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, programFile } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../../ledger/solana/index.ts';
import { growNearlyFull } from '../../../ledger/till/growth.ts';

let server: EmbeddedLedger;
let ledger: SolanaLedger;

beforeAll(async () => {
  server = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  ledger = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
});

afterAll(async () => {
  ledger.close();
  await server.close();
});

/** A seller with a till of that many slots and that many channels in it, all from itself. */
async function seller(slots: number, taken: number): Promise<SolanaWallet> {
  const wallet = ledger.wallet(generateWalletKey());
  await wallet.airdrop(lamports(1_000_000_000n));
  await wallet.buy(lamports(1_000n));
  await wallet.openTill(slots);
  for (let count = 0; count < taken; count += 1) await wallet.openChannel(wallet.address, wallet.address, amount(1n));
  return wallet;
}

async function slotsAfter(wallet: SolanaWallet, maxSlots: number): Promise<number | undefined> {
  await growNearlyFull({ reader: ledger, wallet, maxSlots, log: silentLog });
  return (await ledger.till(wallet.address))?.slots;
}

describe('a till', () => {
  test.each([
    ['with a free slot in eight or fewer grows by half, at least by eight', 8, 7, 100, 16],
    ['that is full grows', 2, 2, 100, 10],
    ['grows no further than told', 2, 2, 5, 5],
    ['that is as large as it may be stays so', 2, 2, 2, 2],
    ['larger than told stays so', 3, 3, 2, 3],
    ['with room stays as it is', 8, 6, 100, 8],
  ])('%s', async (_title, slots, taken, most, expected) => {
    expect(await slotsAfter(await seller(slots, taken), most)).toBe(expected);
  });

  test('that does not exist is not opened', async () => {
    expect(await slotsAfter(ledger.wallet(generateWalletKey()), 100)).toBeUndefined();
  });
});
