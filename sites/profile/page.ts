/** The page that shows a profile where its owner has made none: no script, nothing from elsewhere, and all that others wrote is text. */
import { createHash } from 'node:crypto';
import { escapeHtml } from '../../core/printable.ts';
import type { Profile, ProfileLink } from './contract.ts';
import { payoutOf, walletsOf } from './json.ts';

/** By which our own page is known again: it may be replaced. */
const MARK = '<meta name="generator" content="relaymint profile">';

/** In the light and in the dark; white and the dark ground are read on them, and they are read on the grounds. */
const ACCENTS: readonly (readonly [light: string, dark: string])[] = [
  ['#0f6b4f', '#6fd0ab'],
  ['#1d4e89', '#8fbcf0'],
  ['#8c2460', '#f0a3cd'],
  ['#7a3e00', '#f0b070'],
  ['#5a3d9a', '#c0a8f5'],
  ['#8a1f2b', '#f5a0a8'],
];

function styleOf([light, dark]: readonly [light: string, dark: string]): string {
  return `
:root{color-scheme:light dark;--ground:#fbfaf6;--sheet:#fff;--ink:#1d2521;--soft:#566059;--line:#dcdcd2;--accent:${light};--band:${light};--on:#fff}
@media (prefers-color-scheme:dark){:root{--ground:#131815;--sheet:#1a211d;--ink:#e6ebe7;--soft:#a3afa8;--line:#2f3933;--accent:${dark};--band:color-mix(in srgb,${dark} 30%,#131815);--on:#131815}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;background:linear-gradient(var(--band) 0 9rem,var(--ground) 9rem);color:var(--ink);
font:1.0625rem/1.6 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;padding:clamp(3.5rem,9vw,5rem) 1rem 3rem}
main{max-width:40rem;margin:0 auto;background:var(--sheet);border:1px solid var(--line);border-radius:1rem;padding:0 clamp(1.25rem,6vw,2.5rem) 2rem}
.mark{display:grid;place-items:center;width:6rem;height:6rem;margin-top:-3rem;border-radius:50%;border:4px solid var(--sheet);
background:var(--accent);color:var(--on);font-size:2.5rem;font-weight:650;line-height:1;overflow:hidden}
h1{font-size:clamp(1.75rem,7vw,2.5rem);line-height:1.15;margin:1rem 0 .25rem;text-wrap:balance;overflow-wrap:anywhere}
.name{margin:0;color:var(--accent);font-weight:600;overflow-wrap:anywhere}
.about{margin:1.25rem 0 0;white-space:pre-line;overflow-wrap:anywhere}
h2{font-size:1rem;margin:2rem 0 .5rem;color:var(--soft);font-weight:600}
ul{list-style:none;margin:0;padding:0;border-top:1px solid var(--line)}
li{display:flex;flex-wrap:wrap;gap:0 .75rem;align-items:baseline;padding:.65rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
li>*{min-width:0}
a{color:var(--accent);font-weight:600;text-underline-offset:.2em}
a:focus-visible{outline:3px solid var(--accent);outline-offset:3px;border-radius:.2rem}
li span{color:var(--soft);font-size:.9375rem}
dl{margin:0}
dt{color:var(--soft);font-size:.9375rem;margin-top:.75rem}
dd{margin:0;overflow-wrap:anywhere}
code{font:.875rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
`;
}

export function profilePage(profile: Profile): string {
  const { name, displayName, about, avatar, links } = profile;
  const style = styleOf(accentOf(name));
  const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'`;
  const shown = escapeHtml(displayName);
  const description = escapeHtml(about?.split('\n')[0] ?? `The profile ${name}.`);
  const parts = [
    `<div class="mark" aria-hidden="true">${escapeHtml(initialOf(displayName))}</div>`,
    `<h1 dir="auto">${shown}</h1>`,
    `<p class="name">${escapeHtml(name)}</p>`,
    ...(about === undefined ? [] : [`<p class="about" dir="auto">${escapeHtml(about)}</p>`]),
    ...(links.length === 0 ? [] : [`<h2>Links</h2>\n<ul>\n${links.map(linkHtml).join('\n')}\n</ul>`]),
    `<h2>On the ledger</h2>\n<dl>\n${factsOf(profile).join('\n')}\n${avatar === undefined ? '' : fact('Picture', escapeHtml(avatar))}</dl>`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<meta name="description" content="${description}">
${MARK}
<title>${shown} (${escapeHtml(name)})</title>
<style>${style}</style>
</head>
<body>
<main>
${parts.join('\n')}
</main>
</body>
</html>
`;
}

/** Whether a page is one that `profilePage` made, of whatever profile and release. */
export function isProfilePage(html: string): boolean {
  return html.includes(MARK);
}

function accentOf(name: string): readonly [light: string, dark: string] {
  const [byte = 0] = createHash('sha256').update(name).digest();
  return ACCENTS[byte % ACCENTS.length] ?? ['#0f6b4f', '#6fd0ab'];
}

/** The first thing that a reader would call a letter. */
function initialOf(displayName: string): string {
  const [first] = new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(displayName);
  return first?.segment.toLocaleUpperCase('en') ?? '';
}

/** Where it leads stands beside what it is called. A name has another address at each gateway, which a page without scripts does not know. */
function linkHtml({ label, to }: ProfileLink): string {
  const called = `<bdi>${escapeHtml(label)}</bdi>`;
  if (!URL.canParse(to)) return `<li><strong>${called}</strong> <span>${escapeHtml(to)}</span></li>`;
  const { href, host } = new URL(to);
  return `<li><a href="${escapeHtml(href)}" rel="nofollow noopener noreferrer">${called}</a> <span>${escapeHtml(host)}</span></li>`;
}

function factsOf(profile: Profile): readonly string[] {
  const payout = payoutOf(profile);
  const [owner = '', ...bound] = walletsOf(profile).map((wallet) => `<code>${wallet}</code>`);
  return [
    fact('Owner', owner),
    ...(payout === profile.owner ? [] : [fact('Pay to', `<code>${payout}</code>`)]),
    ...bound.map((wallet) => fact('Wallet of the same person', wallet)),
  ];
}

function fact(what: string, html: string): string {
  return `<div><dt>${what}</dt><dd>${html}</dd></div>`;
}
