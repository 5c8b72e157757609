/** The list of what was published: what survives in it, and how long it becomes. */
import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_PUBLISHED_KEPT } from '../../../core/limits.ts';
import { unixMillis } from '../../../core/units.ts';
import { PublishJournal } from '../../../sites/publish/index.ts';
import { Cleanup, rawBlock, temporaryFolder } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

let file: string;
let journal: PublishJournal;
beforeEach(async () => {
  file = path.join(await temporaryFolder(cleanup), 'published.jsonl');
  journal = new PublishJournal(file);
});

const { cid: root } = rawBlock('a root');
const entry = {
  name: 'demo.web3',
  at: unixMillis(1_800_000_000_000),
  step: 'updated' as const,
  root,
  files: 1,
  bytes: 6,
  hosts: [],
};

const line = (number: number): string => JSON.stringify({ ...entry, number, root: root.toString(), transaction: null });

describe('a journal', () => {
  it('is empty before anything was published', async () => expect(await journal.read('demo.web3')).toEqual([]));

  it('has an entry before it is confirmed, and the same one afterwards', async () => {
    const begun = await journal.begin(entry);
    expect(await journal.read('demo.web3')).toEqual([{ ...entry, number: 1, transaction: undefined }]);
    await journal.confirm(begun, 'signature');
    expect(await journal.read('demo.web3')).toEqual([{ ...entry, number: 1, transaction: 'signature' }]);
  });

  it('numbers the entries of each name from one', async () => {
    await journal.begin(entry);
    await journal.begin({ ...entry, name: 'other.web3', root: undefined, step: 'unpublished' });
    await journal.begin(entry);
    expect((await journal.read('demo.web3')).map(({ number }) => number)).toEqual([1, 2]);
    expect(await journal.read('other.web3')).toMatchObject([{ number: 1, root: undefined }]);
  });

  it('loses a line that was torn, and no other', async () => {
    await journal.begin(entry);
    await journal.begin(entry);
    await truncate(file, (await readFile(file)).length - 7);
    await journal.begin(entry);
    await appendFile(file, 'garbage\n\u0000\n{"name":1}\n');
    expect((await journal.read('demo.web3')).map(({ number }) => number)).toEqual([1, 2]);
  });

  it('keeps the newest entries', async () => {
    const lines = Array.from({ length: 2 * MAX_PUBLISHED_KEPT }, (_none, index) => `${line(index + 1)}\n`);
    await writeFile(file, lines.join(''));
    const { number } = await journal.begin(entry);
    expect(number).toBe(2 * MAX_PUBLISHED_KEPT + 1);
    const kept = await journal.read('demo.web3');
    expect(kept).toHaveLength(MAX_PUBLISHED_KEPT);
    expect(kept.at(-1)?.number).toBe(number);
    expect((await readFile(file, 'utf8')).split('\n')).toHaveLength(MAX_PUBLISHED_KEPT + 1);
  });

  it('keeps the numbers of a name while another one is published again and again', async () => {
    for (let round = 0; round < 20; round += 1) await journal.begin({ ...entry, name: 'quiet.web3' });
    const lines = Array.from({ length: 2 * MAX_PUBLISHED_KEPT }, (_none, index) => `${line(index + 1)}\n`);
    await appendFile(file, lines.join(''));
    await journal.begin(entry);
    const kept = (await journal.read('quiet.web3')).map(({ number }) => number);
    expect(kept).toEqual(Array.from({ length: 16 }, (_none, index) => index + 5));
    expect((await journal.begin({ ...entry, name: 'quiet.web3' })).number).toBe(21);
  });

  it('that cannot be written says so', async () => {
    const blocked = new PublishJournal(path.join(file, 'below'));
    await writeFile(file, '');
    await expect(blocked.begin(entry)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});
