import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { fromHex, toHex } from '../../../core/codec.ts';
import { MAX_FRAME_PAYLOAD } from '../../../core/limits.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import { FrameMemory, FrameParser, isControl, writeHeader } from '../../../node/link/frame.ts';
import { thrownBy } from './nodes.ts';

interface Frame {
  readonly type: FrameType;
  readonly circuitId: number;
  readonly payload: Buffer;
}

const types = Object.values(FrameType);
const frames = fc.array(
  fc.record({
    type: fc.constantFrom(...types),
    id: fc.integer({ min: 1, max: 0xffff_ffff }),
    payload: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 3000, maxLength: 5000 })),
  }),
  { maxLength: 12 },
);

function encode({ type, circuitId, payload }: Frame): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  payload.copy(frame, FRAME_HEADER_BYTES);
  writeHeader(frame, type, circuitId);
  return frame;
}

function collect(chunks: Iterable<Buffer>): Frame[] {
  const found: Frame[] = [];
  const parser = new FrameParser(new FrameMemory(), (type, circuitId, payload) => {
    found.push({ type, circuitId, payload });
    return true;
  });
  for (const chunk of chunks) parser.push(chunk);
  return found;
}

function* cut(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes.length === 0 ? bytes.length : (sizes[i % sizes.length] ?? 1);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

describe('the frame parser', () => {
  it('gives back what was written, however the bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 20 }), (drawn, sizes) => {
        const sent = drawn.map(({ type, id, payload }) => ({
          type,
          circuitId: isControl(type) ? 0 : id,
          payload: Buffer.from(payload),
        }));
        expect(collect(cut(Buffer.concat(sent.map(encode)), sizes))).toEqual(sent);
      }),
    );
  });

  it('survives a cut at every single boundary', () => {
    const sent: Frame[] = [
      { type: FrameType.RELAY, circuitId: 0x01020304, payload: Buffer.from('first') },
      { type: FrameType.PING, circuitId: 0, payload: Buffer.alloc(0) },
      { type: FrameType.RELAY, circuitId: 0xffff_ffff, payload: Buffer.from('second') },
    ];
    const bytes = Buffer.concat(sent.map(encode));
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(collect([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(sent);
    }
  });

  it('answers random bytes with frames or one of its errors, and never takes more than it was given', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (chunks) => {
        let given = 0;
        let taken = 0;
        const parser = new FrameParser(new FrameMemory(), (_type, _id, payload) => {
          taken += FRAME_HEADER_BYTES + payload.length;
          return true;
        });
        const error = thrownBy(() => {
          for (const chunk of chunks) {
            given += chunk.length;
            parser.push(Buffer.from(chunk));
          }
        });
        expect(error === undefined || isRelaymintError(error, 'FRAME_TOO_LONG', 'PROTOCOL_VIOLATION')).toBe(true);
        expect(taken).toBeLessThanOrEqual(given);
      }),
    );
  });

  it('refuses a longer length before it takes memory for it', () => {
    for (let length = MAX_FRAME_PAYLOAD + 1; length <= 0xffff; length += 997) {
      const header = Buffer.of(length & 255, length >> 8, FrameType.RELAY, 0, 1, 0, 0, 0);
      let taken = 0;
      const memory = new FrameMemory();
      const take = memory.take.bind(memory);
      memory.take = (size) => {
        taken += size;
        return take(size);
      };
      const parser = new FrameParser(memory, () => true);
      expect(() => parser.push(header)).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }) as Error);
      expect(taken).toBe(0);
    }
    expect(
      collect([encode({ type: FrameType.RELAY, circuitId: 1, payload: Buffer.alloc(MAX_FRAME_PAYLOAD) })]),
    ).toHaveLength(1);
  });

  it.each([
    ['a reserved byte', [0, 0, FrameType.RELAY, 1, 1, 0, 0, 0]],
    ['an unknown type', [0, 0, 99, 0, 1, 0, 0, 0]],
    ['a control frame on a circuit', [0, 0, FrameType.PING, 0, 1, 0, 0, 0]],
    ['a circuit frame on none', [0, 0, FrameType.CREATE, 0, 0, 0, 0, 0]],
  ])('refuses %s', (_what, bytes) => {
    expect(() => collect([Buffer.from(bytes)])).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }) as Error,
    );
  });

  it('stops when it is told to', () => {
    const bytes = encode({ type: FrameType.RELAY, circuitId: 1, payload: Buffer.from('x') });
    let seen = 0;
    const parser = new FrameParser(new FrameMemory(), () => {
      seen += 1;
      return false;
    });
    parser.push(Buffer.concat([bytes, bytes]));
    expect(seen).toBe(1);
  });

  it('writes the header of the golden vector', () => {
    const frame = encode({ type: FrameType.RELAY, circuitId: 0xa1b2c3d4, payload: Buffer.alloc(0x1234) });
    expect(toHex(frame.subarray(0, FRAME_HEADER_BYTES))).toBe('34121200d4c3b2a1');
    const empty = encode({ type: FrameType.PING, circuitId: 0, payload: Buffer.alloc(0) });
    expect(empty).toEqual(Buffer.from(fromHex('0000030000000000')));
  });
});
