/** Clients on paper that live for days: the real pool and its choice of paths, over an endpoint that only plays who refuses. */
import type { NodeId } from '../../core/ids.ts';
import { silentLog, type Clock, type Log } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import { createCircuitPool, openGuards } from '../../node/tunnel/index.ts';
import { priceOf, type SignedOffer } from '../../node/offer/index.ts';
import { endpointOf, storeInMemory, unreachable } from './endpoint.ts';
import { CLIENT, populationOf, type Behaviour, type Population } from './population.ts';
import { seededRandom } from './random.ts';

export interface Simulation {
  readonly relays: number;
  readonly malicious: number;
  /** Relays of a circuit, in front of the host. */
  readonly pathRelays: number;
  readonly clients: number;
  readonly days: number;
  /** Circuits that a client asks for in a day, one after the other. */
  readonly circuitsPerDay: number;
  readonly seed: string;
}

export interface PathsRow {
  readonly name: Behaviour;
  readonly relays: number;
  readonly malicious: number;
  /** Share of the circuits that stood whose first and last relay are malicious, 0 .. 1. */
  readonly bothEnds: number;
  /** How often a client gave up an honest relay, and a malicious one. */
  readonly innocentBlamed: number;
  readonly maliciousBlamed: number;
}

const DAY_MILLIS = 24 * 60 * 60_000;
/** What building or failing takes. */
const BUILD_MILLIS = 2_000;
const BEGINNING = Date.UTC(2026, 0, 1);

export async function simulate(
  name: Behaviour,
  simulation: Simulation,
  onClient: (done: number) => void = () => {},
): Promise<PathsRow> {
  const population = populationOf(name, simulation.relays, simulation.malicious);
  const tally = { stood: 0, bothEnds: 0, innocentBlamed: 0, maliciousBlamed: 0 };
  for (let client = 0; client < simulation.clients; client += 1) {
    const random = seededRandom(`${simulation.seed} ${client}`);
    await live(name, simulation, population, random, tally);
    onClient(client + 1);
  }
  const { relays, malicious } = simulation;
  const { stood, bothEnds, innocentBlamed, maliciousBlamed } = tally;
  return { name, relays, malicious, bothEnds: bothEnds / Math.max(1, stood), innocentBlamed, maliciousBlamed };
}

interface Tally {
  stood: number;
  bothEnds: number;
  innocentBlamed: number;
  maliciousBlamed: number;
}

/** One client, from its first circuit to its last; it is started anew every day and asks for that day's circuits at once. */
async function live(
  name: Behaviour,
  { pathRelays, days, circuitsPerDay }: Simulation,
  { relays, host, malicious }: Population,
  random: () => number,
  tally: Tally,
): Promise<void> {
  let now = BEGINNING;
  const clock: Clock = { now: () => unixMillis(now) };
  const isBad = (offer: SignedOffer | undefined): boolean => offer !== undefined && malicious.has(offer.nodeId);
  const count = (blamed: readonly NodeId[]): void => {
    for (const node of blamed) {
      if (malicious.has(node)) tally.maliciousBlamed += 1;
      else tally.innocentBlamed += 1;
    }
  };
  const endpoint = endpointOf(async (path) => {
    now += BUILD_MILLIS;
    const refusedAt = name === 'refusing' ? refusal(path, pathRelays, isBad) : undefined;
    if (refusedAt !== undefined) throw unreachable(refusedAt);
    tally.stood += 1;
    if (isBad(path[0]) && isBad(path[pathRelays - 1])) tally.bothEnds += 1;
    return undefined;
  });
  const offers = {
    find: (service: string) => [...relays, host].filter((offer) => priceOf(offer, service) !== undefined),
  };
  const store = storeInMemory();
  for (let day = 0; day < days; day += 1) {
    const begun = now;
    const log = logOf(count);
    const guards = await openGuards({ store, nodeId: CLIENT, clock, log, random });
    const pool = createCircuitPool({
      endpoint,
      nodeId: CLIENT,
      guards,
      offers,
      service: 'content',
      settings: { minCircuits: 1, maxCircuits: 1 },
      clock,
      log,
      random,
    });
    // Nothing is built twice for one request: the first one is what this builds.
    await pool.buildTunnels(pathRelays).catch(() => {});
    for (let request = 0; request < circuitsPerDay; request += 1) {
      const circuit = await pool.circuit().catch(() => undefined);
      circuit?.destroy();
      await circuit?.closed;
    }
    await pool.close();
    await guards[Symbol.asyncDispose]();
    now = Math.max(now, begun + DAY_MILLIS);
  }
}

/** The hop that is not reached, when a malicious relay extends to accomplices alone. */
function refusal(
  path: readonly SignedOffer[],
  pathRelays: number,
  isBad: (offer: SignedOffer | undefined) => boolean,
): number | undefined {
  for (let hop = 1; hop < pathRelays; hop += 1) if (isBad(path[hop - 1]) && !isBad(path[hop])) return hop;
  return undefined;
}

/** The guards say whom they give up. */
function logOf(onBlamed: (nodes: readonly NodeId[]) => void): Log {
  const listen = (fields: object): void => {
    if ('blamed' in fields) onBlamed(fields.blamed as readonly NodeId[]);
  };
  return { ...silentLog, info: listen, warn: listen };
}
