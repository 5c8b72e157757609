/** A node of a play, put together of the real parts: honest as it is, or with a bend in its links. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeId } from '../../core/ids.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { amount, pricePerMiB, unixMillis } from '../../core/units.ts';
import { openAccountBook, openBookStore } from '../../ledger/accounting/index.ts';
import type { AccountBook, BookStore } from '../../ledger/accounting/index.ts';
import { delegateFromSeed } from '../../ledger/receipt/index.ts';
import type { Signer } from '../../ledger/receipt/index.ts';
import { createCircuitEndpoint, onionKeyFromSeed } from '../../node/circuit/index.ts';
import type { CircuitEndpoint, CircuitTiming, OnionKey } from '../../node/circuit/index.ts';
import { signOffer, walletBindingMessage, type SignedOffer } from '../../node/offer/index.ts';
import { identityFromSeed, type NodeIdentity } from '../../platform/keys/identity.ts';
import { createLinkManager } from '../../node/link/index.ts';
import type { LinkManager } from '../../node/link/index.ts';
import { createMetering } from '../../node/meter/index.ts';
import type { Metering } from '../../node/meter/index.ts';
import { createMemoryTransport, createPolicy } from '../../node/transport/index.ts';
import type { MemoryNetwork } from '../../node/transport/index.ts';
import type { Money, Purse } from './money.ts';
import type { Seed } from './seed.ts';
import { LinkTap } from './tap.ts';
import { serveSink, serveSource } from '../pattern.ts';
import type { Bend } from './tap.ts';

export { hashOf, patternHash, u32 } from '../pattern.ts';

/** What a relay asks for itself, base units per MiB: the default of `relaymint relay`. */
export const PRICE = 10_000n;
/** What a till asks for the opening by default: one MiB of a circuit whose hops all ask the same. */
export const OPENING: bigint = 4n * PRICE;
export const DEPOSIT = 1_000_000n;

export interface NodeSettings {
  readonly money: Money;
  readonly seed: Seed;
  readonly network: MemoryNetwork;
  /** undefined: does not relay. */
  readonly relayPrice?: bigint | undefined;
  /** Services besides 'relay', with their price. */
  readonly services?: Readonly<Record<string, bigint>>;
  readonly timing?: CircuitTiming;
  readonly deposit?: bigint;
  readonly opening?: bigint;
  /** What the node adds to a channel that runs low; nothing when absent. */
  readonly topUp?: bigint;
  readonly nets?: boolean;
  /** Bends every link. */
  readonly bend?: Bend;
  /** Whose wallet pays and earns; a new one when absent. */
  readonly purse?: Purse;
  /** No meter and no circuits: the links carry only what is written by hand. */
  readonly raw?: true;
}

/** Links, keys and an offer: all that a peer needs to speak the protocol by hand. */
export interface BareNode {
  readonly id: NodeId;
  readonly identity: NodeIdentity;
  readonly onionKey: OnionKey;
  readonly purse: Purse;
  readonly delegate: Signer;
  readonly links: LinkManager;
  readonly offer: SignedOffer;
  /** Every link it ever had, in order. */
  readonly taps: readonly LinkTap[];
  tapOf(peer: NodeId): LinkTap | undefined;
  /** Runs for each link when it opens, before any frame. */
  onTap: (tap: LinkTap) => void;
  close(): Promise<void>;
}

export interface PlayNode extends BareNode {
  readonly endpoint: CircuitEndpoint;
  readonly metering: Metering;
  readonly book: AccountBook;
  readonly store: BookStore;
}

export async function openBareNode(settings: NodeSettings): Promise<BareNode> {
  const { seed, money, network } = settings;
  const identity = identityFromSeed(seed.next());
  const purse = settings.purse ?? (await money.purse(seed.next()));
  const delegate = delegateFromSeed(seed.next());
  const onionKey = onionKeyFromSeed(seed.next());
  const policy = createPolicy({ transports: [createMemoryTransport(network)], outbound: 'loopback' });
  const links = createLinkManager({ identity, policy, clock: systemClock, log: silentLog });
  const addresses = await links.listen([`/memory/${identity.nodeId}`]);
  const prices = Object.entries(settings.services ?? {});
  if (settings.relayPrice !== undefined) prices.unshift(['relay', settings.relayPrice]);
  const offer = signOffer(
    {
      onionKey: onionKey.publicKey,
      wallet: purse.address,
      walletBinding: purse.sign(walletBindingMessage(identity.nodeId)),
      addresses,
      services: prices.map(([name, price]) => ({ name, price: pricePerMiB(price) })),
      sequence: 1n,
      expires: unixMillis(Date.now() + 3_600_000),
    },
    identity,
  );
  links.setOffer(offer);
  const taps: LinkTap[] = [];
  const node: BareNode = {
    id: identity.nodeId,
    identity,
    onionKey,
    purse,
    delegate,
    links,
    offer,
    taps,
    tapOf: (peer) => taps.findLast((tap) => tap.peer === peer),
    onTap: () => {},
    close: () => links.close(),
  };
  links.onLink((link) => {
    const tap = new LinkTap(link, settings.bend);
    taps.push(tap);
    node.onTap(tap);
  });
  return node;
}

export async function openPlayNode(settings: NodeSettings): Promise<PlayNode> {
  const node = await openBareNode(settings);
  const { purse, delegate, links } = node;
  const { money, relayPrice } = settings;
  const funds = { deposit: settings.deposit ?? DEPOSIT, opening: settings.opening ?? OPENING };
  const directory = await mkdtemp(join(tmpdir(), 'relaymint-adversary-'));
  const store = await openBookStore(directory);
  const book = openAccountBook({ store, reader: money.reader });
  const firstPrice = Object.values(settings.services ?? {})[0] ?? 0n;
  const { topUp } = settings;
  const known = new Set<string>();
  const metering = createMetering({
    wallet: purse.address,
    book,
    reader: money.reader,
    channels: {
      known: (payee) => known.has(payee),
      channelTo: async (payee, _peer, sponsor) => {
        let channel = await purse.find(payee, delegate.address);
        if (channel === undefined) {
          await sponsor?.advance(amount(funds.opening + money.fee));
          channel = await purse.open(payee, delegate.address, funds);
        }
        known.add(payee);
        return { channel, delegate };
      },
      openingCost: async (payee) =>
        amount((await purse.find(payee, delegate.address)) === undefined ? funds.opening + money.fee : 0n),
      ...(topUp === undefined ? {} : { topUp: async (channel) => purse.topUp(channel, topUp) }),
    },
    // As `relayWindowPrice`: a MiB of a circuit whose hops all ask the same.
    price: pricePerMiB(4n * (relayPrice ?? firstPrice)),
    idleMillis: 50,
    nets: settings.nets ?? false,
  });
  const endpoint = createCircuitEndpoint({
    links,
    metering,
    nodeId: node.id,
    onionKey: node.onionKey,
    ...(relayPrice === undefined ? {} : { relayPrice: pricePerMiB(relayPrice) }),
    ...(settings.timing === undefined ? {} : { timing: settings.timing }),
  });
  for (const [name, price] of Object.entries(settings.services ?? {})) serve(endpoint, name, price);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await endpoint.close();
    await metering.close();
    await links.close();
    await book.close();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  };
  return Object.assign(node, { endpoint, metering, book, store, close: () => (closing ??= close()) });
}

/** Every service but `source` takes what it is sent. */
function serve(endpoint: CircuitEndpoint, name: string, price: bigint): void {
  endpoint.register(name, { price: pricePerMiB(price) }, name === 'source' ? serveSource : serveSink);
}
