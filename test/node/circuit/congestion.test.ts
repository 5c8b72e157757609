/** How much is on its way, over simulated paths: a bottleneck of some speed, some distance, and a queue before it. */
import { describe, expect, it } from 'vitest';
import { CIRCUIT_WINDOW, LEAST_TARGET, STREAM_GRANT } from '../../../core/limits.ts';
import { DelayWindow } from '../../../node/circuit/congestion.ts';

const FRAME = 60 * 1024;
const PING = 1_072;

interface SimulatedPath {
  /** Of the bottleneck. */
  readonly bytesPerSecond: number;
  /** There and back without a queue, milliseconds. */
  readonly baseMillis: number;
  readonly circuits?: number;
  /** What the senders have to send, bytes a second; without a limit when absent. */
  readonly offered?: number;
  /** Whoever answers the first pings holds each back for so long, milliseconds. */
  readonly held?: { readonly pings: number; readonly millis: number };
}

interface Outcome {
  /** What the bottleneck carried in the second half, of what it can. */
  readonly used: number;
  /** Round trips of a small cell in the second half, milliseconds; the median. */
  readonly roundTrip: number;
  readonly targets: readonly number[];
}

/** Circuits that download over the same bottleneck, for that long. */
class Simulation {
  now = 0;
  readonly #events: { readonly at: number; readonly order: number; run(): void }[] = [];
  #order = 0;
  /** When the bottleneck has sent what stands in its queue. */
  #busyUntil = 0;
  carried = 0;
  readonly #path: SimulatedPath;

  constructor(path: SimulatedPath) {
    this.#path = path;
  }

  after(millis: number, run: () => void): void {
    this.#events.push({ at: this.now + millis, order: (this.#order += 1), run });
    this.#events.sort((a, b) => a.at - b.at || a.order - b.order);
  }

