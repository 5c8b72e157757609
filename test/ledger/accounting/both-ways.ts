/** Two neighbours that pay each other over one ordered link, frame by frame, with disks whose syncs the test decides. */
import type { RelaymintError } from '../../../core/errors.ts';
import { channelId, nodeId } from '../../../core/ids.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import type { Amount, PricePerMiB } from '../../../core/units.ts';
import { Earning } from '../../../ledger/accounting/earning.ts';
import { Netting } from '../../../ledger/accounting/netting.ts';
import { Spending } from '../../../ledger/accounting/spending.ts';
import { windowFor } from '../../../ledger/accounting/window.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { isNewer } from '../../../ledger/receipt/index.ts';
import type { SignedReceipt } from '../../../ledger/receipt/index.ts';
import { channelState, delegate, seed } from './pair.ts';

export const BITS = 20n;
/** Half of a smaller window is no whole base unit, which is the least that a receipt pays: netting or not, its payer is cut. */
const PAYABLE_WINDOW = 2n;

interface Frame {
  readonly bytes: number;
  readonly price: PricePerMiB;
}
type Message =
  { readonly up: Frame } | { readonly down: Frame } | { readonly receipt: Uint8Array } | { readonly net: Uint8Array };

export interface Losses {
  readonly leaderDies?: boolean;
  readonly followerDies?: boolean;
}

/** One end: the payee of one channel and the payer of the other. What it did is kept as numerators, over all links. */
export class End {
  spending!: Spending;
  earning!: Earning;
  netting!: Netting;
  /** What this end asks for a MiB. */
  readonly price: PricePerMiB;
  /** The channel that pays this end. */
  readonly channel: ChannelState;
  readonly leads: boolean;
  /** What it counted for its payer, less what was lost on its way down, and what of that it did at once. */
  counted = 0n;
  served = 0n;
  /** What it sent and got as a payer; what it or its payee ever sent on the account it pays. */
  used = 0n;
  sent = 0n;
  /** Netted, as this end counts it, over all links. */
  nettedBefore = 0n;
  given: SignedReceipt | undefined;
  accepted: SignedReceipt | undefined;
  held: SignedReceipt | undefined;
  exposed = 0n;
  arrears = 0n;
  owed = 0n;
  cuts = 0;
  receipts = 0;
  nets = 0;
  window = 0n;
  died = false;
  /** What was netted in answers that the other end never read, while this end died: it may pay that again, on trust. */
  forgotten = 0n;
  faults: RelaymintError[] = [];
  out: Message[] = [];
  waiting: Frame[] = [];
  writes: { receipt: SignedReceipt; written: (error: RelaymintError | undefined) => void }[] = [];

  constructor(name: string, price: bigint, leads: boolean) {
    this.price = pricePerMiB(price);
    this.leads = leads;
    this.channel = channelState({ id: channelId(seed(`pays ${name}`).subarray(0, 22)), opening: amount(price) });
  }

  get netted(): bigint {
    return this.nettedBefore + this.earning.netted;
  }

  /** What it did and has neither a durable receipt for nor netted, a numerator. */
  get exposure(): bigint {
    return this.served - (((this.held?.amount ?? 0n) + this.netted) << BITS);
  }

