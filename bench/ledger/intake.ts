/**
 * How fast a payee takes receipts, and what they cost it on disk: ten thousand channels in real books, each receipt
 * compared with what was counted, its signature verified, and synced before its window opens.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { channelId, ledgerAddress, nodeId, type ChannelId } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import { amount, pricePerMiB } from '../../core/units.ts';
import {
  NUMERATOR_BITS,
  openAccountBook,
  openBookStore,
  type AccountBook,
  type EarningAccount,
} from '../../ledger/accounting/index.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { delegateFromSeed, signReceipt, type Signer } from '../../ledger/receipt/index.ts';
import { openDatabase } from '../../platform/disk/level.ts';
import type { RowGroup, RowSource } from './rows.ts';

export interface IntakeOptions {
  /** Default and most: what books hold, 10,000. */
  readonly channels?: number;
  /** Receipts that each channel gets while the clock runs, after its first. Default 5. */
  readonly rounds?: number;
}

export interface IntakeFigures {
  readonly name: 'verify-and-store';
  readonly channels: number;
  /** Verified and stored while the clock ran. */
  readonly receipts: number;
  /** By the clock on the wall, from the first until the last was synced. */
  readonly receiptsPerSecond: number;
  /** By the processor time of all threads, the disk's included: what one core does. */
  readonly receiptsPerCpuSecond: number;
  /** Size of the compacted books for each channel, when each held its first receipt and when each had replaced it `rounds` times. */
  readonly bytesPerChannelFirst: number;
  readonly bytesPerChannelLast: number;
}

/** What each channel carries between two receipts, well within a stranger's window. It costs 200 base units, no fraction. */
const FRAME_BYTES = 16 * 1024;
const PRICE = pricePerMiB(12_800n);
const DEPOSIT = amount(1_000_000_000_000n);
const DEFAULT_ROUNDS = 5;
/** Receipts that come in between two turns of the event loop: about what a busy node reads from its sockets at once. */
const PER_TURN = 32;
const PAYEE = ledgerAddress(new Uint8Array(32).fill(1));

export const intakeRows: RowSource = async (): Promise<RowGroup> => {
  const { name, ...figures } = await measureIntake();
  return {
    title: 'taking receipts of ten thousand channels',
    rows: [{ name, figures }],
    notes: ['Each receipt was counted, verified and synced; the books are as large after the last as after the first.'],
  };
};

/** @throws RangeError for channels or rounds out of range. */
export async function measureIntake(options: IntakeOptions = {}): Promise<IntakeFigures> {
  const { channels = MAX_ACCOUNTS, rounds = DEFAULT_ROUNDS } = options;
  if (!Number.isInteger(channels) || channels < 1 || channels > MAX_ACCOUNTS) {
    throw new RangeError(`channels must be 1 to ${MAX_ACCOUNTS}, got ${channels}`);
  }
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`rounds must be at least 1, got ${rounds}`);
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-receipts-'));
  const directory = path.join(folder, 'books');
  try {
    const payers = Array.from({ length: channels }, (_, index) => new Payer(index));
    await taking(directory, payers, 1);
    const first = await compactedSize(directory);
    const { wallSeconds, cpuSeconds } = await taking(directory, payers, rounds);
    const last = await compactedSize(directory);
    const receipts = channels * rounds;
    return {
      name: 'verify-and-store',
      channels,
      receipts,
      receiptsPerSecond: Math.round(receipts / wallSeconds),
      receiptsPerCpuSecond: Math.round(receipts / cpuSeconds),
      bytesPerChannelFirst: Math.round(first / channels),
      bytesPerChannelLast: Math.round(last / channels),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Signs what it owes. Its work is done before the clock runs: it is somebody else's. */
class Payer {
  readonly channel: ChannelState;
  readonly #index: number;
  readonly #signer: Signer;
  #up = 0n;

  constructor(index: number) {
    this.#index = index;
    this.#signer = delegateFromSeed(digest(`delegate ${index}`));
    this.channel = {
      id: idOf(index),
      till: PAYEE,
      payee: PAYEE,
      slot: index,
      generation: 1,
      payer: ledgerAddress(digest(`payer ${index}`)),
      delegate: this.#signer.address,
      deposit: DEPOSIT,
      opening: DEPOSIT,
      settled: amount(0n),
      settledUp: 0n,
      settledDown: 0n,
      closeAt: undefined,
    };
  }

  open(book: AccountBook): EarningAccount {
    const account = book.openEarning({
      peer: nodeId(digest(`node ${this.#index}`)),
      channel: this.channel,
      price: PRICE,
    });
    account.onFault = (error) => {
      throw error;
    };
    return account;
  }

  next(): Uint8Array {
    this.#up += BigInt(FRAME_BYTES);
    const due = amount((this.#up * PRICE) >> NUMERATOR_BITS);
    return signReceipt({ channel: this.channel.id, amount: due, up: this.#up, down: 0n }, this.#signer).bytes;
  }
}

interface Spent {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}

/** Every payer pays `rounds` times. Counted is the payee's work, to the last sync. */
async function taking(directory: string, payers: readonly Payer[], rounds: number): Promise<Spent> {
  const store = await openBookStore(directory);
  const book = openAccountBook({ store, reader: { channel: async () => undefined } });
  const accounts = payers.map((payer) => payer.open(book));
  let [wallSeconds, cpuSeconds] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    const receipts = payers.map((payer) => payer.next());
    const began = performance.now();
    const before = process.cpuUsage();
    for (const [index, account] of accounts.entries()) {
      if (account.receivedUp(FRAME_BYTES, PRICE) !== 'forward') throw new Error('an honest payer was held up');
      account.receive(receipts[index] ?? new Uint8Array());
      if (index % PER_TURN === PER_TURN - 1) await new Promise(setImmediate);
    }
    await store.flushed();
    const { user, system } = process.cpuUsage(before);
    cpuSeconds += (user + system) / 1e6;
    wallSeconds += (performance.now() - began) / 1e3;
  }
  await book.close();
  await store.close();
  return { wallSeconds, cpuSeconds };
}

interface Compacting {
  compactRange(from: string, to: string): Promise<void>;
}

/** Bytes on disk, both copies, once each has thrown away what was replaced. */
async function compactedSize(directory: string): Promise<number> {
  // The journal is shortened as the books are opened.
  const store = await openBookStore(directory);
  await store.close();
  const levelDirectory = path.join(directory, 'level');
  const database = await openDatabase(levelDirectory);
  // `level` declares only what browsers can do as well; in Node it is classic-level, which compacts.
  await (database as unknown as Compacting).compactRange('', '\uffff');
  await database.close();
  let total = (await stat(path.join(directory, 'journal'))).size;
  for (const name of await readdir(levelDirectory)) {
    if (name.endsWith('.ldb')) total += (await stat(path.join(levelDirectory, name))).size;
  }
  return total;
}

function idOf(index: number): ChannelId {
  return channelId(digest(`channel ${index}`).subarray(0, 22));
}

function digest(text: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(text).digest());
}
