/** What a node writes down for people of each receipt that it settled. */
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { channelId, ledgerAddress } from '../../../core/ids.ts';
import { MAX_SETTLED_KEPT } from '../../../core/limits.ts';
import { silentLog } from '../../../core/ports.ts';
import { amount, lamports, unixMillis } from '../../../core/units.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import {
  openSettlementJournal,
  readSettlementHistory,
  startSettlement,
  type JournalEntry,
  type SettledReceipt,
  type WithdrawnEarnings,
} from '../../../ledger/settlement/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { Crash, withFaults } from './faulty-wallet.ts';
import { altered, narrow, ROYALTY_BPS, startLedger, World } from './world.ts';

let folder: string;
let file: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-history-'));
});
beforeEach(() => {
  count += 1;
  file = path.join(folder, `settlements-${count}.jsonl`);
});
afterAll(() => rm(folder, { recursive: true }));

function entry(index: number, change: Partial<SettledReceipt> = {}): SettledReceipt {
  return {
    kind: 'receipt',
    at: unixMillis(1_700_000_000_000 + index),
    channel: channelId(new Uint8Array(22).fill(index % 251)),
    payer: ledgerAddress(new Uint8Array(32).fill(1)),
    amount: amount(2n ** 64n - 1n),
    up: 2n ** 60n,
    down: 5n,
    signature: `signature${index}`,
    feeLamports: lamports(5_000n),
    bankFee: null,
    royalties: amount(7n),
    ...change,
  };
}

function withdrawal(index: number): WithdrawnEarnings {
  return {
    kind: 'withdrawal',
    at: unixMillis(1_700_000_000_000 + index),
    amount: amount(9n),
    signature: `withdrawal${index}`,
    feeLamports: null,
  };
}

function receiptsOf(entries: readonly JournalEntry[]): readonly SettledReceipt[] {
  return entries.filter((one) => one.kind === 'receipt');
}

