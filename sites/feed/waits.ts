/** Who waits at a host for something new: so many at once, and where all places are taken, whichever circuit has the most gives one up. */
import { RelaymintError } from '../../core/errors.ts';

interface Wait {
  readonly end: () => void;
}

export class Waits {
  readonly #most: number;
  /** Of each circuit, the oldest first. */
  readonly #ofCircuit = new Map<object, Set<Wait>>();
  #total = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * A place, until it is disposed.
   * @param end called when another circuit gets this place. @throws RelaymintError LIMIT_EXCEEDED: others have no more than this circuit.
   */
  begin(circuit: object, end: () => void): Disposable {
    if (this.#total >= this.#most) this.#makeRoom(circuit);
    const wait: Wait = { end };
    const own = this.#ofCircuit.get(circuit) ?? new Set();
    this.#ofCircuit.set(circuit, own.add(wait));
    this.#total += 1;
    return { [Symbol.dispose]: () => this.#remove(circuit, wait) };
  }

  #makeRoom(circuit: object): void {
    let [busiest, most] = [circuit, this.#ofCircuit.get(circuit)?.size ?? 0];
    // One more than what the newcomer will have: no place goes back and forth.
    most += 1;
    for (const [each, { size }] of this.#ofCircuit) if (size > most) [busiest, most] = [each, size];
    const [oldest] = (busiest === circuit ? undefined : this.#ofCircuit.get(busiest)) ?? [];
    if (oldest === undefined) throw tooManyWait();
    this.#remove(busiest, oldest);
    oldest.end();
  }

  #remove(circuit: object, wait: Wait): void {
    const own = this.#ofCircuit.get(circuit);
    if (own?.delete(wait) !== true) return;
    this.#total -= 1;
    if (own.size === 0) this.#ofCircuit.delete(circuit);
  }
}

export function tooManyWait(): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', 'Too many wait here for something new.', {
    remedy: 'Ask another host.',
  });
}
