import { PassThrough, Readable } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { toHex } from '../../../core/codec.ts';
import * as publishing from '../../../sites/publish/protocol.ts';
import * as serving from '../../../sites/serve/protocol.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { rawBlock } from '../kit.ts';

const wire = { ...serving, ...publishing };
const cid = rawBlock('hello').cid;
const nonce = new Uint8Array(32).fill(7);

function readerOf(...chunks: readonly Uint8Array[]): ByteReader {
  const stream = new PassThrough();
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  return new ByteReader(stream);
}

/** `value`, `refused` with an error of ours, or what else went wrong. */
async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'value';
  } catch (error) {
    return error instanceof RelaymintError ? 'refused' : String(error);
  }
}

/** The same bytes, cut at the given places. */
function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, i) => bytes.slice(edges[i], edge));
}

describe('content wire format', () => {
  it('has these bytes (version 1)', () => {
    const text = cid.bytes;
    expect(toHex(wire.encodeContentParams({ name: 'demo.web3' }))).toBe('01090064656d6f2e77656233');
    expect(toHex(wire.encodeContentParams({ name: 'demo.web3', referrer: 'a.web3' }))).toBe(
      '01090064656d6f2e776562330600612e77656233',
    );
    expect(toHex(wire.encodeRequest(0x01020304, cid))).toBe(`0403020124${toHex(text)}`);
    expect(toHex(wire.encodeAnswerHeader(1, 0, 0x0a0b))).toBe('01000000000b0a0000');
    expect(toHex(wire.encodeHello(nonce))).toBe(`01${'07'.repeat(32)}`);
    expect(toHex(wire.publishClaim(nonce, nonce, 'a.web3'))).toBe(
      `72656c61796d696e743a7075626c6973683a7631${'07'.repeat(64)}612e77656233`,
    );
    expect(toHex(wire.encodeHave([cid]))).toBe(`01010024${toHex(text)}`);
    expect(toHex(wire.encodeBlockHead(cid, 258))).toBe(`0224${toHex(text)}02010000`);
    expect(toHex(wire.encodeCommit(cid))).toBe(`0324${toHex(text)}`);
    expect(toHex(wire.encodePublishAnswer({ kind: 'welcome', quotaLeft: 5n }))).toBe('010500000000000000');
    expect(toHex(wire.encodePublishAnswer({ kind: 'have', present: [true, false, true] }))).toBe('02030005');
    expect(toHex(wire.encodePublishAnswer({ kind: 'done', blocks: 2, bytes: 3n }))).toBe('03020000000300000000000000');
    expect(toHex(wire.encodePublishAnswer({ kind: 'refused', code: 'A', message: 'b' }))).toBe(
      '0401004101006 2'.replace(' ', ''),
    );
  });

  it('reads what it writes, wherever the stream cuts it', async () => {
    const block = new Uint8Array(300).fill(3);
    const sent = Buffer.concat([
      wire.encodeHave([cid, cid]),
      wire.encodeBlockHead(cid, block.length),
      block,
      wire.encodeCommit(cid),
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 2000 }), { maxLength: 40 }), async (places) => {
        const reader = readerOf(...cutAt(sent, places));
        expect(await wire.readPublishRequest(reader)).toMatchObject({ kind: 'have', cids: [cid, cid] });
        const got = await wire.readPublishRequest(reader);
        expect(got?.kind === 'block' && Buffer.from(got.block).equals(block)).toBe(true);
        expect(await wire.readPublishRequest(reader)).toMatchObject({ kind: 'commit', root: cid });
        expect(await wire.readPublishRequest(reader)).toBeUndefined();
      }),
    );
  });

  const decoders: Record<string, (reader: ByteReader) => Promise<unknown>> = {
    request: wire.readRequest,
    answer: wire.readAnswerHeader,
    hello: wire.readHello,
    claim: wire.readClaim,
    publish: wire.readPublishRequest,
    said: wire.readPublishAnswer,
  };

  it.each(Object.entries(decoders))('%s: any bytes end in a value or one of our errors', async (_name, decode) => {
    const kinds = fc.constantFrom(0, 1, 2, 3, 4, 5);
    const noise = fc
      .tuple(kinds, fc.uint8Array({ maxLength: 200 }))
      .map(([kind, rest]) => Uint8Array.of(kind, ...rest));
    const mutated = fc
      .tuple(
        fc.constantFrom(
          wire.encodeHave([cid]),
          wire.encodeBlockHead(cid, 9),
          wire.encodeCommit(cid),
          wire.encodeRequest(1, cid),
        ),
        fc.nat({ max: 60 }),
        fc.integer({ min: 1, max: 255 }),
      )
      .map(([bytes, place, flip]) => bytes.map((byte, i) => (i === place % bytes.length ? byte ^ flip : byte)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(noise, mutated), async (bytes) => {
        const reader = readerOf(bytes);
        const all = async (): Promise<void> => {
          for (let i = 0; i < 300 && (await decode(reader)) !== undefined; i += 1);
        };
        expect(await outcomeOf(all)).toMatch(/^(value|refused)$/);
      }),
      { numRuns: 400 },
    );
  });

  it('params: any bytes end in a name or one of our errors', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
        for (const decode of [wire.decodeContentParams, wire.decodePublishParams]) {
          const once = async (): Promise<unknown> => await Promise.resolve(decode(bytes));
          expect(await outcomeOf(once)).toMatch(/^(value|refused)$/);
        }
      }),
    );
  });

  it('passes on the reason when the stream breaks', async () => {
    const stream = new Readable({ read() {} });
    const reader = new ByteReader(stream as unknown as PassThrough);
    const taking = reader.take(5);
    stream.destroy(new RelaymintError('TIMEOUT', 'too slow'));
    await expect(taking).rejects.toMatchObject({ code: 'TIMEOUT' });
  });
});
