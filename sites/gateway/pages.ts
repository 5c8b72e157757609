/** The few pages of the gateway itself: errors and folder listings. No script, nothing from elsewhere. */
import { createHash } from 'node:crypto';
import type { Response } from 'express';
import { escapeHtml } from '../../core/printable.ts';

const STYLE = `
:root{color-scheme:light dark;--ink:#1d2521;--soft:#5d6963;--paper:#fbfaf6;--line:#dcdcd2;--accent:#0f6b4f}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebe7;--soft:#98a59e;--paper:#131815;--line:#2b342f;--accent:#6fd0ab}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);
font:1.0625rem/1.6 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;padding:2rem 1.25rem}
main{width:100%;max-width:38rem}
.status{color:var(--soft);font-variant-numeric:tabular-nums;letter-spacing:.08em;margin:0}
h1{font-size:clamp(1.6rem,5vw,2.25rem);line-height:1.2;margin:.25rem 0 1rem;text-wrap:balance;overflow-wrap:anywhere}
p{margin:0 0 1rem;overflow-wrap:anywhere}
.code{color:var(--soft);font:.875rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;border-top:1px solid var(--line);padding-top:1rem}
a{color:var(--accent);text-underline-offset:.2em}
ul{list-style:none;padding:0;margin:0;border-top:1px solid var(--line)}
li{border-bottom:1px solid var(--line)}
li a{display:block;padding:.6rem 0;text-decoration:none;overflow-wrap:anywhere}
li a:hover{text-decoration:underline}
form{display:flex;flex-wrap:wrap;gap:.5rem;margin:0 0 1rem}
label{flex-basis:100%}
input,button{font:inherit;color:inherit;background:transparent;border:1px solid var(--soft);border-radius:.25rem;padding:.5rem .75rem;min-width:0}
input{flex:1 1 12rem}
button{border-color:var(--accent);color:var(--accent);cursor:pointer}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
`;

/** Changes with how a listing looks. */
export const LISTING_VERSION: string = createHash('sha256').update(STYLE).digest('hex').slice(0, 12);

/** Only the style above may load. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export interface Message {
  readonly status: number;
  readonly title: string;
  /** Sentences for the visitor: what happened, and what to do. */
  readonly text: string;
  /** The stable error code, to quote when asking for help. */
  readonly code?: string;
  /** After how many seconds asking again may help. */
  readonly retrySeconds?: number;
  /** Where the visitor can do something about it. */
  readonly link?: { readonly url: string; readonly label: string };
}

/** Sends a page, or its head alone; the response is over then. */
export function sendMessage(response: Response, message: Message): void {
  if (message.retrySeconds !== undefined) response.set('Retry-After', String(message.retrySeconds));
  const code = message.code === undefined ? '' : `<p class="code">${escapeHtml(message.code)}</p>`;
  const link =
    message.link === undefined
      ? ''
      : `<p><a href="${escapeHtml(message.link.url)}">${escapeHtml(message.link.label)}</a></p>`;
  const body = `<p class="status">${message.status}</p><h1>${escapeHtml(message.title)}</h1><p>${escapeHtml(message.text)}</p>${link}${code}`;
  send(response, message.status, message.title, body, 'no-store');
}

export interface Listing {
  /** Decoded path, for the heading. */
  readonly path: string;
  readonly names: readonly string[];
  /** There are more than are shown. */
  readonly cut: boolean;
  readonly top: boolean;
  /** Cache-Control. */
  readonly caching: string;
}

export function sendListing(response: Response, listing: Listing): void {
  const up = listing.top ? '' : '<li><a href="../">..</a></li>';
  const items = listing.names.map((name) => `<li><a href="./${encodeURIComponent(name)}">${escapeHtml(name)}</a></li>`);
  const more = listing.cut ? '<p>There are more than can be shown here.</p>' : '';
  send(
    response,
    200,
    listing.path,
    `<h1>${escapeHtml(listing.path)}</h1><ul>${up}${items.join('')}</ul>${more}`,
    listing.caching,
  );
}

/** The front page of a gateway that shows no marketplace. */
export function frontPage(
  response: Response,
  {
    title,
    links,
  }: { readonly title: string; readonly links: readonly { readonly label: string; readonly url: string }[] },
): void {
  const items = links.map(({ label, url }) => `<li><a href="${escapeHtml(url)}">${escapeHtml(label)}</a></li>`);
  send(response, 200, title, `<h1>${escapeHtml(title)}</h1><ul>${items.join('')}</ul>`, 'no-store');
}

/** The front page of a public gateway: a field for a name. `wrong`: what was written and is none. `host`: with its port. */
export function sendSearch(
  response: Response,
  { host, wrong }: { readonly host: string; readonly wrong?: string },
): void {
  const known = wrong === undefined ? '' : ` value="${escapeHtml(wrong)}" aria-invalid="true" aria-describedby="said"`;
  const said =
    wrong === undefined ? '' : '<p id="said" role="alert">That is not a name. A name looks like news.web3.</p>';
  const body = `<h1>Sites by their names</h1>
<form><label for="name">Name of a site</label>
<input id="name" name="name" required maxlength="80" autocapitalize="none" autocomplete="off" spellcheck="false" placeholder="news.web3"${known}>
<button>Open</button></form>${said}
<p>news.web3 is also at news-web3.${escapeHtml(host)}. What you open is checked piece by piece against what the name stands for, and its owner and those who brought it are paid.</p>`;
  // A form's policy counts for where it is led on to, too.
  const policy = POLICY.replace("form-action 'none'", `form-action 'self' *.${host}`);
  send(response, wrong === undefined ? 200 : 400, 'Sites by their names', body, 'no-store', policy);
}

function send(
  response: Response,
  status: number,
  title: string,
  body: string,
  caching: string,
  policy: string = POLICY,
): void {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><main>${body}</main></body></html>
`;
  response
    .status(status)
    .set({
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy,
      'Cache-Control': caching,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    })
    .send(html);
}
