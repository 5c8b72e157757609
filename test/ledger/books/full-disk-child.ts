/**
 * Runs with a small file system of its own at the directory it is given: fills it while receipts come in, frees it again, and
 * says on stdout, as one line of JSON, what happened.
 */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { channelId, nodeId } from '../../../core/ids.ts';
import { isRelaymintError, messageOf } from '../../../core/errors.ts';
import { silentLog } from '../../../core/ports.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import { delegateFromSeed, signReceipt } from '../../../ledger/receipt/index.ts';
import { channelState, seed } from '../accounting/pair.ts';

const [directory = ''] = process.argv.slice(2);
const books = path.join(directory, 'books');
const filler = path.join(directory, 'filler');
const signer = delegateFromSeed(seed('delegate'));
const PRICE = pricePerMiB(1n << 20n);
const FRAME = 1000;
const lines: string[] = [];
const told = (_fields: object, message: string): void => {
  lines.push(message);
};
const log = { ...silentLog, info: told, warn: told, error: told };
const store = await openBookStore(books, { log });
const book = openAccountBook({ store, reader: { channel: async () => undefined } });
const channel = channelState({ opening: amount(1n << 20n) });
const account = book.openEarning({ peer: nodeId(seed('peer')), channel, price: PRICE });
let faults = 0;
account.onFault = () => {
  faults += 1;
};
let up = 0n;

/** One more frame and the receipt that pays for it. */
function pay(): void {
  up += BigInt(FRAME);
  account.receivedUp(FRAME, PRICE);
  account.receive(signReceipt({ channel: channel.id, amount: amount(up), up, down: 0n }, signer).bytes);
}

pay();
await account.flushed();
const confirmed = up;
await fill();
// Receipts until one can no longer be written: the file system takes what is left of its last block.
let refusal: string | undefined;
while (refusal === undefined) {
  pay();
  refusal = await account.flushed().then(() => undefined, codeOf);
}
const atRefusal = up;
// What a window holds may still go down; then it stays shut, because the newest receipts are not on disk.
while (account.canSendDown(FRAME, PRICE)) account.sentDown(FRAME, PRICE);
const opened = new Promise<void>((resolve) => {
  account.onOpen = resolve;
});
let newCredit = 'given';
try {
  book.openEarning({
    peer: nodeId(seed('another')),
    channel: channelState({ id: channelId(seed('another').subarray(0, 22)), slot: 1 }),
    price: PRICE,
  });
} catch (error) {
  newCredit = codeOf(error);
}
const settlement = await store.saveSettlement('signature', new Uint8Array(8)).then(() => 'saved', codeOf);
const linesWhileFull = lines.length;
await rm(filler);
await opened;
await account.flushed();
pay();
await account.flushed();
await book.close();
await store.close();
const again = await openBookStore(books, { log });
const held = again.entry(channel.id)?.latest?.amount ?? 0n;
process.stdout.write(
  `${JSON.stringify({
    confirmed: String(confirmed),
    refusal,
    unconfirmed: String(atRefusal - confirmed),
    newCredit,
    settlement,
    linesWhileFull,
    lines,
    faults,
    due: String(up),
    held: String(held),
    settlements: again.settlements().size,
    damaged: again.findings.damaged.length,
  })}\n`,
);
await again.close();

function codeOf(error: unknown): string {
  return isRelaymintError(error) ? error.code : messageOf(error);
}

async function fill(): Promise<void> {
  for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
    try {
      for (;;) await writeFile(filler, new Uint8Array(bytes), { flag: 'a' });
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error;
    }
  }
}
