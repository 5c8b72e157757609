/** `relaymint settlements` as a user types it, beside a node that runs and one that does not. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { channelId, ledgerAddress } from '../../core/ids.ts';
import { silentLog } from '../../core/ports.ts';
import { amount, lamports, unixMillis } from '../../core/units.ts';
import { startControlServer, type ControlHandlers } from '../../app/control/index.ts';
import { SETTLEMENTS_FILE, settledList } from '../../app/node/index.ts';
import { openSettlementJournal, type SettledReceipt, type WithdrawnEarnings } from '../../ledger/settlement/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { run } from './program.ts';
import { statsOf } from './stats.ts';

const stack = new AsyncDisposableStack();
let folder: string;
beforeAll(async () => {
  folder = stack.use(await temporaryFolder()).path;
});
afterAll(() => stack.disposeAsync());

const settled = (index: number): SettledReceipt => ({
  kind: 'receipt',
  at: unixMillis(Date.UTC(2026, 10, 27, 12, 0, index)),
  channel: channelId(new Uint8Array(22).fill(index)),
  payer: ledgerAddress(new Uint8Array(32).fill(index)),
  amount: amount(1_500_000n),
  up: 1024n,
  down: 2048n,
  signature: `signature${index}`,
  feeLamports: lamports(5_000n),
  bankFee: amount(0n),
  royalties: null,
});

const withdrawn: WithdrawnEarnings = {
  kind: 'withdrawal',
  at: unixMillis(Date.UTC(2026, 10, 27, 13)),
  amount: amount(4_400_000n),
  signature: 'signature of the withdrawal',
  feeLamports: lamports(5_001n),
};

it('lists what a stopped node settled, newest last', async () => {
  const data = path.join(folder, 'stopped');
  await mkdir(data);
  expect((await run(['settlements', '--data', data])).stdout).toBe('Nothing has been settled yet.\n');
  await openSettlementJournal(path.join(data, SETTLEMENTS_FILE)).add([settled(1), settled(2), settled(3)]);
  const { code, stdout } = await run(['settlements', '--data', data, '--last', '2', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    settlements: [
      { at: settled(2).at, payer: settled(2).payer, amount: '1500000', up: '1024', down: '2048', feeLamports: '5000' },
      { signature: 'signature3', royalties: null, bankFee: '0' },
    ],
    damaged: 0,
  });
  await writeFile(path.join(data, SETTLEMENTS_FILE), 'nonsense\n', { flag: 'a' });
  const shown = await run(['settlements', '--data', data]);
  expect(shown.stdout).toContain('2026-11-27T12:00:01Z');
  expect(shown.stdout).toContain('3 receipts, 4.5 credits in all.');
  expect(shown.stdout).not.toContain('withdrawal');
  expect(shown.stdout).toContain(`1 line of ${SETTLEMENTS_FILE} cannot be read.`);
});

it('lists what was withdrawn beside it, and does not add it to what was settled', async () => {
  const data = path.join(folder, 'withdrew');
  await mkdir(data);
  await openSettlementJournal(path.join(data, SETTLEMENTS_FILE)).add([settled(1), settled(2), withdrawn]);
  const { stdout } = await run(['settlements', '--data', data, '--last', '2', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({
    settlements: [
      { kind: 'receipt', signature: 'signature2' },
      { kind: 'withdrawal', amount: '4400000', signature: 'signature of the withdrawal', feeLamports: '5001' },
    ],
  });
  const shown = (await run(['settlements', '--data', data, '--last', '2'])).stdout;
  expect(shown).toMatch(/2026-11-27T13:00:00Z {2}to the wallet +4\.4 +5001 {2}signature of the withdrawal/);
  expect(shown).toContain('1 receipt, 1.5 credits in all.');
  expect(shown).toContain('1 withdrawal to the wallet, 4.4 credits in all.');
  expect(shown).toContain('These are the newest 2 of 3: --last shows more.');
});

it('asks a running node', async () => {
  const data = path.join(folder, 'running');
  await mkdir(data);
  const handlers: Pick<ControlHandlers, 'stats' | 'settlements'> = {
    stats: async () => statsOf({}),
    settlements: async () => settledList({ entries: [settled(7), withdrawn], damaged: 0 }),
  };
  await using _server = await startControlServer(data, handlers as ControlHandlers, silentLog);
  const { stdout } = await run(['settlements', '--data', data, '--json']);
  expect(JSON.parse(stdout)).toMatchObject({
    settlements: [{ signature: 'signature7' }, { kind: 'withdrawal', amount: '4400000' }],
  });
});

it('says so where there is no such folder', async () => {
  const { code, stdout } = await run(['settlements', '--data', path.join(folder, 'nowhere'), '--json']);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'FILE_NOT_FOUND' } });
});
