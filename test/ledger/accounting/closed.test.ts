/** What stays in the books of channels that are over: one sum a side. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { channelId, nodeId } from '../../../core/ids.ts';
import { amount } from '../../../core/units.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import { channelState, delegate, seed } from './pair.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-closed-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('adds up what they carried and paid, over restarts, and counts none twice', async () => {
  const peer = nodeId(seed('peer'));
  const channels = [1, 2, 3].map((index) =>
    channelState({
      id: channelId(new Uint8Array(22).fill(index)),
      settled: amount(5n),
      settledUp: 2n,
      settledDown: 3n,
    }),
  );
  const [paid, alsoPaid, paying] = channels;
  if (paid === undefined || alsoPaid === undefined || paying === undefined) throw new Error('three were made');
  let store = await openBookStore(folder);
  expect(store.closed('payee').channels).toBe(0n);
  store.enter('payee', peer, paid);
  store.enter('payee', peer, alsoPaid);
  store.enter('payer', peer, paying);
  const receipt = signReceipt({ channel: paid.id, amount: amount(9n), up: 20n, down: 300n }, delegate);
  store.hold(receipt, 0n, new Map(), () => {});
  store.forget(paid.id);
  store.forget(paid.id);
  await store.close();
  store = await openBookStore(folder);
  expect(store.closed('payee')).toEqual({ channels: 1n, up: 20n, down: 300n, signed: 9n, settled: 5n });
  store.forget(alsoPaid.id);
  store.forget(paying.id);
  await store.close();
  store = await openBookStore(folder);
  expect(store.closed('payee')).toEqual({ channels: 2n, up: 22n, down: 303n, signed: 14n, settled: 10n });
  expect(store.closed('payer')).toEqual({ channels: 1n, up: 2n, down: 3n, signed: 5n, settled: 5n });
  await store.close();
});
