/** Reloads the pages of a site that are open in browsers when its folder has changed. */
import { createHash } from 'node:crypto';
import { TLDS } from '../../core/name.ts';
import type { Appendix, NameHandler } from '../../sites/gateway/index.ts';
import { admitting } from './policy.ts';

const STATE = '/.relaymint/state';
const SCRIPT = '/.relaymint/reload.js';

/**
 * Asks each second, while somebody looks at the page, which state of the site there is. (A connection that stays open would take one of the six
 * that a browser has for the site.)
 */
const CODE = `{let s;setInterval(async()=>{if(document.hidden)return;try{const t=await(await fetch("${STATE}")).text();if(s&&s!==t)location.reload();s=t}catch{}},1000)}\n`;
const HASH = `sha256-${createHash('sha256').update(CODE).digest('base64')}`;

/** A file of the page's own origin, which most policies allow; its bytes are named for those that allow no more than that. */
export const RELOADING: Appendix = {
  html: Buffer.from(`<script async src="${SCRIPT}" integrity="${HASH}"></script>\n`),
  admit: (policy, host) =>
    admitting(policy, { script: `http://${host}${SCRIPT}`, hash: `'${HASH}'`, asks: `http://${host}${STATE}` }),
};

/** `stateOf`: of a site now. */
export function reloadHandlers(stateOf: (name: string) => string | undefined): readonly NameHandler[] {
  return TLDS.flatMap((tld) => [
    answering(tld, STATE, 'text/plain', (name) => stateOf(name) ?? ''),
    answering(tld, SCRIPT, 'text/javascript', () => CODE),
  ]);
}

function answering(
  tld: NameHandler['tld'],
  path: string,
  type: string,
  textFor: (name: string) => string,
): NameHandler {
  return {
    tld,
    path,
    answer: async ({ name, response }) => {
      response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
      response.type(type).send(textFor(name));
      await Promise.resolve();
    },
  };
}
