import { x25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../../core/ids.ts';
import { LAYER_BYTES } from '../../../core/limits.ts';
import { HopInitiation, answerInitiation, onionKeyFromSeed } from '../../../node/circuit/handshake.ts';
import { OpeningLayer, SealingLayer } from '../../../node/circuit/layer.ts';

const NODE = nodeId(new Uint8Array(32).fill(3));
const onion = onionKeyFromSeed(new Uint8Array(32).fill(5));

describe('hop handshake', () => {
  it('derives the public half as another implementation does', () => {
    for (const byte of [0, 1, 5, 77, 255]) {
      const seed = new Uint8Array(32).fill(byte);
      expect(onionKeyFromSeed(seed).publicKey).toEqual(x25519.getPublicKey(seed));
    }
  });

  it('gives both ends the same keys, and other keys each time', () => {
    const first = new HopInitiation(NODE, onion.publicKey);
    const answer = answerInitiation(first.ephemeral, NODE, onion);
    const keys = first.finish(answer);
    expect(keys).toEqual(answer.keys);
    expect(keys.forward.equals(keys.backward)).toBe(false);
    const second = new HopInitiation(NODE, onion.publicKey);
    expect(second.finish(answerInitiation(second.ephemeral, NODE, onion)).forward.equals(keys.forward)).toBe(false);
  });

  it.each([
    ['another onion key', (x: Uint8Array) => answerInitiation(x, NODE, onionKeyFromSeed(new Uint8Array(32).fill(6)))],
    ['another node id', (x: Uint8Array) => answerInitiation(x, nodeId(new Uint8Array(32).fill(4)), onion)],
    [
      'a changed tag',
      (x: Uint8Array) => {
        const answer = answerInitiation(x, NODE, onion);
        answer.auth[0] = (answer.auth[0] ?? 0) ^ 1;
        return answer;
      },
    ],
  ])('refuses an answer with %s', (_what, answer) => {
    const initiation = new HopInitiation(NODE, onion.publicKey);
    expect(() => initiation.finish(answer(initiation.ephemeral))).toThrow(
      expect.objectContaining({ code: 'CIRCUIT_TAMPERED' }),
    );
  });

  it.each([
    ['zero', '00'.repeat(32)],
    ['one', `01${'00'.repeat(31)}`],
    ['a point of order 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['p', `ed${'ff'.repeat(30)}7f`],
  ])('refuses a key of small order: %s', (_what, hex) => {
    const weak = Buffer.from(hex, 'hex');
    const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' });
    expect(() => answerInitiation(weak, NODE, onion)).toThrow(violation);
    expect(() =>
      new HopInitiation(NODE, onion.publicKey).finish({ ephemeral: weak, auth: new Uint8Array(32) }),
    ).toThrow(violation);
  });
});

describe('layer', () => {
  const key = (): Buffer => Buffer.alloc(32, 9);
  function sealed(layer: SealingLayer, text: string): Buffer {
    const buffer = Buffer.alloc(text.length + LAYER_BYTES);
    buffer.write(text, 'latin1');
    return buffer.subarray(0, layer.inPlace(buffer, text.length));
  }

  it('opens in order what was sealed in order', () => {
    const [seal, open] = [new SealingLayer(key()), new OpeningLayer(key())];
    for (let index = 0; index < 1000; index += 1) {
      expect(open.open(sealed(seal, `frame ${index}`))?.toString('latin1')).toBe(`frame ${index}`);
    }
  });

  it('opens nothing that was changed, repeated, left out, cut or short', () => {
    const frames = (): [Buffer, Buffer] => {
      const seal = new SealingLayer(key());
      return [sealed(seal, 'first'), sealed(seal, 'second')];
    };
    const [first, second] = frames();
    const open = (frame: Buffer): Buffer | undefined => new OpeningLayer(key()).open(frame);
    for (let byte = 0; byte < first.length; byte += 1) {
      const changed = Buffer.from(first);
      changed[byte] = (changed[byte] ?? 0) ^ 0x80;
      expect(open(changed)).toBeUndefined();
    }
    expect(open(second)).toBeUndefined();
    expect(open(first.subarray(0, -1))).toBeUndefined();
    expect(open(first.subarray(0, 3))).toBeUndefined();
    const twice = new OpeningLayer(key());
    expect(twice.open(first)).toBeDefined();
    expect(twice.open(first)).toBeUndefined();
  });

  it('wipes its key', () => {
    const raw = key();
    new SealingLayer(raw).close();
    expect(raw.every((byte) => byte === 0)).toBe(true);
  });
});
