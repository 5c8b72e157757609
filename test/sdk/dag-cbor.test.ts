/** What a page encodes is what everybody else decodes, and encodes. */
import * as dagCbor from '@ipld/dag-cbor';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode, type Fields } from '../../sdk/posts/dag-cbor.ts';

const leaf = fc.oneof(
  fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(23, 24, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }),
);
const keys = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'x', 'y', 'z'), minLength: 1, maxLength: 30 });
const fields = fc.dictionary(keys, fc.oneof(leaf, fc.dictionary(keys, leaf, { noNullPrototype: true })), {
  noNullPrototype: true,
});

describe('the encoding of entries in a page', () => {
  it('is the only one of dag-cbor', () => {
    fc.assert(
      fc.property(fields, (value) => {
        expect(Buffer.from(encode(value as Fields)).toString('hex')).toBe(
          Buffer.from(dagCbor.encode(value)).toString('hex'),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('leaves out what is not said', () => {
    expect(encode({ one: undefined, two: 2 })).toEqual(encode({ two: 2 }));
  });
});
