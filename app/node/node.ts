/**
 * The composition of one node, in phases: who it is, how it reaches others, its money, its links and what it knows of others, what it
 * pays and is paid for, its circuits, and its offer; tied together over one data directory and one ledger. The roles add what they do.
 */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_ADDRESSES } from '../../core/limits.ts';
import { systemClock } from '../../core/ports.ts';
import type { Bytes, PricePerMiB } from '../../core/units.ts';
import type { AccountBook, BookStore } from '../../ledger/accounting/index.ts';
import type { Budget } from '../../ledger/budget/index.ts';
import type { SettlementEngine, SettlementJournal } from '../../ledger/settlement/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../ledger/solana/index.ts';
import type { CircuitEndpoint, ServiceHandler } from '../../node/circuit/index.ts';
import type { Discovery } from '../../node/discovery/index.ts';
import type { LinkManager } from '../../node/link/index.ts';
import type { Metering } from '../../node/meter/index.ts';
import type { OfferedService } from '../../node/offer/index.ts';
import { assertPublishable, type Policy } from '../../node/transport/index.ts';
import type { Guards } from '../../node/tunnel/index.ts';
import type { NodeSettings } from '../config/index.ts';
import type { Channels } from './channels.ts';
import { openIdentity, type Identity } from './identity.ts';
import type { NodeKeys } from './keys.ts';
import { openBooks, openPaying, openSettling, type LastSettling } from './money.ts';
import type { OwnOffer } from './own-offer.ts';
import { openCircuits, openDiscovery, openGuardsOf, openLinks, openOwnOffer } from './peers.ts';
import { openWays, warnOfWhatShows } from './ways.ts';

/** A running node without what its role adds. Disposing it pays, settles and closes in that order. */
export interface RunningNode extends AsyncDisposable {
  readonly settings: NodeSettings;
  readonly keys: NodeKeys;
  readonly policy: Policy;
  readonly ledger: SolanaLedger;
  /** For what visitors read; separate from `ledger`, which carries this node's own money. */
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
  /** Offers a service to everybody who pays for it. The next `announce` puts it into the offer. */
  serve(service: string, price: PricePerMiB, handler: ServiceHandler): void;
  /**
   * Says in the offer which names are kept, from the first on as far as they fit, and how much content is still taken (rounded).
   * @returns what to call when either may have changed.
   */
  keeping(names: () => readonly string[], room?: () => Bytes | undefined): () => void;
  /** Listens, signs the offer if it sells something, tells the bootstrap peers. @returns the addresses others can dial. */
  announce(signal?: AbortSignal): Promise<readonly string[]>;
  /** Signs the offer again and sends it to every peer, if it sells something. @returns what it publishes, and how many heard it. */
  advertise(): Promise<{ readonly addresses: readonly string[]; readonly peers: number }>;
}

const STARTING = 'Starting the node';

/**
 * `onLastSettling` is told when the node, disposed, has to wait for the ledger to settle.
 * @throws RelaymintError ABORTED as soon as the signal ends, whatever is waited for: tor, the I2P router or the ledger.
 */
export async function openNode(
  settings: NodeSettings,
  signal?: AbortSignal,
  onLastSettling?: (waiting: LastSettling) => void,
): Promise<RunningNode> {
  assertAnnounceable(settings);
  assertNotAborted(signal, STARTING);
  try {
    return await composeNode(settings, signal, onLastSettling);
  } catch (error) {
    assertNotAborted(signal, STARTING);
    throw error;
  }
}

