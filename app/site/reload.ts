/** Reloads the pages of a site that are open in browsers when its folder has changed. */
import { onAbort } from '../../core/abort.ts';
import type { NameHandler } from '../../sites/gateway/index.ts';

const PATH = '/.relaymint/reload';
/** A comment from time to time keeps the connection from being taken for a dead one. */
const BEAT_MILLIS = 20_000;

/** Added to each page: what it shows is the first state that it hears of. */
export const RELOAD_SCRIPT: Buffer = Buffer.from(
  `<script>{let r;new EventSource("${PATH}").onmessage=({data})=>{if(r&&r!==data)location.reload();r=data}}</script>\n`,
);

export class Reload {
  readonly handler: NameHandler;
  readonly #watching = new Map<string, Set<(state: string) => void>>();

  /** `stateOf`: of a site now. */
  constructor(stateOf: (name: string) => string | undefined) {
    this.handler = {
      tld: 'web3',
      path: PATH,
      answer: async ({ name, response, signal }) => {
        response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
        response.setHeader('Content-Type', 'text/event-stream');
        const say = (state: string): void => void response.write(`data: ${state}\n\n`);
        const state = stateOf(name);
        if (state !== undefined) say(state);
        const watching = this.#watching.get(name) ?? new Set();
        this.#watching.set(name, watching.add(say));
        const beat = setInterval(() => response.write(':\n\n'), BEAT_MILLIS);
        try {
          await new Promise<void>((resolve) => {
            onAbort(signal, resolve);
          });
        } finally {
          clearInterval(beat);
          watching.delete(say);
          response.end();
        }
      },
    };
  }

  /** It is another now. */
  changed(name: string, state: string): void {
    for (const say of this.#watching.get(name) ?? []) say(state);
  }
}
