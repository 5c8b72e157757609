/** Publishes a folder: imports it, brings it to a host over a paid circuit, and points the name at it on chain. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { CID } from 'multiformats/cid';
import { RelaymintError } from '../../../core/errors.ts';
import type { NodeId } from '../../../core/ids.ts';
import {
  PUBLISH_SERVICE,
  importSite,
  openBlockStore,
  publishSite,
  type ImportProgress,
  type PublishProgress,
} from '../../../sites/content/index.ts';
import { createCircuitPool } from '../../circuit/index.ts';
import type { Published } from '../market/events.ts';
import { signerOf } from './keys.ts';
import type { RunningNode } from './node.ts';
import { ChainView, pairsOf } from './stats.ts';

export interface PublishSettings {
  readonly directory: string;
  readonly name: string;
  /** Share of what hosts earn with the name, basis points; for a name that is registered now. */
  readonly royaltyBps: number;
  /** The host to bring it to; undefined: the cheapest known. */
  readonly host: NodeId | undefined;
  /** Paid relays between us and the host. */
  readonly hops: number;
  readonly signal: AbortSignal;
  readonly onImport: (progress: ImportProgress) => void;
  readonly onUpload: (progress: PublishProgress, totalBytes: number) => void;
}

const CONTENT_DIRECTORY = 'content';

/** @throws RelaymintError NO_ROUTE (no host), NAME_TAKEN, INSUFFICIENT_FUNDS, CONTENT_REFUSED, .. */
export async function publish(node: RunningNode, settings: PublishSettings): Promise<Published> {
  const { name, signal } = settings;
  await using stack = new AsyncDisposableStack();
  const creditsBefore = (await node.ledger.balances(node.wallet.address)).credits;
  const record = await node.ledger.name(name);
  if (record !== undefined && record.owner !== node.wallet.address && record.manager !== node.wallet.address) {
    throw new RelaymintError('NAME_TAKEN', `${name} belongs to another wallet.`, {
      remedy: 'Choose another name, or give the --data folder whose wallet.json owns it.',
    });
  }

  const store = stack.use(
    await openBlockStore({ directory: path.join(node.settings.dataDir, CONTENT_DIRECTORY), log: node.settings.log }),
  );
  const imported = await importSite(store, name, settings.directory, { signal, onProgress: settings.onImport });
  for (const { path: left, reason } of imported.skipped) {
    node.settings.log.warn({ path: left, reason }, 'a file was left out');
  }

  await upload(node, settings, store, imported.root, imported.bytes);
  const change = await pointName(node, settings, imported.root, record?.root);
  // The books are final once the host has answered the circuit's end: that frame counts as well.
  await node.circuits.close();
  node.metering.flush();
  const channels = await new ChainView(node).channels();
  return {
    event: 'published',
    name,
    cid: imported.root.toString(),
    files: imported.files,
    bytes: imported.bytes,
    nodeId: node.keys.identity.nodeId,
    wallet: node.wallet.address,
    creditsBefore: creditsBefore.toString(),
    record: change,
    pairs: pairsOf(node, channels, new Map()).filter((pair) => pair.side === 'pays'),
  };
}

async function upload(
  node: RunningNode,
  settings: PublishSettings,
  store: Parameters<typeof publishSite>[0]['store'],
  root: CID,
  totalBytes: number,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const host = settings.host ?? node.discovery.book.find(PUBLISH_SERVICE)[0]?.nodeId;
  if (host === undefined) {
    throw new RelaymintError('NO_ROUTE', 'No host that takes content is known.', {
      remedy: 'Give --bootstrap with the address of a node that knows one.',
    });
  }
  const pool = stack.use(
    createCircuitPool({
      endpoint: node.circuits,
      nodeId: node.keys.identity.nodeId,
      offers: node.discovery.book,
      service: PUBLISH_SERVICE,
      target: host,
      settings: { minCircuits: 1, maxCircuits: 1 },
      log: node.settings.log,
    }),
  );
  await pool.buildTunnels(settings.hops);
  const circuit = await pool.circuit({ signal: settings.signal });
  const signer = signerOf(node.keys.walletKey);
  stack.defer(() => signer.close());
  await publishSite({
    openStream: (service, params, options) => circuit.openStream(service, params, options),
    host,
    store,
    name: settings.name,
    root,
    publisher: signer,
    signal: settings.signal,
    onProgress: (progress) => settings.onUpload(progress, totalBytes),
  });
}

async function pointName(
  node: RunningNode,
  settings: PublishSettings,
  root: CID,
  current: Uint8Array | undefined,
): Promise<string> {
  if (current === undefined) {
    await node.wallet.registerName({ name: settings.name, root: root.bytes, royaltyBps: settings.royaltyBps });
    return 'registered';
  }
  if (current.length > 0 && CID.decode(current).equals(root)) return 'unchanged';
  await node.wallet.updateName(settings.name, { root: root.bytes });
  return 'updated';
}
