/**
 * Whoever opens channels for next to nothing, signs for a little on each and asks to close them all must not make the payee
 * spend more than it takes. On the real program, in lamports at the bank's price of one unit each.
 */
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Message } from '@solana/web3.js';
import bs58 from 'bs58';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import type { Log } from '../../../core/ports.ts';
import { lamports } from '../../../core/units.ts';
import type { LedgerWallet } from '../../../ledger/contract.ts';
import { createWatchtower, startReceiptExport } from '../../../ledger/settlement/index.ts';
import { EMBEDDED_PROGRAM_ID } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { walletKeyFromSeed } from '../../../ledger/solana/index.ts';
import { isVersionOne } from '../../../ledger/solana/version-one.ts';
import { faultyFetch } from '../solana/faulty-fetch.ts';
import type { Fault } from '../solana/faulty-fetch.ts';
import { CHALLENGE_SECONDS, connect, payeeWallet, startLedger, World } from './world.ts';

const CHANNELS = 50;
const FEE = 5_000n;
/** Together a little less than one transaction costs, and a little more. */
const TOO_LITTLE = 99n;
const ENOUGH = 101n;
const LEFT = /worth less than settling them costs/;

let server: EmbeddedLedger;
let world: World;
beforeEach(async () => {
  server = await startLedger();
  world = await World.create(server, 'dust', CHANNELS, CHANNELS);
}, 120_000);
afterEach(async () => {
  await world.close();
  await server.close();
});

/** Every channel's payer, from one on, signs for that much, then asks to close. */
async function attack(each: bigint, from = 0): Promise<void> {
  for (let payer = from; payer < CHANNELS; payer += 1) {
    await world.receive(payer, each);
    await world.requestClose(payer);
  }
}