  runUntil(end: number): void {
    for (let next = this.#events[0]; next !== undefined && next.at <= end; next = this.#events[0]) {
      this.#events.shift();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  /** Through the queue, then the way to the receiver. */
  send(bytes: number, arrived: () => void): void {
    const { bytesPerSecond, baseMillis } = this.#path;
    this.#busyUntil = Math.max(this.#busyUntil, this.now) + (bytes / bytesPerSecond) * 1000;
    const at = this.#busyUntil + baseMillis / 2;
    this.after(at - this.now, () => {
      this.carried += bytes;
      arrived();
    });
  }

  /** To the sender: nothing is in the way. */
  answer(arrived: () => void): void {
    this.after(this.#path.baseMillis / 2, arrived);
  }

  /** A small cell there and back. */
  ping(done: (millis: number) => void): void {
    const sentAt = this.now;
    this.answer(() => this.send(PING, () => done(this.now - sentAt)));
  }
}

function run(path: SimulatedPath, seconds: number): Outcome {
  const simulation = new Simulation(path);
  const windows = Array.from({ length: path.circuits ?? 1 }, () => new DelayWindow());
  for (const window of windows) {
    let [granted, credit, spare] = [0, 0, path.offered === undefined ? Infinity : 0];
    let pings = 0;
    const measure = (): void => {
      pings += 1;
      const late = pings <= (path.held?.pings ?? 0) ? (path.held?.millis ?? 0) : 0;
      window.began(simulation.now);
      simulation.ping(() => simulation.after(late, () => window.measured(simulation.now)));
    };
    const grant = (): void => {
      const due = window.target - granted;
      if (due < window.target / 4) return;
      granted += due;
      simulation.answer(() => {
        credit += due;
        pump();
      });
    };
    const pump = (): void => {
      while (credit >= Math.min(FRAME, LEAST_TARGET / 2) && spare > 0) {
        const bytes = Math.min(FRAME, credit);
        credit -= bytes;
        spare -= bytes;
        simulation.send(bytes, () => {
          granted -= bytes;
          if (window.arrived(bytes, true, simulation.now)) measure();
          grant();
        });
      }
    };
    const { offered } = path;
    if (offered !== undefined) {
      const more = (): void => {
        spare += offered / 100;
        pump();
        simulation.after(10, more);
      };
      more();
    }
    if (window.expect(STREAM_GRANT)) measure();
    grant();
  }
  simulation.runUntil((seconds * 1000) / 2);
  const before = simulation.carried;
  const clicks: number[] = [];
  const click = (): void => {
    simulation.ping((millis) => clicks.push(millis));
    simulation.after(Math.max(100, (50_000 * PING) / path.bytesPerSecond), click);
  };
  click();
  simulation.runUntil(seconds * 1000);
  return {
    used: (simulation.carried - before) / ((path.bytesPerSecond * seconds) / 2),
    roundTrip: clicks.toSorted((a, b) => a - b)[Math.floor(clicks.length / 2)] ?? Infinity,
    targets: windows.map(({ target }) => target),
  };
}

describe('what is on its way to an end of a circuit', () => {
  it.each([
    { name: 'Tor, slow', bytesPerSecond: 500_000, baseMillis: 600 },
    { name: 'Tor', bytesPerSecond: 4_000_000, baseMillis: 300 },
    { name: 'Tor nearby', bytesPerSecond: 4_000_000, baseMillis: 60 },
    { name: 'the net', bytesPerSecond: 12_000_000, baseMillis: 150 },
    { name: 'a city', bytesPerSecond: 50_000_000, baseMillis: 20 },
  ])('fills the path and keeps a click below three times its time: $name', ({ name: _name, ...path }) => {
    const { used, roundTrip } = run(path, 60);
    expect(roundTrip).toBeLessThan(3 * path.baseMillis);
    // What is granted is at most this much, however far it is.
    const most = CIRCUIT_WINDOW / ((path.bytesPerSecond * path.baseMillis) / 1000);
    expect(used).toBeGreaterThan(0.9 * Math.min(1, most));
  });

  it('answers a ping in time during a slow upload', () => {
    const { used, roundTrip } = run({ bytesPerSecond: 20_000, baseMillis: 400 }, 240);
    expect(roundTrip).toBeLessThan(3_000);
    expect(used).toBeGreaterThan(0.8);
  });

  it.each([
    { name: 'Tor, slow', bytesPerSecond: 500_000, baseMillis: 600, seconds: 120, times: 1.2 },
    { name: 'Tor', bytesPerSecond: 4_000_000, baseMillis: 300, seconds: 120, times: 1.2 },
    { name: 'Tor nearby', bytesPerSecond: 4_000_000, baseMillis: 60, seconds: 120, times: 1.2 },
    { name: 'a modem', bytesPerSecond: 20_000, baseMillis: 400, seconds: 400, times: 2 },
  ])(
    'gives no advantage to an end that holds the first pings back: $name',
    ({ name: _name, seconds, times, ...path }) => {
      const honest = run(path, seconds);
      for (const held of [
        { pings: 1, millis: 1_000 },
        { pings: 1, millis: 10_000 },
        { pings: 4, millis: 1_000 },
      ]) {
        const { used, roundTrip, targets } = run({ ...path, held }, seconds);
        expect(roundTrip).toBeLessThan(times * honest.roundTrip);
        expect(Math.max(...targets)).toBeLessThan(times * Math.max(...honest.targets));
        expect(used).toBeGreaterThan(0.9 * honest.used);
      }
    },
  );

  it('takes over a shorter round trip at once', () => {
    const window = new DelayWindow();
    window.expect(STREAM_GRANT);
    const roundTrip = (from: number, millis: number): void => {
      window.began(from);
      window.arrived(window.target, true, from);
      window.measured(from + millis);
    };
    roundTrip(0, 1_000);
    roundTrip(2_000, 100);
    const before = window.target;
    // Of the first one this would be no queue.
    roundTrip(3_000, 900);
    roundTrip(4_000, 900);
    expect(window.target).toBeLessThan(before / 2);
  });

  it('is shared by circuits over the same bottleneck, and none of them starves', () => {
    const path = { bytesPerSecond: 4_000_000, baseMillis: 300, circuits: 4 };
    const { used, roundTrip, targets } = run(path, 120);
    expect(used).toBeGreaterThan(0.9);
    expect(roundTrip).toBeLessThan(3 * path.baseMillis);
    expect(Math.min(...targets)).toBeGreaterThan(Math.max(...targets) / 10);
  });

  it('is not reduced by a sender that has little to send', () => {
    const { roundTrip, targets } = run({ bytesPerSecond: 4_000_000, baseMillis: 100, offered: 1_000_000 }, 30);
    expect(roundTrip).toBeLessThan(150);
    expect(Math.min(...targets)).toBeGreaterThanOrEqual(STREAM_GRANT);
  });

  it('grows to its limit on a fast path, where a short delay is not a queue', () => {
    const { used } = run({ bytesPerSecond: 150_000_000, baseMillis: 1 }, 5);
    expect(used).toBeGreaterThan(0.95);
  });

  it('sends one ping at a time, and none while only answers come', () => {
    const window = new DelayWindow();
    expect(window.expect(STREAM_GRANT)).toBe(true);
    window.began(0);
    expect(window.expect(STREAM_GRANT)).toBe(false);
    expect(window.arrived(FRAME, true, 5)).toBe(false);
    window.measured(10);
    expect(window.arrived(PING, false, 10_000)).toBe(false);
    expect(window.arrived(FRAME, true, 10_000)).toBe(true);
  });
});
