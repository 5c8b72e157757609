/**
 * Does in the code what a walk of `pair.pml` did, event by event: two account books on real disks, one ordered link. The figures
 * that the model prints after an event are compared with the code's.
 *
 * A unit of the model is UNIT base units, the cost of one frame.
 */
import { cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodeId } from '../../core/ids.ts';
import { amount, pricePerMiB } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import { decodeTerms, encodeTerms, openAccountBook, openBookStore } from '../../ledger/accounting/index.ts';
import type { AccountBook, BookStore, EarningAccount, SpendingAccount } from '../../ledger/accounting/index.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { channelState, delegate, seed } from '../ledger/accounting/pair.ts';

/** `FULL` of the model: frames in the widest window; and `MORE`: how many more are burned at once. */
export const FULL = 8;
const MORE = 2;
const UNIT = 1_000n;
const FRAME = 1_048_576 / FULL;
const PRICE = pricePerMiB(UNIT * BigInt(FULL));

/** What the model counts after an event, in frames. */
interface Figures {
  readonly owed: number;
  readonly granted: number;
  readonly counted: number;
  readonly held: number;
  readonly payerWindow: number;
  readonly payeeWindow: number;
}

export interface Event extends Figures {
  readonly name: string;
  /** Counted by the payee, or accepted and not synced. */
  readonly unsynced: number;
  /** The payer's window had become too narrow: its wallet burned more, on chain. */
  readonly burned: number;
}

interface Side {
  readonly directory: string;
  store: BookStore;
  book: AccountBook;
}

/** A receipt is its bytes, and what the payee says of the window is that window. */
type Message = 'frame' | 'grant' | 'giveBack' | 'look' | Uint8Array | Amount;

/** `EV name figure=n ...` */
export function parseEvent(line: string): Event {
  const [, name = '', ...rest] = line.trim().split(/\s+/);
  const figures = new Map(rest.map((item) => item.split('=') as [string, string]));
  const read = (figure: string): number => {
    const value = Number(figures.get(figure));
    if (!Number.isSafeInteger(value)) throw new TypeError(`the model's event lacks ${figure}: ${line}`);
    return value;
  };
  return {
    name,
    owed: read('owed'),
    granted: read('granted'),
    counted: read('counted'),
    unsynced: read('unsynced'),
    burned: read('burned'),
    held: read('held'),
    payerWindow: read('payerWindow'),
    payeeWindow: read('payeeWindow'),
  };
}

export class Replay implements AsyncDisposable {
  readonly #root: string;
  readonly #payer: Side;
  readonly #payee: Side;
  /** As the chain shows it, and as the payer's books have it. */
  #onChain: ChannelState;
  #known: ChannelState;
  #spending!: SpendingAccount;
  #earning!: EarningAccount;
  #up: Message[] = [];
  #down: Message[] = [];
  #held = 0;
  #faults: Error[] = [];
  /** A copy of the payee's disk from before the receipt that it will not have when it dies. */
  #kept: string | undefined;

  private constructor(root: string, payer: Side, payee: Side, burned: number) {
    this.#known = channelState({ opening: amount(BigInt(burned) * UNIT) });
    this.#onChain = this.#known;
    this.#root = root;
    this.#payer = payer;
    this.#payee = payee;
    this.#link();
  }

  /** `burned` at the opening, in frames. */
  static async open(burned: number = FULL): Promise<Replay> {
    const root = await mkdtemp(path.join(tmpdir(), 'relaymint-replay-'));
    const [payer, payee] = [await openSide(path.join(root, 'payer')), await openSide(path.join(root, 'payee'))];
    return new Replay(root, payer, payee, burned);
  }

