/** A node of a test, put together of the real parts on paper money: honest as it is; or its links alone, to speak by hand. */
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress, NodeId } from '../../core/ids.ts';
import { amount, pricePerMiB } from '../../core/units.ts';
import { openAccountBook, openBookStore, type AccountBook, type BookStore } from '../../ledger/accounting/index.ts';
import { delegateFromSeed, type Signer } from '../../ledger/receipt/index.ts';
import {
  createCircuitEndpoint,
  onionKeyFromSeed,
  type CircuitEndpoint,
  type CircuitEndpointOptions,
  type OnionKey,
} from '../../node/circuit/index.ts';
import type { LinkManager } from '../../node/link/index.ts';
import { createMetering, unmetered, type ChannelProvider, type Metering } from '../../node/meter/index.ts';
import type { SignedOffer } from '../../node/offer/index.ts';
import { walletBindingMessage } from '../../platform/keys/binding.ts';
import { identityFromSeed, type NodeIdentity } from '../../platform/keys/identity.ts';
import { offerOf, type NodeOptions, type TestNodes } from './link/nodes.ts';
import { Purse, type PaperLedger } from './paper.ts';

/** Hops of the usual circuit: a window holds a MiB of one whose hops all ask the same. */
const WINDOW_HOPS = 4n;

/** Where the nodes of a test meet. */
export interface Ground {
  readonly nodes: TestNodes;
  readonly ledger: PaperLedger;
}

/** Who a node is, also after a restart. */
export interface Keys {
  readonly identity: NodeIdentity;
  readonly purse: Purse;
  readonly delegate: Signer;
  readonly onionKey: OnionKey;
}

/** What it sells, base units per MiB. */
export interface Wares {
  /** undefined: does not relay. */
  readonly relayPrice?: bigint | undefined;
  /** Services besides 'relay', with their price. */
  readonly services?: Readonly<Record<string, bigint>>;
}

/** How it pays and is paid. */
export interface Paying {
  readonly deposit: bigint;
  /** What opening a channel is said to cost. */
  readonly openingCost: bigint;
  /** What it burns for a channel. Default: what the payee's till asks. */
  readonly opening?: bigint;
  /** What the node adds to a channel that runs low; nothing when absent. */
  readonly topUp?: bigint;
  /** So many of its top-ups fail first: the ledger is away. Default 0. */
  readonly failedTopUps?: number;
  /** Burns as much again for a channel once it paid much. Default false. */
  readonly widens?: boolean;
  readonly nets: boolean;
}

export interface NodeParts extends Wares, Paying, Pick<CircuitEndpointOptions, 'timing' | 'maxJoinedCircuits'> {
  /** The folder of its books. */
  readonly books: string;
  /** Default true. */
  readonly metered?: boolean;
  /** Wraps its meters, to cheat or to watch. */
  readonly wrapMetering?: (metering: Metering) => Metering;
}

/** Links, keys and an offer: all that a peer needs to speak the protocol by hand. */
export interface BareNode extends Keys {
  readonly id: NodeId;
  readonly wallet: LedgerAddress;
  readonly links: LinkManager;
  readonly offer: SignedOffer;
  close(): Promise<void>;
}

export interface TestNode extends BareNode {
  readonly endpoint: CircuitEndpoint;
  readonly metering: Metering;
  readonly book: AccountBook;
  readonly store: BookStore;
}

/** @param next 32 bytes that differ at each call. */
export function keysOf(next: () => Uint8Array, ledger: PaperLedger, purse?: Purse): Keys {
  return {
    identity: identityFromSeed(next()),
    purse: purse ?? new Purse(next(), ledger),
    delegate: delegateFromSeed(next()),
    onionKey: onionKeyFromSeed(next()),
  };
}

export async function openBareNode(
  { nodes, ledger }: Ground,
  keys: Keys,
  wares: Wares,
  options: NodeOptions = {},
): Promise<BareNode> {
  const { identity, onionKey, purse } = keys;
  const { links, addresses } = await nodes.start({ transport: 'memory', ...options, identity });
  const offer = offerOf(identity, {
    onionKey: onionKey.publicKey,
    wallet: purse.address,
    walletBinding: purse.key.sign(walletBindingMessage(identity.nodeId)),
    addresses,
    services: pricesOf(wares).map(([name, price]) => ({ name, price: pricePerMiB(price) })),
  });
  links.setOffer(offer);
  ledger.openings.set(purse.address, windowPrice(wares));
  return { ...keys, id: identity.nodeId, wallet: purse.address, links, offer, close: () => links.close() };
}

/** Gives a bare node its books, its meters and its circuits. */
export async function openNode<Bare extends BareNode>(
  { ledger }: Pick<Ground, 'ledger'>,
  bare: Bare,
  parts: NodeParts,
): Promise<Bare & TestNode> {
  const { id, wallet, links, onionKey } = bare;
  const { metered = true, relayPrice, timing, maxJoinedCircuits, nets } = parts;
  const store = await openBookStore(parts.books);
  const book = openAccountBook({ store, reader: ledger });
  const channels = channelsOf(bare, parts);
  const price = pricePerMiB(windowPrice(parts));
  const plain = metered
    ? createMetering({ wallet, book, reader: ledger, channels, price, idleMillis: 50, nets })
    : unmetered();
  const metering = parts.wrapMetering?.(plain) ?? plain;
  const endpoint = createCircuitEndpoint({
    links,
    metering,
    nodeId: id,
    onionKey,
    ...(relayPrice === undefined ? {} : { relayPrice: pricePerMiB(relayPrice) }),
    ...(maxJoinedCircuits === undefined ? {} : { maxJoinedCircuits }),
    ...(timing === undefined ? {} : { timing }),
  });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await endpoint.close();
    await metering.close();
    await links.close();
    await book.close();
    await store.close();
  };
  return Object.assign(bare, { endpoint, metering, book, store, close: () => (closing ??= close()) });
}

function pricesOf({ relayPrice, services = {} }: Wares): [string, bigint][] {
  return [
    ...(relayPrice === undefined ? [] : [['relay', relayPrice] as [string, bigint]]),
    ...Object.entries(services),
  ];
}

/** As `relayWindowPrice`. */
function windowPrice(wares: Wares): bigint {
  return (pricesOf(wares)[0]?.[1] ?? 0n) * WINDOW_HOPS;
}

function channelsOf({ purse, delegate }: Keys, parts: Paying): ChannelProvider {
  const { deposit, opening, openingCost, topUp, widens = false } = parts;
  let failures = parts.failedTopUps ?? 0;
  /** A channel that its payee closed is known until somebody looks. */
  const used = new Set<LedgerAddress>();
  return {
    known: (payee) => used.has(payee) || purse.find(payee, delegate.address) !== undefined,
    channelTo: async (payee, _peer, sponsor) => {
      if (purse.find(payee, delegate.address) === undefined) await sponsor?.advance(amount(openingCost));
      used.add(payee);
      return { channel: purse.open(payee, delegate.address, deposit, opening), delegate };
    },
    openingCost: async (payee) => amount(purse.find(payee, delegate.address) === undefined ? openingCost : 0n),
    ...(topUp === undefined
      ? {}
      : {
          topUp: async (channel) => {
            if (failures > 0) {
              failures -= 1;
              throw new RelaymintError('LEDGER_UNREACHABLE', 'The ledger does not answer.');
            }
            return purse.topUp(channel, topUp);
          },
        }),
    ...(widens ? { widen: async (channel) => purse.widen(channel) } : {}),
  };
}
