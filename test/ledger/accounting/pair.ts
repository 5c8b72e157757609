/** One neighbour pair on an ordered link, frame by frame, with disks whose syncs the test decides. */
import { createHash } from 'node:crypto';
import { attribution, type Attribution } from '../../../core/attribution.ts';
import type { RelaymintError } from '../../../core/errors.ts';
import { channelId, ledgerAddress, nodeId } from '../../../core/ids.ts';
import { ALL_BPS, amount, pricePerMiB } from '../../../core/units.ts';
import type { Amount, PricePerMiB } from '../../../core/units.ts';
import { Earning } from '../../../ledger/accounting/earning.ts';
import { Spending } from '../../../ledger/accounting/spending.ts';
import { windowFor } from '../../../ledger/accounting/window.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { decodeSignedReceipt, delegateFromSeed, isNewer } from '../../../ledger/receipt/index.ts';
import type { Receipt, SignedReceipt, Signer } from '../../../ledger/receipt/index.ts';

export const delegate: Signer = delegateFromSeed(seed('delegate'));
export const stranger: Signer = delegateFromSeed(seed('stranger'));

/** All of it counts for that name. */
export function allFor(name: string): Attribution {
  return attribution([{ name, share: ALL_BPS }]);
}

export function seed(label: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(label).digest());
}

export function channelState(change: Partial<ChannelState> = {}): ChannelState {
  return {
    id: channelId(seed('channel').subarray(0, 22)),
    till: ledgerAddress(seed('till')),
    payee: ledgerAddress(seed('payee')),
    slot: 0,
    generation: 1,
    payer: ledgerAddress(seed('payer')),
    delegate: delegate.address,
    deposit: amount(1n << 62n),
    opening: amount(1n << 62n),
    settled: amount(0n),
    settledUp: 0n,
    settledDown: 0n,
    closeAt: undefined,
    ...change,
  };
}

/** Base units per MiB, and the bytes of a frame, of most tests. */
export const PRICE = 1_000_000n;
export const FRAME = 16_384;

interface Frame {
  readonly bytes: number;
  readonly price: PricePerMiB;
}
type Upward = Frame | { readonly receipt: Uint8Array };

