/** Receipts that come back from an export: what is taken up, and what an importer is not made to believe. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { channelId, ledgerAddress, nodeId } from '../../../core/ids.ts';
import { amount, lamports, unixMillis } from '../../../core/units.ts';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import type { BookStore } from '../../../ledger/accounting/index.ts';
import type { ChannelState, LedgerReader, TillState } from '../../../ledger/contract.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';
import { importReceipts } from '../../../ledger/settlement/index.ts';
import type { FiledReceipt, ImportedReceipts } from '../../../ledger/settlement/index.ts';
import { channelState, delegate, seed, stranger } from '../accounting/pair.ts';

const program = ledgerAddress(seed('program'));
const open = [0, 1, 2].map((slot) => channel(slot));
let directory: string;
let store: BookStore;

function channel(slot: number): ChannelState {
  return channelState({ id: channelId(seed(`channel ${slot}`).subarray(0, 22)), slot, deposit: amount(10_000n) });
}

function filed(state: ChannelState, owed: bigint, signer: Signer = delegate): FiledReceipt {
  const receipt = signReceipt({ channel: state.id, amount: amount(owed), up: owed, down: owed }, signer);
  return { slot: state.slot, generation: state.generation, delegate: signer.address, receipt };
}

const till: TillState = {
  address: channel(0).till,
  owner: channel(0).payee,
  slots: 4,
  minDeposit: amount(0n),
  opening: amount(0n),
  slotRent: lamports(0n),
  earned: amount(0n),
  lifetimeEarned: amount(0n),
  channels: open,
  generations: [1, 1, 1, 1],
};
const reader: Pick<LedgerReader, 'till'> = { till: async (owner) => (owner === till.owner ? till : undefined) };

function bring(receipts: readonly FiledReceipt[], change: { readonly payee?: string } = {}): Promise<ImportedReceipts> {
  const payee = ledgerAddress(change.payee ?? till.owner);
  return importReceipts({ store, reader, program, file: { program, payee, writtenAt: unixMillis(1), receipts } });
}

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'relaymint-import-'));
  store = await openBookStore(directory);
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

describe('an import', () => {
  it('brings back into empty books what is open on the ledger, and it stays', async () => {
    const gone = channel(3);
    expect(await bring([...open.map((state) => filed(state, 500n)), filed(gone, 900n)])).toEqual({
      taken: 3,
      known: 0,
      closed: 1,
      invalid: 0,
    });
    await store.close();
    store = await openBookStore(directory);
    expect(Array.from(store.entries(), ({ latest }) => latest?.amount)).toEqual([500n, 500n, 500n]);
  });

  it('never replaces a newer receipt, nor the peer that is known', async () => {
    const peer = nodeId(seed('peer'));
    const state = channel(0);
    store.enter('payee', peer, state);
    store.hold(filed(state, 700n).receipt, 0n, new Map(), () => {});
    expect(await bring([filed(state, 500n)])).toMatchObject({ taken: 0, known: 1 });
    expect(store.entry(state.id)?.latest?.amount).toBe(700n);
    expect(await bring([filed(state, 800n)])).toMatchObject({ taken: 1, known: 0 });
    expect(store.entry(state.id)).toMatchObject({ peer, latest: { amount: 800n } });
  });

  it('believes neither a key in the file nor an amount above the deposit', async () => {
    const forged = { ...filed(channel(0), 500n, stranger), delegate: stranger.address };
    expect(await bring([forged, filed(channel(1), 10_001n)])).toEqual({ taken: 0, known: 0, closed: 0, invalid: 2 });
    expect(Array.from(store.entries())).toEqual([]);
  });

  it('refuses the file of another program or of another wallet', async () => {
    store.enter('payee', nodeId(seed('peer')), channel(0));
    await expect(bring([], { payee: ledgerAddress(seed('somebody')) })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const file = { program: ledgerAddress(seed('other')), payee: till.owner, writtenAt: unixMillis(1), receipts: [] };
    await expect(importReceipts({ store, reader, program, file })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
