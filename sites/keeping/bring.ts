/** Brings all of a site into a block store. */
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import type { BlockReader, BlockStore, Pin } from '../blocks/index.ts';
import { inTurns } from '../../core/in-turns.ts';
import { listBlocks } from './list.ts';

export interface BringOptions {
  readonly signal?: AbortSignal;
  /** Bytes that were read and put so far. */
  readonly onBytes?: (bytes: number) => void;
}

/** Each of at most 2 MiB. */
const AT_ONCE = 4;
const BRINGING = 'Bringing content in';

/**
 * Reads what the store lacks, and keeps the root for the name. What is there already is not read; what is damaged there is.
 * @param from checks every block against its CID
 * @throws RelaymintError CONTENT_NOT_FOUND (a block is in neither), STORAGE_FULL, CONTENT_REFUSED, ABORTED, and what the reader throws
 */
export async function bringIn(
  store: BlockStore,
  { name, root }: Pick<Pin, 'name' | 'root'>,
  from: BlockReader,
  { signal, onBytes }: BringOptions = {},
): Promise<Pin> {
  const options = signal === undefined ? {} : { signal };
  await using session = store.begin();
  let brought = 0;
  const fetched = async (cid: CID): Promise<Uint8Array> => {
    const block = await from.get(cid, options);
    await session.put(cid, block);
    brought += block.length;
    onBytes?.(brought);
    return block;
  };
  let failure: unknown;
  const reader: BlockReader = {
    get: async (cid) => {
      // Nothing more is read, and paid for, than what can be used.
      if (failure !== undefined) throw failure;
      try {
        return (await session.hold(cid)) ? await store.get(cid, options) : await fetched(cid);
      } catch (error) {
        failure ??= error;
        throw error;
      }
    },
  };
  const { blocks, unread } = await listBlocks(reader, root, options);
  if (unread.length > 0) throw failure;
  await inTurns(blocks, AT_ONCE, async (cid) => {
    assertNotAborted(signal, BRINGING);
    if (!(await session.hold(cid))) await fetched(cid);
  });
  return await session.pin(name, root);
}

/** A name's manifest, which is one block. @throws RelaymintError as `bringIn`. */
export async function bringManifest(
  store: BlockStore,
  { name, root }: Pick<Pin, 'name' | 'root'>,
  from: BlockReader,
  signal: AbortSignal,
): Promise<void> {
  const isPinned = store.pins(name).some((pin) => pin.root.equals(root));
  if (isPinned && store.has(root)) return;
  await using session = store.begin();
  // It may be here of another name, or be left of something that broke off.
  if (!(await session.hold(root))) await session.put(root, await from.get(root, { signal }));
  await session.pin(name, root);
}
