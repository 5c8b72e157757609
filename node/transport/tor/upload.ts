/** How tor tells, by HS_DESC events, that an onion service can be found. */

/** Descriptors of one service: of the present period and of its neighbour. */
const DESCRIPTORS = 2;

/**
 * Watches one service's descriptors on their way to the directories. Tor publishes two, for this period and for the next, at
 * different times; visitors ask for one or the other, depending on their clocks. The service can be found once some directory has each.
 */
export class Upload {
  /** Never rejects. */
  readonly done: Promise<void>;
  /** The last reason with which a directory refused one. */
  failed: string | undefined;
  /** Resolves `done`: called on the last event, or by a later watch of the same service. */
  finish: () => void = () => {};
  readonly #asked = new Map<string, string[]>();
  readonly #taken = new Map<string, number>();
  readonly #held = new Set<string>();

  constructor() {
    this.done = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  onEvent(action: string, directory: string, descriptor: string, reason: string | undefined): void {
    const asked = this.#asked.get(directory) ?? [];
    if (action === 'UPLOAD') this.#asked.set(directory, [...asked, descriptor]);
    if (action === 'FAILED') {
      this.failed = reason;
      const others = asked.filter((other) => other !== descriptor);
      this.#asked.set(directory, others);
    }
    if (action !== 'UPLOADED') return;
    // The event does not say which one was taken: once a directory has taken all that it was asked to, it is known.
    const taken = (this.#taken.get(directory) ?? 0) + 1;
    this.#taken.set(directory, taken);
    if (taken < asked.length) return;
    for (const held of asked) this.#held.add(held);
    if (this.#held.size >= DESCRIPTORS) this.finish();
  }
}
