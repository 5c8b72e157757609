/** Updates and threads as a gateway sees them: each topic is followed once, for all pages of one site that show it. */
import { LRUCache } from 'lru-cache';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_FEED_VIEWS, MAX_SEEN_FEEDS, MAX_SEEN_REMOVALS } from '../../core/limits.ts';
import { FOLLOWING, Followed } from './followed.ts';
import type { FeedSourceOptions, FeedView, FeedWanted, Seen } from './wanted.ts';

export interface FeedSource extends AsyncDisposable {
  /** @throws RelaymintError LIMIT_EXCEEDED. */
  open(wanted: FeedWanted): FeedView;
}

export function createFeedSource(options: FeedSourceOptions): FeedSource {
  return new Feeds(options);
}

class Feeds implements FeedSource {
  readonly #options: FeedSourceOptions;
  readonly #views = new Map<string, Followed>();
  readonly #seen: Seen = {
    updates: new LRUCache({ max: MAX_SEEN_FEEDS }),
    removals: new LRUCache({ max: MAX_SEEN_REMOVALS }),
  };
  readonly #closing = new AbortController();

  constructor(options: FeedSourceOptions) {
    this.#options = options;
  }

  open(wanted: FeedWanted): FeedView {
    assertNotAborted(this.#closing.signal, FOLLOWING);
    const key = [wanted.name, wanted.topic, wanted.referrer ?? ''].join(' ');
    let followed = this.#views.get(key);
    // One that nobody followed any more is about to end.
    if (followed === undefined || followed.isStopped) {
      if (!this.#hasRoomFor(wanted)) {
        throw new RelaymintError('LIMIT_EXCEEDED', 'This gateway follows as many feeds as it can.', {
          remedy: 'Try again in a minute.',
        });
      }
      const mine = new Followed(wanted, this.#options, this.#seen);
      const gone = (): void => {
        if (this.#views.get(key) === mine) this.#views.delete(key);
      };
      mine.ended.then(gone, gone);
      this.#views.set(key, mine);
      followed = mine;
    }
    return followed.open();
  }

  /** One that nobody looks at any more makes way; one site has a quarter of them at most. */
  #hasRoomFor({ name, referrer = name }: FeedWanted): boolean {
    const views = Array.from(this.#views.values());
    const own = views.filter(({ payer, isIdle }) => payer === referrer && !isIdle).length;
    if (own >= MAX_FEED_VIEWS / 4) return false;
    if (views.filter(({ isStopped }) => !isStopped).length < MAX_FEED_VIEWS) return true;
    const idle = views.find(({ isIdle, isStopped }) => isIdle && !isStopped);
    idle?.stop();
    return idle !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new RelaymintError('CLOSED', 'The gateway is stopping.'));
    await Promise.all(
      [...this.#views.values()].map((view) => {
        view.stop();
        return view.ended;
      }),
    );
  }
}
