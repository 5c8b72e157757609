/** kill -9 of a settling process at each step: the next process ends it, once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBookStore } from '../../../ledger/accounting/index.ts';
import { openSettlementJournal } from '../../../ledger/settlement/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { Step } from './faulty-wallet.ts';
import { startLedger, World } from './world.ts';

const TYPESCRIPT = new URL('../receipt/run-typescript.js', import.meta.url).href;
const CHILD = fileURLToPath(new URL('./settle-child.ts', import.meta.url));
const FATAL: readonly Step[] = ['after prepare', 'before submit', 'after submit', 'after confirm'];

/** A child compiles what it runs, which takes long on a loaded machine. */
const TIMEOUT_MILLIS = 240_000;

let server: EmbeddedLedger;
beforeAll(async () => {
  server = await startLedger();
});
afterAll(async () => {
  await server.close();
});

it.each(FATAL)(
  'kill -9 %s',
  async (fatal) => {
    const world = await World.create(server, `kill ${fatal}`, 2);
    try {
      const directory = path.join(world.directory, 'books');
      await world.receive(0, 1_000_000n, 500_000n);
      await world.receive(1, 2_000_000n, 500_000n);
      await world.store.close();
      const child = spawn(
        process.execPath,
        ['--import', TYPESCRIPT, CHILD, server.url, world.label, directory, fatal],
        {
          stdio: 'inherit',
        },
      );
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
      world.store = await openBookStore(directory);
      const journal = openSettlementJournal(`${directory}.jsonl`);
      const engine = world.engine({ journal });
      await engine.settleAll();
      expect(await world.settledOnChain()).toBe(3_000_000n);
      expect(await world.earnings()).toEqual({ name: 200_000n, till: 2_800_000n });
      expect(world.store.shares.size).toBe(0);
      expect(engine.totals()).toMatchObject({ transactions: 1, receipts: 2, amount: 3_000_000n });
      const { entries } = await journal.read();
      expect(entries.map((entry) => entry.amount)).toEqual([2_000_000n, 1_000_000n]);
      await engine.close();
    } finally {
      await world.close();
    }
  },
  TIMEOUT_MILLIS,
);
