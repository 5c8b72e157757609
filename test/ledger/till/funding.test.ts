/** A first start without money says which wallet needs how much. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { amount, lamports } from '../../../core/units.ts';
import type { LedgerWallet } from '../../../ledger/contract.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { SolanaLedger } from '../../../ledger/solana/index.ts';
import { fundNode } from '../../../ledger/till/index.ts';
import { connect, payeeWallet, startLedger } from '../settlement/world.ts';

const TERMS = { opening: amount(10n), minDeposit: amount(40n) };

let server: EmbeddedLedger;
let ledger: SolanaLedger;
let wallet: LedgerWallet;
beforeEach(async () => {
  server = await startLedger();
  ledger = connect(server);
  wallet = payeeWallet(ledger, 'a first start');
});
afterEach(async () => {
  ledger.close();
  await server.close();
});

async function fund(tillSlots: number | undefined): Promise<string[]> {
  const warned: string[] = [];
  const log = { ...silentLog, warn: (fields: object, text: string) => void warned.push(JSON.stringify(fields) + text) };
  await fundNode({ reader: ledger, wallet, airdrop: undefined, tillSlots, tillTerms: TERMS, log });
  return warned;
}

it.each([0n, 1_000_000n])(
  'an empty wallet with %d lamports: its address, what it holds, and what the till takes',
  async (has) => {
    if (has > 0n) await wallet.airdrop(lamports(has));
    const message = new RegExp(
      `^The wallet ${wallet.address} has 0(\\.001)? SOL, 0\\.\\d+ are needed for a till with 64 slots`,
    );
    const remedy = `Send SOL to ${wallet.address}.`;
    await expect(fund(64)).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
      message: expect.stringMatching(message),
      remedy,
    });
  },
);

it('what it says suffices', async () => {
  const { details } = await fund(64).then(
    () => ({ details: { needs: '0' } }),
    (error: unknown) => error as { readonly details: { readonly needs: string } },
  );
  await wallet.airdrop(lamports(BigInt(details.needs) + 890_880n));
  await expect(fund(64)).resolves.toHaveLength(1);
  expect((await ledger.till(wallet.address))?.slots).toBe(64);
});

it('a wallet without credits can pay nobody: that is said once it can be paid', async () => {
  await wallet.airdrop(lamports(1_000_000_000n));
  const [warned] = await fund(8);
  expect(warned).toContain(wallet.address);
  expect(warned).toContain('no credits');
  await wallet.buy(lamports(1_000n));
  expect(await fund(8)).toEqual([]);
});

it('a node that sells nothing asks the ledger nothing', async () => {
  await server.close();
  expect(await fund(undefined)).toEqual([]);
});
