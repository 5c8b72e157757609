/** Reading content with a reader that fails with whatever its signal was aborted with. */
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { describe, expect, it } from 'vitest';
import type { BlockReader } from '../../../sites/blocks/contract.ts';
import { follow, openNode, readFile } from '../../../sites/unixfs/index.ts';
import { rawBlock } from '../kit.ts';

const page = rawBlock('a page');
const folder = await (async (): Promise<CID> => {
  const data = new UnixFS({ type: 'directory' }).marshal();
  const block = dagPb.encode(dagPb.prepare({ Data: data, Links: [{ Name: 'page', Hash: page.cid, Tsize: 6 }] }));
  return CID.createV1(dagPb.code, await sha256.digest(block));
})();
const file = { type: 'file', cid: page.cid, size: page.block.length } as const;

type Read = (blocks: BlockReader, signal?: AbortSignal) => Promise<unknown>;

describe.each<[string, Read]>([
  ['a path', (blocks, signal) => follow(blocks, folder, ['page'], signal && { signal })],
  ['a folder', (blocks, signal) => openNode(blocks, folder, signal && { signal })],
  ['a file', (blocks, signal) => readFile(blocks, file, undefined, signal && { signal }).next()],
])('what is asked for %s', (_what, read) => {
  it.each([
    ['ABORTED', undefined],
    ['ABORTED', new Error('enough')],
    ['TIMEOUT', new DOMException('late', 'TimeoutError')],
  ])("is %s when the caller's signal ends with %s", async (code, reason) => {
    const controller = new AbortController();
    const blocks: BlockReader = {
      get: async (_cid, options) => {
        controller.abort(reason);
        options?.signal?.throwIfAborted();
        return page.block;
      },
    };
    await expect(read(blocks, controller.signal)).rejects.toMatchObject({ code });
  });

  it.each([
    ['ABORTED', AbortSignal.abort()],
    ['TIMEOUT', AbortSignal.abort(new DOMException('late', 'TimeoutError'))],
  ])("is %s when a signal of the reader's own ends", async (code, own) => {
    const blocks: BlockReader = { get: () => Promise.reject(own.reason as DOMException) };
    await expect(read(blocks)).rejects.toMatchObject({ code });
  });
});
