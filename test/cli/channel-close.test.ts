/** `relaymint channel close` on the folder of a node that runs: the node would open other channels in their place. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RelaymintError } from '../../core/errors.ts';
import { silentLog } from '../../core/ports.ts';
import { amount, lamports } from '../../core/units.ts';
import { startControlServer, type ControlHandlers, type ControlServer } from '../../app/control/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger, type EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import {
  openSolanaLedger,
  readKeyFile,
  walletKeyFromSeed,
  type SolanaWallet,
  programFile,
} from '../../ledger/solana/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { run, type Finished } from './program.ts';
import { statsOf } from './stats.ts';

const SOL = 1_000_000_000n;

const stack = new AsyncDisposableStack();
let data: string;
let ledger: EmbeddedLedger;
let payer: SolanaWallet;
let payee: SolanaWallet;
beforeAll(async () => {
  data = stack.use(await temporaryFolder()).path;
  ledger = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  stack.defer(() => ledger.close());
  await run(['wallet', 'create', '--data', data]);
  const reader = openSolanaLedger({ fetch, url: ledger.url, programId: EMBEDDED_PROGRAM_ID });
  stack.defer(() => reader.close());
  payer = reader.wallet(await readKeyFile(path.join(data, 'wallet.json')));
  payee = reader.wallet(walletKeyFromSeed('channel close', 'payee'));
  for (const wallet of [payer, payee]) await wallet.airdrop(lamports(SOL));
  await payer.buy(lamports(SOL / 10n));
  await payee.openTill(8);
});
afterAll(() => stack.disposeAsync());

/** What the node does when it is told to close. */
let onClose: ControlHandlers['close'];
let node: ControlServer;
let owner: string;
let asked: string[];
beforeEach(async () => {
  owner = payer.address;
  asked = [];
  onClose = async () => ({ closed: 2, returned: '3000000' });
  const handlers: Pick<ControlHandlers, 'stats' | 'close'> = {
    stats: async () => statsOf({ wallet: owner }),
    close: () => {
      asked.push('close');
      return onClose();
    },
  };
  node = await startControlServer(data, handlers as ControlHandlers, silentLog);
});
afterEach(() => node[Symbol.asyncDispose]());

function close(...args: readonly string[]): Promise<Finished> {
  return run(['channel', 'close', ...args, '--data', data, '--ledger', ledger.url]);
}

it('makes the node close all of them, and finishes what the node left', async () => {
  const channel = await payer.openChannel(payee.address, payee.address, amount(1_000_000n));
  const { code, stdout } = await close('--all');
  expect(code).toBe(0);
  expect(asked).toEqual(['close']);
  expect(stdout).toContain('pays for nothing new until it is started again');
  expect(stdout).toContain(`Requested the close of ${channel.id}.`);
  expect(stdout).toContain('Closed 2 channels, 3 credits came back.');
  expect(stdout).toContain('1 channel can be closed');
});

it('goes on by itself if that takes the node too long', async () => {
  onClose = () => Promise.reject(new RelaymintError('TIMEOUT', 'Closing the channels took longer than 30000 ms.'));
  const { code, stdout } = await close('--all', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ closed: 0, pending: [{}] });
});

it('refuses to close one behind its back', async () => {
  const { code, stdout } = await close('00', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'FILE_IN_USE' } });
  expect(asked).toEqual([]);
});

it('does not touch a node that pays from another wallet', async () => {
  owner = payee.address;
  expect((await close('--all')).code).toBe(0);
  expect(asked).toEqual([]);
});
