/** The embedded ledger's journals: on disk, and for as long as the process lives. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { memoryJournal, openJournal, type Journal } from '../../../ledger/solana/embedded/journal.ts';
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

async function keysOf(journal: Journal): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const [key] of journal.load()) keys.push(key);
  return keys;
}

describe('what LevelDB cannot read', () => {
  it('is STORAGE_FAILED, and names the folder', async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'relaymint-journal-'));
    const first = await openJournal(dataDir);
    first.put([{ key: 'a', value: new Uint8Array(9) }]);
    await first.close();
    // What was in its log is in a table from the next start on.
    await (await openJournal(dataDir)).close();
    const journal = await openJournal(dataDir);
    const tables = (await readdir(dataDir)).filter((name) => name.endsWith('.ldb'));
    for (const name of tables) await rm(path.join(dataDir, name));
    await expect(keysOf(journal)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: expect.stringContaining(`The ledger in ${dataDir} cannot be read or written: `) as string,
    });
    expect(tables).not.toEqual([]);
    await journal.close();
    await rm(dataDir, { recursive: true });
  });

  it('because the ledger was closed meanwhile is CLOSED', async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'relaymint-journal-'));
    const journal = await openJournal(dataDir);
    journal.put([{ key: 'a', value: new Uint8Array(9) }]);
    await journal.settled();
    const reading = journal.load()[Symbol.asyncIterator]();
    await journal.close();
    await expect(reading.next()).rejects.toMatchObject({ code: 'CLOSED' });
    await rm(dataDir, { recursive: true });
  });
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
