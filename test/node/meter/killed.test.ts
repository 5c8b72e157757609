/** A payee that is killed at any moment: all that it served, and granted onward, and holds no synced receipt for, is at most a window. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../../core/ids.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { Earning } from '../../../ledger/accounting/earning.ts';
import { windowFor } from '../../../ledger/accounting/window.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import type { SignedReceipt } from '../../../ledger/receipt/index.ts';
import { Sponsors } from '../../../node/meter/sponsor.ts';
import type { Sponsor } from '../../../node/meter/sponsor.ts';
import { channelState, delegate, seed } from '../../ledger/accounting/pair.ts';

const PRICE = pricePerMiB(1_048_576n);
/** Base units: as many as bytes, at this price. */
const WINDOW = 1_048_576n;
const QUARTER = Number(WINDOW) / 4;
const BITS = 20n;

/** Nobody here has a channel opened for it. */
const NO_ADVANCES = {
  advancedTo: () => 0n,
  advance: () => Promise.resolve(),
  recoup: () => {},
  openedFor: () => {},
  isPromised: () => false,
};

/** A relay, which is a host too, with a disk whose syncs the test decides; its payer keeps the rules. */
class Relay {
  readonly channel = channelState({ opening: amount(WINDOW) });
  readonly account: Earning;
  readonly sponsor: Sponsor;
  /** On the disk: what would survive a kill. */
  synced: SignedReceipt | undefined;
  /** Frames that were forwarded, or went down, and what is granted onward: bytes. */
  served = 0;
  granted = 0;
  /** Paid by what the relay owed this peer. */
  netted = 0n;
  #held = 0;
  #opened: () => void = () => {};
  /** Up and down since the newest receipt. */
  #up = 0;
  #down = 0;
  #signed = { amount: 0n, up: 0n, down: 0n };
  #writes: { receipt: SignedReceipt; written: (error: undefined) => void }[] = [];

  constructor() {
    this.account = new Earning({
      peer: nodeId(seed('payer node')),
      channel: this.channel,
      held: undefined,
      before: undefined,
      owed: 0n,
      windowAt: (channel, paid) => windowFor(channel, { paid, arrears: 0n, price: PRICE }),
      nets: false,
      hold: (receipt, _madeGood, _earned, written) => this.#writes.push({ receipt, written }),
      leaveUnpaid: () => {},
      lose: () => {},
      refresh: () => {},
      flushed: () => Promise.resolve(),
    });
    this.account.onOpen = () => {
      this.served += this.#held;
      this.#held = 0;
      this.#opened();
    };
    this.sponsor = new Sponsors(NO_ADVANCES).of(this.channel.payer, this.account);
  }

  /** What a kill costs now, bytes. */
  get exposed(): bigint {
    return BigInt(this.served + this.granted) - (this.synced?.amount ?? 0n) - this.netted;
  }

  get held(): number {
    return this.#held;
  }

