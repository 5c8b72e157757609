/**
 * The composition of one node: keys, transport policy, links, discovery, accounts, metering, circuits and settlement,
 * tied together over one data directory and one ledger. The roles add what they sell.
 */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { isRelaymintError } from '../../core/errors.ts';
import type { ChannelId, LedgerAddress, NodeId } from '../../core/ids.ts';
import {
  MAX_OFFER_LIFE_MILLIS,
  MAX_ONWARD_PRICE,
  SPEND_LIMIT,
  SPEND_LIMIT_PEER,
  SPEND_LIMIT_SITE,
  WIDENED_OPENINGS,
} from '../../core/limits.ts';
import { systemClock, type Log } from '../../core/ports.ts';
import { amount, pricePerMiB, type Amount, type Lamports, type PricePerMiB } from '../../core/units.ts';
import type { TillTerms } from '../../ledger/contract.ts';
import { openAccountBook, openBookStore, type AccountBook, type BookStore } from '../../ledger/accounting/index.ts';
import { openBudget, type Budget, type SpendLimits } from '../../ledger/budget/index.ts';
import {
  openSettlementJournal,
  startReceiptExport,
  startSettlement,
  type SettlementEngine,
  type SettlementJournal,
  type SettlementPolicy,
} from '../../ledger/settlement/index.ts';
import { openSolanaLedger, type SolanaLedger, type SolanaWallet } from '../../ledger/solana/index.ts';
import { createCircuitEndpoint, type CircuitEndpoint, type ServiceHandler } from '../../node/circuit/index.ts';
import { createDiscovery, createOfferBook, type Discovery, type PeerAddress } from '../../node/discovery/index.ts';
import { createLinkManager, type LinkManager, type LinkManagerOptions } from '../../node/link/index.ts';
import { createMetering, unmetered, type Metering } from '../../node/meter/index.ts';
import {
  assertPublishable,
  ephemeralOnionKey,
  hides,
  isLocalAddress,
  isLoopback,
  onionKeyOf,
  persistentDestination,
  resolveHost,
  type I2pDestination,
  type Location,
  type Policy,
} from '../../node/transport/index.ts';
import type { NodeRole } from '../control/index.ts';
import { Channels } from './channels.ts';
import { collectClaim, fundNode, growNearlyFull } from '../../ledger/till/index.ts';
import { repeat } from '../../core/repeat.ts';
import { loadNodeKeys, signerOf, type NodeKeys } from './keys.ts';
import { openOutbound, type OutboundSettings } from './outbound.ts';
import { OwnOffer } from './own-offer.ts';
import { placesOf } from './places.ts';
import { guardFile, openGuards, type Guards } from '../../node/tunnel/index.ts';
import { walletBindingMessage, type OfferedService } from '../../node/offer/index.ts';
import { newIdentity } from '../../platform/keys/identity.ts';
import { deadline, orAborted } from '../../core/abort.ts';

export interface EarningSettings {
  /** When to settle unasked, and the greatest royalty to pay. */
  readonly policy: Partial<Pick<SettlementPolicy, 'maxFeeShareBps' | 'maxRoyaltyBps'>>;
  /** File that is kept as new as the books, for a watchtower. */
  readonly exportReceipts: string | undefined;
}

