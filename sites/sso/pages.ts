/** The issuer's pages. Without script they say what to do instead; nothing of them comes from elsewhere. */
import type { Response } from 'express';
import { printable } from '../../core/printable.ts';
import type { Challenge } from '../siws/index.ts';
import { tellScopes, type Told } from './claims.ts';
import type { HeldGrant } from './records.ts';

/** Longest text of others that a page shows. */
const MAX_SHOWN = 64;
/** What is shown of the beginning of a place whose end matters. */
const HEAD_SHOWN = 16;

/** Markup that is safe to put into a page. Made by `html` alone. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | undefined | readonly Html[];

/** Whatever is put in is text, unless it is `Html` itself. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.map((string, index) => string + markup(parts[index])).join(''));
}

function markup(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  return typeof part === 'object' ? part.map(({ text }) => text).join('') : escape(String(part));
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** What others call themselves: one line of it, that cannot draw itself as something else. */
export function shown(text: string): string {
  const plain = printable(text);
  return plain.length > MAX_SHOWN ? `${plain.slice(0, MAX_SHOWN - 1)}…` : plain;
}

/** Where somebody is sent: of a name that is too long its end says whose it is. */
export function shownPlace(place: string): string {
  const plain = printable(place);
  return plain.length > MAX_SHOWN ? `${plain.slice(0, HEAD_SHOWN)}…${plain.slice(HEAD_SHOWN + 1 - MAX_SHOWN)}` : plain;
}

export interface Page {
  readonly status?: number;
  readonly title: string;
  readonly body: Html;
  /** One of the issuer's own, with which the page works. */
  readonly script?: '/sso.js' | '/wallet.js';
  /** Where its forms may lead besides here: an address there. */
  readonly leadsTo?: string | undefined;
}

/** Of everything that the issuer answers, whatever it turns out to be: it runs nothing, and stands in no frame. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': "default-src 'none'; script-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  // Without one, browsers do not say of a form whose page it was on.
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

export interface WrittenPage {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export function sendPage(response: Response, page: Page): void {
  const { status, headers, text } = writePage(page);
  response.status(status).set(headers).type('html').send(text);
}

export function writePage({ status = 200, title, body, script, leadsTo }: Page): WrittenPage {
  const to = leadsTo === undefined ? '' : ` ${sourceOf(leadsTo)}`;
  const headers = {
    ...SAFE_HEADERS,
    'Content-Security-Policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'${to}; base-uri 'none'; frame-ancestors 'none'`,
    'Cache-Control': 'no-store',
    'Cross-Origin-Opener-Policy': 'same-origin',
  };
  const { text } = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="stylesheet" href="/sso.css" />
        <link rel="icon" href="/icon.svg" />
        ${script && html`<script src="${script}" type="module"></script>`}
      </head>
      <body>
        <main>${body}</main>
      </body>
    </html> `;
  return { status, headers, text };
}

/** As a policy writes it. Programs on a phone have a scheme of their own, and no origin. */
function sourceOf(address: string): string {
  const { origin, protocol } = new URL(address);
  return origin === 'null' ? protocol : origin;
}

export interface Asking {
  /** What the person recognises it by: its name, or its host. */
  readonly place: string;
  /** What it calls itself. Not proved. */
  readonly title: string;
  /** Its own pages about what it does with what it learns, and on which terms. */
  readonly policy?: string | undefined;
  readonly terms?: string | undefined;
  /** The host whose document says what it is, for a client that is known by one. */
  readonly describedAt?: string | undefined;
}

/** They open beside the sign-in, which goes on. */
function ownPages({ policy, terms }: Asking): Html | undefined {
  const pages = [
    { href: policy, label: 'Its privacy policy' },
    { href: terms, label: 'Its terms' },
  ];
  const links = pages.flatMap(({ href, label }) =>
    href === undefined ? [] : html`<li><a href="${href}" target="_blank" rel="noreferrer">${label}</a></li>`,
  );
  return links.length === 0
    ? undefined
    : html`<ul class="soft">
        ${links}
      </ul>`;
}

export interface SignInPage {
  /** undefined: the issuer itself, for a person's own account. */
  readonly asking: Asking | undefined;
  /** Below which its forms go. */
  readonly path: string;
  readonly issuer: string;
  /** Where the person goes then, if it is elsewhere. */
  readonly destination?: string | undefined;
  readonly challenge: Challenge;
  /** The same for the command line: letters, digits, "-" and "_". */
  readonly code: string;
  /** The issuer has a wallet of this machine, for browsers that have its link. */
  readonly hasOwnWallet: boolean;
}

