/** Questions that strangers make us ask somebody else. What was answered lately is not asked again, and the rest only so often. */
import { TokenBucket } from './rate.ts';

export interface QuestionsOptions {
  /** Asked at once, and answers waited for at once. */
  readonly atOnce: number;
  /** How long each takes to be allowed again, milliseconds. */
  readonly restMillis: number;
  /** Answers that are remembered; the oldest make room. */
  readonly kept: number;
  /** By which the age of an answer is told, milliseconds. */
  readonly now: () => number;
  /** Who has to wait for nobody else's questions: each has as many of its own. */
  readonly lanes?: readonly string[];
}

export interface Answered<T> {
  readonly answer: T;
  /** When it was asked for. */
  readonly askedAt: number;
}

interface Lane {
  readonly bucket: TokenBucket;
  waiting: number;
}

const ONLY = '';

export class Questions<T> {
  readonly #options: QuestionsOptions;
  readonly #lanes: ReadonlyMap<string, Lane>;
  /** Oldest first. */
  readonly #answers = new Map<string, Answered<T>>();
  readonly #asking = new Map<string, Promise<T>>();

  constructor(options: QuestionsOptions) {
    this.#options = options;
    const { atOnce, restMillis, lanes = [ONLY] } = options;
    const bucket = (): TokenBucket => new TokenBucket(1000 / restMillis, () => performance.now(), atOnce);
    this.#lanes = new Map(lanes.map((lane) => [lane, { bucket: bucket(), waiting: 0 }]));
  }

  /** What was answered last, if it was asked for within that time. */
  known(about: string, withinMillis: number): Answered<T> | undefined {
    const last = this.#answers.get(about);
    if (last === undefined) return undefined;
    // A clock that was set back says nothing.
    const age = this.#options.now() - last.askedAt;
    return age >= 0 && age < withinMillis ? last : undefined;
  }

  /** Who asks while it is being asked gets the same answer. undefined: too much is asked now. Rejects as the question does. */
  ask(about: string, question: () => Promise<T>, lane: string = ONLY): Promise<T> | undefined {
    const asking = this.#asking.get(about);
    if (asking !== undefined) return asking;
    const mine = this.#lanes.get(lane);
    if (mine === undefined) throw new TypeError(`there is no lane ${lane}`);
    if (mine.waiting >= this.#options.atOnce || !mine.bucket.take()) return undefined;
    mine.waiting += 1;
    const answer = this.#answer(about, question).finally(() => {
      mine.waiting -= 1;
      this.#asking.delete(about);
    });
    this.#asking.set(about, answer);
    return answer;
  }

  async #answer(about: string, question: () => Promise<T>): Promise<T> {
    const askedAt = this.#options.now();
    const answer = await question();
    this.#answers.delete(about);
    this.#answers.set(about, { answer, askedAt });
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > this.#options.kept && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }
}
