/** The first phase of a node: its identity, and where it is reached. */
import path from 'node:path';
import { deadline } from '../../core/abort.ts';
import {
  ephemeralOnionKey,
  onionKeyOf,
  persistentDestination,
  type I2pDestination,
  type OnionKey,
} from '../../node/transport/index.ts';
import { listensOn, locationsOf, type NodeSettings } from '../config/index.ts';
import { loadNodeKeys, type NodeKeys } from './keys.ts';
import { placesOf, type Places } from './places.ts';

export interface Identity {
  readonly keys: NodeKeys;
  /** Of its onion services. */
  readonly serviceKey: OnionKey;
  /** Undefined when it publishes none. */
  readonly i2pDestination: I2pDestination | undefined;
  readonly places: Places;
}

/** Of its I2P destination. */
export const I2P_KEY_FILE = 'i2p.key';
/** A running router answers sooner than this, milliseconds. */
const SAM_MILLIS = 15_000;

export async function openIdentity(
  settings: NodeSettings,
  stack: AsyncDisposableStack,
  signal: AbortSignal | undefined,
): Promise<Identity> {
  const keys = stack.use(await loadNodeKeys({ ...settings, seed: settings.node.seed }));
  const isOwn = (settings.reach?.onionKey ?? 'node') === 'node';
  const serviceKey = stack.use(isOwn ? onionKeyOf(keys.identity) : ephemeralOnionKey());
  const i2pDestination = await openDestination(settings, signal);
  if (i2pDestination !== undefined) stack.use(i2pDestination);
  const said = {
    listen: listensOn(settings),
    announce: settings.reach?.announce ?? [],
    locations: locationsOf(settings),
  };
  const places = await placesOf(said, { onion: serviceKey.onion, garlic: i2pDestination?.garlic });
  return { keys, serviceKey, i2pDestination, places };
}

/** Kept in the data directory, so that the address stays. */
async function openDestination(
  settings: NodeSettings,
  signal: AbortSignal | undefined,
): Promise<I2pDestination | undefined> {
  const { i2pSam } = settings.outbound;
  if (i2pSam === undefined || !locationsOf(settings).some(({ kind }) => kind === 'i2p')) return undefined;
  using limit = deadline(SAM_MILLIS, 'Asking the I2P router for a destination', signal);
  return await persistentDestination(path.join(settings.dataDir, I2P_KEY_FILE), i2pSam, limit.signal);
}
