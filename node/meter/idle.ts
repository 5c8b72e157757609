/** Notices when a link has been without traffic for a while: its debts are paid then. */

/** One timer while there is traffic; frames only set a flag. */
export class IdleWatch {
  readonly #millis: number;
  readonly #onIdle: (again: boolean) => boolean;
  /** Traffic since the timer last looked. */
  #active = false;
  /** What idleness brings was put off once. */
  #waited = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * `onIdle` is called after `millis` without traffic. Where it returns true it is called once more after as long, with `again`: then
   * it is to put nothing off any more.
   */
  constructor(millis: number, onIdle: (again: boolean) => boolean) {
    this.#millis = millis;
    this.#onIdle = onIdle;
  }

  /** A frame went or came. */
  stir(): void {
    this.#active = true;
    this.watch();
  }

  /** Sees that the timer runs. */
  watch(): void {
    if (this.#timer === undefined && !this.#closed) this.#start();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #start(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#active) {
        this.#active = false;
        this.#waited = false;
        this.#start();
      } else if (this.#onIdle(this.#waited)) {
        this.#waited = true;
        this.#start();
      }
    }, this.#millis);
    this.#timer.unref();
  }
}
