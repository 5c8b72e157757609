/** Receipts that must be refused with nothing changed, and frames that must be held or cut. */
import { beforeEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { channelId } from '../../../core/ids.ts';
import { WIDEN_AFTER } from '../../../core/limits.ts';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { Spending } from '../../../ledger/accounting/spending.ts';
import type { SpendingParts } from '../../../ledger/accounting/spending.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import type { Receipt, SignedReceipt } from '../../../ledger/receipt/index.ts';
import { channelState, delegate, Pair, seed, stranger } from './pair.ts';

const PRICE = 1_000_000n;
const FRAME = 16_384;

/** A pair that has exchanged one receipt and owes a little since. */
function warmPair(deposit?: bigint): Pair {
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
function honest(pair: Pair): Receipt {
  const { up, down, due } = pair.earning.counts();
  return { channel: pair.channel.id, amount: due, up, down };
}

describe('the payee refuses, and nothing changes,', () => {
  let pair: Pair;
  beforeEach(() => {
    pair = warmPair();
  });

  const cases: readonly [label: string, code: string, (pair: Pair) => SignedReceipt][] = [
    ['a receipt that was replayed', 'RECEIPT_NOT_NEWER', (p) => p.held ?? signReceipt(honest(p), delegate)],
    [
      'a lower amount',
      'RECEIPT_NOT_NEWER',
      (p) => signReceipt({ ...honest(p), amount: amount((p.held?.amount ?? 1n) - 1n) }, delegate),
    ],
    ['a lower count', 'RECEIPT_NOT_NEWER', (p) => signReceipt({ ...honest(p), up: (p.held?.up ?? 1n) - 1n }, delegate)],
    [
      'another channel',
      'RECEIPT_INVALID',
      (p) => signReceipt({ ...honest(p), channel: channelId(seed('other').subarray(0, 22)) }, delegate),
    ],
    ['another key', 'RECEIPT_INVALID', (p) => signReceipt(honest(p), stranger)],
    [
      'one base unit too little',
      'METER_DISAGREEMENT',
      (p) => signReceipt({ ...honest(p), amount: amount(honest(p).amount - 1n) }, delegate),
    ],
    [
      'one base unit too much',
      'METER_DISAGREEMENT',
      (p) => signReceipt({ ...honest(p), amount: amount(honest(p).amount + 1n) }, delegate),
    ],
    ['a byte too few up', 'METER_DISAGREEMENT', (p) => signReceipt({ ...honest(p), up: honest(p).up - 1n }, delegate)],
    ['a byte too many up', 'METER_DISAGREEMENT', (p) => signReceipt({ ...honest(p), up: honest(p).up + 1n }, delegate)],
    [
      'bytes down that were never sent',
      'METER_DISAGREEMENT',
      (p) => signReceipt({ ...honest(p), down: honest(p).down + 1n }, delegate),
    ],
    [
      'fewer bytes down at the full price',
      'METER_DISAGREEMENT',
      (p) => signReceipt({ ...honest(p), down: honest(p).down - 100n }, delegate),
    ],
  ];

  it.each(cases)('%s', (_label, code, forge) => {
    const before = { counts: pair.earning.counts(), held: pair.held, accepted: pair.accepted, arrears: pair.arrears };
    expect(() => pair.earning.receive(forge(pair).bytes)).toThrowError(expect.objectContaining({ code }));
    pair.sync();
    expect({ counts: pair.earning.counts(), held: pair.held, accepted: pair.accepted, arrears: pair.arrears }).toEqual(
      before,
    );
    pair.earning.receive(signReceipt(honest(pair), delegate).bytes);
    pair.sync();
    expect(pair.held?.amount).toBe(pair.earning.counts().due);
  });

  it('every changed byte of a good receipt', () => {
    const good = signReceipt(honest(pair), delegate);
    const before = pair.earning.counts();
    for (let i = 0; i < good.bytes.length; i += 1) {
      const changed = Uint8Array.from(good.bytes);
      changed[i] = (changed[i] ?? 0) ^ 0x40;
      expect(() => pair.earning.receive(changed)).toThrowError(RelaymintError);
    }
    for (const length of [0, 46, 110, 112]) {
      expect(() => pair.earning.receive(new Uint8Array(length))).toThrowError(
        expect.objectContaining({ code: 'RECEIPT_INVALID' }),
      );
    }
    expect(pair.earning.counts()).toEqual(before);
    expect(pair.accepted).toBe(pair.held);
  });

  it('states both figures when the counts differ', () => {
    const wrong = signReceipt({ ...honest(pair), up: honest(pair).up + 512n }, delegate);
    expect(() => pair.earning.receive(wrong.bytes)).toThrowError(
      expect.objectContaining({
        message: expect.stringContaining(String(honest(pair).up + 512n)),
        details: expect.objectContaining({ theirUp: String(honest(pair).up + 512n), ourUp: String(honest(pair).up) }),
      }),
    );
  });

  it('everything after close', () => {
    const good = signReceipt(honest(pair), delegate);
    pair.earning.close();
    expect(() => pair.earning.receive(good.bytes)).toThrowError(expect.objectContaining({ code: 'CLOSED' }));
    expect(pair.earning.receivedUp(100, pair.price)).toBe('cut');
    expect(pair.earning.canSendDown(100, pair.price)).toBe(false);
  });
});

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

describe('the memory of price changes', () => {
  it('ends with the receipt that pays for them, on both sides', () => {
    const pair = new Pair(PRICE);
    for (let i = 0; i < 20_000; i += 1) {
      pair.sendUp(64, pricePerMiB(PRICE + BigInt(i % 2)));
      pair.sendDown(64, pricePerMiB(PRICE + BigInt(i % 2)));
      if (i % 100 === 0) pair.settleDown();
    }
    pair.settleDown();
    expect(pair.cuts).toBe(0);
    // Price changes alone make the payer sign: a tenth of the window is owed here at most.
    expect(pair.receipts).toBeGreaterThan(20_000 / 256);
  });
});

describe('the deposit', () => {
  it('is never passed: the payer stops, the payee sends nothing that could not be paid', () => {
    const pair = new Pair(PRICE, channelState({ deposit: amount(8n * PRICE) }));
    let error: unknown;
    for (let i = 0; i < 100_000 && error === undefined; i += 1) {
      try {
        pair.sendUp(FRAME);
        pair.sendDown(FRAME);
        pair.settleDown();
      } catch (thrown) {
        error = thrown;
      }
    }
    expect(error).toMatchObject({ code: 'DEPOSIT_EXHAUSTED' });
    pair.settleDown();
    expect(pair.spending.counts()).toEqual(pair.earning.counts());
    expect(pair.earning.counts().signed).toBe(pair.earning.counts().due);
    expect(pair.earning.counts().due <= 8n * PRICE).toBe(true);
    expect(pair.cuts).toBe(0);
  });

  it('keeps a receipt above the deposit we know until the ledger shows the top-up', () => {
    const pair = new Pair(PRICE, channelState({ deposit: amount(8n * PRICE) }));
    const grown = { ...pair.channel, deposit: amount(80n * PRICE) };
    pair.spending.update(grown);
    for (let i = 0; i < 64 * 9; i += 1) {
      pair.sendUp(FRAME);
      pair.deliverUp();
      pair.deliverUp();
      pair.sync();
    }
    pair.spending.flush();
    pair.settleDown();
    expect(pair.accepted?.amount).toBeLessThanOrEqual(8n * PRICE);
    expect(pair.heldFrames).toBeGreaterThan(0);
    pair.earning.update(pair.channel);
    expect(pair.faults).toEqual([]);
    pair.earning.update(grown);
    pair.sync();
    expect(pair.heldFrames).toBe(0);
    expect(pair.cuts).toBe(0);
    expect(pair.accepted?.amount).toBe(9n * PRICE);
  });

  it('makes a receipt above it a fault once the ledger has said so three times', () => {
    const pair = new Pair(PRICE, channelState({ deposit: amount(8n * PRICE) }));
    pair.spending.update({ ...pair.channel, deposit: amount(80n * PRICE) });
    for (let i = 0; i < 64 * 9; i += 1) {
      pair.sendUp(FRAME);
      pair.deliverUp();
      pair.deliverUp();
      pair.sync();
    }
    pair.spending.flush();
    pair.settleDown();
    for (let i = 0; i < 3; i += 1) pair.earning.update(pair.channel);
    expect(pair.faults).toEqual([expect.objectContaining({ code: 'DEPOSIT_EXHAUSTED' })]);
  });

  it("tells the payee's side of a close request", () => {
    const pair = warmPair();
    pair.earning.update({ ...pair.channel, closeAt: 5n as NonNullable<Pair['channel']['closeAt']> });
    expect(pair.faults).toEqual([expect.objectContaining({ code: 'CHANNEL_CLOSING' })]);
  });
});

describe('prices', () => {
  it('may change with every frame and the counts still agree', () => {
    const pair = new Pair(PRICE);
    for (let i = 0; i < 3000; i += 1) {
      pair.sendUp(1024, pricePerMiB(PRICE + BigInt(i % 3)));
      pair.sendDown(1024, pricePerMiB(PRICE + BigInt(i % 2)));
      if (i % 7 === 0) pair.settleDown();
    }
    pair.spending.flush();
    pair.settleDown();
    expect(pair.spending.counts()).toEqual(pair.earning.counts());
    expect(pair.earning.counts().due).toBe(pair.served >> 20n);
  });

  it('of almost nothing are summed exactly, never rounded away', () => {
    const pair = new Pair(1n);
    for (let i = 0; i < 10_000; i += 1) {
      pair.sendUp(1025);
      pair.settleDown();
    }
    pair.spending.flush();
    pair.settleDown();
    expect(pair.held?.amount).toBe((10_000n * 1025n) >> 20n);
  });

  it('of nothing need no receipts', () => {
    const pair = new Pair(0n);
    for (let i = 0; i < 1000; i += 1) {
      pair.sendUp(FRAME);
      pair.sendDown(FRAME);
    }
    pair.settleDown();
    pair.spending.flush();
    expect(pair.receipts).toBe(0);
    expect(pair.spending.counts()).toEqual(pair.earning.counts());
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