/** Looks again and again until `work` is done, and says what that cost and took. */
async function watched(
  wallet: LedgerWallet,
  work: (seen: { readonly looks: (count: number) => Promise<void> }) => Promise<void>,
): Promise<{ readonly spent: bigint; readonly taken: bigint; readonly said: readonly string[] }> {
  const events = new EventEmitter();
  const said: string[] = [];
  const note = (_fields: object, message: string): void => void said.push(message);
  const log: Log = { ...silentLog, info: note, warn: note };
  const reader = new Proxy(world.ledger, {
    get(target, property): unknown {
      if (property === 'till') events.emit('look');
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const before = await world.ledger.balances(wallet.address);
  const looks = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 1) await once(events, 'look');
  };
  await using engine = world.engine({ wallet, reader, log, policy: { pollMillis: 5, maxFeeShareBps: 100 } });
  await work({ looks });
  await engine.close();
  const after = await world.ledger.balances(wallet.address);
  return { spent: before.lamports - after.lamports, taken: await world.settledOnChain(), said };
}

const wallet = (fault: Fault = () => undefined): LedgerWallet =>
  payeeWallet(connect(server, { fetch: faultyFetch(fault) }), world.label);

describe('fifty dust channels that all ask to close', () => {
  it('cost nothing while they hold less than a transaction costs; that is said once', async () => {
    await attack(TOO_LITTLE);
    const { spent, taken, said } = await watched(wallet(), ({ looks }) => looks(8));
    expect({ spent, taken }).toEqual({ spent: 0n, taken: 0n });
    expect(said.filter((text) => LEFT.test(text))).toHaveLength(1);
  });

  it('are settled in one transaction as soon as they hold more', async () => {
    await attack(ENOUGH);
    const { spent, taken } = await watched(wallet(), ({ looks }) => looks(8));
    expect({ spent, taken }).toEqual({ spent: FEE, taken: ENOUGH * BigInt(CHANNELS) });
  });

  it('cost nothing where it would take three transactions', async () => {
    server.takeTransactions(0);
    await attack(ENOUGH);
    const { spent, taken } = await watched(wallet(), ({ looks }) => looks(8));
    expect({ spent, taken }).toEqual({ spent: 0n, taken: 0n });
  });

  it('cost nothing where the long transaction is refused, and its parts are not worth their fees', async () => {
    await attack(ENOUGH);
    const refusing: Fault = ({ method, params, refuse }) =>
      method === 'sendTransaction' && isVersionOne(Buffer.from(String(params[0]), 'base64'))
        ? refuse(-32602, 'failed to deserialize')
        : undefined;
    const { spent, taken } = await watched(wallet(refusing), ({ looks }) => looks(8));
    expect({ spent, taken }).toEqual({ spent: 0n, taken: 0n });
  });

  it('cost no more than they hold where somebody drove the price of blocks up', async () => {
    await attack(120n);
    const dear: Fault = ({ method, answer }) =>
      method === 'getRecentPrioritizationFees' ? answer([{ slot: 1, prioritizationFee: 4_000_000_000 }]) : undefined;
    const { spent, taken } = await watched(wallet(dear), ({ looks }) => looks(8));
    expect(taken).toBe(120n * BigInt(CHANNELS));
    expect(spent).toBeGreaterThan(FEE);
    // A tenth of what is at stake may be bid, and no more.
    expect(spent).toBeLessThanOrEqual(FEE + taken / 10n);
    expect(spent).toBeLessThanOrEqual(taken);
  });

  it('cost nothing where the network charges for what a transaction asks for, and they hold less than that', async () => {
    await attack(ENOUGH);
    // A tenth of a lamport for each compute unit that is asked for, as is coming.
    const charging: Fault = ({ method, params, answer }) => {
      if (method !== 'getFeeForMessage') return undefined;
      const message = Message.from(Buffer.from(String(params[0]), 'base64'));
      const limit = message.instructions
        .map(({ data }) => Buffer.from(bs58.decode(data)))
        .find((data) => data[0] === 2);
      return answer({ context: { slot: 1 }, value: 2_600 + Math.ceil((limit?.readUInt32LE(1) ?? 0) / 10) });
    };
    const { spent, taken } = await watched(wallet(charging), ({ looks }) => looks(8));
    expect({ spent, taken }).toEqual({ spent: 0n, taken: 0n });
  });

  it('do not hurry what grows beside them', async () => {
    await attack(TOO_LITTLE, 1);
    // Worth more than a transaction costs, but not a hundred times as much: it would be settled dearly.
    await world.receive(0, 99n * FEE - TOO_LITTLE * BigInt(CHANNELS));
    const { spent, taken } = await watched(wallet(), ({ looks }) => looks(8));
    expect({ spent, taken }).toEqual({ spent: 0n, taken: 0n });
    // Once it goes anyhow, they go along.
    await world.receive(0, 100n * FEE);
    const later = await watched(wallet(), ({ looks }) => looks(8));
    expect(later).toMatchObject({ spent: FEE, taken: 100n * FEE + TOO_LITTLE * BigInt(CHANNELS - 1) });
  });

  it('are kept until they close, and then given up without a warning', async () => {
    await attack(TOO_LITTLE);
    const { spent, said } = await watched(wallet(), async ({ looks }) => {
      await looks(3);
      await server.warp(CHALLENGE_SECONDS);
      for (const { wallet: payer, channel } of world.payers) await payer.closeChannel(channel);
      await looks(3);
    });
    expect(spent).toBe(0n);
    expect(said.filter((text) => text.includes('that was not worth settling is closed'))).toHaveLength(CHANNELS);
    expect(said.filter((text) => text.includes('did not reach the ledger'))).toEqual([]);
  });

  it('cost a watchtower no more than they hold', async () => {
    await attack(TOO_LITTLE);
    const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-dust-'));
    const file = path.join(folder, 'dust.receipts');
    const { store } = world;
    const exported = await startReceiptExport({
      store,
      program: EMBEDDED_PROGRAM_ID,
      payee: world.wallet.address,
      file,
    });
    await exported[Symbol.asyncDispose]();
    const tower = world.ledger.wallet(walletKeyFromSeed('dust', 'watchtower'));
    await tower.airdrop(lamports(1_000_000n));
    const said: string[] = [];
    const watch = createWatchtower({
      wallet: tower,
      reader: world.ledger,
      program: EMBEDDED_PROGRAM_ID,
      files: [file],
      log: { ...silentLog, warn: (_fields, message) => void said.push(message) },
    });
    for (let looks = 0; looks < 3; looks += 1) {
      expect(await watch.look(new AbortController().signal)).toMatchObject({ answers: [], failures: [] });
    }
    expect((await world.ledger.balances(tower.address)).lamports).toBe(1_000_000n);
    expect(said).toHaveLength(1);
    await rm(folder, { recursive: true });
  });
});