  /** Resolves when the account opens next. */
  async opened(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#opened = resolve;
    });
  }

  /** The payer signs before it would owe more than a quarter, as all honest ones do. */
  receivedUp(bytes: number): void {
    if (this.#up + this.#down + bytes > QUARTER) this.sign();
    this.#up += bytes;
    const verdict = this.account.receivedUp(bytes, PRICE);
    if (verdict === 'cut') throw new Error('an honest payer was cut');
    if (verdict === 'hold' || this.#held > 0) this.#held += bytes;
    else this.served += bytes;
  }

  /** Content of our own; false when it has to wait. */
  sendOwn(bytes: number): boolean {
    if (this.#held > 0 || !this.account.canSendDown(bytes, PRICE, true)) return false;
    this.#sendDown(bytes);
    return true;
  }

  grantOnward(bytes: number): void {
    const room = Number(this.sponsor.room >> BITS);
    const granted = bytes < room ? bytes : room;
    this.granted += granted;
    this.sponsor.promise(BigInt(granted) * PRICE);
  }

  /** What was granted onward came, and goes on to the payer. */
  passDown(bytes: number): void {
    const passed = bytes < this.granted ? bytes : this.granted;
    if (passed === 0 || this.#held > 0 || !this.account.canSendDown(passed, PRICE)) return;
    this.granted -= passed;
    this.#sendDown(passed);
    this.sponsor.settle(BigInt(passed) * PRICE);
  }

  giveBack(bytes: number): void {
    const back = bytes < this.granted ? bytes : this.granted;
    this.granted -= back;
    this.sponsor.settle(BigInt(back) * PRICE);
  }

  sign(): void {
    if (this.#up + this.#down === 0) return;
    const { amount: due, up, down } = this.#signed;
    this.#signed = {
      amount: due + BigInt(this.#up + this.#down),
      up: up + BigInt(this.#up),
      down: down + BigInt(this.#down),
    };
    this.#up = 0;
    this.#down = 0;
    const receipt = { channel: this.channel.id, ...this.#signed, amount: amount(this.#signed.amount) };
    this.account.receive(signReceipt(receipt, delegate).bytes);
  }

  /** All that is not signed for is paid by what the relay owes the peer. */
  net(): void {
    const value = BigInt(this.#up + this.#down);
    const { amount: due, up, down } = this.#signed;
    this.#signed = { amount: due, up: up + BigInt(this.#up), down: down + BigInt(this.#down) };
    this.#up = 0;
    this.#down = 0;
    this.netted += value;
    this.account.net(value, 0n);
  }

  /** The disk has what was accepted. */
  sync(): void {
    const last = this.#writes.at(-1);
    this.#writes = [];
    if (last === undefined) return;
    this.synced = last.receipt;
    last.written(undefined);
  }

  #sendDown(bytes: number): void {
    this.account.sentDown(bytes, PRICE);
    this.served += bytes;
    this.#down += bytes;
    if (this.#up + this.#down > QUARTER) this.sign();
  }
}

describe('a relay that is killed', () => {
  it('while receipts are accepted and not synced has forwarded no more than a window, beside what it granted', () => {
    const relay = new Relay();
    relay.receivedUp(1);
    relay.sign();
    relay.sync();
    relay.grantOnward(Number(WINDOW));
    expect(BigInt(relay.granted)).toBe((3n * WINDOW) / 4n);
    for (let i = 0; i < 8; i += 1) relay.receivedUp(QUARTER / 2);
    expect(relay.exposed).toBeLessThanOrEqual(WINDOW);
    expect(relay.held).toBeGreaterThan(0);
    // The sync lets all of it go.
    relay.sign();
    relay.sync();
    expect(relay.held).toBe(0);
  });

  it('has served no more than a window of its own content, beside what it granted', () => {
    const relay = new Relay();
    relay.receivedUp(1);
    relay.grantOnward(Number(WINDOW));
    while (relay.sendOwn(QUARTER / 16));
    expect(relay.exposed).toBeLessThanOrEqual(WINDOW);
    relay.sign();
    relay.sync();
    expect(relay.sendOwn(QUARTER / 16)).toBe(true);
  });

  it('goes on with what waited as soon as what was granted onward is given back', async () => {
    const relay = new Relay();
    relay.receivedUp(1);
    relay.grantOnward(Number(WINDOW));
    for (let i = 0; i < 4; i += 1) relay.receivedUp(QUARTER / 2);
    expect(relay.held).toBeGreaterThan(0);
    const opened = relay.opened();
    relay.giveBack(relay.granted);
    await opened;
    expect(relay.held).toBe(0);
  });

  it('has netted what no receipt covers, and no more: one that is accepted and not synced opens nothing', () => {
    const relay = new Relay();
    relay.receivedUp(1);
    while (relay.sendOwn(QUARTER / 16));
    const { served } = relay;
    relay.net();
    expect(relay.netted).toBeGreaterThan(0n);
    expect(relay.netted).toBeLessThan(WINDOW / 2n);
    while (relay.sendOwn(QUARTER / 16));
    expect(BigInt(relay.served - served)).toBeLessThanOrEqual(relay.netted + BigInt(QUARTER / 16));
    expect(relay.exposed).toBeLessThanOrEqual(WINDOW);
  });

  it('loses at most a window at any moment, whatever goes up and down, and never stands still (fast-check)', () => {
    const size = fc.integer({ min: 1, max: QUARTER });
    const step = fc.oneof(
      fc.tuple(fc.constantFrom('up', 'own', 'pass', 'back'), size),
      fc.tuple(fc.constant('grant'), fc.constant(Number(WINDOW))),
      fc.tuple(fc.constantFrom('sign', 'sync', 'net'), fc.constant(0)),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const relay = new Relay();
        relay.receivedUp(1);
        for (const [kind, bytes] of steps) {
          if (kind === 'up') relay.receivedUp(bytes);
          else if (kind === 'own') relay.sendOwn(bytes);
          else if (kind === 'grant') relay.grantOnward(bytes);
          else if (kind === 'pass') relay.passDown(bytes);
          else if (kind === 'back') relay.giveBack(bytes);
          else if (kind === 'sign') relay.sign();
          else if (kind === 'net') relay.net();
          else relay.sync();
          expect(relay.exposed <= WINDOW).toBe(true);
        }
        // What an honest payer sends up needs no more than the sync of what it signed, whatever stays granted.
        relay.sync();
        expect(relay.held).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
