/**
 * Permits to post: a site that is a client by its name asks for one, the wallet that has the profile signs it, and the person goes back with it.
 * Nothing is kept here, and nobody is signed in by it: what it is good for stands in what the wallet signs, and hosts check it.
 */
import express, { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { fromHex, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { MAX_PERMIT_MILLIS } from '../../core/limits.ts';
import { isName, parseName } from '../../core/name.ts';
import type { Clock } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import {
  encodePermit,
  permitText,
  permitTransaction,
  signedForm,
  wrongWithTerms,
  type PermitTerms,
} from '../permit/index.ts';
import { checkedAddress, decodeAnswer } from '../siws/index.ts';
import { MAX_BODY, byHandSchema, parsed } from './challenges.ts';
import { clientName, isRegistered, nameClient } from './clients.ts';
import type { Directory } from './contract.ts';
import { goOn, sendTransaction, wantsJson } from './interactions.ts';
import { sendPage } from './pages.ts';
import { permitPage } from './permit-page.ts';

export interface PermitsOptions {
  readonly issuer: URL;
  readonly directory: Directory;
  /** On this machine, at which pages of names are. Absent: they may be at any port. */
  readonly gateway?: URL | undefined;
  /** A wallet of this machine may sign them. Default false. */
  readonly hasOwnWallet?: boolean;
  readonly clock: Clock;
}

/** How long a look-up of a name may take before a page fails. */
const LOOK_UP_MILLIS = 10_000;
/** A page that was left open is not signed hours later. */
const ASKED_MILLIS = 15 * 60_000;
/** A wallet writes its own address here: the text is the same for any. */
const ANY_WALLET = '{wallet}';
/** Longest address to go back to. */
const MAX_BACK = 1_024;
/** Longest code of what is asked for. */
const MAX_CODE = 2_048;

const askedSchema = z.object({
  site: z.string().max(80),
  author: z.string().trim().toLowerCase().max(80),
  key: z.string().regex(/^[0-9a-f]{64}$/),
  back: z.string().max(MAX_BACK),
});
const codeField = z.string().max(MAX_CODE);
const codeSchema = z.strictObject({
  ...askedSchema.shape,
  since: z.int().nonnegative(),
  until: z.int().nonnegative(),
});
const answerSchema = z.strictObject({
  nonce: codeField,
  address: z.string().min(1).max(64),
  signature: z.union([z.base64url(), z.base64()]).refine((text) => text.length <= 88, 'too long'),
});
const transactionSchema = answerSchema.pick({ nonce: true, address: true });
const codeOnlySchema = z.strictObject({ nonce: codeField });

/** What a site asks for. */
interface Asked {
  readonly terms: PermitTerms;
  readonly back: string;
}

export class Permits {
  readonly router: Router = Router();
  readonly #options: PermitsOptions;

  constructor(options: PermitsOptions) {
    this.#options = options;
    const bodies = [express.json({ limit: MAX_BODY }), express.urlencoded({ limit: MAX_BODY, extended: false })];
    this.router.get('/', (request, response) => this.#show(request, response));
    this.router.post('/transaction', bodies, (request: Request, response: Response) =>
      this.#transaction(request, response),
    );
    this.router.post('/login', bodies, (request: Request, response: Response) => this.#sign(request, response));
    this.router.post('/cancel', bodies, (request: Request, response: Response) => this.#cancel(request, response));
  }

  /** What a wallet of this machine signs. @throws RelaymintError INVALID_ARGUMENT, SIGN_IN_REFUSED. */
  async textFor(body: unknown, wallet: LedgerAddress): Promise<Uint8Array> {
    const { nonce } = parsed(codeOnlySchema, body);
    return utf8(permitText((await this.#read(nonce)).terms, wallet));
  }

  async #show(request: Request, response: Response): Promise<void> {
    requireVisit(request);
    const now = this.#options.clock.now();
    const { site, author, key, back } = parsed(askedSchema, request.query);
    const asked = { site, author, key, back, since: now, until: now + MAX_PERMIT_MILLIS };
    const code = Buffer.from(JSON.stringify(asked)).toString('base64url');
    const { terms } = await this.#read(code);
    // The address is the only thing that is not known yet.
    const text = permitText(terms, ANY_WALLET as LedgerAddress);
    const { hasOwnWallet = false } = this.#options;
    if (wantsJson(request)) response.json({ nonce: code, site, author, text, until: terms.until });
    else sendPage(response, permitPage({ terms, text, code, back, issuer: this.#options.issuer.host, hasOwnWallet }));
  }

  async #transaction(request: Request, response: Response): Promise<void> {
    const { nonce, address } = parsed(transactionSchema, request.body);
    const { terms } = await this.#read(nonce);
    sendTransaction(response, permitTransaction(terms, checkedAddress(address)));
  }

  async #sign(request: Request, response: Response): Promise<void> {
    const byHand = byHandSchema.safeParse(request.body);
    const answer = parsed(answerSchema, byHand.success ? decodeAnswer(byHand.data.answer) : request.body);
    const { terms, back } = await this.#read(answer.nonce);
    const wallet = checkedAddress(answer.address);
    const signature = Uint8Array.from(Buffer.from(answer.signature, 'base64url'));
    const form = signedForm(terms, wallet, signature);
    if (form === undefined) {
      throw refused(`The wallet ${wallet} has not signed what this page asked of it.`, 'Sign what the page shows.');
    }
    const holding = await this.#options.directory.holding(terms.author, AbortSignal.timeout(LOOK_UP_MILLIS));
    if (holding?.isActive !== true || holding.owner !== wallet) {
      throw refused(`${terms.author} is not a profile of the wallet ${wallet}.`, 'Sign with the wallet that has it.');
    }
    goOn(request, response, `${back}#permit=${encodePermit({ ...terms, form, signature })}`);
  }

  async #cancel(request: Request, response: Response): Promise<void> {
    const { nonce } = parsed(codeOnlySchema, request.body);
    const { back } = await this.#read(nonce);
    goOn(request, response, `${back}#permit=refused`);
  }

  /**
   * At another port of this machine anybody may listen, who would choose the key too: pages of names are at the gateway's.
   */
  #isAtGateway({ protocol, port }: URL): boolean {
    const { gateway } = this.#options;
    return protocol === 'https:' || gateway === undefined || gateway.protocol !== 'http:' || gateway.port === port;
  }

  /**
   * Judged anew at each step: nothing of it was kept. @throws RelaymintError INVALID_ARGUMENT, SIGN_IN_REFUSED; what the directory throws.
   */
  async #read(code: string): Promise<Asked> {
    const { site, author, key, back, since, until } = parsed(codeSchema, decodeAnswer(code));
    const terms: PermitTerms = {
      name: site,
      author: isName(author) ? parseName(author).name : author,
      key: fromHex(key),
      since: unixMillis(since),
      until: unixMillis(until),
    };
    const wrong = wrongWithTerms(terms);
    if (wrong !== undefined) {
      throw new RelaymintError('INVALID_ARGUMENT', `This cannot be permitted: ${wrong}.`, {
        remedy: 'docs/sign-in.md says what a site asks for.',
      });
    }
    const age = this.#options.clock.now() - since;
    if (age < 0 || age > ASKED_MILLIS) throw refused('This was asked for too long ago.', 'Begin again at the site.');
    const name = clientName(site);
    const client =
      name === undefined
        ? undefined
        : await nameClient(this.#options.directory, name, AbortSignal.timeout(LOOK_UP_MILLIS));
    const to = URL.canParse(back) ? new URL(back) : undefined;
    const isIts = to !== undefined && to.hash === '' && isRegistered(back, client?.redirect_uris ?? []);
    // To an address that nobody registered no one is sent, neither with an error.
    if (!isIts || !this.#isAtGateway(to)) {
      throw refused(`${site} signs nobody in at ${back.slice(0, 80)}.`, 'Its manifest has to say so (signIn).');
    }
    return { terms, back };
  }
}

/** What a page of others embeds looks nothing up, which somebody pays for: only a person who goes here does. */
function requireVisit(request: Request): void {
  const [kind = 'document', purpose] = [request.get('Sec-Fetch-Dest'), request.get('Sec-Purpose')];
  if (kind === 'document' && purpose === undefined) return;
  throw new RelaymintError('POLICY_REFUSED', 'Another page asked for this.', {
    remedy: 'Open it in a tab of its own.',
  });
}

function refused(message: string, remedy: string): RelaymintError {
  return new RelaymintError('SIGN_IN_REFUSED', message, { remedy });
}