  /** What the code counts now, in frames; `granted` is the model's own, which must fit in what the code may come to owe. */
  figures(granted: number): Figures {
    const [payer, payee] = [this.#spending.counts(), this.#earning.counts()];
    if (this.#faults.length > 0) throw this.#faults[0];
    if (BigInt(granted) * UNIT > this.#spending.mayOwe >> 20n) {
      throw new Error(`the model granted ${granted} frames; the code may owe ${this.#spending.mayOwe >> 20n} more`);
    }
    return {
      owed: frames(payer.due - payer.signed),
      granted,
      counted: frames(payee.due - payee.signed),
      held: this.#held,
      payerWindow: frames(this.#spending.window),
      payeeWindow: frames(this.#earning.window),
    };
  }

  /** Only `sync` and accidents let time pass: the disk does nothing in between. */
  async apply(name: string): Promise<void> {
    switch (name) {
      case 'sendUp':
        this.#spending.sendUp(FRAME, PRICE);
        this.#up.push('frame');
        return;
      case 'grant':
        this.#up.push('grant');
        return;
      case 'flush':
        return this.#spending.flush();
      case 'receiveDown':
        take(this.#down, 'frame');
        return this.#spending.receivedDown(FRAME, PRICE);
      case 'takeBack':
        take(this.#down, 'giveBack');
        return;
      case 'receiveUp':
        take(this.#up, 'frame');
        return this.#receiveUp();
      case 'receiveReceipt': {
        const receipt = this.#up.shift();
        if (!(receipt instanceof Uint8Array))
          throw new Error('the model has a receipt under way where the code has none');
        return this.#earning.receive(receipt);
      }
      case 'receiveGrant':
        take(this.#up, 'grant');
        return;
      case 'sync':
        return this.#earning.flushed();
      case 'sendDown':
        if (!this.#earning.canSendDown(FRAME, PRICE)) throw new Error('the model sends down where the code waits');
        this.#earning.sentDown(FRAME, PRICE);
        this.#down.push('frame');
        return;
      case 'giveBack':
        this.#down.push('giveBack');
        return;
      case 'burn':
        this.#onChain = { ...this.#onChain, opening: amount(this.#onChain.opening + BigInt(MORE) * UNIT) };
        return;
      case 'tell':
        this.#known = this.#onChain;
        this.#payer.book.update(this.#known);
        this.#up.push('look');
        return;
      case 'receiveLook':
        take(this.#up, 'look');
        return;
      case 'look':
        return this.#payee.book.update(this.#onChain);
      case 'takeWindow': {
        const window = this.#down.shift();
        if (typeof window !== 'bigint') throw new Error('the model has a window under way where the code has none');
        return this.#spending.widen(window);
      }
      case 'lose':
        return this.#lose({});
      case 'payerDies':
        return this.#lose({ payerDies: true });
      case 'payerForgets':
        return this.#lose({ payerDies: true, payerForgets: true });
      case 'payeeDies':
        return this.#lose({ payeeDies: true });
      case 'bothDie':
        return this.#lose({ payerDies: true, payeeDies: true });
      case 'bothForget':
        return this.#lose({ payerDies: true, payerForgets: true, payeeDies: true });
      default:
        throw new TypeError(`the model has an event that the replay does not know: ${name}`);
    }
  }

  /** The receipt that comes next is not on the payee's disk when that dies: what is on it now is kept. */
  async keepDisk(): Promise<void> {
    await this.#payee.store.flushed();
    const [from, to] = [this.#payee.directory, `${this.#payee.directory}-kept`];
    // The store tidies its files when it likes: a copy in which one is missing is made again.
    for (let whole = false; !whole;) {
      await rm(to, { recursive: true, force: true });
      const before = await filesOf(from);
      try {
        await cp(from, to, { recursive: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
      const [after, copied] = [await filesOf(from), await filesOf(to)];
      whole = before === after && copied === after;
    }
    this.#kept = to;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of [this.#payer, this.#payee]) {
      await side.book.close();
      await side.store.close();
    }
    await rm(this.#root, { recursive: true, force: true });
  }

  #link(): void {
    const price = PRICE;
    const [up, down]: [Message[], Message[]] = [[], []];
    this.#up = up;
    this.#down = down;
    this.#held = 0;
    this.#earning = this.#payee.book.openEarning({ peer: nodeId(seed('payer node')), channel: this.#onChain, price });
    this.#earning.onOpen = () => {
      this.#held = 0;
    };
    this.#earning.onWidened = (window) => down.push(window);
    this.#earning.onFault = (error) => this.#faults.push(error);
    const terms = decodeTerms(encodeTerms(this.#earning.terms));
    this.#spending = this.#payer.book.openSpending(
      { peer: nodeId(seed('payee node')), channel: this.#known, delegate, terms },
      (receipt) => up.push(receipt.bytes),
    );
  }

  #receiveUp(): void {
    const verdict = this.#earning.receivedUp(FRAME, PRICE);
    if (verdict === 'cut') throw new Error('an honest payer was cut');
    if (verdict === 'hold' || this.#held > 0) this.#held += 1;
  }

  async #lose({ payerDies = false, payerForgets = false, payeeDies = false }): Promise<void> {
    if (payerDies) await reopen(this.#payer, payerForgets ? 'nothing' : 'all');
    else this.#spending.close();
    if (payeeDies) await reopen(this.#payee, this.#kept ?? 'all');
    else this.#earning.close();
    this.#kept = undefined;
    await this.#payee.store.flushed();
    this.#link();
  }
}

async function openSide(directory: string): Promise<Side> {
  const store = await openBookStore(directory);
  return { directory, store, book: bookOf(store) };
}

/** The process is killed: its accounts end without a word. All that was written stays, nothing, or what stands in another folder. */
async function reopen(side: Side, stays: string): Promise<void> {
  await side.store.close();
  if (stays !== 'all') {
    await rm(side.directory, { recursive: true });
    if (stays !== 'nothing') await rename(stays, side.directory);
  }
  side.store = await openBookStore(side.directory);
  side.book = bookOf(side.store);
}

function bookOf(store: BookStore): AccountBook {
  return openAccountBook({ store, reader: { channel: () => Promise.resolve(undefined) } });
}

async function filesOf(directory: string): Promise<string> {
  return (await readdir(directory, { recursive: true })).sort().join();
}

function take(queue: Message[], expected: Message): void {
  const message = queue.shift();
  if (message !== expected) throw new Error(`the model has a ${String(expected)} next, the code ${String(message)}`);
}

function frames(units: bigint): number {
  if (units % UNIT !== 0n) throw new Error(`${units} base units are no whole number of frames`);
  return Number(units / UNIT);
}
