/** How tor tells, by HS_DESC events, that an onion service can be found. */

/** Descriptors of one service: of the present period and of its neighbour. */
const DESCRIPTORS = 2;

/**
 * Watches one service's descriptors on their way to the directories. Tor publishes two, of this period and of the next, at
 * different moments; visitors ask for either, as their clocks say. The service can be found once some directory has each.
 */
export class Upload {
  /** Never rejects. */
  readonly done: Promise<void>;
  /** What a directory said last that did not take one. */
  failed: string | undefined;
  /** Resolves `done`: by the last event, or by whoever watches the same service from a later moment on. */
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
