/** The phases of a node that concern other nodes: its links, discovery, its circuits and its offer. */
import path from 'node:path';
import { isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_OFFER_LIFE_MILLIS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import type { SolanaWallet } from '../../ledger/solana/index.ts';
import { createCircuitEndpoint, type CircuitEndpoint } from '../../node/circuit/index.ts';
import { createDiscovery, createOfferBook, type Discovery, type DiscoveryOptions } from '../../node/discovery/index.ts';
import { createLinkManager, type LinkManager } from '../../node/link/index.ts';
import type { Metering } from '../../node/meter/index.ts';
import type { OfferedService } from '../../node/offer/index.ts';
import { walletBindingMessage } from '../../platform/keys/binding.ts';
import { isLocalAddress, type Policy } from '../../node/transport/index.ts';
import { guardFile, openGuards, type Guards } from '../../node/tunnel/index.ts';
import { newIdentity } from '../../platform/keys/identity.ts';
import type { NodeSettings } from '../config/index.ts';
import { signerOf, type NodeKeys } from './keys.ts';
import { OwnOffer } from './own-offer.ts';

/** The guards of its own circuits; undefined while it builds no circuits. */
export const GUARDS_FILE = 'guards.json';
/** An offer is renewed long before it expires, so that a peer that missed one still has the last. */
const OFFER_LIFE_MILLIS = Math.min(6 * 60 * 60 * 1000, MAX_OFFER_LIFE_MILLIS);
const OFFER_RENEWAL_MILLIS = OFFER_LIFE_MILLIS / 4;

/** What each of these phases needs of those before. */
interface Before {
  readonly keys: NodeKeys;
  readonly policy: Policy;
  readonly clock: Clock;
}

export function openLinks(settings: NodeSettings, before: Before, stack: AsyncDisposableStack): LinkManager {
  const { keys, policy, clock } = before;
  // Nobody needs to recognise a node that sells nothing: it uses a new identity on each link that it dials.
  const stranger = settings.till === undefined ? { dialAs: newIdentity } : {};
  return stack.use(createLinkManager({ identity: keys.identity, ...stranger, policy, clock, log: settings.log }));
}

/** The first relays of its own circuits, over restarts. */
export async function openGuardsOf(
  settings: NodeSettings,
  before: Before & { readonly wallet: SolanaWallet },
  stack: AsyncDisposableStack,
): Promise<Guards> {
  const { keys, policy, wallet, clock } = before;
  return stack.use(
    await openGuards({
      store: guardFile(path.join(settings.dataDir, GUARDS_FILE)),
      nodeId: keys.identity.nodeId,
      wallet: wallet.address,
      dials: ({ nodeId, addresses }) => isNear(policy, nodeId, addresses),
      clock,
      log: settings.log,
    }),
  );
}

export function openDiscovery(
  settings: NodeSettings,
  before: Required<Pick<DiscoveryOptions, 'links' | 'clock' | 'walletOf' | 'onOwnSequence'>>,
  stack: AsyncDisposableStack,
): Discovery {
  const { clock } = before;
  return stack.use(
    createDiscovery({
      ...before,
      book: createOfferBook({ clock }),
      bootstrap: settings.node.bootstrap,
      redials: settings.till !== undefined,
      log: settings.log,
    }),
  );
}

export function openCircuits(
  settings: NodeSettings,
  before: Before & {
    readonly links: LinkManager;
    readonly metering: Metering;
    readonly discovery: Discovery;
    /** Where others can dial this node. */
    readonly published: () => readonly string[];
  },
  stack: AsyncDisposableStack,
): CircuitEndpoint {
  const { keys, policy, links, metering, discovery, published, clock } = before;
  const { relayPrice, allowPrivateHops } = settings.terms;
  const { maxPrice } = settings.node;
  return stack.use(
    createCircuitEndpoint({
      links,
      metering,
      nodeId: keys.identity.nodeId,
      onionKey: keys.onionKey,
      ...(relayPrice === undefined ? {} : { relayPrice }),
      ...(maxPrice === undefined ? {} : { maxOnwardPrice: maxPrice }),
      extend: {
        offers: discovery.book,
        introduce: (encoded, peer) => discovery.introduce(encoded, peer),
        // A node that only reaches this machine, or is only reached from it, cannot be led anywhere that its sender could not reach itself.
        get allowPrivate(): boolean {
          const isLocal = published().length > 0 && published().every(isLocalAddress);
          return allowPrivateHops === true || policy.outbound === 'loopback' || isLocal;
        },
        resolve: policy.resolve,
      },
      clock,
      log: settings.log,
    }),
  );
}

export function openOwnOffer(
  before: Pick<Before, 'keys' | 'clock'> & {
    readonly links: LinkManager;
    readonly wallet: SolanaWallet;
    readonly offered: { readonly addresses: readonly string[]; readonly services: readonly OfferedService[] };
  },
  { log }: NodeSettings,
  stack: AsyncDisposableStack,
): OwnOffer {
  const { keys, links, wallet, offered, clock } = before;
  const walletBinding = bindWallet(keys);
  const own = stack.use(
    new OwnOffer({
      links,
      identity: keys.identity,
      lifeMillis: OFFER_LIFE_MILLIS,
      clock,
      fields: () => ({
        onionKey: keys.onionKey.publicKey,
        wallet: wallet.address,
        walletBinding,
        addresses: offered.addresses,
        services: offered.services,
      }),
    }),
  );
  stack.use(
    repeat({
      everyMillis: OFFER_RENEWAL_MILLIS,
      jitter: 0.5,
      work: async () => own.renew(),
      what: 'renewing the offer',
      log,
    }),
  );
  return own;
}

/** Whether a relay is dialled as this node usually dials: one that hides needs a tor or I2P router that may not be there. */
function isNear(policy: Policy, node: NodeId, addresses: readonly string[]): boolean {
  try {
    return policy.plan(node, addresses).some(({ direct }) => direct || policy.anonymize);
  } catch (error) {
    if (isRelaymintError(error, 'NO_TRANSPORT')) return false;
    throw error;
  }
}

/** The wallet's statement that this node earns for it. */
export function bindWallet(keys: NodeKeys): Uint8Array {
  const signer = signerOf(keys.walletKey);
  try {
    return signer.sign(walletBindingMessage(keys.identity.nodeId));
  } finally {
    signer.close();
  }
}