/** Wallets are found by the script, which fills in the same form that people fill in by hand. */
export function signInPage({ asking, path, issuer, destination, challenge, code, hasOwnWallet }: SignInPage): Page {
  const place = shownPlace(asking?.place ?? issuer);
  const calls = asking === undefined || asking.title === asking.place ? undefined : asking.title;
  return {
    title: `Sign in to ${place}`,
    script: '/sso.js',
    leadsTo: destination,
    body: html` ${asking && html`<p class="over">${issuer}</p>`}
      <h1>Sign in to <strong>${place}</strong></h1>
      ${calls && html`<p>It calls itself “${shown(calls)}”.</p>`} ${asking && ownPages(asking)}
      <p>
        Your wallet is asked to sign a message that says so. That moves no money and gives nobody access to the wallet.
      </p>
      <div
        id="here"
        hidden
        data-path="${path}"
        data-challenge="${JSON.stringify(challenge)}"
        data-own="${String(hasOwnWallet)}"
      >
        <label for="profile">Sign in as your profile <span class="soft">(empty: as the wallet alone)</span></label>
        <input
          id="profile"
          placeholder="alice.sso"
          autocapitalize="none"
          autocomplete="username"
          spellcheck="false"
          maxlength="80"
        />
        <h2>With which wallet?</h2>
        <ul id="wallets" class="choices"></ul>
        <p class="check">
          <input type="checkbox" id="hardware" /><label for="hardware"
            >It is a hardware wallet that signs transactions only
            <span class="soft">(it signs one that no ledger takes)</span></label
          >
        </p>
        <p id="looking" class="soft">
          No wallet was found in this browser yet. Install one, unlock it,
          ${hasOwnWallet ? 'open the link that was printed when this issuer started,' : undefined} or sign on the
          command line below.
        </p>
      </div>
      <noscript
        ><p>
          Wallets in the browser are found by a script, and scripts are switched off here. You can sign on the command
          line.
        </p></noscript
      >
      <p id="said" role="status"></p>
      <details>
        <summary>Sign on the command line</summary>
        <form id="answering" method="post" action="${path}/login">
          <ol>
            <li>
              Run this where the wallet's key is, within five minutes. With <code>--as alice.sso</code> you sign in as
              your profile.
              <pre tabindex="0"><code>relaymint sso sign ${code}</code></pre>
            </li>
            <li>
              <label for="answer">Paste here what it prints</label>
              <textarea
                id="answer"
                name="answer"
                rows="3"
                spellcheck="false"
                autocapitalize="none"
                autocomplete="off"
                required
              ></textarea>
            </li>
          </ol>
          <button>Sign in</button>
        </form>
      </details>
      ${asking && html`<form method="post" action="${path}/cancel"><button class="plain">Cancel, and go back to ${place}</button></form>`}`,
  };
}

export interface ConsentPage {
  readonly asking: Asking;
  readonly path: string;
  /** Who consents: a profile, or a wallet's address. */
  readonly who: string;
  readonly told: readonly Told[];
  /** It may learn this while the person is away. */
  readonly offline: boolean;
  /** Where the person goes then. */
  readonly destination: string;
}

export function consentPage({ asking, path, who, told, offline, destination }: ConsentPage): Page {
  const nothing = html`<li>
    <span>Nothing about you but a number that only this site gets, by which it knows you again</span>
  </li>`;
  const learns = told.map(({ what, value }) => html`<li><span>${what}</span> <b>${shown(value)}</b></li>`);
  return {
    title: `What ${shownPlace(asking.place)} learns`,
    leadsTo: destination,
    body: html` <p class="over">Signed in as ${shown(who)}</p>
      <h1>What <strong>${shownPlace(asking.place)}</strong> learns</h1>
      ${asking.title === asking.place ? undefined : html`<p>It calls itself “${shown(asking.title)}”.</p>`}
      ${ownPages(asking)}
      ${asking.describedAt === undefined ? undefined : html`<p>What it may ask for is described at <b>${shownPlace(asking.describedAt)}</b>.</p>`}
      <ul class="learns">
        ${learns.length === 0 ? nothing : learns}
      </ul>
      ${learns.length === 0 ? undefined : html`<p class="soft">And a number that only this site gets, by which it knows you again.</p>`}
      ${offline ? html`<p>It may look these up later too, while you are away, until you take it back.</p>` : undefined}
      <p class="soft">
        You go on to ${shownPlace(new URL(destination).host)}. You can take this back at
        <a href="/account">your account</a>.
      </p>
      <form method="post" action="${path}/consent" class="two">
        <button name="decision" value="allow">Allow</button>
        <button name="decision" value="deny" class="plain">Do not allow</button>
      </form>`,
  };
}