export interface NodeSettings {
  readonly role: NodeRole;
  readonly label: string;
  readonly dataDir: string;
  readonly ledgerUrl: string;
  readonly programId: LedgerAddress;
  /** Multiaddrs to listen on; none for a node that only dials out. */
  readonly listen: readonly string[];
  /** What others are told to dial instead of where we listen (behind a port forwarding). */
  readonly announce: readonly string[];
  /** What to publish, in the words of --location; with any, only that is published. */
  readonly locations: readonly Location[];
  /** Of our onion services. */
  readonly onionKey: 'node' | 'ephemeral';
  /** Public keys of those who may reach them, x25519; none: everybody. */
  readonly onionClients?: readonly Uint8Array[];
  readonly bootstrap: readonly PeerAddress[];
  /** Deterministic keys; tests only. */
  readonly seed: string | undefined;
  /** Test ledgers only: what the faucet is asked for when the wallet is empty. */
  readonly airdrop: Lamports | undefined;
  /** Deposit of a channel to a neighbour we pay. */
  readonly deposit: Amount;
  /** Most that a circuit may cost each MiB, all its hops together, and most that a relay pays onward. The defaults when absent. */
  readonly maxPrice?: PricePerMiB;
  /** Most that is staked for one channel; when absent one MiB at the dearest price that is paid, and `WIDENED_OPENINGS` times that in all. */
  readonly maxOpening?: Amount;
  /** The least that is staked for a new channel: the window is as wide. Default: what the till asks. */
  readonly opening?: Amount;
  /** The defaults when absent. */
  readonly spendLimits?: SpendLimits;
  /** A channel from which nothing was paid for this long is closed, milliseconds. Default 24 hours; null: never. */
  readonly idleChannelMillis?: number | null;
  /** Circuits of others may lead into private networks. They may anyway where this node only reaches its own machine. */
  readonly allowPrivateHops?: true;
  readonly outbound: OutboundSettings;
  /** Price for carrying circuits onward; undefined: this node relays for nobody. */
  readonly relayPrice: PricePerMiB | undefined;
  /** One MiB at this price is what a stranger may owe: what circuits pay this node (see `relayWindowPrice`); 0 for a node that sells nothing. */
  readonly windowPrice: PricePerMiB;
  /** What its till asks to be staked by who opens a channel. Default: one MiB's worth at `windowPrice`, as a stranger may owe. */
  readonly tillOpening?: Amount;
  /** Slots of the till; undefined for a node that sells nothing. */
  readonly tillSlots: number | undefined;
  /** Up to how many the till grows by itself when it is nearly full; absent: never. */
  readonly maxTillSlots?: number | undefined;
  /** Most that one transaction bids beside its base fee; the ledger's default when absent. */
  readonly maxPriorityFee?: Lamports;
  /** What the operator of a node that earns decides; the defaults when absent. */
  readonly earning?: EarningSettings;
  /** Counts nothing and charges nothing: what a benchmark compares with. All nodes of a circuit must agree on it. */
  readonly unmetered?: true;
  readonly log: Log;
}

/** A running node without what its role adds. Disposing it pays, settles and closes in that order. */
export interface RunningNode extends AsyncDisposable {
  readonly settings: NodeSettings;
  readonly keys: NodeKeys;
  readonly policy: Policy;
  readonly ledger: SolanaLedger;
  /** For what visitors read: apart from `ledger`, over which this node's own money goes. */
  readonly names: Pick<SolanaLedger, 'name'>;
  readonly wallet: SolanaWallet;
  readonly links: LinkManager;
  readonly discovery: Discovery;
  /** The books as they are kept; `book` keeps them. */
  readonly store: BookStore;
  readonly book: AccountBook;
  readonly budget: Budget;
  readonly metering: Metering;
  readonly circuits: CircuitEndpoint;
  /** The first relays of its own circuits, over restarts. */
  readonly guards: Guards;
  readonly channels: Channels;
  readonly settlement: SettlementEngine;
  /** What was settled, for people. */
  readonly journal: SettlementJournal;
  readonly startedAt: number;
  readonly services: readonly OfferedService[];
  /** Offers a service to whoever pays for it. Takes effect in the offer with the next `announce`. */
  serve(service: string, price: PricePerMiB, handler: ServiceHandler): void;
  /** Says in the offer which names are kept, from the first on as far as there is room. @returns what to call when they may have changed. */
  keeping(names: () => readonly string[]): () => void;
  /** Listens, signs the offer if it sells something, tells the bootstrap peers. @returns the addresses others can dial. */
  announce(signal?: AbortSignal): Promise<readonly string[]>;
  /** Signs the offer anew and tells every peer, if it sells something. @returns what it publishes, and how many heard it. */
  advertise(): Promise<{ readonly addresses: readonly string[]; readonly peers: number }>;
}

export const BOOKS_DIRECTORY = 'books';
/** What was settled, for people. */
export const SETTLEMENTS_FILE = 'settlements.jsonl';
/** The first relays of its own circuits; there is none while it builds no circuits. */
export const GUARDS_FILE = 'guards.json';
/** What was spent in the last hour. */
const BUDGET_FILE = 'budget';
const IDLE_CHANNEL_MILLIS = 24 * 60 * 60_000;
/** How often channels are looked at, milliseconds. */
const CHANNEL_WATCH_MILLIS = 60_000;
/** How often it is looked whether a payee left something for us, milliseconds: it keeps, and looking reads one account. */
const CLAIM_WATCH_MILLIS = 10 * 60_000;
/** Of its I2P destination. */
export const I2P_KEY_FILE = 'i2p.key';
/** A router that is there answers sooner, milliseconds. */
const SAM_MILLIS = 15_000;
/** Where tor hands visitors over. Short: the path of a socket has no room. */
const TARGET_DIRECTORY = 'in';
/** An offer is renewed long before it expires, so that a peer that missed one still has the last. */
const OFFER_LIFE_MILLIS = Math.min(6 * 60 * 60 * 1000, MAX_OFFER_LIFE_MILLIS);
const OFFER_RENEWAL_MILLIS = OFFER_LIFE_MILLIS / 4;

