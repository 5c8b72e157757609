/** Brings the number of hosts that keep a site back to what is wanted, and believes no host that it has not asked for blocks. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { bringIn, bringManifest } from '../../sites/keeping/index.ts';
import type { RunningNode } from '../node/index.ts';
import { openArchive } from './archive.ts';
import { HostLine, fromAnyOf } from './host-line.ts';
import { isLeaving } from './keepers.ts';
import { requireOwn } from './own-name.ts';
import { hostsFor, uploadToAll, type DeliverySettings } from './delivery.ts';
import {
  isKeeper,
  listIn,
  manifestNamed,
  rootOf,
  verifyRoot,
  type KeeperReport,
  type SiteVerified,
  type VerifySettings,
} from './site-verify.ts';

export interface RepairSettings extends VerifySettings, Pick<DeliverySettings, 'onUpload'> {}

export interface SiteRepaired extends Omit<SiteVerified, 'keeping'> {
  /** Hosts that kept it before, and those that keep it now. */
  readonly before: readonly string[];
  readonly keeping: readonly string[];
  /** Where the blocks came from that were sent; null: nothing had to be sent. */
  readonly source: 'data folder' | 'hosts' | null;
  readonly sentBlocks: number;
  readonly sentBytes: number;
}

/**
 * What was sent counts only once the host delivered blocks of it. Doing it again goes on where it stopped.
 * @throws RelaymintError NAME_UNKNOWN, NAME_TAKEN, NAME_EXPIRED, CONTENT_NOT_FOUND (neither the data folder nor any host has all of it),
 * FILE_IN_USE, STORAGE_FULL, ABORTED.
 */
export async function repair(node: RunningNode, settings: RepairSettings): Promise<SiteRepaired> {
  const { name, signal, replicas } = settings;
  assertNotAborted(signal, 'Repairing');
  const record = await requireOwn(node, name);
  const [root, manifest] = [rootOf(name, record), manifestNamed(record)];
  await using stack = new AsyncDisposableStack();
  const { store } = await openArchive(node.settings.dataDir, node.settings.log);
  stack.use(store);
  const isHere = store.pins(name).some((pin) => pin.root.equals(root));
  const verified = await verifyRoot(node, settings, {
    root,
    manifest,
    own: isHere ? await listIn(store, root) : undefined,
  });
  const before = verified.hosts.filter(isKeeper).map(({ host }) => host as NodeId);
  const state = {
    keeping: before,
    hosts: [...verified.hosts],
    sent: { sentBlocks: 0, sentBytes: 0 },
    cost: BigInt(verified.cost),
  };
  const answer = (source: SiteRepaired['source']): SiteRepaired => {
    const { keeping, hosts, sent, cost } = state;
    return { ...verified, hosts, before, keeping, source, ...sent, cost: String(cost) };
  };
  if (before.length >= replicas) return answer(null);

  // A leaving host serves what it keeps.
  const sources = verified.hosts.filter(({ result }) => result === 'keeps').map(({ host }) => host as NodeId);
  /** Into the data folder, as far as it is not there or damaged. */
  const mend = async (): Promise<void> => {
    await using lines = new AsyncDisposableStack();
    const hosts = fromAnyOf(HostLine.each(node, sources, settings, lines));
    await bringIn(store, { name, root }, hosts, { signal });
    if (manifest !== undefined) await bringManifest(store, { name, root: manifest }, hosts, signal);
  };
  const lacksManifest = manifest !== undefined && !store.has(manifest);
  if (!isHere || lacksManifest) {
    if (sources.length === 0) throw nowhere(name);
    await mend();
  }
  const own = await listIn(store, root);
  const totalBytes = store.pins(name).find((pin) => pin.root.equals(root))?.bytes ?? 0;
  for (const host of candidatesOf(node, settings, verified.hosts, totalBytes)) {
    if (state.keeping.length >= replicas) break;
    const delivery = { ...settings, hosts: [host], replicas: 1 };
    const onUpload: DeliverySettings['onUpload'] = (progress, total) =>
      settings.onUpload(progress, total, state.keeping.length - before.length + 1);
    try {
      const sent = await uploadToAll(node, { ...delivery, onUpload }, { store, root, manifest, totalBytes, mend });
      state.sent.sentBlocks += sent.sentBlocks;
      state.sent.sentBytes += sent.sentBytes;
    } catch (error) {
      assertNotAborted(signal, 'Repairing', 'Do it again: it goes on where it stopped.');
      // The next one may take it.
      if (!(error instanceof RelaymintError)) throw error;
      const refused = { code: error.code, message: error.message };
      const known = state.hosts.find((report) => report.host === host) ?? unasked(host);
      state.hosts = [...state.hosts.filter((report) => report.host !== host), { ...known, refused }];
      continue;
    }
    const { hosts, cost } = await verifyRoot(node, delivery, { root, manifest, own });
    state.cost += BigInt(cost);
    state.hosts = [...state.hosts.filter((report) => report.host !== host), ...hosts];
    if (hosts.some(isKeeper)) state.keeping = [...state.keeping, host];
  }
  return answer(isHere ? 'data folder' : 'hosts');
}

/**
 * Those that have a part come first, for they are sent the rest; then others; last those that said they keep it and delivered nothing. One
 * that does not answer, or is leaving, would take nothing.
 */
function candidatesOf(
  { discovery: { book } }: RunningNode,
  { hosts: named, name }: RepairSettings,
  reports: readonly KeeperReport[],
  size: number,
): readonly NodeId[] {
  const lacking = reports.filter(({ result, leaving }) => result === 'lacks' && !leaving);
  const idsOf = (some: readonly KeeperReport[]): NodeId[] => some.map(({ host }) => host as NodeId);
  const asked = new Set<string>(reports.map(({ host }) => host));
  const others =
    named.length > 0 ? [] : hostsFor(book, name, size).filter((host) => !asked.has(host) && !isLeaving(book, host));
  return [
    ...idsOf(lacking.filter(({ delivered }) => delivered > 0)),
    ...others,
    ...idsOf(lacking.filter(({ delivered }) => delivered === 0)),
  ];
}

/** Of a host that said nothing of the name, and did not take it. */
function unasked(host: NodeId): KeeperReport {
  return { host, result: 'lacks', leaving: false, asked: 0, delivered: 0, missing: 0, bytes: 0, millis: 0, cost: '0' };
}

function nowhere(name: string): RelaymintError {
  return new RelaymintError(
    'CONTENT_NOT_FOUND',
    `The content of ${name} is neither in the data folder nor at a host.`,
    {
      remedy: 'Publish the folder that it was made of again, or give the --data folder that published it.',
    },
  );
}
