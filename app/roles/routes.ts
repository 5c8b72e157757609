/** Chooses hosts for a site and keeps circuits to them: what the gateway's content source asks for. */
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_VISIT_HOSTS } from '../../core/limits.ts';
import type { Budget } from '../../ledger/budget/index.ts';
import { CONTENT_SERVICE } from '../../sites/blocks/index.ts';
import type { ContentRoute, ContentSourceOptions, HostTerms, Site } from '../../sites/serve/index.ts';
import { priceOf, type SignedOffer } from '../../node/offer/index.ts';
import { TokenBucket } from '../../core/rate.ts';
import { assertNotAborted, deadline } from '../../core/abort.ts';
import { isAnonymizing } from '../../node/transport/index.ts';
import { awaitHosts, type HostsAwaited } from './awaited-hosts.ts';
import { HostPools } from './host-pools.ts';
import { SiteHosts } from './hosts.ts';
import { SiteStreams } from './site-streams.ts';
import { SiteUsage, type Charge } from './site-usage.ts';
import type { NodeValues } from '../config/index.ts';
import type { RunningNode } from '../node/index.ts';
import { staggered } from './staggered.ts';
import { createCircuitPool, type CircuitPoolSettings } from '../../node/tunnel/index.ts';

/** Whose content is wanted, and in whose page. */
export type RouteWanted = Pick<Site, 'name' | 'referrer'>;

export interface Routes extends AsyncDisposable {
  readonly route: (site: RouteWanted, options: Parameters<ContentSourceOptions['route']>[1]) => Promise<ContentRoute>;
  /** A host failed to deliver this name: it is asked later, or not again. */
  readonly failed: (host: NodeId, error: RelaymintError, name: string) => void;
  /** A host delivered a block of this name. */
  readonly delivered: (host: NodeId, name: string) => void;
  /** Ready circuits over all hosts. */
  readonly circuits: number;
}

/** What routes need of a node. */
export interface RoutesNode extends Pick<RunningNode, 'circuits' | 'guards'> {
  readonly discovery: Pick<RunningNode['discovery'], 'book' | 'refresh'>;
  readonly keys: { readonly identity: Pick<RunningNode['keys']['identity'], 'nodeId'> };
  readonly settings: Pick<RunningNode['settings'], 'log'> & { readonly node: Pick<NodeValues, 'maxPrice'> };
  readonly budget: Pick<Budget, 'reserveSite' | 'requireStarted' | 'onStop'>;
}

export interface RoutesOptions {
  readonly node: RoutesNode;
  /** Paid relays in front of the host, 0 .. MAX_RELAYS. */
  readonly relays: number;
  readonly pool?: CircuitPoolSettings;
  /** How long a circuit to one host is waited for until one to the next host is begun as well, milliseconds. */
  readonly staggerMillis?: number;
  /** How long a visitor waits for a first host while none at all is known, and how often is asked meanwhile, milliseconds. */
  readonly noHosts?: HostsAwaited;
  /** Told of what each site is charged. */
  readonly onCharge?: (charge: Charge) => void;
}

/**
 * How long a circuit to one host is waited for until one to the next is begun as well, milliseconds: several times what an honest one
 * takes, so that who is asked is decided by the weights and not by who is fastest. The second for hosts with hidden addresses only.
 */
const STAGGER_MILLIS = 10_000;
const STAGGER_HIDDEN_MILLIS = 30_000;
/**
 * Rounds of questions for offers because nobody is known who keeps a site: at once, and how long each takes to be allowed again,
 * milliseconds. Peers tell a whole book of offers only so often (OFFER_BYTES_PER_SECOND).
 */
const ROUNDS_AT_ONCE = 4;
const ROUND_REST_MILLIS = 15_000;
/** How long a visitor waits for such a round, milliseconds: a peer that does not answer must leave time for the hosts. */
const ROUND_WAIT_MILLIS = 30_000;

const ASKING = 'Asking for offers';

