/** The format of statements: what a host signs is read, and nothing else is. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex, utf8 } from '../../../core/codec.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { MAX_STATEMENT_BYTES } from '../../../core/limits.ts';
import { bytes, pricePerMiB, unixMillis, type Amount } from '../../../core/units.ts';
import { walletBindingMessage } from '../../../platform/keys/binding.ts';
import { createStatementSigner, grossOf, readStatement, streamOf } from '../../../sites/statement/index.ts';
import { wallet } from '../kit.ts';
import { PRICE, statingHost } from './kit.ts';

const AT = unixMillis(1_800_000_000_000);
const host = statingHost(1, { now: () => unixMillis(AT + 3_600_000) });
const nonce = new Uint8Array(16).fill(7);
const shown = { name: 'dawn.image', referrer: 'news.web3', nonce, bytes: bytes(3_000_000), since: AT };

function outcomeOf(encoded: Uint8Array): string {
  try {
    readStatement(encoded);
    return 'read';
  } catch (error) {
    return error instanceof RelaymintError ? error.code : String(error);
  }
}

describe('a statement of delivery', () => {
  it('has these bytes (version 1)', () => {
    const encoded = host.sign(shown);
    expect(toHex(encoded)).toMatchInlineSnapshot(
      `"018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5cd62f016a1efd1e4fdf793eb42cd84471e1ba9f0cf04d1287b5cc71f616287cb8de3fed59bb8153d131e804d25ae65f049a63283ebbf56b804967e18fe06b889ee023c415a438161a7057ea016f72c7667593bf3fba5c60999ecc5db650fa230e0707070707070707070707070707070720a1070021a10700c0c62d000000000010270000000000000a006461776e2e696d61676509006e6577732e776562332bee87b5d2525111f7eaa732ee9da72d9f05d4a101ca676b75a9a4ea0872ae36fb10c4c731068d8c836e63af658d138171d92ed24bf153013927a6478b641204"`,
    );
    expect(readStatement(encoded)).toMatchObject({
      host: host.identity.nodeId,
      wallet: host.wallet.address,
      name: 'dawn.image',
      referrer: 'news.web3',
      bytes: 3_000_000,
      price: PRICE,
      from: 500_000,
      until: 500_001,
    });
  });

  it('comes to at most what its bytes cost', () => {
    expect(grossOf({ bytes: bytes(1_048_576), price: pricePerMiB(10_000n) })).toBe(10_000n as Amount);
    expect(grossOf({ bytes: bytes(1_048_575), price: pricePerMiB(10_000n) })).toBe(9_999n as Amount);
  });

  it('is read as it was signed, whatever it states', () => {
    const names = fc.constantFrom('a.web3', 'dawn.image', `${'x'.repeat(53)}.web3`);
    const arbitrary = fc.record({
      name: names,
      referrer: fc.option(names, { nil: undefined }),
      nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      bytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map((size) => bytes(size)),
      since: fc.integer({ min: 0, max: 2 ** 42 }).map((time) => unixMillis(time)),
    });
    fc.assert(
      fc.property(arbitrary, (delivered) => {
        fc.pre(delivered.name !== delivered.referrer);
        const encoded = host.sign(delivered);
        const { name, referrer, nonce: own, bytes: size, from, until } = readStatement(encoded);
        expect({ name, referrer, nonce: [...own], size }).toEqual({
          name: delivered.name,
          referrer: delivered.referrer,
          nonce: [...delivered.nonce],
          size: delivered.bytes,
        });
        expect(encoded.length).toBeLessThanOrEqual(MAX_STATEMENT_BYTES);
        expect(from).toBeLessThanOrEqual(until);
      }),
    );
  });

  it('is refused with an error of ours when any byte of it is another, missing, or too many', () => {
    const encoded = host.sign(shown);
    fc.assert(
      fc.property(fc.nat({ max: encoded.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Uint8Array.from(encoded);
        changed[at] = (changed[at] ?? 0) ^ by;
        expect(['INVALID_ENCODING', 'NAME_INVALID']).toContain(outcomeOf(changed));
      }),
    );
    for (let length = 0; length < encoded.length; length += 1) {
      expect(outcomeOf(encoded.subarray(0, length))).toBe('INVALID_ENCODING');
    }
    expect(outcomeOf(concatBytes(encoded, Uint8Array.of(0)))).toBe('INVALID_ENCODING');
    expect(outcomeOf(new Uint8Array(MAX_STATEMENT_BYTES + 1))).toBe('INVALID_ENCODING');
  });

  it('is refused with an error of ours when it is noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: MAX_STATEMENT_BYTES + 8 }), (noise) => {
        expect(['INVALID_ENCODING', 'NAME_INVALID']).toContain(outcomeOf(noise));
      }),
    );
  });

  it('of a host that names the wallet of another is refused: the wallet signed for nobody but its own host', () => {
    const victim = wallet(9);
    const { identity } = host;
    const named = (walletBinding: Uint8Array): Uint8Array =>
      createStatementSigner({
        identity,
        wallet: victim.address,
        walletBinding,
        price: PRICE,
        clock: { now: () => AT },
      })(shown);
    const stolen = victim.sign(walletBindingMessage(statingHost(2).identity.nodeId));
    expect(outcomeOf(named(stolen))).toBe('INVALID_ENCODING');
    expect(outcomeOf(named(identity.sign(walletBindingMessage(identity.nodeId))))).toBe('INVALID_ENCODING');
    expect(outcomeOf(named(victim.sign(walletBindingMessage(identity.nodeId))))).toBe('read');
  });

  it.each([
    ['nothing', { bytes: bytes(0) }],
    ['a name in its own page', { referrer: 'dawn.image' }],
    ['a name that is written otherwise', { name: 'Dawn.image' }],
    ['a page that is written otherwise', { referrer: 'NEWS.web3' }],
  ])('is refused when it states %s, though the host signed it', (_what, change) => {
    expect(outcomeOf(host.sign({ ...shown, ...change }))).toBe('INVALID_ENCODING');
  });

  it('is not the signature of anything else that a node signs', () => {
    const body = host.sign(shown).subarray(0, -64);
    expect(outcomeOf(concatBytes(body, host.identity.sign(body)))).toBe('INVALID_ENCODING');
    const offered = concatBytes(utf8('relaymint:offer:v1'), body);
    expect(outcomeOf(concatBytes(body, host.identity.sign(offered)))).toBe('INVALID_ENCODING');
  });

  it('is of one stream by its host, nonce, name and page', () => {
    const one = readStatement(host.sign(shown));
    expect(streamOf(readStatement(host.sign({ ...shown, bytes: bytes(9) })))).toBe(streamOf(one));
    const others = [
      host.sign({ ...shown, nonce: new Uint8Array(16) }),
      host.sign({ ...shown, referrer: undefined }),
      host.sign({ ...shown, name: 'noon.image' }),
      statingHost(2).sign(shown),
    ];
    expect(new Set([one, ...others.map((other) => readStatement(other))].map(streamOf)).size).toBe(5);
  });
});
