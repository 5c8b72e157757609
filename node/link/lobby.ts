/**
 * Inbound connections before their hello. Silence costs a stranger nothing, a first byte little, a TLS handshake a signature: the
 * connection that is least far gives way first, of equals one drawn by lot from the half that has waited longest. So silent
 * connections take no place from a peer that is about to prove its key. In a flood that exceeds the places, a slow peer gets through
 * at some attempt, which it never would if the one that waits longest always gave way (docs/adr/0040).
 */
import { randomInt } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_HANDSHAKES, MAX_HANDSHAKES_PER_SOURCE, MAX_SILENT_CONNECTIONS } from '../../core/limits.ts';

/** 'silent' until the first byte, 'speaking' until the peer proved its key, then 'known'. */
export type Stage = 'silent' | 'speaking' | 'known';
const STAGES: readonly Stage[] = ['silent', 'speaking', 'known'];

export interface LobbyTiming {
  /** To the first byte, milliseconds. */
  readonly firstByte: number;
  /** For each later stage, milliseconds. */
  readonly handshake: number;
}

/** One connection in the lobby. Dispose it once it is a link, or gone. */
export interface Visit extends Disposable {
  /** Aborted with TIMEOUT when a stage takes too long, with LIMIT_EXCEEDED when it gives way. */
  readonly signal: AbortSignal;
  /** It has come so far: the next stage's time begins. */
  enter(stage: Exclude<Stage, 'silent'>): void;
}

export class Lobby {
  readonly #timing: LobbyTiming;
  /** Per stage, those that have waited longest first. */
  readonly #waiting: Readonly<Record<Stage, Set<Waiting>>> = {
    silent: new Set(),
    speaking: new Set(),
    known: new Set(),
  };
  readonly #sources = new Map<string, Set<Waiting>>();
  readonly #lot: (below: number) => number;

  /** `lot` draws a whole number from 0 on, below its argument. */
  constructor(timing: LobbyTiming, lot: (below: number) => number = randomInt) {
    this.#timing = timing;
    this.#lot = lot;
  }

  get size(): number {
    return STAGES.reduce((sum, stage) => sum + this.#waiting[stage].size, 0);
  }

  /** `source` identifies the peer behind all connections that share it; undefined: many peers may share one place, so it does not count. */
  admit(source: string | undefined): Visit {
    const waiting = new Waiting(source, (gone) => this.#forget(gone));
    waiting.allow(this.#timing.firstByte);
    this.#waiting.silent.add(waiting);
    if (source !== undefined) this.#admitFrom(source, waiting);
    if (this.#waiting.silent.size > MAX_SILENT_CONNECTIONS) this.#giveWay('silent');
    return {
      signal: waiting.signal,
      enter: (stage) => this.#enter(waiting, stage),
      [Symbol.dispose]: () => this.#forget(waiting),
    };
  }

  abortAll(reason: RelaymintError): void {
    for (const stage of STAGES) {
      const waiting = Array.from(this.#waiting[stage]);
      for (const each of waiting) each.end(reason);
    }
  }

  #admitFrom(source: string, waiting: Waiting): void {
    const own = this.#sources.get(source) ?? new Set();
    own.add(waiting);
    this.#sources.set(source, own);
    if (own.size <= MAX_HANDSHAKES_PER_SOURCE) return;
    // If all others are further, that is the newcomer itself.
    for (const each of own) {
      if (each.stage !== 'silent') continue;
      each.giveWay();
      return;
    }
  }

  #enter(waiting: Waiting, stage: Stage): void {
    if (!this.#waiting[waiting.stage].delete(waiting)) return;
    waiting.stage = stage;
    waiting.allow(this.#timing.handshake);
    this.#waiting[stage].add(waiting);
    const { speaking, known } = this.#waiting;
    if (known.size > MAX_HANDSHAKES / 2) this.#giveWay('known');
    if (speaking.size + known.size > MAX_HANDSHAKES) this.#giveWay('speaking');
  }

  /** One of the older half: a quick connection is safe, and a slow one has a chance each time. */
  #giveWay(stage: Stage): void {
    const waiting = this.#waiting[stage];
    let before = this.#lot(Math.ceil(waiting.size / 2));
    for (const each of waiting) {
      if (before === 0) {
        each.giveWay();
        return;
      }
      before -= 1;
    }
  }

  #forget(waiting: Waiting): void {
    waiting.rest();
    this.#waiting[waiting.stage].delete(waiting);
    if (waiting.source === undefined) return;
    const own = this.#sources.get(waiting.source);
    own?.delete(waiting);
    if (own?.size === 0) this.#sources.delete(waiting.source);
  }
}

class Waiting {
  readonly source: string | undefined;
  stage: Stage = 'silent';
  readonly #controller = new AbortController();
  readonly #over: (waiting: Waiting) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: string | undefined, over: (waiting: Waiting) => void) {
    this.source = source;
    this.#over = over;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  allow(millis: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.end(
        new RelaymintError('TIMEOUT', `An inbound connection stayed ${this.stage} for longer than ${millis} ms.`),
      );
    }, millis);
  }

  rest(): void {
    clearTimeout(this.#timer);
  }

  giveWay(): void {
    this.end(new RelaymintError('LIMIT_EXCEEDED', 'Too many connections are waiting for their handshake.'));
  }

  end(reason: RelaymintError): void {
    this.#over(this);
    this.#controller.abort(reason);
  }
}
