/** The embedded ledger's journals: on disk, and for as long as the process lives. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { memoryJournal, openJournal } from '../../../ledger/solana/embedded/journal.ts';
import { ledgerJournalCompliance } from '../../compliance/ledger-journal.ts';

let folder = '';
ledgerJournalCompliance('on disk', {
  setup: async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'relaymint-journal-'));
    return openJournal(folder);
  },
  reopen: () => openJournal(folder),
  teardown: () => rm(folder, { recursive: true }),
  keeps: true,
});
ledgerJournalCompliance('in memory', {
  setup: async () => memoryJournal(),
  reopen: async () => memoryJournal(),
  teardown: async () => {},
  keeps: false,
});

it("are the ledger's: once that is closed, its clock is moved no more", async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'relaymint-journal-'));
  for (const options of [{ dataDir }, {}]) {
    const ledger = await startEmbeddedLedger(options);
    await ledger.warp(1);
    await ledger.close();
    await expect(ledger.warp(1)).rejects.toMatchObject({ code: 'CLOSED' });
  }
  await rm(dataDir, { recursive: true });
});