  openEarning(before: Earning | undefined): void {
    const { channel, price } = this;
    const windowAt = (now: ChannelState, paid: bigint, madeGood: bigint): Amount =>
      windowFor(now, { paid, arrears: this.arrears - madeGood, price });
    this.earning = new Earning({
      peer: nodeId(seed('payer node')),
      channel,
      held: this.accepted,
      before,
      owed: this.owed,
      windowAt,
      nets: true,
      hold: (receipt, madeGood, _earned, written) => {
        this.accepted = receipt;
        this.arrears -= madeGood;
        if (madeGood > 0n) this.owed = 0n;
        this.writes.push({ receipt, written });
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
    this.earning.onOpen = () => {
      for (const frame of this.waiting.splice(0)) this.served += BigInt(frame.bytes) * frame.price;
    };
    this.earning.onFault = (error) => this.faults.push(error);
  }

  openSpending(payee: End, before: Spending | undefined): void {
    this.spending = new Spending({
      peer: nodeId(seed('payee node')),
      channel: payee.channel,
      delegate,
      terms: payee.earning.terms,
      given: this.given,
      before,
      exposed: this.exposed,
      expose: (debt) => {
        this.exposed = debt;
      },
      sink: (receipt) => {
        this.receipts += 1;
        this.out.push({ receipt: receipt.bytes });
      },
      keep: (receipt) => {
        if (!isNewer(receipt, this.given)) throw new Error('a receipt was signed that is not newer than the last');
        this.given = receipt;
      },
      onLow: () => {},
      onOutgrown: () => {},
    });
    payee.window = this.spending.window;
  }

  openNetting(): void {
    this.netting = new Netting({
      peer: nodeId(seed('peer')),
      leads: this.leads,
      spending: this.spending,
      earning: this.earning,
      send: (net) => {
        this.nets += 1;
        this.out.push({ net });
      },
    });
  }

  receive(message: Message): void {
    if ('receipt' in message) this.earning.receive(message.receipt);
    else if ('net' in message) this.netting.receive(message.net);
    else if ('down' in message) {
      this.used += cost(message.down);
      this.spending.receivedDown(message.down.bytes, message.down.price);
    } else {
      this.counted += cost(message.up);
      const verdict = this.earning.receivedUp(message.up.bytes, message.up.price);
      if (verdict === 'cut') this.cuts += this.window < PAYABLE_WINDOW ? 0 : 1;
      else if (verdict === 'hold' || this.waiting.length > 0) this.waiting.push(message.up);
      else this.served += cost(message.up);
    }
  }

  sync(): void {
    const last = this.writes.at(-1);
    this.writes = [];
    if (last === undefined) return;
    this.held = last.receipt;
    last.written(undefined);
  }

  /** All that is due is netted or signed for. */
  rest(): void {
    this.netting.rest();
    this.spending.flush();
  }

  end(dies: boolean): void {
    this.nettedBefore += this.earning.netted;
    this.waiting = [];
    if (dies) {
      this.died = true;
      this.writes = [];
      this.accepted = this.held;
      return;
    }
    this.spending.close();
    this.earning.close();
    this.sync();
  }
}

export class BothWays {
  readonly leader: End;
  readonly follower: End;
  /** Links so far. */
  links = 0;

  constructor(leaderPrice: bigint, followerPrice: bigint) {
    this.leader = new End('leader', leaderPrice, true);
    this.follower = new End('follower', followerPrice, false);
    this.#link({ leaderDies: true, followerDies: true });
  }

  get ends(): readonly [End, End] {
    return [this.leader, this.follower];
  }

  other(end: End): End {
    return end === this.leader ? this.follower : this.leader;
  }

  /** `payer` sends a frame that it pays. */
  sendUp(payer: End, bytes: number): void {
    const frame = { bytes, price: this.other(payer).price };
    payer.spending.sendUp(bytes, frame.price);
    payer.used += cost(frame);
    payer.sent += cost(frame);
    payer.out.push({ up: frame });
  }

  /** `payee` sends a frame that the other end pays; false when the window is full. */
  sendDown(payee: End, bytes: number): boolean {
    const payer = this.other(payee);
    const frame = { bytes, price: payee.price };
    if (payee.waiting.length > 0 || !payee.earning.canSendDown(bytes, payee.price)) return false;
    payee.earning.sentDown(bytes, payee.price);
    payee.counted += cost(frame);
    payee.served += cost(frame);
    payer.sent += cost(frame);
    payee.out.push({ down: frame });
    return true;
  }

  /** The next message from this end reaches the other. */
  deliver(from: End): boolean {
    const message = from.out.shift();
    if (message === undefined) return false;
    this.other(from).receive(message);
    return true;
  }

  /** Everything under way arrives. */
  settleDown(): void {
    for (;;) {
      let moved = false;
      for (const end of this.ends) {
        if (this.deliver(end)) moved = true;
        if (end.writes.length > 0) moved = true;
        end.sync();
      }
      if (!moved) return;
    }
  }

  /** Everything that a payer signs or nets for arrives; a NET, or frames down, may stay under way behind it. */
  deliverPaid(): void {
    for (;;) {
      const end = this.ends.find(({ out }) => out.some((message) => 'receipt' in message || 'up' in message));
      if (end === undefined) return;
      this.deliver(end);
    }
  }

  /** Both pay; the leader first, for which a follower waits a little when there is something to net. */
  rest(): void {
    this.settleDown();
    for (const end of this.ends) {
      end.rest();
      this.settleDown();
    }
  }

  loseLink({ leaderDies = false, followerDies = false }: Losses = {}): void {
    for (const end of this.ends) {
      const other = this.other(end);
      for (const message of end.out) {
        if ('down' in message) end.counted -= cost(message.down);
      }
      end.out = [];
      other.waiting = [];
    }
    if (followerDies) this.follower.forgotten += this.follower.earning.netted - this.leader.earning.netted;
    this.leader.end(leaderDies);
    this.follower.end(followerDies);
    this.#link({ leaderDies, followerDies });
  }

  #link({ leaderDies, followerDies }: Losses): void {
    this.links += 1;
    const { leader, follower } = this;
    const before = { leader: { ...accounts(leader) }, follower: { ...accounts(follower) } };
    leader.openEarning(leaderDies === true ? undefined : before.leader.earning);
    follower.openEarning(followerDies === true ? undefined : before.follower.earning);
    leader.openSpending(follower, leaderDies === true ? undefined : before.leader.spending);
    follower.openSpending(leader, followerDies === true ? undefined : before.follower.spending);
    for (const end of this.ends) end.openNetting();
    // The payer creates the circuits: nothing goes down before something came up.
    for (const end of this.ends) this.#begin(end);
  }

  #begin(payer: End): void {
    try {
      this.sendUp(payer, 64);
    } catch {
      return;
    }
    while (this.deliver(payer));
  }
}

function accounts(end: End): { spending: Spending | undefined; earning: Earning | undefined } {
  return { spending: end.spending, earning: end.earning };
}

function cost(frame: Frame): bigint {
  return BigInt(frame.bytes) * frame.price;
}

/** The payload of a NET frame. */
export function netFrame(total: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(amount(total));
  return bytes;
}
