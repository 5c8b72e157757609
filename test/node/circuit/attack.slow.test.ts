/** The pool, tried by relays that make circuits fail until one suits them. Their circuits are played, the choice is the real one. */
import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../core/ids.ts';
import { silentLog, type Clock } from '../../../core/ports.ts';
import { unixMillis } from '../../../core/units.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { createCircuitPool, createGuards, type Guards } from '../../../node/tunnel/index.ts';
import { priceOf, type SignedOffer } from '../../../node/offer/index.ts';
import { endpointOf, unreachable } from '../../../bench/paths/endpoint.ts';
import { populationOf } from '../../../bench/paths/population.ts';
import { seededRandom } from '../../../bench/paths/random.ts';

const { relays, host, malicious } = populationOf('honest', 20, 4);
const SELF = populationOf('honest', 5000, 0).host.nodeId;
const isBad = (offer: SignedOffer | undefined): boolean => offer !== undefined && malicious.has(offer.nodeId);

type Answer = RelaymintError | undefined;
/** What a circuit over this path fails with, or is lost with. */
type Play = (
  path: readonly SignedOffer[],
  isGuardBad: boolean,
) => { readonly refused?: Answer; readonly lost?: Answer };

interface Seen {
  stood: number;
  bothEnds: number;
  attempts: number;
  guards: Set<NodeId>;
  firsts: NodeId[];
}

/** One client, `requests` circuits one after the other; its first guard is malicious or not. */
async function client(
  play: Play,
  { relayCount, requests, seed, bad }: { relayCount: number; requests: number; seed: string; bad: boolean },
): Promise<Seen> {
  const random = seededRandom(seed);
  let now = Date.UTC(2026, 0, 1);
  const clock: Clock = { now: () => unixMillis(now) };
  const offers = {
    find: (service: string) => [...relays, host].filter((offer) => priceOf(offer, service) !== undefined),
  };
  const guards: Guards = createGuards({ nodeId: SELF, clock, random });
  // The first guard is drawn from those, the others from all.
  guards.order(
    { find: () => [relays.filter((relay) => isBad(relay) === bad)[0] as SignedOffer] },
    (1n << 40n) as never,
  );
  const seen: Seen = { stood: 0, bothEnds: 0, attempts: 0, guards: new Set(), firsts: [] };
  const endpoint = endpointOf(async (path) => {
    now += 3_000;
    seen.attempts += 1;
    seen.firsts.push(path[0]?.nodeId as NodeId);
    const { refused, lost } = play(path, isBad(path[0]));
    if (refused !== undefined) throw refused;
    if (lost !== undefined) return lost;
    seen.stood += 1;
    seen.guards.add(path[0]?.nodeId as NodeId);
    if (isBad(path[0]) && isBad(path[relayCount - 1])) seen.bothEnds += 1;
    return undefined;
  });
  await using pool = createCircuitPool({
    endpoint,
    nodeId: SELF,
    offers,
    guards,
    service: 'content',
    target: host.nodeId,
    settings: { minCircuits: 1, maxCircuits: 1 },
    clock,
    log: silentLog,
    random,
  });
  await pool.buildTunnels(relayCount).catch(() => {});
  for (let request = 0; request < requests; request += 1) {
    const circuit = await pool.circuit().catch(() => undefined);
    circuit?.destroy();
    await circuit?.closed;
    now += 1_000;
  }
  return seen;
}

/** Share of the circuits that stood with malicious ends, over clients of which a fifth have a malicious first guard. */
async function share(play: Play, relayCount: number): Promise<number> {
  let [stood, bothEnds] = [0, 0];
  for (let index = 0; index < 60; index += 1) {
    const seen = await client(play, {
      relayCount,
      requests: 120,
      seed: `share ${relayCount} ${index}`,
      bad: index % 5 === 0,
    });
    stood += seen.stood;
    bothEnds += seen.bothEnds;
  }
  return bothEnds / stood;
}

function refusalOf(path: readonly SignedOffer[], relayCount: number): number | undefined {
  for (let hop = 1; hop < relayCount; hop += 1) if (isBad(path[hop - 1]) && !isBad(path[hop])) return hop;
  return undefined;
}

const setup = (hop: number): RelaymintError =>
  new RelaymintError('CIRCUIT_REFUSED', 'It opens no channel.', { details: { reason: 'SETUP', hop } });
const gone = new RelaymintError('CIRCUIT_DESTROYED', 'It is gone.', { details: { reason: 'LINK_LOST' } });

describe('relays that make circuits fail', () => {
  /** A fifth of the guards, 3 of the 19 others. */
  const HONEST = 0.2 * (3 / 19);

  it.each([
    [2, 'is not reached', unreachable],
    [3, 'is not reached', unreachable],
    [2, 'needs a channel', setup],
    [3, 'needs a channel', setup],
  ])('over %i relays, by saying that the next hop %s, gain nothing', async (relayCount, _what, error) => {
    const play: Play = (path) => {
      const at = refusalOf(path, relayCount);
      return at === undefined ? {} : { refused: error(at) };
    };
    expect(await share(play, relayCount)).toBeLessThan(1.2 * HONEST);
  });

  it('once they see that the end is honest, gain little: the same end is drawn again', async () => {
    // The guard waits for the third hop, which an accomplice would recognize, and lets go of all others.
    const play: Play = (path, isGuardBad) => (isGuardBad && !isBad(path[2]) ? { refused: unreachable(2) } : {});
    expect(await share(play, 3)).toBeLessThan(1.2 * HONEST);
  });

  it('gain nothing by ending circuits that stood', async () => {
    const play: Play = (path, isGuardBad) => (isGuardBad && !isBad(path[2]) ? { lost: gone } : {});
    expect(await share(play, 3)).toBeLessThan(1.2 * HONEST);
  });

  it('are asked a limited number of times for one circuit', async () => {
    const all: Play = () => ({ refused: unreachable(1) });
    const seen = await client(all, { relayCount: 3, requests: 10, seed: 'bound', bad: true });
    // buildTunnels and ten requests, four each.
    expect(seen.attempts).toBeLessThanOrEqual(44);
  });

  it('behind an honest guard do not make a client leave it', async () => {
    const play: Play = (path) => {
      for (let hop = 1; hop < 3; hop += 1) if (isBad(path[hop])) return { refused: unreachable(hop) };
      return {};
    };
    for (let index = 0; index < 40; index += 1) {
      const seen = await client(play, { relayCount: 3, requests: 150, seed: `framed ${index}`, bad: false });
      expect(new Set(seen.firsts).size).toBe(1);
    }
  });

  it('as a host that refuses everybody do not make a client leave its guard', async () => {
    const refusing: Play = () => ({ refused: unreachable(3) });
    const dear: Play = () => ({ refused: setup(3) });
    const ending: Play = () => ({ lost: gone });
    for (const play of [refusing, dear, ending]) {
      const seen = await client(play, { relayCount: 3, requests: 400, seed: 'host', bad: false });
      expect(seen.attempts).toBeGreaterThan(20);
      expect(new Set(seen.firsts).size).toBe(1);
    }
  });
});
