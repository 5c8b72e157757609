/** What whoever gives verified blocks must do: a disk, a stream to one host, a site over its hosts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CID } from 'multiformats/cid';
import type { BlockReader } from '../../sites/blocks/index.ts';
import { abortedBefore, abortedInside, closed } from './traits.ts';

export interface BlockReaderUnderTest {
  readonly reader: BlockReader;
  /** It has these, a few of them. */
  readonly blocks: readonly { readonly cid: CID; readonly block: Uint8Array }[];
  /** It does not have this. */
  readonly missing: CID;
  /** Resolves once a block is under way that does not come before `goOn`; at once where blocks are not waited for. */
  stall(): Promise<void>;
  goOn(): void;
  close(): unknown;
}

export interface BlockReaderSetup {
  readonly setup: () => Promise<BlockReaderUnderTest>;
  readonly teardown: () => Promise<void>;
}

export function blockReaderCompliance(name: string, { setup, teardown }: BlockReaderSetup): void {
  describe(`a reader of blocks: ${name}`, () => {
    let tested: BlockReaderUnderTest;
    beforeEach(async () => {
      tested = await setup();
    });
    afterEach(async () => {
      tested.goOn();
      await teardown();
    });

    const cidAt = ({ blocks }: BlockReaderUnderTest, index: number): CID => blocks[index]?.cid as CID;

    it('returns its blocks, many at once and each as often as it is asked', async () => {
      const { reader, blocks } = tested;
      const asked = [...blocks, ...blocks];
      const got = await Promise.all(asked.map(({ cid }) => reader.get(cid)));
      expect(got.map((block, index) => Buffer.compare(block, asked[index]?.block ?? Buffer.alloc(0)))).toEqual(
        asked.map(() => 0),
      );
    });

    it('fails with CONTENT_NOT_FOUND for a block it does not have, and returns the next one', async () => {
      await expect(tested.reader.get(tested.missing)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
      expect(await tested.reader.get(cidAt(tested, 0))).toHaveLength(tested.blocks[0]?.block.length ?? -1);
    });

    it('still answers others when one caller stops waiting', async () => {
      const leaving = new AbortController();
      const stalled = tested.stall();
      const [left, stayed] = [leaving.signal, undefined].map((signal) =>
        tested.reader.get(cidAt(tested, 0), signal === undefined ? {} : { signal }),
      );
      const failure = left?.catch((error: unknown) => error);
      await stalled;
      leaving.abort();
      expect(await failure).toMatchObject({ code: 'ABORTED' });
      tested.goOn();
      expect(await stayed).toHaveLength(tested.blocks[0]?.block.length ?? -1);
    });

    const get = (it: BlockReaderUnderTest, signal: AbortSignal): Promise<Uint8Array> =>
      it.reader.get(cidAt(it, 0), { signal });
    abortedBefore(() => tested, { get });
    abortedInside(() => tested, {
      get: (it, signal) => {
        const begun = it.stall();
        return { work: get(it, signal), begun };
      },
    });
    closed(
      () => tested,
      (it) => it.close(),
      { get: (it) => it.reader.get(cidAt(it, 0)) },
    );
  });
}
