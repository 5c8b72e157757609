/** A host that is paid for the cells that it sends, and sends nearly empty ones. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { CONTENT_PADDING, MAX_BLOCKS_IN_FLIGHT } from '../../../core/limits.ts';
import { createContentClient, createContentService, encodeContentParams } from '../../../sites/serve/index.ts';
import { STATUS_OK, encodeAnswerHeader, readRequest } from '../../../sites/serve/protocol.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { MuxPair } from '../../node/circuit/mux-pair.ts';
import { Cleanup, rawBlock, temporaryStore } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const NAME = 'demo.web3';

/** Each byte of the block in a cell of its own. */
async function servePadded(stream: Duplex, block: Uint8Array): Promise<void> {
  const request = await readRequest(new ByteReader(stream));
  if (request === undefined) return;
  stream.write(encodeAnswerHeader(request.id, STATUS_OK, block.length));
  for (let at = 0; at < block.length && !stream.destroyed; at += 1) {
    stream.write(block.subarray(at, at + 1));
    await new Promise(setImmediate);
  }
}

describe('a visitor', () => {
  it('leaves a host that fills its cells with padding, whatever it delivers in them', async () => {
    const { cid, block } = rawBlock(randomBytes(200_000));
    const pair = new MuxPair((stream) => {
      stream.on('error', () => {});
      servePadded(stream, block).catch(() => stream.destroy());
    });
    const client = createContentClient(await pair.opener.open('content', encodeContentParams(NAME)));
    await expect(client.get(cid)).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    expect(client.isOpen).toBe(false);
    expect(pair.carried.toOpener).toBeLessThan(2 * CONTENT_PADDING);
  });

  it('takes the padding of an honest one, whose blocks are tiny, or a little larger than a cell', async () => {
    const store = await temporaryStore(cleanup);
    const sizes = Array.from({ length: 600 }, (_, index) => (index % 2 === 0 ? 1 : 1020));
    const blocks = sizes.map((size) => rawBlock(randomBytes(size)));
    const session = store.begin();
    for (const { cid, block } of blocks) {
      await session.put(cid, block);
      await session.pin(NAME, cid);
    }
    await session.close();
    const serve = createContentService({ store });
    const pair = new MuxPair((stream, _service, params) => serve(stream, params));
    const stream = await pair.opener.open('content', encodeContentParams(NAME));
    const client = createContentClient(stream);
    // One by one: no two answers share a cell.
    for (const { cid, block } of blocks) expect(await client.get(cid)).toEqual(block);
    // All at once.
    const wanted = blocks.slice(0, MAX_BLOCKS_IN_FLIGHT);
    expect(await Promise.all(wanted.map(({ cid }) => client.get(cid)))).toEqual(wanted.map(({ block }) => block));
    // Its honest padding is more than what is allowed for the stream as such.
    expect(stream.cellBytesRead).toBeGreaterThan(CONTENT_PADDING + sizes.reduce((sum, size) => sum + size, 0));
    client.close();
  });
});