/** Nodes of the usual circuit: three relays and a host. */
const USUAL_HOPS = 4n;

/**
 * A circuit pays its first relay for all nodes behind it as well, so a window at the relay's own price would hold only a
 * part of a MiB, and one in front of a dear host not even a frame. This one holds a MiB of the usual circuit.
 */
export function relayWindowPrice(own: PricePerMiB): PricePerMiB {
  return pricePerMiB(own * USUAL_HOPS);
}

/** A window is at most a quarter of what a deposit still holds: smaller deposits would only take slots. */
const DEPOSIT_OPENINGS = 4n;

/** What a till asks of who opens a channel: one MiB's worth is staked at the opening, for a stranger may owe as much. */
function tillTerms({ windowPrice, tillOpening = amount(windowPrice) }: NodeSettings): TillTerms {
  return { opening: tillOpening, minDeposit: amount(tillOpening * DEPOSIT_OPENINGS) };
}

/** A relay burns at most this part of what relaying left it for wider windows. */
const WIDENING_PARTS = 4n;
/** Well below any challenge period, so that a payer's close request is answered in time. */
const SETTLEMENT_POLL_MILLIS = 5_000;
/** A till has free slots for longer than this when it is looked at. */
const TILL_POLL_MILLIS = 30_000;
/** A cluster takes 13 s to make a transaction final. A receipt keeps: a node that cannot reach the ledger does not wait for it for ever. */
const SHUTDOWN_SETTLE_MILLIS = 16_000;

