/** What a manifest is: one encoding, bounds, a signature, and agreement with the record of its name. */
import * as dagCbor from '@ipld/dag-cbor';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_MANIFEST_BYTES } from '../../../core/limits.ts';
import { ledgerAddress, ledgerAddressBytes } from '../../../core/ids.ts';
import { basisPoints, pricePerMiB } from '../../../core/units.ts';
import type { NameRecord } from '../../../ledger/contract.ts';
import { verifySignature } from '../../../platform/keys/identity.ts';
import {
  checkManifest,
  decodeManifest,
  manifestCid,
  manifestJson,
  manifestMessage,
  parseManifestFile,
  rslOf,
  signManifest,
  type Manifest,
} from '../../../sites/manifest/index.ts';
import { NameBook, rawBlock, wallet } from '../kit.ts';
import { OWNER, cborBlock, forged, manifestFor, recordOf, withManifest } from './kit.ts';

const ROOT = rawBlock('a site').cid;
const STRANGER = wallet(9);

function fresh(): NameRecord {
  return recordOf(new NameBook().register('demo.web3', ROOT.bytes));
}

/** What is refused, and with which words. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${String(error.code)} ${error.message}`;
    throw error;
  }
  return 'not refused';
}

function without(body: Record<string, unknown>, field: string): object {
  return Object.fromEntries(Object.entries(body).filter(([name]) => name !== field));
}

/** All texts at their longest, in characters of three bytes. */
const LARGEST: Partial<Manifest> = {
  creator: '言'.repeat(200),
  title: '言'.repeat(200),
  description: '言'.repeat(800),
  copyright: '言'.repeat(300),
  mediaType: `text/${'x'.repeat(122)}`,
  price: pricePerMiB(1n << 40n),
  licence: {
    permits: {
      usage: ['all', 'ai-all'],
      user: ['commercial'],
      geo: Array.from({ length: 26 }, (_, i) => `A${String.fromCharCode(65 + i)}`),
    },
    prohibits: {
      usage: ['ai-train'],
      user: ['government'],
      geo: Array.from({ length: 26 }, (_, i) => `B${String.fromCharCode(65 + i)}`),
    },
    payment: 'contribution',
    url: `https://example.org/${'x'.repeat(480)}`,
  },
  splits: Array.from({ length: 8 }, (_, i) => ({ account: wallet(i + 1).address, bps: 1250 })),
  embedding: Array.from({ length: 16 }, (_, i) => `${'x'.repeat(50)}${i + 10}.web3`),
};

