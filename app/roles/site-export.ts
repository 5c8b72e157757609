/** A site as a CAR file, from a data folder or from the hosts that keep it. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import { bytes, type Bytes } from '../../core/units.ts';
import { replaceFileBy } from '../../platform/disk/atomic-file.ts';
import type { BlockReader } from '../../sites/blocks/index.ts';
import { carOf } from '../../sites/car/index.ts';
import { proofOf } from '../../sites/unixfs/index.ts';
import type { RunningNode } from '../node/index.ts';
import { hasArchive, openArchive } from './archive.ts';
import { HostLine, fromAnyOf } from './host-line.ts';
import { keepersOf } from './keepers.ts';

export interface ExportParts {
  readonly name: string;
  readonly root: CID;
  /** Replaced when it is there. */
  readonly file: string;
  readonly signal: AbortSignal;
  /** Bytes of blocks that were written so far. */
  readonly onBytes?: (bytes: number) => void;
}

export interface SiteExported {
  readonly name: string;
  readonly cid: string;
  readonly file: string;
  readonly from: 'data folder' | 'hosts';
  readonly blocks: number;
  /** Of the file. */
  readonly size: number;
  /** Paid to hosts and relays, base units, without what opening channels takes. */
  readonly cost: string;
}

const EXPORTING = 'Exporting a site';

/**
 * From the data folder of a publisher or of a host that is stopped. undefined: it does not have that root.
 * @throws RelaymintError FILE_IN_USE (a node runs on it), CONTENT_NOT_FOUND (a block was damaged), STORAGE_FULL, ABORTED.
 */
export async function exportKept(
  parts: ExportParts,
  { dataDir, log }: { readonly dataDir: string; readonly log: Log },
): Promise<SiteExported | undefined> {
  assertNotAborted(parts.signal, EXPORTING);
  if (!(await hasArchive(dataDir))) return undefined;
  const { store } = await openArchive(dataDir, log);
  await using _closed = store;
  if (!store.pins(parts.name).some((pin) => pin.root.equals(parts.root))) return undefined;
  return { ...(await write(store, parts)), from: 'data folder', cost: '0' };
}

/**
 * From hosts, over circuits that are paid; each block is checked. The node is announced.
 * @param hosts none: those whose offers say that they keep the name
 * @throws RelaymintError NO_ROUTE (no host), CONTENT_NOT_FOUND (none of them delivers a block), STORAGE_FULL, ABORTED. The file stays as it was.
 */
export async function exportFetched(
  node: RunningNode,
  parts: ExportParts,
  { hosts, relays }: { readonly hosts: readonly NodeId[]; readonly relays: number },
): Promise<SiteExported> {
  assertNotAborted(parts.signal, EXPORTING);
  const asked = hosts.length > 0 ? hosts : keepersOf(node.discovery.book, parts.name);
  if (asked.length === 0) {
    throw new RelaymintError('NO_ROUTE', `No known host says that it keeps ${parts.name}.`, {
      remedy: 'Give --bootstrap with a node that knows one, or the --data folder that published it.',
    });
  }
  await using stack = new AsyncDisposableStack();
  const lines = HostLine.each(node, asked, { name: parts.name, relays }, stack);
  const written = await write(fromAnyOf(lines), parts);
  return { ...written, from: 'hosts', cost: String(lines.reduce((sum, { cost }) => sum + cost, 0n)) };
}

async function write(
  from: BlockReader,
  { name, root, file, signal, onBytes }: ExportParts,
): Promise<Omit<SiteExported, 'from' | 'cost'>> {
  let blocks = 0;
  let done = 0;
  const counted = async function* (): AsyncGenerator<{ readonly cid: CID; readonly block: Uint8Array }> {
    for await (const one of proofOf(from, root, { scope: 'all', known: new Set(), signal })) {
      blocks += 1;
      done += one.block.length;
      onBytes?.(done);
      yield one;
    }
  };
  const size: Bytes = bytes(await replaceFileBy(file, carOf(root, counted())));
  return { name, cid: root.toString(), file, blocks, size };
}