/** @throws the signal's reason as soon as that ends, whatever is waited for: tor, the I2P router or the ledger. */
export async function openNode(settings: NodeSettings, signal?: AbortSignal): Promise<RunningNode> {
  try {
    return await composeNode(settings, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

async function composeNode(settings: NodeSettings, signal?: AbortSignal): Promise<RunningNode> {
  const { log } = settings;
  const clock = systemClock;
  warnOfWhatShows(settings);
  await using stack = new AsyncDisposableStack();
  const keys = stack.use(await loadNodeKeys(settings));
  const { identity } = keys;
  const serviceKey = stack.use(settings.onionKey === 'node' ? onionKeyOf(identity) : ephemeralOnionKey());
  const i2pDestination = await openDestination(settings, signal);
  if (i2pDestination !== undefined) stack.use(i2pDestination);
  const places = await placesOf(settings, { onion: serviceKey.onion, garlic: i2pDestination?.garlic });
  const { policy } = stack.use(
    openOutbound(settings.outbound, log, {
      onionKeys: [serviceKey],
      torrcServices: places.torrcServices,
      i2pDestination,
      onionClients: settings.onionClients ?? [],
      targetDir: path.join(settings.dataDir, TARGET_DIRECTORY),
    }),
  );
  const ledger = openSolanaLedger({
    url: settings.ledgerUrl,
    programId: settings.programId,
    fetch: policy.fetch('ledger'),
    ...(settings.maxPriorityFee === undefined ? {} : { maxPriorityFee: settings.maxPriorityFee }),
    clock,
    log,
  });
  /** Where names are looked up for visitors: no connection, and no circuit of Tor, that carries money carries them too. */
  const names = openSolanaLedger({
    url: settings.ledgerUrl,
    programId: settings.programId,
    fetch: policy.fetch('names'),
    clock,
    log,
  });
  stack.defer(() => names.close());
  const giveUp = (): void => {
    policy.close();
    ledger.close();
    names.close();
  };
  signal?.throwIfAborted();
  signal?.addEventListener('abort', giveUp, { once: true });
  const wallet = ledger.wallet(keys.walletKey);
  const { airdrop, tillSlots } = settings;
  await fundNode({ reader: ledger, wallet, airdrop, tillSlots, tillTerms: tillTerms(settings), log });

  const store = stack.use(await openBookStore(path.join(settings.dataDir, BOOKS_DIRECTORY), { clock, log }));
  const book = stack.use(openAccountBook({ store, reader: ledger, log }));
  if (settings.earning?.exportReceipts !== undefined) {
    const { exportReceipts: file } = settings.earning;
    const { programId: program } = settings;
    stack.use(await startReceiptExport({ store, program, payee: wallet.address, file, clock, log }));
  }
  const links = stack.use(createLinkManager({ identity, ...strangerOf(settings), policy, clock, log }));
  const journal = openSettlementJournal(path.join(settings.dataDir, SETTLEMENTS_FILE), log);
  const settlement = stack.use(
    startSettlement({
      store,
      wallet,
      reader: ledger,
      policy: { pollMillis: SETTLEMENT_POLL_MILLIS, ...settings.earning?.policy },
      onChannel: (channel) => book.update(channel),
      onClosed: (channel) => book.forget(channel),
      journal,
      clock,
      log,
    }),
  );
  stack.defer(() => settleAtShutdown(settlement, log));
  const { maxTillSlots: maxSlots } = settings;
  if (maxSlots !== undefined) {
    stack.use(
      repeat({
        everyMillis: TILL_POLL_MILLIS,
        work: () => growNearlyFull({ reader: ledger, wallet, maxSlots, log }),
        what: 'growing the till',
        log,
      }),
    );
  }
  const budget = stack.use(
    await openBudget({
      file: path.join(settings.dataDir, BUDGET_FILE),
      limits: settings.spendLimits ?? { perPeer: SPEND_LIMIT_PEER, perSite: SPEND_LIMIT_SITE, total: SPEND_LIMIT },
      earned: () => earnedOf(store),
      clock,
      log,
    }),
  );
  const guards = stack.use(
    await openGuards({
      store: guardFile(path.join(settings.dataDir, GUARDS_FILE)),
      nodeId: identity.nodeId,
      wallet: wallet.address,
      dials: ({ nodeId, addresses }) => isNear(policy, nodeId, addresses),
      clock,
      log,
    }),
  );
  const offers = createOfferBook({ clock });
  const discovery = stack.use(
    createDiscovery({
      links,
      book: offers,
      clock,
      log,
      bootstrap: settings.bootstrap,
      walletOf: (peer) => metering.walletOf(peer),
      onOwnSequence: (known) => own.heard(known),
    }),
  );
  const dearestMiB = amount(settings.maxPrice ?? MAX_ONWARD_PRICE);
  const channels: Channels = new Channels({
    reader: ledger,
    wallet,
    delegate: keys.delegate,
    store,
    budget,
    deposit: settings.deposit,
    opening: settings.opening ?? amount(0n),
    maxOpening: settings.maxOpening ?? dearestMiB,
    maxWidened: settings.maxOpening ?? amount(dearestMiB * WIDENED_OPENINGS),
    // A stranger with an accomplice behind us could have us widen windows for nobody's good but the accomplice's.
    ...(settings.relayPrice === undefined ? {} : { mayWiden: (): bigint => metering.kept / WIDENING_PARTS }),
    live: () => liveChannels(book),
    update: (channel) => book.update(channel),
    idleMillis: settings.idleChannelMillis === null ? undefined : (settings.idleChannelMillis ?? IDLE_CHANNEL_MILLIS),
    log,
  });
  channels.watch();
  if (settings.relayPrice !== undefined) channels.warm();
  stack.use(
    repeat({
      everyMillis: CHANNEL_WATCH_MILLIS,
      work: async () => {
        channels.watch();
        await channels.closeIdle();
      },
      what: 'closing channels that are not used',
      log,
    }),
  );
  stack.use(
    repeat({
      everyMillis: CLAIM_WATCH_MILLIS,
      atOnce: true,
      work: () => collectClaim({ reader: ledger, wallet, log }),
      what: 'taking what is left of channels that their payees closed',
      log,
    }),
  );
  const metering = stack.use(
    settings.unmetered === true
      ? unmetered()
      : createMetering({
          wallet: wallet.address,
          book,
          reader: ledger,
          channels,
          price: settings.windowPrice,
          log,
        }),
  );
  let published: readonly string[] = [];
  const circuits = stack.use(
    createCircuitEndpoint({
      links,
      metering,
      nodeId: identity.nodeId,
      onionKey: keys.onionKey,
      ...(settings.relayPrice === undefined ? {} : { relayPrice: settings.relayPrice }),
      ...(settings.maxPrice === undefined ? {} : { maxOnwardPrice: settings.maxPrice }),
      extend: {
        offers,
        introduce: (encoded, peer) => discovery.introduce(encoded, peer),
        // Who only reaches this machine, or is reached from it only, can be led nowhere where its sender is not already.
        get allowPrivate(): boolean {
          const isLocal = published.length > 0 && published.every(isLocalAddress);
          return settings.allowPrivateHops === true || policy.outbound === 'loopback' || isLocal;
        },
        resolve: policy.anonymize ? undefined : resolveHost,
      },
      clock,
      log,
    }),
  );

  const services: OfferedService[] = [];
  if (settings.relayPrice !== undefined) services.push({ name: 'relay', price: settings.relayPrice });
  const walletBinding = bindWallet(keys);
  const own: OwnOffer = stack.use(
    new OwnOffer({
      links,
      identity,
      lifeMillis: OFFER_LIFE_MILLIS,
      clock,
      fields: () => ({
        onionKey: keys.onionKey.publicKey,
        wallet: wallet.address,
        walletBinding,
        addresses: published,
        services,
      }),
    }),
  );
  stack.use(
    repeat({
      everyMillis: OFFER_RENEWAL_MILLIS,
      jittered: true,
      work: async () => own.renew(),
      what: 'renewing the offer',
      log,
    }),
  );

  signal?.throwIfAborted();
  // Who ends it from here on wants it to settle.
  signal?.removeEventListener('abort', giveUp);
  const owned = stack.move();
  return {
    settings,
    keys,
    policy,
    ledger,
    names,
    wallet,
    links,
    discovery,
    store,
    book,
    budget,
    metering,
    circuits,
    guards,
    channels,
    settlement,
    journal,
    services,
    startedAt: clock.now(),
    serve(service, price, handler) {
      circuits.register(service, { price }, handler);
      services.push({ name: service, price });
    },
    keeping: (names) => own.keeping(names),
    async announce(signal) {
      const found: string[] = [];
      for (const { address, publish } of places.listen) {
        const reached = await links.listen([address], signal === undefined ? {} : { signal });
        if (publish) found.push(...reached);
      }
      const addresses = [...places.announce, ...found];
      if (policy.anonymize) for (const address of addresses) assertPublishable('--location', address);
      published = addresses;
      own.announce();
      const asked = discovery.refresh();
      await (signal === undefined ? asked : orAborted(asked, signal, 'Looking for other nodes'));
      return published;
    },
    async advertise() {
      await discovery.refresh();
      own.renew();
      return { addresses: published, peers: services.length === 0 ? 0 : links.links().length };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
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

/** Nobody has to know again a node that sells nothing: it is another one on each link that it dials. */
function strangerOf({ role }: NodeSettings): Pick<LinkManagerOptions, 'dialAs'> {
  return role === 'gateway' || role === 'site' ? { dialAs: newIdentity } : {};
}

/** All that others signed receipts for, base units. */
function earnedOf(store: BookStore): bigint {
  let sum = 0n;
  for (const { role, channel, latest } of store.entries()) {
    if (role === 'payee') sum += latest?.amount ?? channel.settled;
  }
  return sum;
}

/** The channels that links pay from now. */
function liveChannels(book: AccountBook): ReadonlySet<ChannelId> {
  return new Set(book.peers().flatMap(({ role, live, channel }) => (role === 'payer' && live ? [channel.id] : [])));
}

/** Whoever hides from peers is still seen by a ledger on another machine, beside the wallet that the offer names. */
function warnOfWhatShows({ locations, ledgerUrl, outbound, log }: NodeSettings): void {
  const { hostname } = new URL(ledgerUrl);
  if (!hides(locations) || outbound.anonymize !== undefined || isLoopback(hostname)) return;
  log.warn(
    {},
    'only peers do not see where this node is: the ledger is reached directly; --anonymize hides it from that too',
  );
}

/** Kept in the data directory, so that the address stays; undefined when it publishes none. */
async function openDestination(
  { outbound, locations, dataDir }: NodeSettings,
  signal: AbortSignal | undefined,
): Promise<I2pDestination | undefined> {
  if (outbound.i2pSam === undefined || !locations.some(({ kind }) => kind === 'i2p')) return undefined;
  using limit = deadline(SAM_MILLIS, 'Asking the I2P router for a destination', signal);
  return await persistentDestination(path.join(dataDir, I2P_KEY_FILE), outbound.i2pSam, limit.signal);
}

async function settleAtShutdown(settlement: SettlementEngine, log: Log): Promise<void> {
  if (settlement.unsettled() === 0n) return;
  try {
    await settlement.settleAll(AbortSignal.timeout(SHUTDOWN_SETTLE_MILLIS));
  } catch (error) {
    log.warn({ err: error }, 'could not settle before stopping; the receipts are kept for the next start');
  }
}

/** The wallet's statement that this node earns for it. */
function bindWallet(keys: NodeKeys): Uint8Array {
  const signer = signerOf(keys.walletKey);
  try {
    return signer.sign(walletBindingMessage(keys.identity.nodeId));
  } finally {
    signer.close();
  }
}
