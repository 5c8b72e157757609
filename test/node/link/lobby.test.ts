import { describe, expect, it } from 'vitest';
import { MAX_HANDSHAKES, MAX_HANDSHAKES_PER_SOURCE, MAX_SILENT_CONNECTIONS } from '../../../core/limits.ts';
import { Lobby, type Visit } from '../../../node/link/lobby.ts';
import { sourceOf } from '../../../node/transport/tcp.ts';

const patient = { firstByte: 60_000, handshake: 60_000 };

/** Ends with the test, whatever it leaves in the lobby. */
class Visits implements Disposable {
  readonly lobby: Lobby;
  readonly #all: Visit[] = [];

  constructor(timing: typeof patient = patient) {
    this.lobby = new Lobby(timing);
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

const stays = ({ signal }: Visit): boolean => !signal.aborted;

describe('the lobby', () => {
  it('whoever spoke stays, however many come and say nothing', () => {
    using visits = new Visits();
    const honest = visits.admit();
    honest.enter('speaking');
    const silent = visits.crowd(2 * MAX_SILENT_CONNECTIONS);
    expect(stays(honest)).toBe(true);
    expect(silent.filter(stays)).toEqual(silent.slice(MAX_SILENT_CONNECTIONS));
    expect(silent[0]?.signal.reason).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(visits.lobby.size).toBe(MAX_SILENT_CONNECTIONS + 1);
  });

  it('whoever spoke first gets in beside those that have proved a key and say no hello', () => {
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

  it('has places for 3.4 s of 300 silent connections a second: a first byte over a slow path comes in time', () => {
    using visits = new Visits();
    const honest = visits.admit();
    visits.crowd(3 * 300);
    expect(stays(honest)).toBe(true);
  });

  it('whoever proved its key stays, however many begin a handshake', () => {
    using visits = new Visits();
    const honest = visits.admit();
    honest.enter('speaking');
    honest.enter('known');
    const halves = visits.crowd(MAX_HANDSHAKES + 20).map((visit) => {
      visit.enter('speaking');
      return visit;
    });
    expect(stays(honest)).toBe(true);
    expect(halves.filter(stays)).toEqual(halves.slice(21));
    expect(visits.lobby.size).toBe(MAX_HANDSHAKES);
  });

  it('one source crowds out itself only, the silent ones first', () => {
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

  it('each stage has a time of its own', async () => {
    using visits = new Visits({ firstByte: 20, handshake: 60_000 });
    const [silent, spoke] = [visits.admit(), visits.admit()];
    spoke.enter('speaking');
    await new Promise((resolve) => silent.signal.addEventListener('abort', resolve));
    expect(silent.signal.reason).toMatchObject({ code: 'TIMEOUT' });
    expect(stays(spoke)).toBe(true);
  });

  it('forgets who left', () => {
    using visits = new Visits();
    for (let i = 0; i < 3 * MAX_SILENT_CONNECTIONS; i += 1) visits.admit('192.0.2.1')[Symbol.dispose]();
    expect(visits.lobby.size).toBe(0);
  });
});

describe('the source of a TCP connection', () => {
  it('is an address, or the /64 of one; this machine is none', () => {
    expect(sourceOf('192.0.2.1')).toBe('192.0.2.1');
    expect(sourceOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(sourceOf('2a01:4f8:1:2:3:4:5:6')).toBe('2a01:4f8:1:2');
    expect(sourceOf('2a01:4f8:1:2::6')).toBe('2a01:4f8:1:2');
    expect(sourceOf('2a01:4f8::6')).toBe('2a01:4f8:0:0');
    expect(sourceOf('fe80::1%eth0')).toBe('fe80:0:0:0');
    for (const none of [undefined, '127.0.0.1', '::1', '::ffff:127.0.0.1']) expect(sourceOf(none)).toBeUndefined();
  });
});
