/** `relaymint books` as a user types it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeId } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import { openBookStore } from '../../ledger/accounting/index.ts';
import { signReceipt } from '../../ledger/receipt/index.ts';
import { channelState, delegate, seed } from '../ledger/accounting/pair.ts';
import { run } from './program.ts';

let data: string;
beforeEach(async () => {
  data = await mkdtemp(path.join(tmpdir(), 'relaymint-cli-books-'));
});
afterEach(async () => {
  await rm(data, { recursive: true, force: true });
});

async function write(): Promise<AsyncDisposable> {
  const store = await openBookStore(path.join(data, 'books'));
  const channel = channelState();
  store.enter('payee', nodeId(seed('peer')), channel);
  const receipt = signReceipt({ channel: channel.id, amount: amount(1_500_000n), up: 1n, down: 2n }, delegate);
  store.hold(receipt, 0n, new Map(), () => {});
  await store.flushed();
  return store;
}

describe('relaymint books check', () => {
  it('shows what undamaged books hold, and exits with 0', async () => {
    await (await write())[Symbol.asyncDispose]();
    const { code, stdout } = await run(['books', 'check', '--data', data]);
    expect(stdout).toContain('1 channel, 1 receipt held, 1.5 credits');
    expect(stdout).toContain('Both copies are whole.');
    expect(code).toBe(0);
  });

  it('shows what is damaged and what is missing, and exits with 1', async () => {
    await (await write())[Symbol.asyncDispose]();
    const journal = path.join(data, 'books', 'journal');
    const bytes = await readFile(journal);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(journal, bytes);
    const damaged = await run(['books', 'check', '--data', data, '--json']);
    expect(damaged.code).toBe(1);
    expect(JSON.parse(damaged.stdout)).toMatchObject({
      amount: '1500000',
      damaged: [{ copy: 'journal' }],
      complete: true,
      missing: { records: 0, amount: '0' },
    });
    await rm(path.join(data, 'books', 'level'), { recursive: true });
    const missing = await run(['books', 'check', '--data', data]);
    expect(missing.code).toBe(1);
    expect(missing.stdout).toContain('Missing: at least 1 record');
  });

  it('refuses the books of a running node, and a folder without books', async () => {
    {
      await using _open = await write();
      const { code, stderr } = await run(['books', 'check', '--data', data]);
      expect(code).toBe(1);
      expect(stderr).toContain('open in another process');
    }
    const { code, stderr } = await run(['books', 'check', '--data', path.join(data, 'nothing')]);
    expect(code).toBe(1);
    expect(stderr).toContain('There are no books');
  });
});
