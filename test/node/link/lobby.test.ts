import { describe, expect, it } from 'vitest';
import { MAX_HANDSHAKES, MAX_HANDSHAKES_PER_SOURCE, MAX_SILENT_CONNECTIONS } from '../../../core/limits.ts';
import { Lobby, type Stage, type Visit } from '../../../node/link/lobby.ts';
import { sourceOf } from '../../../node/transport/tcp.ts';

const patient = { firstByte: 60_000, handshake: 60_000 };

/** Ends with the test, whatever it leaves in the lobby. */
class Visits implements Disposable {
  readonly lobby: Lobby;
  readonly #all: Visit[] = [];

  constructor(timing: typeof patient = patient, lot?: (below: number) => number) {
    this.lobby = new Lobby(timing, lot);
  }

  admit(source?: string): Visit {
    const visit = this.lobby.admit(source);
    this.#all.push(visit);
    return visit;
  }

  crowd(count: number, source?: string): Visit[] {
    return Array.from({ length: count }, () => this.admit(source));
  }

  [Symbol.dispose](): void {
    for (const visit of this.#all) visit[Symbol.dispose]();
  }
}

/** So many that come as far as that, and no further. */
function comeTo(visits: Visits, stage: Stage, count: number): Visit[] {
  return visits.crowd(count).map((visit) => {
    if (stage !== 'silent') visit.enter('speaking');
    if (stage === 'known') visit.enter('known');
    return visit;
  });
}

/** Chance that is the same each time. */
function lots(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const stays = ({ signal }: Visit): boolean => !signal.aborted;

describe('the lobby', () => {
  it('keeps a peer that spoke, however many come and say nothing', () => {
    using visits = new Visits();
    const honest = visits.admit();
    honest.enter('speaking');
    const silent = visits.crowd(2 * MAX_SILENT_CONNECTIONS);
    expect(stays(honest)).toBe(true);
    const gone = silent.find((visit) => !stays(visit));
    expect(gone?.signal.reason).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(visits.lobby.size).toBe(MAX_SILENT_CONNECTIONS + 1);
  });

  it('lets in a peer that spoke first beside those that have proved a key and say no hello', () => {
    using visits = new Visits();
    for (const each of visits.crowd(MAX_HANDSHAKES)) {
      each.enter('speaking');
      each.enter('known');
    }
    const honest = visits.crowd(MAX_HANDSHAKES_PER_SOURCE, '192.0.2.9');
    for (const each of honest) each.enter('speaking');
    expect(honest.filter(stays)).toHaveLength(MAX_HANDSHAKES_PER_SOURCE);
    for (const each of honest) each.enter('known');
    expect(honest.filter(stays)).toHaveLength(MAX_HANDSHAKES_PER_SOURCE);
  });

  it.each([
    { stage: 'silent', perSecond: 300, millis: 3_000 },
    { stage: 'speaking', perSecond: 300, millis: 1_700 },
    { stage: 'speaking', perSecond: 150, millis: 3_000 },
    { stage: 'known', perSecond: 150, millis: 1_700 },
  ] as const)('is safe for $millis ms while $perSecond a second are $stage', ({ stage, perSecond, millis }) => {
    using visits = new Visits();
    const come = (count: number): Visit[] => comeTo(visits, stage, count);
    come(MAX_SILENT_CONNECTIONS);
    const [honest] = come(1) as [Visit];
    come((perSecond * millis) / 1000);
    expect(stays(honest)).toBe(true);
  });

  it.each([
    { stage: 'silent', perSecond: 800, attempts: 8 },
    { stage: 'speaking', perSecond: 400, attempts: 8 },
    { stage: 'known', perSecond: 200, attempts: 8 },
  ] as const)(
    'a peer that takes 3 s among $perSecond a second that are $stage gets through within $attempts attempts',
    ({ stage, perSecond, attempts }) => {
      let through = 0;
      const peers = 5;
      for (let peer = 0; peer < peers; peer += 1) {
        using visits = new Visits(patient, lots(peer + 1));
        comeTo(visits, stage, MAX_SILENT_CONNECTIONS);
        for (let attempt = 0; attempt < attempts; attempt += 1) {
          const [honest] = comeTo(visits, stage, 1) as [Visit];
          comeTo(visits, stage, 3 * perSecond);
          if (!stays(honest)) continue;
          through += 1;
          break;
        }
      }
      expect(through).toBeGreaterThanOrEqual(4);
    },
    20_000,
  );

  it('keeps a peer that proved its key, however many begin a handshake', () => {
    using visits = new Visits();
    const honest = visits.admit();
    honest.enter('speaking');
    honest.enter('known');
    const halves = visits.crowd(MAX_HANDSHAKES + 20).map((visit) => {
      visit.enter('speaking');
      return visit;
    });
    expect(stays(honest)).toBe(true);
    // The younger half is safe.
    const young = halves.slice(-MAX_HANDSHAKES / 2);
    expect(young.filter(stays)).toEqual(young);
    expect(visits.lobby.size).toBe(MAX_HANDSHAKES);
  });

  it('lets one source crowd out only itself, silent connections first', () => {
    using visits = new Visits();
    const others = visits.crowd(5, '192.0.2.2');
    const spoke = visits.admit('192.0.2.1');
    spoke.enter('speaking');
    const silent = visits.crowd(4 * MAX_HANDSHAKES_PER_SOURCE, '192.0.2.1');
    expect([...others, spoke].every(stays)).toBe(true);
    expect(silent.filter(stays)).toEqual(silent.slice(1 - MAX_HANDSHAKES_PER_SOURCE));
    for (const visit of silent) if (stays(visit)) visit.enter('speaking');
    expect(stays(visits.admit('192.0.2.1'))).toBe(false);
    spoke[Symbol.dispose]();
    expect(stays(visits.admit('192.0.2.1'))).toBe(true);
    expect(stays(visits.admit('192.0.2.3'))).toBe(true);
  });

  it('gives each stage its own time', async () => {
    using visits = new Visits({ firstByte: 20, handshake: 60_000 });
    const [silent, spoke] = [visits.admit(), visits.admit()];
    spoke.enter('speaking');
    await new Promise((resolve) => silent.signal.addEventListener('abort', resolve));
    expect(silent.signal.reason).toMatchObject({ code: 'TIMEOUT' });
    expect(stays(spoke)).toBe(true);
  });

  it('forgets connections that left', () => {
    using visits = new Visits();
    for (let i = 0; i < 3 * MAX_SILENT_CONNECTIONS; i += 1) visits.admit('192.0.2.1')[Symbol.dispose]();
    expect(visits.lobby.size).toBe(0);
  });
});

describe('the source of a TCP connection', () => {
  it('is an address, or its /64; this machine has none', () => {
    expect(sourceOf('192.0.2.1')).toBe('192.0.2.1');
    expect(sourceOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(sourceOf('2a01:4f8:1:2:3:4:5:6')).toBe('2a01:4f8:1:2');
    expect(sourceOf('2a01:4f8:1:2::6')).toBe('2a01:4f8:1:2');
    expect(sourceOf('2a01:4f8::6')).toBe('2a01:4f8:0:0');
    expect(sourceOf('fe80::1%eth0')).toBe('fe80:0:0:0');
    // Of a translator for a node that has IPv6 only: each is somebody else.
    expect(sourceOf('64:ff9b::c000:201')).toBe('192.0.2.1');
    expect(sourceOf('64:ff9b::192.0.2.1')).toBe('192.0.2.1');
    expect(sourceOf('64:ff9b::808:808')).toBe('8.8.8.8');
    expect(sourceOf('64:ff9b:1::808:808')).toBe('64:ff9b:1:0');
    for (const none of [undefined, '127.0.0.1', '::1', '::ffff:127.0.0.1']) expect(sourceOf(none)).toBeUndefined();
  });
});
