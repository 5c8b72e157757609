/** What a node is opened with, and the checks that run before anything is opened or paid. */
import { RelaymintError } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { formatCredits, type Amount, type PricePerMiB } from '../../core/units.ts';
import {
  assertAnonymous,
  hides,
  isLocalAddress,
  type DeclaredPurpose,
  type Location,
  type Phase,
  type Transport,
} from '../../node/transport/index.ts';
import { DEFAULT_SLOTS } from './sections.ts';
import type { LedgerPlace, NodeValues, OutboundValues, PeerValues, ReachValues, TillValues } from './sections.ts';

/** What a role asks of its node. */
export interface NodeTerms {
  /** Price for carrying circuits onward; absent: it relays for nobody. */
  readonly relayPrice?: PricePerMiB;
  /** One MiB at this price is what a stranger may owe (see `relayWindowPrice`); absent: it sells nothing. */
  readonly windowPrice?: PricePerMiB;
  /** Circuits of others may lead into private networks. They may anyway where this node only reaches its own machine. */
  readonly allowPrivateHops?: true | undefined;
  /** The greatest royalty that it pays, basis points. */
  readonly maxRoyaltyBps?: number;
  /** What it pays for one site in an hour. */
  readonly spendLimitSite?: Amount;
  /** Where it listens for visitors: an address of this machine. */
  readonly address?: string;
}

export interface NodeSettings {
  /** Its role's name. */
  readonly role: string;
  readonly label: string;
  readonly dataDir: string;
  readonly node: NodeValues;
  readonly ledger: LedgerPlace;
  readonly outbound: OutboundValues;
  readonly peers: PeerValues;
  /** Undefined: it only dials. */
  readonly reach: ReachValues | undefined;
  /** Undefined: nobody pays it. */
  readonly till: TillValues | undefined;
  readonly terms: NodeTerms;
  /** What its role opens connections for, beside what every node does. */
  readonly purposes: readonly DeclaredPurpose[];
  /** The stake that its till asks of a payer that opens a channel. Default: one MiB's worth at `windowPrice`, as much as a stranger may owe. */
  readonly tillOpening?: Amount;
  /** Counts nothing and charges nothing: what a benchmark compares with. All nodes of a circuit must agree on it. */
  readonly unmetered?: true;
  /** Its own network and clock, instead of TCP, Tor, I2P and the machine's clock: see `createTestnet`. */
  readonly world?: { readonly transports: readonly Transport[]; readonly clock: Clock };
  readonly log: Log;
}

/** Of an onion service: any will do, nobody else has the address. */
export const ONION_PORT = 80;
const DEFAULT_LISTEN = '/ip4/127.0.0.1/tcp/0';

/** The locations to publish: those given, or the safe default of an anonymous node; none: where it listens. */
export function locationsOf({ reach, outbound }: Pick<NodeSettings, 'reach' | 'outbound'>): readonly Location[] {
  if (reach === undefined) return [];
  const said = reach.location.flat();
  if (said.length > 0 || outbound.anonymize === undefined) return said;
  if (reach.announce.length > 0) return [];
  return outbound.anonymize === 'tor' ? [{ kind: 'onion', port: ONION_PORT }] : [{ kind: 'i2p' }];
}

/** A node with given locations listens on TCP only where it is told to. */
export function listensOn(settings: Pick<NodeSettings, 'reach' | 'outbound'>): readonly string[] {
  const { reach } = settings;
  if (reach === undefined || reach.listen.length > 0) return reach?.listen ?? [];
  const dialled = locationsOf(settings).every(({ kind }) => kind === 'hint' || kind === 'unreachable');
  return dialled ? [DEFAULT_LISTEN] : [];
}

/** A node that publishes hidden addresses only would be found by its first direct connection, which any peer may ask for. */
export function phaseOf(settings: Pick<NodeSettings, 'reach' | 'outbound' | 'peers'>): Phase | undefined {
  return settings.peers.phase ?? (hides(locationsOf(settings)) ? 'tor-only' : undefined);
}

/**
 * Checks settings together, before anything is opened.
 * @throws RelaymintError UNSAFE_CONFIG when something else that was asked for would undo --anonymize; INVALID_CONFIG when
 * --onion-client would leave another way in, or one setting forbids what another asks for.
 */
export function assertSafe(
  settings: Pick<NodeSettings, 'reach' | 'outbound' | 'peers'> & {
    readonly ledger?: Pick<LedgerPlace, 'ledger'>;
    readonly terms?: NodeTerms;
    readonly node?: NodeValues;
    readonly till?: TillValues | undefined;
  },
): void {
  const { reach, outbound, peers, ledger, terms } = settings;
  const { anonymize } = outbound;
  if (anonymize !== undefined) {
    assertAnonymous({
      anonymize,
      locations: locationsOf(settings),
      listen: reach?.listen ?? [],
      announce: reach?.announce ?? [],
      ledgerUrl: ledger?.ledger,
      i2p: outbound.i2pSam !== undefined,
      tunnels: outbound.i2pTunnels ?? {},
      phase: peers.phase,
      preferences: peers.prefer.map(([, preference]) => preference),
      loopbackOnly: outbound.loopbackOnly === true,
      gatewayAddress: terms?.address,
    });
  }
  if (reach !== undefined) assertPrivate(reach, locationsOf(settings));
  assertAgree(settings);
}

/** Slots of a new till. */
export function slotsOf(till: TillValues | undefined): number | undefined {
  return till === undefined ? undefined : Math.min(till.slots, till.maxSlots);
}

/** Settings of which one forbids what the other asks for. */
function assertAgree({ node, till }: { readonly node?: NodeValues; readonly till?: TillValues | undefined }): void {
  const { opening, maxOpening } = node ?? {};
  if (opening !== undefined && maxOpening !== undefined && opening > maxOpening) {
    throw new RelaymintError(
      'INVALID_CONFIG',
      `--opening ${formatCredits(opening)} is more than --max-opening ${formatCredits(maxOpening)}.`,
      { remedy: 'Stake less, or allow more.' },
    );
  }
  // Nobody said the default.
  if (till !== undefined && till.slots > till.maxSlots && till.slots !== Number(DEFAULT_SLOTS)) {
    throw new RelaymintError('INVALID_CONFIG', `--slots ${till.slots} is more than --max-slots ${till.maxSlots}.`, {
      remedy: 'Begin with fewer slots, or let the till grow to more.',
    });
  }
}

/** Client keys restrict the onion service of this node, and nothing else. */
function assertPrivate({ onionClient, announce, listen }: ReachValues, locations: readonly Location[]): void {
  if (onionClient.length === 0) return;
  const ways = [
    ...locations
      .filter(({ kind }) => kind !== 'onion' && kind !== 'unreachable')
      .map(({ kind }) => `--location ${kind}`),
    ...announce.map((address) => `--announce ${address}`),
    ...listen.filter((address) => !isLocalAddress(address)).map((address) => `--listen ${address}`),
  ];
  if (ways.length === 0 && locations.some(({ kind }) => kind === 'onion')) return;
  const other = ways[0] ?? 'a node without --location onion:PORT';
  throw new RelaymintError('INVALID_CONFIG', `--onion-client does not restrict ${other}.`, {
    remedy:
      'Use --location onion:PORT and no other address. For a service in your torrc, use the authorized_clients of tor itself.',
  });
}
