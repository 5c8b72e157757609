/** Receipts that must be refused with nothing changed. */
import { beforeEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { channelId } from '../../../core/ids.ts';
import { amount } from '../../../core/units.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import type { SignedReceipt } from '../../../ledger/receipt/index.ts';
import { delegate, honest, warmPair, seed, stranger, type Pair } from './pair.ts';

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
