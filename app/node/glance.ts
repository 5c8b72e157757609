/** The last answer of something slow, for many readers: it is asked now and then, and each reader waits only as long as it wants. */
import { deadline, orAborted } from '../../core/abort.ts';

export interface Seen<T> {
  /** UNIX milliseconds. */
  readonly at: number;
  readonly value: T;
}

export class Glance<T> {
  readonly #read: () => Promise<T>;
  readonly #everyMillis: number;
  #last: Seen<T> | undefined;
  #reading: Promise<T> | undefined;
  #underWay = false;
  #readAt = Number.NEGATIVE_INFINITY;
  /** If readings overtake each other, the one that began last counts. */
  #began = 0;
  #shown = 0;

  /** `read` is asked at most once in `everyMillis` however many want to know, and not while it has not answered. */
  constructor(read: () => Promise<T>, everyMillis: number) {
    this.#read = read;
    this.#everyMillis = everyMillis;
  }

  /** The last reading; undefined: none yet. */
  get last(): Seen<T> | undefined {
    return this.#last;
  }

  /** The last reading, which is as new as that of `now` if the answer comes in time. Never rejects. */
  async within(millis: number): Promise<Seen<T> | undefined> {
    using moment = deadline(millis, 'Reading');
    // The next reader gets the error, or waits for the same answer.
    await orAborted(this.now(), moment.signal, 'Reading').catch(() => {});
    return this.#last;
  }

  /** @throws what `read` throws. */
  async now(): Promise<T> {
    // A hanging source is not asked again and again.
    if (this.#reading === undefined || (!this.#underWay && performance.now() - this.#readAt > this.#everyMillis)) {
      const reading = this.#look();
      this.#reading = reading;
      this.#underWay = true;
      this.#readAt = performance.now();
      const over = (): void => {
        if (this.#reading === reading) this.#underWay = false;
      };
      reading.then(over, () => {
        over();
        if (this.#reading === reading) this.forget();
      });
    }
    return this.#reading;
  }

  /** The next look reads again. */
  forget(): void {
    this.#reading = undefined;
  }

  async #look(): Promise<T> {
    this.#began += 1;
    const began = this.#began;
    const value = await this.#read();
    if (began > this.#shown) {
      this.#shown = began;
      this.#last = { at: Date.now(), value };
    }
    return value;
  }
}