async function composeNode(
  settings: NodeSettings,
  signal: AbortSignal | undefined,
  onLastSettling: ((waiting: LastSettling) => void) | undefined,
): Promise<RunningNode> {
  const clock = settings.world?.clock ?? systemClock;
  warnOfWhatShows(settings);
  await using stack = new AsyncDisposableStack();
  const identity = await openIdentity(settings, stack, signal);
  const { keys } = identity;
  const ways = openWays(settings, identity, stack, clock);
  assertNotAborted(signal, STARTING);
  const givingUp = onAbort(signal, ways.giveUp);
  const books = await openBooks(settings, { keys, ledger: ways.ledger, clock }, stack);
  const links = openLinks(settings, { keys, policy: ways.policy, clock }, stack);
  const { settlement, journal, budget } = await openSettling(
    settings,
    { ...books, ledger: ways.ledger, clock, onLastSettling },
    stack,
  );
  const guards = await openGuardsOf(settings, { keys, policy: ways.policy, wallet: books.wallet, clock }, stack);
  const discovery = openDiscovery(
    settings,
    {
      links,
      clock,
      walletOf: (peer) => metering.walletOf(peer),
      onOwnSequence: (known) => own.heard(known),
    },
    stack,
  );
  const { channels, metering } = openPaying(settings, { ...books, keys, ledger: ways.ledger, budget }, stack);
  const offered = new Offered(identity, links, settings);
  const circuits = openCircuits(
    settings,
    { keys, links, metering, discovery, policy: ways.policy, published: () => offered.addresses, clock },
    stack,
  );
  const own: OwnOffer = openOwnOffer({ keys, links, wallet: books.wallet, clock, offered }, settings, stack);
  assertNotAborted(signal, STARTING);
  // A caller that ends it from here on wants it to settle.
  givingUp[Symbol.dispose]();
  const owned = stack.move();
  return {
    settings,
    keys,
    ...ways,
    ...books,
    links,
    discovery,
    budget,
    metering,
    circuits,
    guards,
    channels,
    settlement,
    journal,
    services: offered.services,
    startedAt: clock.now(),
    serve(service, price, handler) {
      circuits.register(service, { price }, handler);
      offered.services.push({ name: service, price });
    },
    keeping: (names, room) => own.keeping(names, room),
    async announce(ending) {
      assertNotAborted(ending, STARTING);
      const addresses = await offered.listen(ways.policy, ending);
      own.announce();
      await discovery.refresh(ending);
      sayUnreached(settings, links);
      return addresses;
    },
    async advertise() {
      await discovery.refresh();
      own.renew();
      return { addresses: offered.addresses, peers: offered.services.length === 0 ? 0 : links.links().length };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What a node offers, and where. */
export class Offered {
  readonly services: OfferedService[] = [];
  #addresses: readonly string[] = [];
  readonly #places: Identity['places'];
  readonly #links: Pick<LinkManager, 'listen'>;
  readonly #log: NodeSettings['log'];

  constructor({ places }: Pick<Identity, 'places'>, links: Pick<LinkManager, 'listen'>, { terms, log }: NodeSettings) {
    this.#places = places;
    this.#links = links;
    this.#log = log;
    if (terms.relayPrice !== undefined) this.services.push({ name: 'relay', price: terms.relayPrice });
  }

  /** Where others can dial it; none before it listens. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  async listen(policy: Policy, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const found: string[] = [];
    for (const { address, publish } of this.#places.listen) {
      const reached = await this.#links.listen([address], signal === undefined ? {} : { signal });
      if (publish) found.push(...reached);
    }
    const all = [...this.#places.announce, ...found];
    if (policy.anonymize) for (const address of all) assertPublishable('--location', address);
    const left = all.slice(MAX_ADDRESSES);
    if (left.length > 0) {
      this.#log.warn(
        { left },
        `an offer has room for ${MAX_ADDRESSES} addresses, so these are not announced; use --announce to choose which ones are`,
      );
    }
    this.#addresses = all.slice(0, MAX_ADDRESSES);
    return this.#addresses;
  }
}

/** Before anything is paid. */
function assertAnnounceable({ reach }: NodeSettings): void {
  const said = reach?.announce.length ?? 0;
  if (said <= MAX_ADDRESSES) return;
  throw new RelaymintError('INVALID_CONFIG', `An offer has room for ${MAX_ADDRESSES} addresses, not for ${said}.`, {
    remedy: 'Give fewer --announce addresses: peers try the first ones first.',
  });
}

/** A node that its operator named and that does not answer is most often a mistake in its address. */
function sayUnreached({ node: { bootstrap }, log }: NodeSettings, links: Pick<LinkManager, 'links'>): void {
  const linked = new Set(links.links().map(({ peer }) => peer));
  const unreached = bootstrap.filter(({ nodeId }) => !linked.has(nodeId));
  if (unreached.length === 0) return;
  log.warn(
    { nodes: unreached.map(({ nodeId, address }) => `${nodeId}@${address}`) },
    'nodes given with --bootstrap do not answer and will be tried again. Check that they are running and that the addresses are right',
  );
}
