import { x25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../../core/ids.ts';
import { LAYER_BYTES, MAX_HOPS, STACK_BYTES } from '../../../core/limits.ts';
import { HopInitiation, answerInitiation, onionKeyFromSeed } from '../../../node/circuit/handshake.ts';
import {
  LAYER_KEY_BYTES,
  OpeningLayer,
  OpeningLayers,
  SealingLayer,
  SealingLayers,
} from '../../../node/circuit/layer.ts';

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

describe('layers', () => {
  const keys = (hop: number): Buffer => Buffer.alloc(LAYER_KEY_BYTES, hop + 1);
  /** A circuit of so many hops, without its links. */
  function circuit(hops: number): {
    readonly sealing: SealingLayers;
    readonly opening: OpeningLayers;
    readonly forward: readonly OpeningLayer[];
    readonly backward: readonly SealingLayer[];
  } {
    const [sealing, opening] = [new SealingLayers(), new OpeningLayers()];
    const each = Array.from({ length: hops }, (_, hop) => hop);
    for (const hop of each) {
      sealing.add(keys(hop));
      opening.add(Buffer.alloc(LAYER_KEY_BYTES, 100 + hop));
    }
    const forward = each.map((hop) => new OpeningLayer(keys(hop)));
    const backward = each.map((hop) => new SealingLayer(Buffer.alloc(LAYER_KEY_BYTES, 100 + hop)));
    return { sealing, opening, forward, backward };
  }
  type Scene = ReturnType<typeof circuit>;

  function sealed({ sealing }: Pick<Scene, 'sealing'>, text: string): Buffer {
    const payload = Buffer.alloc(STACK_BYTES + text.length);
    sealing.seal(Buffer.from(text, 'latin1'), payload, 0);
    return payload;
  }

  /** What each hop was sent, and what the last one read; undefined: a hop could not open it. */
  function goForward(
    scene: Scene,
    payload: Buffer,
    change?: (hop: number, seen: Buffer) => void,
  ): [Buffer[], string | undefined] {
    const seen: Buffer[] = [];
    let at = payload;
    for (const [hop, layer] of scene.forward.entries()) {
      change?.(hop, at);
      seen.push(Buffer.from(at));
      const text = layer.open(at);
      if (text === undefined) return [seen, undefined];
      if (hop === scene.forward.length - 1) return [seen, text.toString('latin1')];
      const next = Buffer.alloc(at.length);
      layer.pass(at, text, next, 0);
      at = next;
    }
    return [seen, undefined];
  }

  /** The same backward; what each hop sent, the last hop first. */
  function goBackward(
    scene: Scene,
    text: string,
    change?: (hop: number, sent: Buffer) => void,
  ): [Buffer[], string | undefined] {
    const sent: Buffer[] = [];
    let at: Buffer | undefined;
    for (const [hop, layer] of Array.from(scene.backward.entries()).toReversed()) {
      const next = Buffer.alloc(STACK_BYTES + text.length);
      if (at === undefined) layer.originate(Buffer.from(text, 'latin1'), next, 0);
      else layer.pass(at, next, 0);
      change?.(hop, next);
      sent.push(Buffer.from(next));
      at = next;
    }
    return [sent, at && scene.opening.open(at)?.toString('latin1')];
  }

  /** Slices of a tag's length. */
  function tagsOf(payload: Buffer): string[] {
    return Array.from({ length: MAX_HOPS }, (_, i) => payload.toString('hex', i * LAYER_BYTES, (i + 1) * LAYER_BYTES));
  }

  const everyLength = Array.from({ length: MAX_HOPS }, (_, i) => i + 1);

  it.each(everyLength)('of %i hops open in order what was sealed in order, both ways', (hops) => {
    const scene = circuit(hops);
    for (let index = 0; index < 200; index += 1) {
      expect(goForward(scene, sealed(scene, `frame ${index}`))[1]).toBe(`frame ${index}`);
      for (let more = index % 3; more > 0; more -= 1) {
        expect(goBackward(scene, `answer ${index}`)[1]).toBe(`answer ${index}`);
      }
    }
  });

  it('go on when a hop is added, as while a circuit is built', () => {
    const whole = circuit(MAX_HOPS);
    const [sealing, opening] = [new SealingLayers(), new OpeningLayers()];
    for (let hops = 1; hops <= MAX_HOPS; hops += 1) {
      sealing.add(keys(hops - 1));
      opening.add(Buffer.alloc(LAYER_KEY_BYTES, 99 + hops));
      const part = { sealing, opening, forward: whole.forward.slice(0, hops), backward: whole.backward.slice(0, hops) };
      for (const word of ['one', 'two']) {
        expect(goForward(part, sealed(part, word))[1]).toBe(word);
        expect(goBackward(part, word)[1]).toBe(word);
      }
    }
  });

  it('look the same at every hop of every circuit: one length, and no tag that was seen elsewhere', () => {
    const lengths = new Set<number>();
    for (const hops of everyLength) {
      const scene = circuit(hops);
      const seen = [...goForward(scene, sealed(scene, 'x'.repeat(64)))[0], ...goBackward(scene, 'x'.repeat(64))[0]];
      for (const payload of seen) lengths.add(payload.length);
      const tags = seen.flatMap(tagsOf);
      expect(new Set(tags).size).toBe(tags.length);
      expect(tags).not.toContain('00'.repeat(LAYER_BYTES));
    }
    expect([...lengths]).toEqual([STACK_BYTES + 64]);
  });

  it.each(everyLength)(
    'of %i hops show a change of any byte, including the unused tags, at the next honest hop',
    (hops) => {
      for (let byte = 0; byte < STACK_BYTES + 5; byte += 1) {
        for (let hop = 0; hop < hops; hop += 1) {
          const change = (at: number, payload: Buffer): void => {
            if (at === hop) payload[byte] = (payload[byte] ?? 0) ^ 0x80;
          };
          const scene = circuit(hops);
          const [seen, read] = goForward(scene, sealed(scene, 'first'), change);
          expect([seen.length, read]).toEqual([hop + 1, undefined]);
          // Backward it is the initiator that sees it; what the next hop drops at the bottom takes its change with it.
          const [, answer] = goBackward(circuit(hops), 'first', change);
          const fallsOut = hop > 0 && Math.floor(byte / LAYER_BYTES) === MAX_HOPS - 1;
          expect(answer).toBe(fallsOut ? 'first' : undefined);
        }
      }
    },
  );

  it('open nothing that was repeated, left out, cut or shortened', () => {
    const scene = circuit(3);
    const [first, second] = [sealed(scene, 'first'), sealed(scene, 'second')];
    const read = (payload: Buffer): string | undefined => goForward(circuit(3), Buffer.from(payload))[1];
    expect(read(first)).toBe('first');
    expect(read(second)).toBeUndefined();
    expect(read(first.subarray(0, -1))).toBeUndefined();
    expect(read(first.subarray(0, 3))).toBeUndefined();
    expect(new OpeningLayers().open(Buffer.from(first))).toBeUndefined();
    const twice = circuit(3);
    expect(goForward(twice, Buffer.from(first))[1]).toBe('first');
    expect(goForward(twice, Buffer.from(first))[1]).toBeUndefined();
  });

  it('wipe their keys', () => {
    for (const layer of [OpeningLayer, SealingLayer]) {
      const raw = keys(0);
      new layer(raw).close();
      expect(raw.every((byte) => byte === 0)).toBe(true);
    }
    for (const layers of [new OpeningLayers(), new SealingLayers()]) {
      const raw = keys(0);
      layers.add(raw);
      layers.close();
      expect(raw.every((byte) => byte === 0)).toBe(true);
    }
  });
});
