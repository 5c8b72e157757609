/** The page on which a person lets a site write posts in their name. */
import type { PermitTerms } from '../permit/index.ts';
import { html, shownPlace, type Page } from './pages.ts';

export interface PermitPage {
  readonly terms: PermitTerms;
  /** What the wallet signs, with "{wallet}" for its address. */
  readonly text: string;
  /** What is asked for, as its forms bring it back. */
  readonly code: string;
  /** Where the person goes then. */
  readonly back: string;
  readonly issuer: string;
  /** A wallet of this machine may sign it. */
  readonly hasOwnWallet: boolean;
}

/** Wallets are found by the script of the sign-in page. */
export function permitPage({ terms, text, code, back, issuer, hasOwnWallet }: PermitPage): Page {
  const place = shownPlace(terms.name);
  const until = new Date(terms.until).toISOString();
  const asked = JSON.stringify({ nonce: code, issuedAt: new Date(terms.since).toISOString() });
  return {
    title: `Let ${place} write posts`,
    script: '/sso.js',
    leadsTo: back,
    body: html` <p class="over">${issuer}</p>
      <h1>Let <strong>${place}</strong> write posts as <strong>${shownPlace(terms.author)}</strong>?</h1>
      <ul class="learns">
        <li>Its pages may write, change and take back posts there, in your name.</li>
        <li>They may do nothing else with your wallet, and no money moves.</li>
        <li>You go back to <b>${shownPlace(new URL(back).host)}</b>, whose pages get it.</li>
        <li>It ends by itself: <time datetime="${until}">${until.slice(0, 16).replace('T', ' ')} UTC</time></li>
      </ul>
      <div
        id="here"
        hidden
        data-path="/permit"
        data-own="${String(hasOwnWallet)}"
        data-challenge="${asked}"
        data-text="${text}"
      >
        <h2>Sign it with the wallet that has ${shownPlace(terms.author)}</h2>
        <ul id="wallets" class="choices"></ul>
        <p class="check">
          <input type="checkbox" id="hardware" /><label for="hardware"
            >It is a hardware wallet that signs transactions only
            <span class="soft">(it signs one that no ledger takes)</span></label
          >
        </p>
        <p id="looking" class="soft">No wallet was found in this browser yet. Install one, or unlock it.</p>
      </div>
      <noscript><p>Wallets in the browser are found by a script, and scripts are switched off here.</p></noscript>
      <p id="said" role="status"></p>
      <form id="answering" method="post" action="/permit/login"><input type="hidden" name="answer" value="" /></form>
      <form method="post" action="/permit/cancel">
        <input type="hidden" name="nonce" value="${code}" /><button class="plain">No, go back to ${place}</button>
      </form>`,
  };
}
