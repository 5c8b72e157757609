/** What a payee leaves of a channel that it closed comes back to the node by itself, on the real program. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { createCloseAccountInstruction } from '@solana/spl-token';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import type { Log } from '../../../core/ports.ts';
import { amount, lamports } from '../../../core/units.ts';
import type { ClaimState, SettleFees } from '../../../ledger/contract.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, writeKeyFile } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet, WalletKey } from '../../../ledger/solana/index.ts';
import { creditAccountAddress } from '../../../ledger/solana/program/index.ts';
import { collectClaim } from '../../../ledger/till/claim.ts';
import { bidding, connect, startLedger } from '../settlement/world.ts';
import { start } from '../../cli/program.ts';

const SOL = lamports(1_000_000_000n);
const DEPOSIT = amount(1_000n);

let server: EmbeddedLedger;
let ledger: SolanaLedger;

beforeAll(async () => {
  server = await startLedger();
  ledger = connect(server);
});
afterAll(async () => {
  ledger.close();
  await server.close();
});

/** A wallet without a credit account, whose only channel its payee closed. */
async function evicted(): Promise<{
  readonly key: WalletKey;
  readonly wallet: SolanaWallet;
  readonly claim: ClaimState;
}> {
  const key = generateWalletKey();
  const [wallet, payee] = [ledger.wallet(key), ledger.wallet(generateWalletKey())];
  for (const one of [wallet, payee]) await one.airdrop(SOL);
  await wallet.buy(lamports(DEPOSIT));
  await payee.openTill(1);
  const channel = await wallet.openChannel(payee.address, payee.address, DEPOSIT);
  const tokens = creditAccountAddress(ledger.program, key.publicKey);
  await ledger.submitter.run([createCloseAccountInstruction(tokens, key.publicKey, key.publicKey)], [key]);
  await payee.closeByPayee(channel);
  const claim = await ledger.claim(wallet.address);
  if (claim === undefined) throw new Error('nothing waits');
  return { key, wallet, claim };
}

test('a claim is taken once and logged', async () => {
  const { wallet, claim } = await evicted();
  const said: object[] = [];
  const log: Log = { ...silentLog, info: (fields) => said.push(fields) };
  await collectClaim({ reader: ledger, wallet, log });
  await collectClaim({ reader: ledger, wallet, log });
  expect(said).toEqual([{ amount: '1000', lamports: claim.lamports.toString() }]);
  expect(await ledger.claim(wallet.address)).toBeUndefined();
  expect((await ledger.balances(wallet.address)).credits).toBe(DEPOSIT);
});

test('a claim waits while its fee would be more than a tenth of it', async () => {
  const { wallet, claim } = await evicted();
  // A base unit is worth a lamport here.
  const most = (claim.amount + claim.lamports) / 10n;
  const charged = (first: bigint): SettleFees => {
    const none = { first: lamports(0n), further: lamports(0n) };
    return { fee: { ...none, first: lamports(first) }, bid: none };
  };
  await collectClaim({ reader: ledger, wallet: bidding(wallet, charged(most + 1n)), log: silentLog });
  expect(await ledger.claim(wallet.address)).toEqual(claim);
  await collectClaim({ reader: ledger, wallet: bidding(wallet, charged(most)), log: silentLog });
  expect(await ledger.claim(wallet.address)).toBeUndefined();
});

test('a node takes its claim when it starts', async () => {
  const { key, wallet } = await evicted();
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-claim-'));
  await writeKeyFile(path.join(folder, 'wallet.json'), key);
  const options = ['--data', folder, '--ledger', server.url, '--listen', '/ip4/127.0.0.1/tcp/0', '--log-level', 'info'];
  const { child, finished } = start(['relay', ...options]);
  onTestFinished(() => void child.kill('SIGKILL'));
  if (child.stderr === null) throw new TypeError('no standard error');
  let taken = '';
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.includes('collected what was left')) continue;
    taken = line;
    break;
  }
  child.kill('SIGTERM');
  await finished;
  await rm(folder, { recursive: true });
  expect(taken).toContain('"amount":"1000"');
  expect(await ledger.claim(wallet.address)).toBeUndefined();
});
