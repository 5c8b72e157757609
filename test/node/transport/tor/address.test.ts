import { randomBytes } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { assert, constant, oneof, property, string, stringMatching, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../../core/errors.ts';
import { isOnion, onionOf, readOnion } from '../../../../node/transport/tor/address.ts';

/** The specification's own examples (rend-spec-v3, "Encoding onion addresses"). */
const VECTORS = [
  'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd',
  'sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd',
  'xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd',
];
const [first] = VECTORS as [string];

describe('onion addresses', () => {
  it.each(VECTORS)('%s of the specification is read and written again', (onion) => {
    const { publicKey, onion: read } = readOnion(`${onion}.onion`);
    expect(`${onion}.onion`).toHaveLength(62);
    expect(read).toBe(onion);
    expect(onionOf(publicKey)).toBe(onion);
    expect(readOnion(onion.toUpperCase())).toEqual({ onion, publicKey });
  });

  it('are read back from any key', () => {
    assert(
      property(uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
        const publicKey = ed25519.getPublicKey(seed);
        expect(readOnion(onionOf(publicKey)).publicKey).toEqual(publicKey);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['expyuzz4wqqyqhjn', 'version 2'],
    ['expyuzz4wqqyqhjn.onion', 'version 2'],
    [first.slice(0, 55), 'has 55 characters'],
    [`${first}a`, 'has 57 characters'],
    ['', 'has 0 characters'],
    [`www.${first}.onion`, 'has 60 characters'],
    [`${first.slice(0, 55)}1`, 'characters other than'],
    [`${first.slice(0, 55)}b`, 'it says version 1'],
    [`a${first.slice(1)}`, 'its checksum does not fit'],
    [`${first.slice(0, 52)}a${first.slice(53)}`, 'its checksum does not fit'],
    [onionOf(new Uint8Array(32)), 'its key is none'],
    [onionOf(new Uint8Array(32).fill(0xff)), 'its key is none'],
    [onionOf(Uint8Array.of(1, ...new Uint8Array(31))), 'its key is none'],
  ])('"%s" is refused: %s', (text, words) => {
    expect(() => readOnion(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => readOnion(text)).toThrow(words);
    expect(isOnion(text)).toBe(words.includes('key is none'));
  });

  it('do not survive a change of any one character', () => {
    const letters = 'abcdefghijklmnopqrstuvwxyz234567';
    for (let at = 0; at < first.length; at += 1) {
      const other = letters[(letters.indexOf(first.charAt(at)) + 1 + (at % 31)) % 32];
      expect(isOnion(first.slice(0, at) + other + first.slice(at + 1))).toBe(false);
    }
  });

  it('any text gives an address or a RelaymintError', () => {
    const text = oneof(
      string({ maxLength: 70 }),
      stringMatching(/^[a-z2-7]{56}$/),
      constant(null).map(() => onionOf(randomBytes(32))),
    );
    assert(
      property(text, (input) => {
        const written = input.toLowerCase().replace(/\.onion$/, '');
        expect([written, 'INVALID_ARGUMENT']).toContain(outcomeOf(input));
      }),
      { numRuns: 500 },
    );
  });
});

/** The address that was read, written again; or the code of the error. */
function outcomeOf(text: string): string {
  try {
    return onionOf(readOnion(text).publicKey);
  } catch (error) {
    return isRelaymintError(error) ? error.code : String(error);
  }
}
