import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { MAX_CELL_BYTES, MAX_GRANTS_PER_FRAME, MAX_OFFER_BYTES } from '../../../core/limits.ts';
import { nodeId, nodeIdBytes } from '../../../core/ids.ts';
import { pricePerMiB } from '../../../core/units.ts';
import {
  CELL_HEADER_BYTES,
  CellType,
  MAX_CELL_DATA,
  SMALL_CELL,
  cellData,
  cellSize,
  cellStream,
  cellType,
  dataCellLength,
  decodeBegin,
  decodeConnected,
  encodeBegin,
  encodeConnected,
  frameCell,
} from '../../../node/circuit/cell.ts';
import {
  decodeCreate,
  decodeCreated,
  decodeExtend,
  decodeGrants,
  encodeCreate,
  encodeExtend,
  encodeGrants,
} from '../../../node/circuit/messages.ts';
import { DestroyReason, decodeEnd, decodeEnding, encodeEnding, ending } from '../../../node/circuit/reason.ts';

/** What a decoder makes of hostile bytes: nothing, a refusal, or something that must not be. */
function faultOf(decode: () => unknown): 'none' | 'refused' | 'unexpected' {
  try {
    decode();
    return 'none';
  } catch (error) {
    return isRelaymintError(error, 'INVALID_ENCODING', 'PROTOCOL_VIOLATION', 'VERSION_UNSUPPORTED')
      ? 'refused'
      : 'unexpected';
  }
}

describe('cell', () => {
  it('round-trips any data and pads with zeros, even in dirty memory', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: MAX_CELL_DATA }), fc.integer({ min: 0, max: 0xffff }), (data, stream) => {
        const cell = Buffer.alloc(MAX_CELL_BYTES, 0xaa);
        cell.set(data, CELL_HEADER_BYTES);
        const size = frameCell(cell, CellType.DATA, stream, data.length);
        const sent = cell.subarray(0, size);
        expect([1024, 4096, 16_384, 61_440]).toContain(size);
        expect(cellData(sent).equals(Buffer.from(data))).toBe(true);
        expect([cellType(sent), cellStream(sent)]).toEqual([CellType.DATA, stream]);
        expect(sent.subarray(CELL_HEADER_BYTES + data.length).every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  it('never pads more than it carries beyond the smallest class', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), (queued) => {
        let left = queued;
        let cells = 0;
        let bytes = 0;
        while (left > 0) {
          const length = dataCellLength(left);
          expect(length).toBeGreaterThan(0);
          left -= length;
          cells += 1;
          bytes += frameCell(Buffer.alloc(MAX_CELL_BYTES), CellType.DATA, 1, length);
        }
        expect(bytes).toBeLessThanOrEqual(2 * (queued + cells * CELL_HEADER_BYTES) + 1024);
      }),
    );
  });

  it('has this golden header', () => {
    const cell = Buffer.alloc(MAX_CELL_BYTES);
    cell.set([1, 2, 3], CELL_HEADER_BYTES);
    expect(frameCell(cell, CellType.DATA, 0x1234, 3)).toBe(1024);
    expect(cell.subarray(0, 10).toString('hex')).toBe('05003412030001020300');
  });

  it.each([
    ['a size that is no class', Buffer.alloc(1025)],
    ['a reserved byte', Buffer.from(Buffer.alloc(1024)).fill(1, 1, 2)],
    ['a length beyond the cell', Buffer.alloc(1024).fill(0xff, 4, 6)],
  ])('refuses %s', (_what, cell) => {
    expect(() => cellData(cell)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }));
  });
});