export function createRoutes(options: RoutesOptions): Routes {
  const { node, relays } = options;
  const { book } = node.discovery;
  const { log } = node.settings;
  const known = new SiteHosts(book);
  const pools = new HostPools(
    (target) =>
      createCircuitPool({
        endpoint: node.circuits,
        nodeId: node.keys.identity.nodeId,
        offers: book,
        guards: node.guards,
        service: CONTENT_SERVICE,
        target,
        ...(node.settings.node.maxPrice === undefined ? {} : { maxPrice: node.settings.node.maxPrice }),
        ...(options.pool === undefined ? {} : { settings: options.pool }),
        onAway: () => known.unreached(target),
        log,
      }),
    log,
  );

  const rounds = new TokenBucket(1000 / ROUND_REST_MILLIS, () => performance.now(), ROUNDS_AT_ONCE);
  /** For all who wait. */
  const someHost = awaitHosts(node.discovery, () => book.find(CONTENT_SERVICE).length > 0, options.noHosts);
  /** Nobody else is told what a visitor asks for. */
  const hostsOf = async (name: string, avoid: ReadonlySet<NodeId>, signal: AbortSignal): Promise<readonly NodeId[]> => {
    const keepers = (): NodeId[] =>
      known
        .thatKeep(name)
        .filter((host) => !avoid.has(host))
        .slice(0, MAX_VISIT_HOSTS);
    const hosts = keepers();
    if (hosts.length > 0) return hosts;
    // It may have been published since we last asked for offers; that question names no site, and others may wait for its answers.
    if (rounds.take()) {
      using limit = deadline(ROUND_WAIT_MILLIS, ASKING, signal);
      await node.discovery.refresh(limit.signal).catch(() => assertNotAborted(signal, ASKING));
    }
    await someHost(signal);
    const now = keepers();
    return now.length > 0 ? now : known.thatMayKeep(name, avoid);
  };
  const staggerOf = (host: NodeId): number => {
    const addresses = book.get(host)?.addresses ?? [];
    const isHidden = addresses.length > 0 && addresses.every((address) => isAnonymizing(address));
    return options.staggerMillis ?? (isHidden ? STAGGER_HIDDEN_MILLIS : STAGGER_MILLIS);
  };
  const usage = new SiteUsage(node.budget, options.onCharge);
  const streams = new SiteStreams(node.budget);

  /** A circuit to that host, for which the site pays in whose page it is shown. It tells the host nothing yet of what is wanted. */
  const routeTo = (host: NodeId, { name, referrer }: RouteWanted, signal: AbortSignal): Promise<ContentRoute> =>
    pools.use(host, async (pool) => {
      await pool.buildTunnels(relays, { signal });
      const circuit = await pool.circuit({ signal });
      known.reached(host);
      const prices = pool.pricesOf(circuit);
      // What a page embeds comes out of that page's budget: otherwise it could spend those of a thousand others.
      const payer = referrer ?? name;
      const terms = termsOf(book.get(host));
      return {
        host,
        get isOpen() {
          return circuit.isOpen && circuit.acceptsStreams;
        },
        openStream: (service, params, streamOptions) =>
          streams.open(payer, () => circuit.openStream(service, params, streamOptions)),
        ...(prices === undefined ? {} : { begin: () => usage.begin({ payer, name, prices }, circuit) }),
        ...(terms && { terms }),
      };
    });

  return {
    get circuits() {
      return pools.ready;
    },
    async route(site, { avoid, signal }): Promise<ContentRoute> {
      const { name } = site;
      // Before a circuit is paid for.
      node.budget.requireStarted(site.referrer ?? name);
      const hosts = await hostsOf(name, avoid, signal);
      if (hosts.length === 0) throw noRoute(`No known host keeps ${name}, except those that already failed.`);
      try {
        return await staggered(hosts, (host, ends) => routeTo(host, site, ends), { millis: staggerOf, signal });
      } catch (error) {
        assertNotAborted(signal, `Looking for a way to ${name}`);
        if (isRelaymintError(error, 'BUDGET_EXHAUSTED', 'BUDGET_STOPPED', 'PRICE_TOO_HIGH') || isTooDear(error))
          throw error;
        throw noRoute(`No way to ${name}: ${messageOf(error)}`, error);
      }
    },
    failed: (host, error, name) => known.failed(host, name, error),
    delivered: (host, name) => known.delivered(host, name),
    [Symbol.asyncDispose]: async () => {
      streams[Symbol.dispose]();
      await pools[Symbol.asyncDispose]();
    },
  };
}

/** What a host says of itself that it has to say in its statements too. */
function termsOf(offer: SignedOffer | undefined): HostTerms | undefined {
  const price = offer && priceOf(offer, CONTENT_SERVICE);
  return offer && price !== undefined ? { host: offer.nodeId, wallet: offer.wallet, price } : undefined;
}

function noRoute(message: string, cause?: unknown): RelaymintError {
  return new RelaymintError('NO_ROUTE', message, {
    remedy: 'Try again shortly. If it still fails, check --bootstrap and that enough relays are running.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Paths were known, and each cost more than is allowed. */
function isTooDear(error: unknown): error is RelaymintError {
  return isRelaymintError(error, 'NO_ROUTE') && error.details['limit'] !== undefined;
}