describe('a manifest', () => {
  it('is what was signed, read again', async () => {
    const record = fresh();
    for (const change of [{}, LARGEST]) {
      const manifest = manifestFor(record, change);
      const { cid, block } = await signManifest(manifest, OWNER);
      expect(decodeManifest(record.name, cid, block).manifest).toEqual(manifest);
      expect(manifestCid(record.name, cid.bytes).equals(cid)).toBe(true);
      expect(block.length).toBeLessThan(MAX_MANIFEST_BYTES);
    }
  });

  it('has one address for what it says', async () => {
    const manifest = manifestFor(fresh(), LARGEST);
    const reversed = Object.fromEntries(Object.entries(manifest).toReversed()) as unknown as Manifest;
    const [one, other] = [await signManifest(manifest, OWNER), await signManifest(reversed, OWNER)];
    expect(one.cid.toString()).toBe(other.cid.toString());
  });

  it.each<readonly [string, Partial<Manifest>, string]>([
    ['no creator', { creator: '' }, 'body.creator'],
    ['a text with control characters', { title: 'a\u0000b' }, 'body.title'],
    ['a text without end', { description: 'x'.repeat(801) }, 'body.description'],
    ['no type', { mediaType: 'image' }, 'body.mediaType'],
    [
      'an address that is a script',
      {
        licence: {
          permits: { usage: [], user: [], geo: [] },
          prohibits: { usage: [], user: [], geo: [] },
          payment: 'free',
          url: 'javascript:alert(1)',
        },
      },
      'body.licence.url',
    ],
    ['splits of less than all', { splits: [{ account: OWNER.address, bps: 9_999 }] }, 'body.splits'],
    ['nobody who gets anything', { splits: [] }, 'body.splits'],
    [
      'a wallet that gets two shares',
      { splits: [1, 2].map(() => ({ account: OWNER.address, bps: 5_000 })) },
      'body.splits',
    ],
    [
      'nine splits',
      {
        splits: Array.from({ length: 9 }, (_, i) => ({ account: wallet(i + 1).address, bps: i === 0 ? 2_000 : 1_000 })),
      },
      'body.splits',
    ],
    ['an embedder that is no name', { embedding: ['example.org'] }, 'body.embedding'],
    ['a root that is a manifest', { root: cborBlock(dagCbor.encode({})).cid }, 'body.root'],
    ['an image of text', { kind: 'image' }, 'body.mediaType'],
    ['a name of another ending', { name: 'demo.image' }, 'body.kind'],
  ])('is not signed with %s', async (_, change, field) => {
    await expect(signManifest(manifestFor(fresh(), change), OWNER)).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining(field) as unknown,
    });
  });

  it.each<readonly [string, (record: NameRecord) => ReturnType<typeof cborBlock>, string]>([
    ['a version of tomorrow', (record) => forged((body) => ({ ...body, version: 2 }), record), 'version 2'],
    ['no version', (record) => forged((body) => without(body, 'version'), record), 'version none'],
    ['a field that nobody knows', (record) => forged((body) => ({ ...body, more: 1 }), record), 'more'],
    ['a field that is missing', (record) => forged((body) => without(body, 'creator'), record), 'body.creator'],
    [
      'a wallet of 31 bytes',
      (record) => forged((body) => ({ ...body, owner: new Uint8Array(31) }), record),
      'body.owner',
    ],
    ['a root that is a text', (record) => forged((body) => ({ ...body, root: ROOT.toString() }), record), 'body.root'],
    ['a list', (record) => forged(() => [1, 2], record), 'version none'],
    ['a fraction for a share', (record) => forged((body) => ({ ...body, royaltyBps: 0.5 }), record), 'body.royaltyBps'],
    ['a price beyond all numbers', (record) => forged((body) => ({ ...body, price: 2n ** 63n }), record), 'body.price'],
    [
      'a signature that is too short',
      () => cborBlock(dagCbor.encode({ body: { version: 1 }, signature: new Uint8Array(63) })),
      'body.',
    ],
    ['no CBOR', () => cborBlock(new TextEncoder().encode('{"body":{}}')), 'malformed'],
    ['nothing', () => cborBlock(new Uint8Array()), 'malformed'],
    [
      'bytes after its end',
      (record) => cborBlock(Uint8Array.of(...forged((body) => body, record).block, 0)),
      'malformed',
    ],
    ['lists in lists without end', () => cborBlock(Uint8Array.of(...new Uint8Array(8_000).fill(0x81), 0)), 'malformed'],
    ['lists one deeper than a manifest', () => cborBlock(dagCbor.encode([[[[[[1]]]]]])), 'malformed'],
    ['tags without end', () => cborBlock(Uint8Array.of(...new Uint8Array(8_000).fill(0xd8 - 0x18), 0)), 'malformed'],
    [
      'a list of as many as there are atoms',
      () => cborBlock(Uint8Array.of(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
      'malformed',
    ],
    [
      'a text of which most is missing',
      () => cborBlock(Uint8Array.of(0x7b, 0, 0, 0xff, 0, 0, 0, 0, 0, 65)),
      'malformed',
    ],
    ['a list without a length', () => cborBlock(Uint8Array.of(0x9f, 0x01, 0xff)), 'malformed'],
    ['a key twice', () => cborBlock(Uint8Array.of(0xa2, 0x61, 97, 1, 0x61, 97, 2)), 'malformed'],
    [
      'more bytes than a manifest has',
      () => cborBlock(dagCbor.encode({ body: new Uint8Array(MAX_MANIFEST_BYTES) })),
      'too many',
    ],
  ])('is not read that has, or is, %s', (_, make, words) => {
    const { cid, block } = make(fresh());
    const said = refusal(() => decodeManifest('demo.web3', cid, block));
    expect(said).toContain('MANIFEST_INVALID');
    expect(said).toContain(words);
  });

  it('is not read in another encoding of the same', async () => {
    const { signed } = await withManifest(fresh());
    const { block } = signed;
    // The map of two has its length in a byte of its own.
    const longer = cborBlock(Uint8Array.of(0xb8, 2, ...block.subarray(1)));
    expect(refusal(() => decodeManifest('demo.web3', longer.cid, longer.block))).toMatch(
      /MANIFEST_INVALID .*(malformed|encoding)/,
    );
    // The keys in another order.
    const { body, signature } = dagCbor.decode<{ body: object; signature: Uint8Array }>(block);
    const parts = [
      dagCbor.encode('signature'),
      dagCbor.encode(signature),
      dagCbor.encode('body'),
      dagCbor.encode(body),
    ];
    const turned = cborBlock(Uint8Array.of(0xa2, ...parts.flatMap((part) => [...part])));
    expect(refusal(() => decodeManifest('demo.web3', turned.cid, turned.block))).toContain('MANIFEST_INVALID');
  });

  it('is not read when it is another block than its address says', async () => {
    const [{ signed }, other] = [await withManifest(fresh()), cborBlock(dagCbor.encode({ a: 1 }))];
    expect(refusal(() => decodeManifest('demo.web3', signed.cid, other.block))).toContain('CONTENT_CORRUPT');
  });

  it('whatever bytes come, says no or says something that has this encoding', () => {
    const sound = forged((body) => body, fresh()).block;
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const bytes = cut ? sound.slice(0, at) : Uint8Array.from(sound);
        if (!cut) bytes[at] = byte;
        const { cid, block } = cborBlock(bytes);
        const said = refusal(() => {
          // Whatever is read has this one encoding.
          const read = decodeManifest('demo.web3', cid, block);
          return expect(dagCbor.encode(dagCbor.decode(read.block))).toEqual(block);
        });
        expect(said).toMatch(/^(?:not refused$|MANIFEST_INVALID )/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a manifest and the record of its name', () => {
  it('agree when the owner, or the manager, has signed for it', async () => {
    const record = fresh();
    const managed = { ...record, manager: STRANGER.address };
    for (const [of, key] of [
      [record, OWNER],
      [managed, OWNER],
      [managed, STRANGER],
    ] as const) {
      const { record: named, signed } = await withManifest(of, { key });
      expect(refusal(() => checkManifest(signed, named))).toBe('not refused');
    }
  });

  it.each<
    readonly [
      string,
      (
        record: NameRecord,
      ) => Promise<{ of: NameRecord; record: NameRecord; key?: typeof OWNER; change?: Partial<Manifest> }>,
      string,
    ]
  >([
    ['a stranger signed', async (record) => ({ of: record, record, key: STRANGER }), 'signed neither'],
    [
      'the former owner signed, who is its owner no more',
      async (record) => ({ of: record, record: { ...record, owner: STRANGER.address, manager: STRANGER.address } }),
      'owner that the name does not have',
    ],
    ['the former manager signed', async (record) => ({ of: record, record, key: wallet(7) }), 'signed neither'],
    [
      'it names the new owner and the former one signed',
      async (record) => {
        const given = { ...record, owner: STRANGER.address, manager: STRANGER.address };
        return { of: given, record: given };
      },
      'signed neither',
    ],
    [
      'it is for another name',
      async (record) => ({ of: record, record, change: { name: 'other.web3' } }),
      'that of other.web3',
    ],
    [
      'it is about another root',
      async (record) => ({ of: record, record, change: { root: rawBlock('else').cid } }),
      'other content',
    ],
    [
      'the chain has another royalty',
      async (record) => ({ of: record, record, change: { royaltyBps: basisPoints(499) } }),
      'another royalty',
    ],
    [
      'the chain pays others',
      async (record) => ({ of: record, record, change: { splits: [{ account: STRANGER.address, bps: 10_000 }] } }),
      'other splits',
    ],
  ])('do not when %s', async (_, make, words) => {
    const { of, record, key = OWNER, change = {} } = await make(fresh());
    const { signed } = await withManifest(of, { key, change });
    expect(refusal(() => checkManifest(signed, { ...record, manifest: signed.cid.bytes }))).toMatch(
      new RegExp(`MANIFEST_INVALID .*${words}`),
    );
  });

  it('do not when the record names another manifest', async () => {
    const { signed, record } = await withManifest(fresh());
    const { signed: other } = await withManifest(fresh(), { change: { creator: 'Somebody else' } });
    expect(refusal(() => checkManifest(other, record))).toContain('another one than its record names');
    expect(refusal(() => checkManifest(signed, record))).toBe('not refused');
  });

  it('do not by a key of small order, for which a signature of anything is easily made', async () => {
    const record = { ...fresh(), owner: WEAK, manager: WEAK };
    // What the system's own verify function takes.
    const signature = new Uint8Array(64).with(0, 1);
    const manifest = manifestFor(record);
    expect(verifySignature(ledgerAddressBytes(WEAK), manifestMessage(manifest), signature)).toBe(true);
    const signed = await signManifest(manifest, { address: WEAK, sign: () => signature });
    expect(refusal(() => checkManifest(signed, { ...record, manifest: signed.cid.bytes }))).toContain('signed neither');
  });

  it('do not by a second form of a signature', async () => {
    const record = fresh();
    const sign = (message: Uint8Array): Uint8Array => malleated(OWNER.sign(message));
    const signed = await signManifest(manifestFor(record), { address: OWNER.address, sign });
    expect(refusal(() => checkManifest(signed, { ...record, manifest: signed.cid.bytes }))).toContain('signed neither');
  });

  it.each(['raw', 'text', 'cut'])('agree on nothing by an address that is %s', (how) => {
    const bytes = { raw: ROOT.bytes, text: new TextEncoder().encode(ROOT.toString()), cut: ROOT.bytes.subarray(0, 9) }[
      how
    ];
    expect(refusal(() => manifestCid('demo.web3', bytes ?? new Uint8Array()))).toContain('MANIFEST_INVALID');
  });
});

const WEAK: NameRecord['owner'] = ledgerAddress(new Uint8Array(32).with(0, 1));
const GROUP_ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;

/** s and the order of the group. */
function malleated(signature: Uint8Array): Uint8Array {
  const twin = Uint8Array.from(signature);
  let s = GROUP_ORDER;
  for (let index = 0; index < 32; index += 1) s += BigInt(twin[32 + index] ?? 0) << BigInt(8 * index);
  for (let index = 0; index < 32; index += 1) twin[32 + index] = Number((s >> BigInt(8 * index)) & 0xffn);
  return twin;
}

describe('the file of a manifest', () => {
  const read = (said: unknown, name?: string): unknown =>
    parseManifestFile(typeof said === 'string' ? said : JSON.stringify(said), {
      file: 'terms.json',
      name: name ?? 'demo.web3',
    });

  it('says little where little is to be said', () => {
    expect(read({ creator: 'Ana' })).toEqual({
      creator: 'Ana',
      kind: 'site',
      mediaType: 'text/html',
      royaltyBps: undefined,
      referrerBps: undefined,
      splits: undefined,
      embedding: 'none',
      comments: 'none',
    });
    expect(read({ creator: 'Ana' }, 'a.map')).toMatchObject({
      kind: 'map',
      mediaType: 'application/vnd.pmtiles',
      embedding: 'anybody',
    });
    expect(read({ creator: 'Ana', mediaType: 'image/png' }, 'a.image')).toMatchObject({
      kind: 'image',
      embedding: 'anybody',
    });
  });

  it('is read as people write it', () => {
    const said = {
      creator: 'Ana',
      price: '0.02',
      royalty: '20%',
      referrer: '250bps',
      splits: [
        { account: OWNER.address, share: '60%' },
        { account: STRANGER.address, share: '40%' },
      ],
      licence: { permits: { usage: ['search'] }, payment: 'attribution', url: 'https://example.org/by' },
    };
    expect(read(said)).toMatchObject({
      price: 20_000n,
      royaltyBps: 2_000,
      referrerBps: 250,
      splits: [
        { account: OWNER.address, bps: 6_000 },
        { account: STRANGER.address, bps: 4_000 },
      ],
      licence: { permits: { usage: ['search'], user: [], geo: [] }, prohibits: { usage: [], user: [], geo: [] } },
    });
  });

  it.each<readonly [unknown, string, string]>([
    ['{', 'not JSON', 'demo.web3'],
    [[], 'expected object', 'demo.web3'],
    [{}, 'creator', 'demo.web3'],
    [{ creator: 'Ana', licens: {} }, 'licens', 'demo.web3'],
    [{ creator: 'An\ud800a' }, 'creator', 'demo.web3'],
    [{ creator: 'Ana', price: 1 }, 'price', 'demo.web3'],
    [{ creator: 'Ana', price: '0.0000001' }, 'price: ', 'demo.web3'],
    [{ creator: 'Ana', royalty: '20' }, 'royalty: Write a share with its unit', 'demo.web3'],
    [{ creator: 'Ana', splits: [{ account: 'me', share: '100%' }] }, 'splits.0.account', 'demo.web3'],
    [
      { creator: 'Ana', splits: [{ account: OWNER.address, share: '90%' }] },
      'splits: adds up to 90%, not to 100%',
      'demo.web3',
    ],
    [{ creator: 'Ana', embedding: 'nobody' }, 'embedding', 'demo.web3'],
    [
      { creator: 'Ana', signIn: { redirects: ['https://evil.example/'], signedOut: [] } },
      'signIn.redirects.0',
      'demo.web3',
    ],
    [{ creator: 'Ana', signIn: { redirects: ['//evil.example/'], signedOut: [] } }, 'signIn.redirects.0', 'demo.web3'],
    [{ creator: 'Ana', signIn: { redirects: ['/\\evil.example'], signedOut: [] } }, 'signIn.redirects.0', 'demo.web3'],
    [{ creator: 'Ana', signIn: { redirects: ['/a/../b'], signedOut: [] } }, 'signIn.redirects.0', 'demo.web3'],
    [{ creator: 'Ana', signIn: { redirects: [], signedOut: [] } }, 'signIn.redirects', 'demo.web3'],
    [
      { creator: 'Ana', licence: { payment: 'free', permits: { usage: ['everything'] } } },
      'licence.permits.usage.0',
      'demo.web3',
    ],
    [{ creator: 'Ana' }, 'mediaType', 'a.video'],
    [{ creator: 'Ana', mediaType: 'image/png' }, 'mediaType', 'a.video'],
    [{ creator: 'Ana', kind: 'site', mediaType: 'text/html' }, 'kind', 'a.video'],
  ])('names the field that is wrong: %j', (said, words, name) => {
    const told = refusal(() => read(said, name));
    expect(told).toContain('INVALID_ARGUMENT terms.json: ');
    expect(told).toContain(words);
  });

  it.each<readonly [unknown, string]>([
    [{ title: 'Tides' }, 'creator: it is missing. "creator" says who made it'],
    [{ creator: 'Ana', royality: '20%' }, 'royality: there is no such field. The fields are kind, mediaType, creator'],
    [
      { creator: 'Ana', licence: { payment: 'free', usage: [] } },
      'licence.usage: there is no such field. "licence" is',
    ],
    [
      { creator: 'Ana', royalty: 20 },
      'expected string, received number. "royalty" is a share in quotes, such as "20%".',
    ],
    [{ creator: 'Ana', royalty: '20' }, '20% is 2000bps. "royalty" is a share in quotes, such as "20%".'],
    ['{"creator": "Ana",}', 'it is not JSON: Expected double-quoted property name'],
  ])('says what is expected in its place: %j', (said, words) => {
    expect(refusal(() => read(said))).toContain(words);
  });

  it('does not read what is a note, or waits to be said', () => {
    const notes = {
      '//': ['for people'],
      '// royalty': 20,
      licence: { '//': 1, payment: 'free', permits: { '// x': 2 } },
    };
    expect(read({ creator: 'Ana', ...notes })).toMatchObject({ royaltyBps: undefined, licence: { payment: 'free' } });
  });
});

describe('what is told of a manifest', () => {
  it('is JSON with texts for addresses', async () => {
    const { signed } = await withManifest(fresh(), { change: { price: pricePerMiB(20_000n) } });
    expect(JSON.parse(JSON.stringify(manifestJson(signed)))).toMatchObject({
      cid: signed.cid.toString(),
      name: 'demo.web3',
      root: ROOT.toString(),
      owner: OWNER.address,
      price: '0.02',
      splits: [{ account: OWNER.address, bps: 10_000 }],
    });
  });

  it('is RSL where there is a licence, and nothing in it ends an element', () => {
    const manifest = manifestFor(fresh(), {
      creator: 'Ana <ana> & "co"',
      licence: {
        permits: { usage: ['search', 'ai-index'], user: [], geo: ['PT'] },
        prohibits: { usage: ['ai-train'], user: [], geo: [] },
        payment: 'attribution',
        url: 'https://example.org/?a&b',
      },
    });
    expect(rslOf(manifest)).toMatchInlineSnapshot(`
      "<?xml version="1.0" encoding="UTF-8"?>
      <rsl xmlns="https://rslstandard.org/rsl">
        <content url="/">
          <license>
            <permits type="usage">search,ai-index</permits>
            <permits type="geo">PT</permits>
            <prohibits type="usage">ai-train</prohibits>
            <payment type="attribution">
              <standard>https://example.org/?a&amp;b</standard>
            </payment>
          </license>
          <copyright>Ana &lt;ana&gt; &amp; &quot;co&quot;</copyright>
        </content>
      </rsl>
      "
    `);
    expect(rslOf(manifestFor(fresh()))).toBe(undefined);
  });
});
