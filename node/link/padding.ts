/**
 * Padding on a silent link: otherwise somebody who watches the connection (a guard's provider, a router on the way)
 * could tell from its records when somebody read. It works as Tor pads its clients' connections: after a random silence in
 * both directions, by either end. Padding frames are as long as the smallest that carry a cell; nobody pays for them.
 */
import { randomInt } from 'node:crypto';
import { SMALLEST_FRAME_BYTES } from '../../core/limits.ts';
import { FRAME_HEADER_BYTES } from './contract.ts';

export const PADDING_BYTES: number = SMALLEST_FRAME_BYTES - FRAME_HEADER_BYTES;

export interface PaddingOptions {
  /** The shortest and the longest silence, milliseconds. */
  readonly least: number;
  readonly most: number;
  /** Sends one frame of padding. */
  readonly send: () => void;
}

export class Padding {
  readonly #options: PaddingOptions;
  /** When something was last sent or received, by performance.now(). */
  #usedAt: number;
  /** Silence before the next padding, milliseconds. */
  #silence: number;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Runs until `stop`. */
  constructor(options: PaddingOptions) {
    this.#options = options;
    this.#usedAt = performance.now();
    this.#silence = this.#draw();
    this.#wait(this.#silence);
  }

  /** Something was sent, or came. */
  used(): void {
    this.#usedAt = performance.now();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Frames do not move the timer: it checks again when it is due. */
  #wait(millis: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#usedAt + this.#silence - performance.now();
      if (left >= 1) {
        this.#wait(left);
        return;
      }
      this.#options.send();
      if (this.#stopped) return;
      this.#silence = this.#draw();
      this.used();
      this.#wait(this.#silence);
    }, millis);
    this.#timer.unref();
  }

  /** The longer of two: short silences are rare, and half of them are longer than seven tenths of the range. */
  #draw(): number {
    const { least, most } = this.#options;
    return Math.max(randomInt(least, most + 1), randomInt(least, most + 1));
  }
}
