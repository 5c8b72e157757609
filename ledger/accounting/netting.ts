/**
 * Netting on one link: what two neighbours owe each other and have not signed for is counted as paid on both accounts.
 *
 * Each end speaks of the account it pays. A NET frame says how much of it, in total since the link began, is paid by what
 * the other end owes. It is written and read in order with the receipts, so both ends know which receipt leaves out what.
 *
 *   leader    NET(agreed + m)   proposes: withholds m of its debt
 *   follower  NET(agreed + n)   answers n <= m: what it owes itself; counts n as paid on both its accounts
 *   leader                      counts n as paid on both its accounts; only if n < m:
 *             NET(agreed)       no longer withholds the rest, and signs for it
 *
 * The lower node id leads. Each end counts n on both accounts at one moment, so neither gives before it gets.
 */
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError, violation } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { amount, U64_MAX } from '../../core/units.ts';
import type { EarningAccount, NettingWatch, SpendingAccount } from './contract.ts';

/** A debt is looked at each time it grew by this part of the smaller window: twice before a receipt is due. */
const LOOKS = 8n;
/** While traffic flows, netting less than this part of the interval is not worth its frames. */
const WORTH_PARTS = 2n;
/** A peer that nets nothing this often in a row (what it earns may be a name's) is not asked again on this link. */
const MAX_REFUSALS = 3;
const NET_BYTES = 8;

export interface NettingParts {
  readonly peer: NodeId;
  /** Our node id is the lower one: we propose, the peer answers. */
  readonly leads: boolean;
  readonly spending: SpendingAccount;
  readonly earning: EarningAccount;
  /** Writes a NET frame on the link, synchronously and in order with the receipts. */
  readonly send: (net: Uint8Array) => void;
}

export class Netting implements NettingWatch {
  readonly step: bigint;
  readonly #parts: NettingParts;
  readonly #worthwhile: bigint;
  /** Netted on this link, the same on both accounts. */
  #agreed = 0n;
  /** Leader: what was proposed and not answered. Follower: what the leader withholds beyond our answer. */
  #open = 0n;
  #refusals = 0;

  constructor(parts: NettingParts) {
    const { spending, earning, leads } = parts;
    this.#parts = parts;
    const window = spending.window < earning.window ? spending.window : earning.window;
    this.step = window > LOOKS ? window / LOOKS : 1n;
    this.#worthwhile = this.step / WORTH_PARTS;
    if (leads) spending.watch(this);
  }

  /** True: we propose and the peer answers; false: the other way round. */
  get leads(): boolean {
    return this.#parts.leads;
  }

  /** Both ends owe something that could be netted. */
  get promising(): boolean {
    return this.#nettable > 0n;
  }

  /** Leader: proposes when it is worth its frames. */
  look(): void {
    this.#propose(this.#worthwhile);
  }

  /**
   * Before all that is due is signed for: the leader proposes whatever can be netted. The rest may be signed for at once.
   */
  rest(): void {
    if (this.#parts.leads) this.#propose(0n);
  }

  /**
   * A NET frame came in.
   * @throws RelaymintError INVALID_ENCODING, PROTOCOL_VIOLATION (out of turn), METER_DISAGREEMENT (more than is owed),
   * CLOSED, DEPOSIT_EXHAUSTED: close the link.
   */
  receive(net: Uint8Array): void {
    const { spending, earning, leads, peer } = this.#parts;
    const total = decodeNet(net);
    if (spending.closed || earning.closed) {
      throw new RelaymintError('CLOSED', `An account with ${peer} was closed with its link.`);
    }
    if (leads) this.#answered(total);
    else if (this.#open > 0n) this.#corrected(total);
    else this.#proposed(total);
  }

  get #nettable(): bigint {
    const { spending, earning } = this.#parts;
    // What a name earned must be signed for: its royalty is a share of what its host is paid.
    if (earning.named) return 0n;
    const [ours, theirs] = [spending.unsigned, earning.unsigned];
    return ours < theirs ? ours : theirs;
  }

  #propose(above: bigint): void {
    if (this.#open > 0n || this.#refusals >= MAX_REFUSALS) return;
    const value = this.#nettable;
    if (value <= above || this.#agreed + value > U64_MAX) return;
    this.#open = value;
    this.#parts.spending.withhold(value);
    this.#parts.send(encodeNet(this.#agreed + value));
  }

  /** Leader. */
  #answered(total: bigint): void {
    const { spending, earning, send } = this.#parts;
    if (this.#open === 0n) throw this.#outOfTurn();
    const value = total - this.#agreed;
    if (value < 0n || value > this.#open) throw this.#disagreement(value, this.#open);
    if (value > earning.unsigned) throw this.#disagreement(value, earning.unsigned);
    const all = value === this.#open;
    this.#refusals = value === 0n ? this.#refusals + 1 : 0;
    this.#agreed = total;
    this.#open = 0n;
    spending.net(value);
    if (!all) {
      send(encodeNet(total));
      spending.flush();
    }
    earning.net(value, 0n);
  }

  /** Follower. */
  #proposed(total: bigint): void {
    const { spending, earning, send } = this.#parts;
    const asked = total - this.#agreed;
    if (asked <= 0n) throw this.#outOfTurn();
    if (asked > earning.unsigned) throw this.#disagreement(asked, earning.unsigned);
    const nettable = this.#nettable;
    const value = nettable < asked ? nettable : asked;
    this.#agreed += value;
    this.#open = asked - value;
    spending.net(value);
    send(encodeNet(this.#agreed));
    earning.net(value, this.#open);
  }

  /** Follower: the leader has read that we answered with less. */
  #corrected(total: bigint): void {
    if (total !== this.#agreed) throw this.#outOfTurn();
    this.#open = 0n;
    this.#parts.earning.net(0n, 0n);
  }

  #outOfTurn(): RelaymintError {
    return violation(`${this.#parts.peer} sent a NET out of turn.`);
  }

  #disagreement(value: bigint, most: bigint): RelaymintError {
    return new RelaymintError(
      'METER_DISAGREEMENT',
      `${this.#parts.peer} nets ${value} base units; at most ${most} can be netted now.`,
      {
        remedy: 'The link is closed. If this happens again, one of the two nodes runs a faulty version.',
        details: { theirs: String(value), ours: String(most) },
      },
    );
  }
}

/** total u64, little-endian. */
function encodeNet(total: bigint): Uint8Array {
  return new Writer(NET_BYTES).u64(amount(total)).finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
function decodeNet(payload: Uint8Array): bigint {
  const reader = new Reader(payload, 'NET');
  const total = reader.u64();
  reader.end();
  return total;
}
