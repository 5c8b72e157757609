/**
 * A child that opens spoiled copies of books, one after the other, and says on stdout what became of each. LevelDB can end the
 * process that opens it, so it is not the test's own.
 */
import { cp, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { toHex } from '../../../core/codec.ts';
import { GroupedStore } from '../../../ledger/books/store.ts';
import type { Flip, Outcome } from './damage-trial.ts';

const [whole = '', trial = ''] = process.argv.slice(2);

for await (const line of createInterface({ input: process.stdin })) {
  const flips = JSON.parse(line) as readonly Flip[];
  await rm(trial, { recursive: true, force: true });
  await cp(whole, trial, { recursive: true });
  for (const { file, at, mask } of flips) {
    const handle = await open(path.join(trial, file), 'r+');
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ mask;
    await handle.write(byte, 0, 1, at);
    await handle.close();
  }
  let outcome: Outcome;
  try {
    await using store = await GroupedStore.open(trial);
    const entries = Array.from(store.entries(), ([key, value]) => [key, toHex(value)] as const);
    const { complete, damaged } = store.findings;
    outcome = { entries, complete, damaged: damaged.map(({ copy, faults }) => `${copy}: ${faults.join('; ')}`) };
  } catch (error) {
    outcome = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