export interface MessagePage {
  readonly status: number;
  readonly title: string;
  readonly text: string;
  readonly link?: { readonly url: string; readonly label: string } | undefined;
  /** To quote when asking for help. */
  readonly code?: string | undefined;
}

export function messagePage({ status, title, text, link, code }: MessagePage): Page {
  return {
    status,
    title,
    body: html` <h1>${title}</h1>
      <p>${text}</p>
      ${link && html`<p><a class="button" href="${link.url}">${link.label}</a></p>`}
      ${code === undefined ? undefined : html`<p class="soft"><code>${code}</code></p>`}`,
  };
}

export interface LogoutPage {
  readonly issuer: string;
  /** The form that the library made, without a button; its id is `op.logoutForm`. */
  readonly form: Html;
  /** Where the person goes then, if it is elsewhere. */
  readonly destination: string | undefined;
}

export function logoutPage({ issuer, form, destination }: LogoutPage): Page {
  return {
    title: 'Sign out',
    leadsTo: destination,
    body: html` <p class="over">${issuer}</p>
      <h1>Sign out of this browser?</h1>
      <p>
        Sites that may look things up while you are away go on with that until you end it at
        <a href="/account">your account</a>.
      </p>
      ${form}
      <div class="two">
        <button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
        <button type="submit" form="op.logoutForm" class="plain">Stay signed in</button>
      </div>`,
  };
}

export interface AccountPage {
  readonly wallet: string;
  /** For this page's forms: who has it may end what the wallet allowed. */
  readonly token: string;
  readonly grants: readonly (HeldGrant & { readonly place: string })[];
  /** What was done just now. */
  readonly done?: string | undefined;
}

export function accountPage({ wallet, token, grants, done }: AccountPage): Page {
  const items = grants.map(
    ({ handle, place, profile, scopes, issuedAt }) =>
      html` <li>
        <div>
          <b>${shown(place)}</b>
          <span>knows you as ${profile ?? 'this wallet'}, since ${new Date(issuedAt).toISOString().slice(0, 10)}</span>
          <span class="soft">It may see ${tellScopes(scopes)}.</span>
        </div>
        <form method="post" action="/account/end">
          <input type="hidden" name="token" value="${token}" /><input type="hidden" name="grant" value="${handle}" />
          <button class="plain" aria-label="End it for ${shown(place)}">End it</button>
        </form>
      </li>`,
  );
  return {
    title: 'Your account',
    body: html` <p class="over">Wallet ${wallet}</p>
      <h1>Sites that know you</h1>
      ${done && html`<p role="status" class="done">${done}</p>`}
      ${
        items.length === 0
          ? html`<p>No site does.</p>`
          : html`<ul class="grants">
              ${items}
            </ul>`
      }
      <form method="post" action="/account/sign-out">
        <input type="hidden" name="token" value="${token}" />
        <button>Sign out in all browsers, and end it for all sites</button>
      </form>`,
  };
}

/** The same for everybody: what only who has the link may know, the script asks for. */
export function walletPage(issuer: string): Page {
  return {
    title: 'Wallet of this machine',
    script: '/wallet.js',
    body: html` <p class="over">${issuer}</p>
      <h1>Wallet of this machine</h1>
      <p>
        It is for browsers without a wallet. Where the sign-in page asks with which wallet, there is one more button in
        a browser that opened the link.
      </p>
      <p class="note">
        Its key is in the files of this machine; anybody who can read them can sign in as you. It signs in at this
        issuer and lets sites write posts, and nothing else: no payments.
      </p>
      <noscript><p>This takes a script. Without one, sign on the command line: relaymint sso sign.</p></noscript>
      <p id="said" role="status"></p>
      <div id="here" hidden>
        <h2>Its address</h2>
        <p><code id="address"></code></p>
        <p>This browser has it now. Go on where you want to sign in.</p>
        <button id="forget" type="button" class="plain">Forget in this browser</button>
      </div>`,
  };
}

export function frontPage(issuer: string): Page {
  return {
    title: 'Sign in with a wallet',
    body: html` <p class="over">${issuer}</p>
      <h1>Sign in with a wallet</h1>
      <p>
        This is an OpenID Provider. Sites send you here to sign in with your wallet or your <code>.sso</code> profile;
        each gets its own number for you, and only what you allow.
      </p>
      <p><a class="button" href="/account">See and end what you allowed</a></p>
      <p class="soft">For developers: <a href="/.well-known/openid-configuration">the discovery document</a>.</p>`,
  };
}
