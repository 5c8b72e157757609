/** `relaymint till evict` loses nothing that its node holds: it settles first. On the real program. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChannelId } from '../../core/ids.ts';
import { silentLog } from '../../core/ports.ts';
import { amount } from '../../core/units.ts';
import type { SettlementEngine } from '../../ledger/settlement/index.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { walletKeyFromSeed, writeKeyFile } from '../../ledger/solana/index.ts';
import { startControlServer } from '../../app/control/server.ts';
import type { ControlHandlers } from '../../app/control/protocol.ts';
import { World, startLedger } from '../ledger/settlement/world.ts';
import { run } from './program.ts';
import { statsOf } from './stats.ts';

const DEPOSIT = 100_000_000n;
const HELD = 100_000n;
const OPENING = amount(30_000n);
const OWED = 700n;

let server: EmbeddedLedger;

beforeAll(async () => {
  server = await startLedger();
});
afterAll(() => server.close());

function channelOf(world: World, payer: number): ChannelId {
  const channel = world.payers[payer]?.channel;
  if (channel === undefined) throw new Error(`no payer ${payer}`);
  return channel.id;
}

/** A payee whose books in its data folder hold a receipt of each of two payers, the second of which owes something. */
async function worldOf(label: string): Promise<World> {
  const world = await World.create(server, label, 2, 2, OPENING);
  for (const payer of [0, 1]) await world.receive(payer, HELD);
  world.store.leaveUnpaid(channelOf(world, 1), OWED);
  await writeKeyFile(path.join(world.directory, 'wallet.json'), walletKeyFromSeed(label, 'payee'));
  return world;
}

interface Printed {
  readonly settledReceipts?: number;
  readonly closed?: readonly string[];
  readonly returned?: string;
  readonly error?: { readonly code: string };
}

async function evict(folder: string, ...words: readonly string[]): Promise<Printed> {
  const options = ['--data', folder, '--ledger', server.url, '--json', '--log-level', 'silent'];
  const { stdout } = await run(['till', 'evict', ...words, ...options]);
  return JSON.parse(stdout) as Printed;
}

async function openChannels({ ledger, wallet }: World): Promise<number> {
  return (await ledger.till(wallet.address))?.channels.length ?? 0;
}

describe('relaymint till evict', () => {
  it('settles what the books of a stopped node hold, then closes', async () => {
    const world = await worldOf('stopped');
    await world.store.close();
    const first = channelOf(world, 0);
    expect(await evict(world.directory, first)).toMatchObject({
      settledReceipts: 2,
      closed: [first],
      returned: (DEPOSIT - HELD + OPENING).toString(),
    });
    expect(await world.earnings()).toEqual({ name: 0n, till: 2n * HELD });
    expect(await openChannels(world)).toBe(1);
    expect(await evict(world.directory, '--all')).toMatchObject({
      settledReceipts: 0,
      returned: (DEPOSIT - HELD + OPENING - OWED).toString(),
    });
    expect(await openChannels(world)).toBe(0);
    expect((await world.ledger.bank()).forgone).toBe(OWED);
    await world.reopen();
    await world.close();
  });

  it('makes a running node settle', async () => {
    const world = await worldOf('running');
    const engine = world.engine();
    const control = await startControlServer(world.directory, handlers(world, engine), silentLog);
    expect(await evict(world.directory, '--all')).toMatchObject({
      settledReceipts: 2,
      returned: (2n * (DEPOSIT - HELD + OPENING) - OWED).toString(),
    });
    expect(await world.earnings()).toEqual({ name: 0n, till: 2n * HELD });
    await control[Symbol.asyncDispose]();
    await engine.close();
    await world.close();
  });

  it('closes nothing if it finds neither a node nor books, unless told to', async () => {
    const world = await worldOf('elsewhere');
    const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-evict-'));
    await writeKeyFile(path.join(folder, 'wallet.json'), walletKeyFromSeed('elsewhere', 'payee'));
    expect(await evict(folder, '--all')).toMatchObject({ error: { code: 'FILE_NOT_FOUND' } });
    expect(await openChannels(world)).toBe(2);
    expect(await evict(folder, '--all', '--no-settle')).toMatchObject({
      settledReceipts: 0,
      returned: (2n * DEPOSIT).toString(),
    });
    expect(await openChannels(world)).toBe(0);
    await rm(folder, { recursive: true });
    await world.close();
  });

  it("refuses the folder of another wallet's node, and books that a node has open", async () => {
    const world = await worldOf('mine');
    const other = path.join(world.directory, 'other');
    await mkdir(other);
    const wallet = path.join(other, 'wallet.json');
    await writeKeyFile(wallet, walletKeyFromSeed('other', 'payee'));
    expect(await evict(world.directory, '--all')).toMatchObject({ error: { code: 'FILE_IN_USE' } });
    await world.store.close();
    expect(await evict(world.directory, '--all', '--wallet', wallet)).toMatchObject({
      error: { code: 'INVALID_ARGUMENT' },
    });
    expect(await openChannels(world)).toBe(2);
    await world.reopen();
    await world.close();
  });
});

/** As a running node answers. */
function handlers(world: World, engine: SettlementEngine): ControlHandlers {
  const refuse = (): Promise<never> => Promise.reject(new Error('not asked for'));
  return {
    audit: refuse,
    stats: async () => statsOf({ wallet: world.wallet.address }),
    settle: async () => {
      const settled = await engine.settleAll();
      const receipts = settled.reduce((sum, one) => sum + one.receipts, 0);
      return { transactions: settled.length, receipts, computeUnits: 0, feeLamports: 0, signatures: [] };
    },
    settlements: refuse,
    debts: async () => ({
      debts: Object.fromEntries(Array.from(engine.debts(), ([payer, debt]) => [payer, `${debt}`])),
    }),
    flush: refuse,
    drain: refuse,
    plan: refuse,
    withdraw: refuse,
    close: refuse,
    advertise: refuse,
    budgets: refuse,
    budget: refuse,
    stop: refuse,
  };
}
