/** What a payer may owe: frames that must be held or cut, what a window is as wide as, and what no cheat makes of it. */
import { describe, expect, it } from 'vitest';
import { WIDEN_AFTER } from '../../../core/limits.ts';
import { amount } from '../../../core/units.ts';
import { Spending } from '../../../ledger/accounting/spending.ts';
import type { SpendingParts } from '../../../ledger/accounting/spending.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import { channelState, delegate, FRAME, honest, PRICE, Pair } from './pair.ts';

describe('the window', () => {
  it('stops what goes down at exactly one window, and opens when the receipt is on disk, not before', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.deliverUp();
    let opened = 0;
    pair.earning.onOpen = () => {
      opened += 1;
    };
    while (pair.sendDown(FRAME));
    expect(pair.served).toBe(BigInt(64 * FRAME) * PRICE);
    while (pair.deliverDown());
    while (pair.deliverUp());
    expect(pair.accepted).toBeDefined();
    expect(pair.sendDown(FRAME)).toBe(false);
    expect(opened).toBe(0);
    pair.sync();
    expect(opened).toBe(1);
    expect(pair.sendDown(FRAME)).toBe(true);
  });

  it("holds an honest payer's frame while its receipt waits for what is still on its way down", () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.deliverUp();
    while (pair.sendDown(FRAME));
    pair.sendUp(FRAME);
    pair.deliverUp();
    expect(pair.heldFrames).toBe(1);
    pair.settleDown();
    expect(pair.heldFrames).toBe(0);
    expect(pair.cuts).toBe(0);
  });

  it('cuts a payer that sends on without signing, having carried at most one window', () => {
    const pair = new Pair(PRICE);
    const window = pair.window << 20n;
    let verdict = '';
    let carried = 0n;
    for (let i = 0; i < 1000 && verdict !== 'cut'; i += 1) {
      verdict = pair.earning.receivedUp(FRAME, pair.price);
      if (verdict === 'forward') carried += BigInt(FRAME) * PRICE;
    }
    expect(verdict).toBe('cut');
    expect(carried <= window).toBe(true);
    // The window, and the frame that passed it: an honest payer would have signed at half.
    expect(pair.earning.counts().up).toBe(BigInt(65 * FRAME));
  });

  it('is never more than half used by what the payer itself sends', () => {
    const pair = new Pair(PRICE);
    for (let i = 0; i < 500; i += 1) {
      pair.sendUp(16_000);
      const { due, signed } = pair.spending.counts();
      expect(due - signed <= PRICE / 2n).toBe(true);
    }
  });

  it('is what was burned for the channel, whatever it settled, and never wider than 128 MiB', () => {
    const burned = (opening: bigint, settled = 0n): bigint =>
      new Pair(PRICE, channelState({ opening: amount(opening), settled: amount(settled) })).window;
    expect(burned(0n)).toBe(0n);
    expect(burned(PRICE / 2n)).toBe(PRICE / 2n);
    expect(burned(3n * PRICE, 1000n * PRICE)).toBe(3n * PRICE);
    expect(burned(1000n * PRICE)).toBe(128n * PRICE);
  });

  it('is never more than a quarter of what is left of the deposit', () => {
    expect(new Pair(PRICE, channelState({ deposit: amount(PRICE), opening: amount(PRICE) })).window).toBe(PRICE / 4n);
  });

  it('is gone when a payer vanished with all of it', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.deliverUp();
    while (pair.sendDown(FRAME));
    vanish(pair);
    expect(pair.window).toBe(0n);
    expect(() => pair.sendUp(FRAME)).toThrowError(expect.objectContaining({ code: 'WINDOW_EXHAUSTED' }));
  });

  it('shrinks by what a payer left unpaid, for good: no later payment forgives it', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.deliverUp();
    for (let i = 0; i < 31; i += 1) pair.sendDown(FRAME);
    vanish(pair);
    expect(pair.window).toBe(PRICE / 2n);
    for (let i = 0; i < 64 * 4; i += 1) {
      pair.sendUp(FRAME);
      pair.settleDown();
    }
    pair.spending.flush();
    pair.settleDown();
    pair.loseLink({ payerDies: true });
    expect(pair.window).toBe(PRICE / 2n);
  });

  it('shrinks by what we paid onward for the payer without being paid, by whole units, after the link too', () => {
    const pair = new Pair(PRICE);
    pair.earning.lose(3n << 19n);
    expect(pair.arrears).toBe(1n);
    pair.loseLink();
    pair.earning.lose(1n << 18n);
    expect(pair.arrears).toBe(1n);
    pair.earning.close();
    pair.earning.lose(7n << 18n);
    expect(pair.arrears).toBe(3n);
    pair.loseLink();
    expect(pair.window).toBe(PRICE - 3n);
  });

  it('is not widened by a payer that pays at its return what it never owed', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.deliverUp();
    for (let i = 0; i < 31; i += 1) pair.sendDown(FRAME);
    vanish(pair);
    // Another link, paid in full; at the third the payer has a receipt for what comes next, and for nothing of the first.
    pair.sendUp(FRAME);
    pair.settleDown();
    pair.spending.flush();
    pair.settleDown();
    pair.loseLink();
    const { arrears } = pair;
    const accepted = pair.accepted!;
    const prepaid = {
      channel: pair.channel.id,
      amount: amount(accepted.amount + PRICE / 4n),
      up: accepted.up,
      down: accepted.down,
    };
    pair.earning.receive(signReceipt(prepaid, delegate).bytes);
    expect(pair.arrears).toBe(arrears);
    pair.sync();
    pair.loseLink({ payerDies: true });
    expect(pair.window).toBe(PRICE / 2n);
  });

  it('is as wide as what was burned, also for a payer that hears so from its payee before its own books show it', () => {
    const pair = new Pair(PRICE);
    const wider = { ...pair.channel, opening: amount(2n * PRICE) };
    pair.spending.widen(amount(2n * PRICE));
    expect(pair.spending.window).toBe(PRICE);
    pair.spending.update(wider);
    expect(pair.spending.window).toBe(2n * PRICE);
    // No wider than that, whatever is said.
    pair.spending.widen(amount(9n * PRICE));
    pair.spending.update(wider);
    expect(pair.spending.window).toBe(2n * PRICE);
  });

  it.each([
    ['is outgrown once it paid much', 0n, 1],
    ['is not outgrown by a payee that returns what was staked while it is used: it wants no window', PRICE - 4n, 0],
  ])('%s', (_title, returned, times) => {
    const pair = new Pair(PRICE);
    const { deposit } = pair.channel;
    pair.spending.update({
      ...pair.channel,
      deposit: amount(deposit + returned),
      opening: amount(PRICE - returned),
    });
    while (pair.spending.counts().signed < 2n * WIDEN_AFTER * PRICE) {
      pair.sendUp(FRAME);
      pair.deliverUp();
      pair.sync();
      pair.settleDown();
    }
    // Nor by one that lets it widen from there: every doubling would be outgrown at once.
    pair.spending.update({
      ...pair.channel,
      deposit: amount(deposit + returned),
      opening: amount(PRICE - returned + 4n),
    });
    pair.sendUp(FRAME);
    pair.deliverUp();
    pair.spending.flush();
    expect(pair.outgrown).toBe(times);
  });

  it('is widened with the first frame when the payee saw more burned before it', () => {
    const pair = new Pair(PRICE);
    const windows: bigint[] = [];
    pair.earning.onWidened = (window) => windows.push(window);
    pair.earning.update({ ...pair.channel, opening: amount(2n * PRICE) });
    // A receipt at resume may still come: until then the window is as it was stated.
    expect([pair.earning.window, windows]).toEqual([PRICE, []]);
    pair.sendUp(FRAME);
    pair.deliverUp();
    expect([pair.earning.window, windows]).toEqual([2n * PRICE, [2n * PRICE]]);
  });

  it('is whole again at once for an honest payer that died: it pays on trust what the payee claims', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.deliverUp();
    while (pair.sendDown(FRAME));
    pair.loseLink({ payerDies: true });
    expect(pair.window).toBe(PRICE);
    pair.settleDown();
    expect(pair.held?.amount).toBe(PRICE);
    expect(pair.arrears).toBe(0n);
  });

  it('takes no counter that could not grow, not even from a payer that comes back', () => {
    const pair = new Pair(PRICE);
    const absurd = signReceipt({ ...honest(pair), amount: amount(1n), up: 1n << 63n }, delegate);
    expect(() => pair.earning.receive(absurd.bytes)).toThrowError(expect.objectContaining({ code: 'RECEIPT_INVALID' }));
    const terms = { ...pair.earning.terms, due: amount(5n), down: 1n << 63n };
    expect(openSpending(pair, { terms, before: undefined, exposed: 10n }).counts().signed).toBe(0n);
  });

  it('bounds what a lying payee can claim of a payer that died, and gives it nothing otherwise', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.settleDown();
    const claim = { ...pair.earning.terms, due: amount(500n * PRICE), window: amount(500n * PRICE) };
    const resume = (before: Pair['spending'] | undefined, exposed: bigint): bigint =>
      openSpending(pair, { terms: claim, before, exposed }).counts().signed;
    const known = pair.spending.counts().due;
    pair.spending.close();
    expect(pair.exposed).toBe(known);
    expect(resume(pair.spending, PRICE)).toBeLessThanOrEqual(known);
    expect(resume(undefined, 0n)).toBe(0n);
    expect(resume(undefined, PRICE)).toBe(PRICE);
  });

  it('never makes a payer sign below a receipt that was lost on its way', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.settleDown();
    for (let i = 0; i < 10; i += 1) pair.sendDown(FRAME);
    pair.sendUp(FRAME);
    pair.spending.flush();
    const lost = pair.given;
    while (pair.deliverDown());
    // What the payee counted up is less than the lost receipt says; what came down since is worth more.
    pair.loseLink();
    expect(pair.given).toBe(lost);
    pair.settleDown();
    expect(pair.held).toEqual(lost);
    expect(pair.spending.counts()).toEqual(pair.earning.counts());
  });

  it('is whole again at once for a payer that comes back and pays', () => {
    const pair = new Pair(PRICE);
    pair.sendUp(FRAME);
    pair.settleDown();
    for (let i = 0; i < 20; i += 1) pair.sendDown(FRAME);
    while (pair.deliverDown());
    const { due } = pair.spending.counts();
    pair.loseLink();
    expect(pair.window).toBe(PRICE);
    pair.settleDown();
    expect(pair.held?.amount).toBe(due);
    expect(pair.arrears).toBe(0n);
  });
});

/** The payer goes without paying, and comes back pretending not to owe anything. */
function vanish(pair: Pair): void {
  pair.exposed = 0n;
  pair.loseLink({ payerDies: true });
}

function openSpending(pair: Pair, parts: Pick<SpendingParts, 'terms' | 'before' | 'exposed'>): Spending {
  return new Spending({
    peer: pair.spending.peer,
    channel: pair.channel,
    delegate,
    given: undefined,
    sink: () => {},
    keep: () => {},
    expose: () => {},
    onLow: () => {},
    onOutgrown: () => {},
    ...parts,
  });
}