export class Pair {
  spending!: Spending;
  earning!: Earning;
  channel: ChannelState;
  readonly price: PricePerMiB;
  /** What the payee did for the payer, and what the payer sent or got, as numerators, over all links. */
  served = 0n;
  used = 0n;
  /** What each disk holds; the payee's is what would survive kill -9. */
  held: SignedReceipt | undefined;
  given: SignedReceipt | undefined;
  /** The payer's disk: what it may owe beyond `given`. */
  exposed = 0n;
  /** All that either side ever sent, as a numerator: more can never be claimed. */
  sent = 0n;
  /** What the payer's wallet left unpaid, base units, and the part of it that it can make good when it comes back. */
  arrears = 0n;
  owed = 0n;
  /** What names earned by receipts. */
  readonly shares: Map<string, bigint> = new Map();
  cuts = 0;
  faults: RelaymintError[] = [];
  receipts = 0;
  /** How often the payer was told that a wider window is worth its price. */
  outgrown = 0;
  window = 0n;
  /** Receipts that the payer signs but does not send. */
  withhold = false;
  #accepted: SignedReceipt | undefined;
  /** A frame has come up on this link: the payer creates the circuits, so nothing goes down before. */
  #begun = false;
  #up: Upward[] = [];
  #down: Frame[] = [];
  #held: Frame[] = [];
  #writes: {
    receipt: SignedReceipt;
    madeGood: bigint;
    owed: bigint;
    written: (error: RelaymintError | undefined) => void;
  }[] = [];

  /** The payer burned what a MiB costs, unless told otherwise. */
  constructor(price: bigint, channel: ChannelState = channelState({ opening: amount(price > 4n ? price : 4n) })) {
    this.price = pricePerMiB(price);
    this.channel = channel;
    this.link(undefined, undefined);
  }

  link(payer: Spending | undefined, payee: Earning | undefined): void {
    const { channel } = this;
    this.#begun = false;
    this.#up = [];
    this.#down = [];
    this.#held = [];
    const windowAt = (now: ChannelState, paid: bigint, madeGood: bigint): Amount =>
      windowFor(now, { paid, arrears: this.arrears - madeGood, price: this.price });
    this.earning = new Earning({
      peer: nodeId(seed('payer node')),
      channel,
      held: this.#accepted,
      before: payee,
      owed: this.owed,
      windowAt,
      nets: false,
      hold: (receipt, madeGood, earned, written) => {
        this.#accepted = receipt;
        this.#writes.push({ receipt, madeGood, owed: this.owed, written });
        this.arrears -= madeGood;
        if (madeGood > 0n) this.owed = 0n;
        for (const [name, numerator] of earned) this.shares.set(name, (this.shares.get(name) ?? 0n) + numerator);
      },
      leaveUnpaid: (unpaid) => {
        this.arrears += unpaid;
        this.owed = unpaid;
      },
      lose: (lost) => {
        this.arrears += lost;
      },
      refresh: () => {},
      flushed: () => Promise.resolve(),
    });
    this.earning.onOpen = () => this.#release();
    this.earning.onFault = (error) => this.faults.push(error);
    this.spending = new Spending({
      peer: nodeId(seed('payee node')),
      channel,
      delegate,
      terms: this.earning.terms,
      given: this.given,
      before: payer,
      exposed: this.exposed,
      expose: (debt) => {
        this.exposed = debt;
      },
      sink: (receipt) => {
        this.receipts += 1;
        if (!this.withhold) this.#up.push({ receipt: receipt.bytes });
      },
      keep: (receipt) => {
        if (!isNewer(receipt, this.given))
          throw new Error('the payer signed a receipt that is not newer than its last');
        this.given = receipt;
      },
      onLow: () => {},
      onOutgrown: () => {
        this.outgrown += 1;
      },
    });
    this.window = this.spending.window;
  }

  sendUp(bytes: number, price: PricePerMiB = this.price): void {
    this.spending.sendUp(bytes, price);
    this.used += BigInt(bytes) * price;
    this.sent += BigInt(bytes) * price;
    this.#up.push({ bytes, price });
  }

  /** False when the window is full. */
  sendDown(bytes: number, price: PricePerMiB = this.price): boolean {
    if (!this.#begun) {
      this.sendUp(64);
      while (this.deliverUp());
    }
    if (this.#held.length > 0 || !this.earning.canSendDown(bytes, price)) return false;
    this.earning.sentDown(bytes, price);
    this.served += BigInt(bytes) * price;
    this.sent += BigInt(bytes) * price;
    this.#down.push({ bytes, price });
    return true;
  }

  /** The next frame or receipt reaches the payee. */
  deliverUp(): boolean {
    const next = this.#up.shift();
    if (next === undefined) return false;
    if ('receipt' in next) {
      this.earning.receive(next.receipt);
      return true;
    }
    this.#begun = true;
    const verdict = this.earning.receivedUp(next.bytes, next.price);
    if (verdict === 'cut') this.cuts += 1;
    else if (verdict === 'hold' || this.#held.length > 0) this.#held.push(next);
    else this.served += BigInt(next.bytes) * next.price;
    return true;
  }

  /** The next frame reaches the payer. */
  deliverDown(): boolean {
    const next = this.#down.shift();
    if (next === undefined) return false;
    this.used += BigInt(next.bytes) * next.price;
    this.spending.receivedDown(next.bytes, next.price);
    return true;
  }

  /** The payee's disk catches up: as the real store does, only the newest is written and reported. */
  sync(): void {
    const last = this.#writes.at(-1);
    this.#writes = [];
    if (last === undefined) return;
    this.held = last.receipt;
    last.written(undefined);
  }

  /** Everything under way arrives. */
  settleDown(): void {
    for (;;) {
      const up = this.deliverUp();
      const down = this.deliverDown();
      if (!up && !down && this.#writes.length === 0) return;
      this.sync();
    }
  }

  loseLink(options: { readonly payerDies?: boolean; readonly payeeDies?: boolean } = {}): void {
    if (options.payerDies !== true) this.spending.close();
    if (options.payeeDies === true) {
      for (const { madeGood } of this.#writes) this.arrears += madeGood;
      this.owed = this.#writes[0]?.owed ?? this.owed;
      this.#writes = [];
      this.#accepted = this.held;
    } else {
      this.earning.close();
      this.sync();
    }
    this.link(
      options.payerDies === true ? undefined : this.spending,
      options.payeeDies === true ? undefined : this.earning,
    );
  }

  get accepted(): SignedReceipt | undefined {
    return this.#accepted;
  }

  get heldFrames(): number {
    return this.#held.length;
  }

  lastReceipt(): SignedReceipt | undefined {
    const next = this.#up.find((item) => 'receipt' in item);
    return next === undefined || !('receipt' in next) ? undefined : decodeSignedReceipt(next.receipt);
  }

  #release(): void {
    const ready = this.#held;
    this.#held = [];
    for (const frame of ready) this.served += BigInt(frame.bytes) * frame.price;
  }
}

/** A pair that has exchanged one receipt and owes a little since. */
export function warmPair(deposit?: bigint): Pair {
  const pair = new Pair(PRICE, channelState(deposit === undefined ? {} : { deposit: amount(deposit) }));
  pair.sendUp(FRAME);
  pair.settleDown();
  for (let i = 0; i < 5; i += 1) pair.sendDown(FRAME);
  pair.settleDown();
  pair.spending.flush();
  pair.settleDown();
  pair.sendUp(FRAME);
  pair.sendDown(FRAME);
  pair.settleDown();
  return pair;
}

/** What an honest payer would sign now. */
export function honest(pair: Pair): Receipt {
  const { up, down, due } = pair.earning.counts();
  return { channel: pair.channel.id, amount: due, up, down };
}