describe('messages', () => {
  const node = nodeId(new Uint8Array(32).fill(7));
  const key = new Uint8Array(32).fill(8);

  it('have these golden bytes', () => {
    const create = { price: pricePerMiB(0x0102n), grant: 0x0304, hops: 6, ephemeral: key };
    expect(Buffer.from(encodeCreate(create)).toString('hex')).toBe(`0602010000000000000403000006${'08'.repeat(32)}`);
    const extend = { price: pricePerMiB(3n), ephemeral: key, offer: Uint8Array.of(1, 2, 3) };
    expect(Buffer.from(encodeExtend(extend)).toString('hex')).toBe(`0300000000000000${'08'.repeat(32)}0300010203`);
    expect(Buffer.from(encodeEnding(ending(DestroyReason.PRICE, 'dear'))).toString('hex')).toBe('0264656172');
    expect(encodeBegin('echo', Buffer.of(9)).toString('hex')).toBe('00046563686f09');
    expect(encodeBegin('echo', Buffer.of(9), true).toString('hex')).toBe('01046563686f09');
  });

  it('to extend have one length, whichever offer they bring, and none without a node id', () => {
    const extend = (bytes: number) => encodeExtend({ price: pricePerMiB(1n), ephemeral: key, offer: offerOf(bytes) });
    const offerOf = (bytes: number) => new Uint8Array(bytes).fill(1);
    for (const bytes of [300, MAX_OFFER_BYTES]) expect(cellSize(extend(bytes).length)).toBe(SMALL_CELL);
    for (const bytes of [0, 100, MAX_OFFER_BYTES + 1])
      expect(faultOf(() => decodeExtend(extend(bytes)))).toBe('refused');
  });

  it('round-trip', () => {
    const offer = Uint8Array.of(1, ...nodeIdBytes(node), ...new Uint8Array(200));
    const extend = { node, price: pricePerMiB(5n), ephemeral: key, offer };
    expect(decodeExtend(encodeExtend(extend))).toEqual(extend);
    expect(decodeBegin(encodeBegin('content', Buffer.from('x')))).toEqual({
      service: 'content',
      params: Buffer.from('x'),
      datagrams: false,
    });
    expect(decodeBegin(encodeBegin('content', Buffer.from('x'), true))).toMatchObject({ datagrams: true });
    expect([true, false].map((takes) => decodeConnected(encodeConnected(takes)))).toEqual([true, false]);
    expect(decodeEnding(encodeEnding(ending(DestroyReason.UNPAID, 'ä'.repeat(80)))).text).toBe('ä'.repeat(50));
  });

  it('carry grants in frames of a bounded size, and refuse one of 0 bytes', () => {
    const grants = new Map(Array.from({ length: MAX_GRANTS_PER_FRAME + 5 }, (_, index) => [index + 1, index + 7]));
    const frames: Uint8Array[] = [];
    encodeGrants(grants, (payload) => frames.push(payload));
    expect(frames.map(({ length }) => length)).toEqual([8 * MAX_GRANTS_PER_FRAME, 40]);
    const read = new Map<number, number>();
    for (const frame of frames) decodeGrants(frame, (circuit, bytes) => read.set(circuit, bytes));
    expect(read).toEqual(grants);
    for (const bad of ['', '01', '0100000000000000']) {
      expect(faultOf(() => decodeGrants(Buffer.from(bad, 'hex'), () => {}))).toBe('refused');
    }
    encodeGrants(new Map([[0x0102, 0x030405]]), (payload) => {
      expect(Buffer.from(payload).toString('hex')).toBe('0201000005040300');
    });
  });

  it('accept random bytes or refuse them with a RelaymintError', () => {
    const decoders: ((bytes: Buffer) => unknown)[] = [
      decodeCreate,
      decodeCreated,
      decodeExtend,
      decodeEnding,
      decodeEnd,
      decodeBegin,
      decodeConnected,
      cellData,
      (bytes) => decodeGrants(bytes, () => {}),
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(decoders.length - 1), (raw, which) => {
        expect(faultOf(() => decoders[which]?.(Buffer.from(raw)))).not.toBe('unexpected');
      }),
      { numRuns: 2000 },
    );
  });
});
