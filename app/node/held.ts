/** Settles what a node holds before it would be lost: through the node if it runs, otherwise from its books. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { amount, type Amount } from '../../core/units.ts';
import { openBookStore } from '../../ledger/accounting/index.ts';
import type { LedgerReader, LedgerWallet } from '../../ledger/contract.ts';
import { openSettlementJournal, startSettlement } from '../../ledger/settlement/index.ts';
import { callControl, runningNode, type ControlFetch } from '../control/index.ts';
import { BOOKS_DIRECTORY, SETTLEMENTS_FILE } from './money.ts';

export interface HeldOptions {
  /** The folder of the node that earns for the wallet. */
  readonly dataDir: string;
  readonly reader: LedgerReader;
  readonly wallet: LedgerWallet;
  /** Reaches a running node. */
  readonly fetch: ControlFetch;
  readonly log: Log;
}

export interface Held {
  /** How many receipts were settled. */
  readonly receipts: number;
  /** What each payer owes; payers that owe nothing are left out. */
  readonly debts: ReadonlyMap<string, Amount>;
}

/**
 * Resolves with what was settled, and what payers owe.
 * @throws RelaymintError FILE_NOT_FOUND when neither a node nor books are there; INVALID_ARGUMENT when they earn for another wallet;
 * FILE_IN_USE when a node has the books and does not answer; what `SettlementEngine.settleAll` throws.
 */
export async function settleHeld({ dataDir, reader, wallet, fetch, log }: HeldOptions): Promise<Held> {
  const running = await runningNode(dataDir, fetch);
  if (running !== undefined) {
    if (running.wallet !== wallet.address) throw otherWallet(dataDir);
    const { receipts } = await callControl(fetch, running.control, 'settle');
    const { debts } = await callControl(fetch, running.control, 'debts');
    return { receipts, debts: new Map(Object.entries(debts).map(([payer, debt]) => [payer, amount(BigInt(debt))])) };
  }
  const directory = path.join(dataDir, BOOKS_DIRECTORY);
  await access(directory).catch((cause: unknown) => {
    throw new RelaymintError('FILE_NOT_FOUND', `There are no books in ${dataDir}, so nothing can be settled first.`, {
      remedy:
        'With --data, name the folder of the node that earns for this wallet, or add --no-settle if there is none.',
      cause,
    });
  });
  await using store = await openBookStore(directory, { log });
  for (const { role, channel } of store.entries()) {
    if (role === 'payee' && channel.payee !== wallet.address) throw otherWallet(dataDir);
  }
  const journal = openSettlementJournal(path.join(dataDir, SETTLEMENTS_FILE), log);
  await using settlement = startSettlement({ store, wallet, reader, journal, log });
  const settled = await settlement.settleAll();
  return { receipts: settled.reduce((sum, { receipts }) => sum + receipts, 0), debts: settlement.debts() };
}

function otherWallet(dataDir: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `The node in ${dataDir} earns for another wallet.`, {
    remedy: 'With --data, name the folder of the node that earns for this wallet.',
  });
}
