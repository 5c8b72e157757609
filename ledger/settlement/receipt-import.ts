/** Imports receipts from a file into books that lost them. */
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddressBytes, nodeId } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { BookStore } from '../accounting/index.ts';
import type { LedgerReader } from '../contract.ts';
import { verifyReceipt } from '../receipt/index.ts';
import type { ReceiptFile } from './receipt-file.ts';

export interface ReceiptImportOptions {
  readonly store: Pick<BookStore, 'entries' | 'takeUp'>;
  readonly reader: Pick<LedgerReader, 'till'>;
  readonly program: LedgerAddress;
  readonly file: ReceiptFile;
}

/** What became of the receipts of a file; they add up to all of them. */
export interface ImportedReceipts {
  /** New in the books. */
  readonly taken: number;
  /** The books hold the same or a newer one. */
  readonly known: number;
  /** Their channel is closed on the ledger: nothing can be settled of them any more. */
  readonly closed: number;
  /** Not signed by the delegate of their channel, or for more than its deposit. */
  readonly invalid: number;
}

/**
 * Imports what is newer than the books: each receipt's signature is verified, and its channel is what the ledger shows, never what
 * the file says.
 * @throws RelaymintError INVALID_ARGUMENT for the file of another program or wallet; what the ledger and the disk refuse.
 */
export async function importReceipts(options: ReceiptImportOptions): Promise<ImportedReceipts> {
  const { store, reader, program, file } = options;
  if (file.program !== program) {
    throw new RelaymintError('INVALID_ARGUMENT', `The receipts are for the program ${file.program}, not ${program}.`, {
      remedy: 'Give the --ledger and --program that the node uses.',
    });
  }
  for (const { role, channel } of store.entries()) {
    if (role !== 'payee' || channel.payee === file.payee) continue;
    throw new RelaymintError(
      'INVALID_ARGUMENT',
      `The receipts are for the wallet ${file.payee}; these books are those of ${channel.payee}.`,
      { remedy: 'Give the --data directory of the node that wrote the file.' },
    );
  }
  const till = await reader.till(file.payee);
  const channels = new Map(till?.channels.map((channel) => [channel.id, channel]));
  const found: Parameters<BookStore['takeUp']>[0][number][] = [];
  let [closed, invalid] = [0, 0];
  for (const { receipt } of file.receipts) {
    const channel = channels.get(receipt.channel);
    if (channel === undefined) closed += 1;
    else if (!verifyReceipt(receipt, channel.delegate) || receipt.amount > channel.deposit) invalid += 1;
    // Which node pays is known again when it connects; until then the key that signs stands for it.
    else found.push({ peer: nodeId(ledgerAddressBytes(channel.delegate)), channel, receipt });
  }
  const taken = await store.takeUp(found);
  return { taken, known: found.length - taken, closed, invalid };
}