describe('the journal of settlements', () => {
  it('is made with the first entry, for its owner alone, and holds what was added', async () => {
    const journal = openSettlementJournal(file);
    expect(await journal.read()).toEqual({ entries: [], damaged: 0 });
    await journal.add([entry(1), entry(2)]);
    await openSettlementJournal(file).add([entry(3)]);
    expect(await readSettlementHistory(file)).toEqual({ entries: [entry(1), entry(2), entry(3)], damaged: 0 });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('loses a line that is damaged, or was not written to its end, and no other', async () => {
    await openSettlementJournal(file).add([entry(1), entry(2), entry(3)]);
    const [first = '', second = '', third = ''] = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, `${first}\n${second.replace('"up":"', '"up":"-')}\n${third}\n`);
    await appendFile(file, first.slice(0, 40));
    await openSettlementJournal(file).add([entry(4)]);
    expect(await readSettlementHistory(file)).toEqual({ entries: [entry(1), entry(3), entry(4)], damaged: 2 });
  });

  it('holds withdrawals among the receipts, and is read where they are damaged or of versions before them', async () => {
    await openSettlementJournal(file).add([entry(1), withdrawal(2), entry(3), withdrawal(4), withdrawal(5)]);
    const [one = '', two = '', three = '', four = '', five = ''] = (await readFile(file, 'utf8')).split('\n');
    const old = one.replace('"kind":"receipt",', '');
    const unknown = four.replace('withdrawal"', 'withdrawam"');
    await writeFile(file, [old, two, three, unknown, five.slice(0, -9)].join('\n'));
    await openSettlementJournal(file).add([withdrawal(6)]);
    expect(await readSettlementHistory(file)).toEqual({
      entries: [entry(1), withdrawal(2), entry(3), withdrawal(6)],
      damaged: 2,
    });
    expect(old).not.toBe(one);
  });

  it('shows a withdrawal once that was added twice', async () => {
    const journal = openSettlementJournal(file);
    await journal.add([withdrawal(1), withdrawal(2)]);
    await journal.add([{ ...withdrawal(2), at: unixMillis(1_800_000_000_000) }]);
    expect((await journal.read()).entries).toEqual([withdrawal(1), withdrawal(2)]);
  });

  it('keeps the newest entries, and its file does not grow without end', async () => {
    const journal = openSettlementJournal(file);
    const more = 100;
    const all = Array.from({ length: 2 * MAX_SETTLED_KEPT + more }, (_, index) => entry(index));
    for (let at = 0; at < all.length; at += 64) await journal.add(all.slice(at, at + 64));
    expect(await journal.read()).toEqual({ entries: all.slice(-MAX_SETTLED_KEPT), damaged: 0 });
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n').length;
    expect(lines).toBeLessThan(MAX_SETTLED_KEPT + 2 * more);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('shows a receipt once that was added twice', async () => {
    const journal = openSettlementJournal(file);
    await journal.add([entry(1), entry(2)]);
    const again = { ...entry(2), at: unixMillis(1_800_000_000_000) };
    await journal.add([again, entry(2, { channel: entry(9).channel })]);
    expect((await journal.read()).entries).toEqual([entry(1), entry(2), entry(2, { channel: entry(9).channel })]);
  });

  it('stops nothing when it cannot be written, says so once, and goes on when it can', async () => {
    const said: string[] = [];
    const journal = openSettlementJournal(path.join(file, 'settlements.jsonl'), {
      ...silentLog,
      warn: (_fields, message) => said.push(message),
    });
    await journal.add([entry(1)]);
    await journal.add([entry(2)]);
    expect(said).toEqual(['the list of settlements could not be written; the books are correct']);
    await mkdir(file);
    await journal.add([entry(3)]);
    expect((await journal.read()).entries).toEqual([entry(3)]);
  });
});

describe('a node that settles', () => {
  let server: EmbeddedLedger;
  beforeAll(async () => {
    server = await startLedger();
  });
  afterAll(() => server.close());

  it('writes down each receipt: what it moved since the last one, and its part of fee and royalties', async () => {
    const world = await World.create(server, 'history', 3);
    const journal = openSettlementJournal(file);
    const engine = world.engine({ wallet: narrow(world.wallet, 2), journal });
    await world.receive(0, 1_000_001n, 600_000n);
    const [first] = await engine.settleAll();
    await world.receive(0, 4_000_001n);
    await world.receive(1, 2_000_000n, 1_000_000n);
    await world.receive(2, 1_000_000n);
    const later = await engine.settleAll();
    expect(later.map(({ receipts }) => receipts)).toEqual([2, 1]);
    const { entries: all, damaged } = await journal.read();
    expect(damaged).toBe(0);
    const entries = receiptsOf(all);
    expect(entries).toEqual(all);
    const payers = world.payers.map(({ channel }) => channel);
    const moved = new Map(entries.slice(1).map(({ channel, amount: units, up, down }) => [channel, [units, up, down]]));
    expect(entries[0]).toEqual({
      kind: 'receipt',
      at: first?.at,
      channel: payers[0]?.id,
      payer: payers[0]?.payer,
      amount: 1_000_001n,
      up: 2_000_002n,
      down: 30_000_030n,
      signature: first?.signature,
      feeLamports: 5_000n,
      bankFee: 0n,
      royalties: (600_000n * BigInt(ROYALTY_BPS)) / 10_000n,
    });
    expect(moved).toEqual(
      new Map([
        [payers[0]?.id, [3_000_000n, 6_000_000n, 90_000_000n]],
        [payers[1]?.id, [2_000_000n, 4_000_000n, 60_000_000n]],
        [payers[2]?.id, [1_000_000n, 2_000_000n, 30_000_000n]],
      ]),
    );
    for (const { signature, amount: units } of later) {
      const ours = entries.filter((one) => one.signature === signature);
      expect(ours.reduce((sum, one) => sum + one.amount, 0n)).toBe(units);
    }
    // By what they moved; together what the transaction cost.
    const fees = new Map(entries.slice(1).map(({ channel, feeLamports }) => [channel, feeLamports]));
    expect([0, 1, 2].map((payer) => fees.get(payers[payer]?.id ?? entry(0).channel))).toEqual([3_000n, 2_000n, 5_000n]);
    const royalties = entries.reduce((sum, one) => sum + (one.royalties ?? 0n), 0n);
    expect(royalties).toBe((await world.earnings()).name);
    await engine.close();
    await world.close();
  });

  it('writes a receipt down once that it booked only after it had died', async () => {
    const world = await World.create(server, 'history and death', 2);
    const journal = openSettlementJournal(file);
    await world.receive(0, 1_000_000n);
    await world.receive(1, 2_000_000n);
    const dying = altered(world.store, {
      book: () => new Promise(() => {}),
    });
    const settling = startSettlement({ store: dying, wallet: world.wallet, reader: world.ledger, journal });
    void settling.settleAll().catch(() => {});
    await expect.poll(async () => (await journal.read()).entries.length, { timeout: 30_000 }).toBe(2);
    // As the disk holds it then.
    await world.store.close();
    world.store = await openBookStore(path.join(world.directory, 'books'));
    const engine = world.engine({ journal: openSettlementJournal(file) });
    await engine.settleAll();
    expect(engine.totals()).toMatchObject({ transactions: 1, receipts: 2, amount: 3_000_000n });
    const { entries } = await journal.read();
    expect(entries.map(({ amount: units }) => units)).toEqual([2_000_000n, 1_000_000n]);
    await engine.close();
    await world.close();
  });

  it('writes down what it withdraws, by what the transaction itself tells', async () => {
    const world = await World.create(server, 'history of a withdrawal', 1);
    const journal = openSettlementJournal(file);
    const settledMeanwhile = altered(world.wallet, {
      prepareWithdraw: async (earned) => {
        await world.receive(0, 3_000_000n);
        await world.settleForPayee(0);
        return world.wallet.prepareWithdraw(earned);
      },
    });
    const engine = world.engine({ wallet: settledMeanwhile, journal });
    await world.receive(0, 1_000_000n);
    const before = await world.ledger.balances(world.wallet.address);
    const result = await engine.withdraw();
    expect((await world.ledger.balances(world.wallet.address)).credits - before.credits).toBe(3_000_000n);
    const { entries } = await journal.read();
    expect(entries.map(({ kind, amount: units }) => [kind, units])).toEqual([
      ['receipt', 1_000_000n],
      ['withdrawal', 3_000_000n],
    ]);
    expect(entries[1]).toMatchObject({ signature: result?.signature, feeLamports: result?.feeLamports });
    expect(result).toMatchObject({ amount: 3_000_000n, feeLamports: 5_000n });
    expect(engine.totals()).toMatchObject({ transactions: 1, amount: 1_000_000n });
    expect(await engine.withdraw()).toBeUndefined();
    expect((await journal.read()).entries).toEqual(entries);
    await engine.close();
    await world.close();
  });

  it('writes a withdrawal down whose answer it never heard, at its next start', async () => {
    const world = await World.create(server, 'an unheard withdrawal', 1);
    const journal = openSettlementJournal(file);
    await world.receive(0, 1_000_000n);
    const first = world.engine({ journal });
    await first.settleAll();
    await first.close();
    const dying = world.engine({
      wallet: withFaults(world.wallet, (step) => {
        if (step === 'after submit') throw new Crash();
      }),
      journal,
    });
    await expect(dying.withdraw()).rejects.toBeInstanceOf(Crash);
    await dying.close();
    expect(receiptsOf((await journal.read()).entries)).toHaveLength(1);
    await world.reopen();
    const after = world.engine({ journal: openSettlementJournal(file) });
    expect(await after.withdraw()).toBeUndefined();
    const { entries } = await journal.read();
    expect(entries.map(({ kind, amount: units }) => [kind, units])).toEqual([
      ['receipt', 1_000_000n],
      ['withdrawal', 1_000_000n],
    ]);
    expect(after.totals()).toMatchObject({ transactions: 1, receipts: 1, amount: 1_000_000n });
    await after.close();
    await world.close();
  });
});
