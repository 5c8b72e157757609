/** A host that is paid for the cells that it sends, and sends nearly empty ones. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { CONTENT_PADDING, MAX_BLOCKS_IN_FLIGHT } from '../../../core/limits.ts';
import { createContentClient, createContentService, encodeContentParams } from '../../../sites/serve/index.ts';
import { STATUS_OK, encodeAnswerHeader, readRequest } from '../../../sites/serve/protocol.ts';
import { ByteReader, writeAll } from '../../../sites/wire/index.ts';
import { CellType, SMALL_CELL } from '../../../node/circuit/cell.ts';
import type { MuxStream } from '../../../node/circuit/stream.ts';
import { MuxPair, cellOf } from '../../node/circuit/mux-pair.ts';
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

/** So many requests in whole blocks; then it says nothing. */
async function serveSome(stream: Duplex, block: Uint8Array, count: number): Promise<void> {
  const reader = new ByteReader(stream);
  for (let served = 0; served < count; served += 1) {
    const request = await readRequest(reader);
    if (request === undefined) return;
    await writeAll(stream, encodeAnswerHeader(request.id, STATUS_OK, block.length), block);
  }
}

/** A cell as the host makes it by hand. @returns what it is paid for. */
function give(pair: MuxPair, stream: MuxStream, data: Buffer): number {
  const cell = cellOf(CellType.DATA, stream.id, data);
  pair.credit.toOpener -= cell.length;
  pair.opener.receive(cell, cell.length);
  return cell.length;
}

describe('a visitor', () => {
  it.each([0, 8])(
    'leaves a host that fills its cells with padding as fast as it may, after %i honest blocks',
    async (honest) => {
      const { cid, block } = rawBlock(randomBytes(1_000_000));
      const pair = new MuxPair((stream) => {
        stream.on('error', () => {});
        serveSome(stream, block, honest).catch(() => stream.destroy());
      });
      const stream = await pair.opener.open('content', encodeContentParams({ name: NAME }));
      const client = createContentClient(stream);
      for (let got = 0; got < honest; got += 1) await client.get(cid);
      const before = pair.carried.toOpener;
      const { window } = stream;
      const refused = client.get(cid).catch((error: unknown) => error);
      let paid = give(pair, stream, Buffer.from(encodeAnswerHeader(honest + 1, STATUS_OK, block.length)));
      while (client.isOpen) {
        if (pair.credit.toOpener >= SMALL_CELL && stream.receiveCredit >= SMALL_CELL)
          paid += give(pair, stream, Buffer.of(1));
        else await new Promise(setImmediate);
      }
      expect(await refused).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
      expect(pair.carried.toOpener - before).toBeLessThan(SMALL_CELL * 8);
      // What is allowed, and what may wait to be read: the stream's window, which grew for honest blocks only.
      expect(paid).toBeLessThanOrEqual(CONTENT_PADDING + window + SMALL_CELL);
      expect(stream.window).toBe(window);
    },
  );

  it('leaves it however slowly it does', async () => {
    const { cid, block } = rawBlock(randomBytes(200_000));
    const pair = new MuxPair((stream) => {
      stream.on('error', () => {});
      servePadded(stream, block).catch(() => stream.destroy());
    });
    const client = createContentClient(await pair.opener.open('content', encodeContentParams({ name: NAME })));
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
    const stream = await pair.opener.open('content', encodeContentParams({ name: NAME }));
    const client = createContentClient(stream);
    // One by one: no two answers share a cell.
    for (const { cid, block } of blocks) expect(await client.get(cid)).toEqual(block);
    // All at once.
    const wanted = blocks.slice(0, MAX_BLOCKS_IN_FLIGHT);
    expect(await Promise.all(wanted.map(({ cid }) => client.get(cid)))).toEqual(wanted.map(({ block }) => block));
    // Its honest padding is more than what is allowed for the stream as such.
    expect(stream.cellBytesReceived).toBeGreaterThan(CONTENT_PADDING + sizes.reduce((sum, size) => sum + size, 0));
    client.close();
  });
});
