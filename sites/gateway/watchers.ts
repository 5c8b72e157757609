/** Pages that follow something as events: so many in all, and so many of one client, that others find room. */
import { RelaymintError } from '../../core/errors.ts';
import { MAX_FEED_WATCHERS, MAX_FEED_WATCHERS_PER_CLIENT } from '../../core/limits.ts';

export class Watchers {
  readonly #ofClient = new Map<string, number>();
  #total = 0;

  /** A place, until it is disposed. @throws RelaymintError LIMIT_EXCEEDED. */
  begin(client: string): Disposable {
    const own = this.#ofClient.get(client) ?? 0;
    if (this.#total >= MAX_FEED_WATCHERS || own >= MAX_FEED_WATCHERS_PER_CLIENT) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'Too many pages follow something here.', {
        remedy: 'Try again in a minute.',
      });
    }
    this.#total += 1;
    this.#ofClient.set(client, own + 1);
    return { [Symbol.dispose]: () => this.#end(client) };
  }

  #end(client: string): void {
    this.#total -= 1;
    const left = (this.#ofClient.get(client) ?? 0) - 1;
    if (left > 0) this.#ofClient.set(client, left);
    else this.#ofClient.delete(client);
  }
}
