/** Reloads the pages of a site that are open in browsers when its folder has changed. */
import type { NameHandler } from '../../sites/gateway/index.ts';

const PATH = '/.relaymint/state';

/**
 * Added to each page: asks each second, while somebody looks at it, which state of the site there is. (A connection that stays open would take
 * one of the six that a browser has for the site.)
 */
export const RELOAD_SCRIPT: Buffer = Buffer.from(
  `<script>{let s;setInterval(async()=>{if(document.hidden)return;try{const t=await(await fetch("${PATH}")).text();if(s&&s!==t)location.reload();s=t}catch{}},1000)}</script>\n`,
);

/** `stateOf`: of a site now. */
export function stateHandler(stateOf: (name: string) => string | undefined): NameHandler {
  return {
    tld: 'web3',
    path: PATH,
    answer: async ({ name, response }) => {
      response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
      response.type('text/plain').send(stateOf(name) ?? '');
      await Promise.resolve();
    },
  };
}
