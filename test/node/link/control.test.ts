import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import { toHex } from '../../../core/codec.ts';
import { MAX_GOODBYE_BYTES } from '../../../core/limits.ts';
import { decodeGoodbye, decodeHello, encodeGoodbye, encodeHello } from '../../../node/link/control.ts';
import { TokenBucket } from '../../../core/rate.ts';
import { newIdentity, thrownBy } from './nodes.ts';

const peer = newIdentity().nodeId;

describe('hello', () => {
  it('has the bytes of the golden vector', () => {
    expect(toHex(encodeHello(undefined))).toBe('020002000000');
    expect(toHex(encodeHello(Uint8Array.of(7, 8)))).toBe('0200020002000708');
  });

  it('carries an offer or none', () => {
    expect(decodeHello(encodeHello(undefined))).toBeUndefined();
    expect(decodeHello(encodeHello(Uint8Array.of(1, 2, 3)))).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('speaks with a later version that still knows this one, and refuses one that does not', () => {
    expect(decodeHello(Uint8Array.of(2, 0, 9, 0, 0, 0, 42))).toBeUndefined();
    expect(() => decodeHello(Uint8Array.of(3, 0, 9, 0, 0, 0))).toThrow(
      expect.objectContaining({ code: 'VERSION_UNSUPPORTED' }) as Error,
    );
  });

  it('refuses what is malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const error = thrownBy(() => decodeHello(bytes));
        expect(error === undefined || isRelaymintError(error, 'VERSION_UNSUPPORTED', 'INVALID_ENCODING')).toBe(true);
      }),
    );
  });
});

describe('goodbye', () => {
  it('carries every reason and a text that fits', () => {
    expect(decodeGoodbye(encodeGoodbye(undefined), peer)).toBeUndefined();
    expect(decodeGoodbye(encodeGoodbye('duplicate'), peer)).toBe('duplicate');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (text) => {
        const encoded = encodeGoodbye(new RelaymintError('METER_DISAGREEMENT', text));
        expect(encoded.length).toBeLessThanOrEqual(3 + MAX_GOODBYE_BYTES);
        expect(decodeGoodbye(encoded, peer)).toMatchObject({ code: 'METER_DISAGREEMENT' });
      }),
    );
  });

  it('sends a general code for reasons that have none on the wire', () => {
    const decoded = decodeGoodbye(
      encodeGoodbye(new RelaymintError('STORAGE_FAILED', 'Cannot write /private/place.')),
      peer,
    );
    expect(decoded).toMatchObject({ code: 'INTERNAL' });
    expect((decoded as RelaymintError).message).not.toContain('/private/place');
    expect(decodeGoodbye(Uint8Array.of(200, 0, 0), peer)).toMatchObject({ code: 'INTERNAL' });
  });

  it('lets no text steer a terminal', () => {
    const decoded = decodeGoodbye(encodeGoodbye(new RelaymintError('TIMEOUT', 'a\u001b[31mb\r\nc\u202ed')), peer);
    expect((decoded as RelaymintError).message).toMatch(/: a \[31mb {2}c d$/);
  });
});

describe('a token bucket', () => {
  it('lets its rate through, and no more', () => {
    let now = 0;
    const bucket = new TokenBucket(10, () => now);
    const take = (count: number): number => Array.from({ length: count }, () => bucket.take()).filter(Boolean).length;
    expect(take(50)).toBe(10);
    now = 50;
    expect(take(5)).toBe(0);
    now = 500;
    expect(take(50)).toBe(5);
    now = 100_000;
    expect(take(50)).toBe(10);
  });

  it('holds more than a second brings, and takes much at once, or nothing', () => {
    let now = 0;
    const bucket = new TokenBucket(10, () => now, 100);
    expect([bucket.take(60), bucket.take(60), bucket.take(40), bucket.take()]).toEqual([true, false, true, false]);
    now = 5_000;
    expect([bucket.take(51), bucket.take(30), bucket.take(20), bucket.take()]).toEqual([false, true, true, false]);
    now = 100_000;
    expect([bucket.take(101), bucket.take(100), bucket.take()]).toEqual([false, true, false]);
  });
});
