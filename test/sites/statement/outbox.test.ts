/** What a gateway keeps of statements: bounded, for a time, and over restarts. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  MAX_STATEMENTS_OF_NAME,
  STATEMENT_DELAY_LEAST_MILLIS,
  STATEMENT_DELAY_MOST_MILLIS,
  STATEMENT_KEPT_MILLIS,
} from '../../../core/limits.ts';
import { silentLog } from '../../../core/ports.ts';
import { bytes } from '../../../core/units.ts';
import { openOutbox, type Outbox, type OutboxOptions } from '../../../sites/statement/index.ts';
import { Cleanup, TestClock, temporaryFolder } from '../kit.ts';
import { statingHost } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const nonce = new Uint8Array(16).fill(7);

function open(clock: TestClock, more: Partial<OutboxOptions> = {}): Promise<Outbox> {
  return openOutbox({ clock, delay: () => 0, log: silentLog, ...more });
}

describe('what a gateway keeps of statements', () => {
  it('is the last of each stream, and one that was handed over is not kept again', async () => {
    const clock = new TestClock();
    const host = statingHost(1, clock);
    const outbox = await open(clock);
    const [first, second] = [5, 9].map((size) => host.state({ nonce, bytes: bytes(size) }));
    outbox.keep(second!);
    outbox.keep(first!);
    expect(outbox.due().map((one) => one.bytes)).toEqual([9]);
    // What was stated since stays.
    outbox.drop([first!]);
    expect(outbox.size).toBe(1);
    outbox.drop([second!]);
    expect(outbox.size).toBe(0);
  });

  it('waits for hours that are drawn for each, does not wait longer because the visit lasts, and goes after two weeks', async () => {
    const clock = new TestClock();
    const host = statingHost(1, clock);
    const outbox = await openOutbox({ clock, log: silentLog });
    for (let count = 0; count < 40; count += 1) outbox.keep(host.state());
    outbox.keep(host.state({ nonce }));
    clock.advance(STATEMENT_DELAY_LEAST_MILLIS - 1);
    expect(outbox.due()).toEqual([]);
    clock.advance((STATEMENT_DELAY_MOST_MILLIS - STATEMENT_DELAY_LEAST_MILLIS) / 2);
    const half = outbox.due().length;
    expect(half).toBeGreaterThan(0);
    expect(half).toBeLessThan(41);
    outbox.keep(host.state({ nonce, bytes: bytes(2_000_000) }));
    clock.advance(STATEMENT_DELAY_MOST_MILLIS / 2);
    expect(outbox.due()).toHaveLength(41);
    clock.advance(STATEMENT_KEPT_MILLIS);
    expect(outbox.due()).toEqual([]);
    expect(outbox.size).toBe(0);
  });

  it('is handed over in another order than it came', async () => {
    const clock = new TestClock();
    const host = statingHost(1, clock);
    const outbox = await open(clock);
    const sizes = Array.from({ length: 64 }, (_, index) => index + 1);
    for (const size of sizes) outbox.keep(host.state({ bytes: bytes(size) }));
    const handed = outbox.due().map((one): number => one.bytes);
    expect(handed).not.toEqual(sizes);
    expect(handed.toSorted((a, b) => a - b)).toEqual(sizes);
  });

  it('of one name does not push out that of others, and its oldest goes first', async () => {
    const clock = new TestClock();
    const host = statingHost(1, clock);
    const outbox = await open(clock);
    const first = host.state({ name: 'loud.web3', bytes: bytes(1) });
    outbox.keep(host.state({ name: 'quiet.web3' }));
    outbox.keep(first);
    for (let count = 0; count < MAX_STATEMENTS_OF_NAME; count += 1) outbox.keep(host.state({ name: 'loud.web3' }));
    const names = outbox.due().map(({ name }) => name);
    expect(names.filter((name) => name === 'loud.web3')).toHaveLength(MAX_STATEMENTS_OF_NAME);
    expect(names).toContain('quiet.web3');
    expect(outbox.due().map((one): number => one.bytes)).not.toContain(1);
  });

  it('is there after a restart, with its time, and spoiled lines are not', async () => {
    const clock = new TestClock();
    const host = statingHost(1, clock);
    const file = path.join(await temporaryFolder(cleanup), 'deep', 'outbox');
    const before = await open(clock, { file, delay: () => 1_000 });
    for (let count = 0; count < 3; count += 1) before.keep(host.state({ bytes: bytes(count + 1) }));
    await before[Symbol.asyncDispose]();
    const [one = '', ...others] = (await readFile(file, 'utf8')).split('\n');
    const spoiled = [one.replace(/.{8}$/, 'AAAAAAA='), ...others, 'noise', `${'9'.repeat(40)} 1 x`, '0 0', '\0'];
    await writeFile(file, spoiled.join('\n'));
    const after = await open(clock, { file });
    expect(after.due()).toEqual([]);
    clock.advance(1_000);
    expect(
      after
        .due()
        .map((kept): number => kept.bytes)
        .toSorted((one, other) => one - other),
    ).toEqual([2, 3]);
  });

  it('is nowhere on disk without a file', async () => {
    const clock = new TestClock();
    const outbox = await open(clock);
    outbox.keep(statingHost(1, clock).state());
    await outbox[Symbol.asyncDispose]();
    expect(outbox.size).toBe(1);
  });
});
