/**
 * A wallet of the issuer's own machine, for people who have none in their browser. Who holds its token may have it sign what this issuer made
 * itself, named by what it is for; bytes that come with a request are never signed. The token is new at each start: what an old one is left in,
 * a browser or what a terminal showed, is worth nothing then, also to another program that listens at this port later.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import express, { Router, type NextFunction, type Request, type Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import { TokenBucket } from '../../core/rate.ts';
import type { PublisherKey } from '../blocks/index.ts';
import { MAX_BODY } from './challenges.ts';
import { sendPage, walletPage } from './pages.ts';

const TOKEN_BYTES = 32;
/** Of those with the token, and of those without it, so that these keep nobody out: in a second, and at once. */
const PER_SECOND = 2;
const AT_ONCE = 60;

export interface OwnWalletOptions {
  readonly wallet: PublisherKey;
  readonly issuer: URL;
  /** All that it signs, by the last part of the path. Each makes the bytes itself. */
  readonly signs: Readonly<Record<string, (body: unknown, address: LedgerAddress) => Promise<Uint8Array>>>;
  readonly clock: Clock;
}

export class OwnWallet {
  readonly router: Router = Router();
  /** Where a browser gets the token: a secret. */
  readonly link: string;
  readonly #digest: Buffer;
  readonly #holders: TokenBucket;
  readonly #strangers: TokenBucket;

  constructor({ wallet, issuer, signs, clock }: OwnWalletOptions) {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    // Behind "#" it is in no request and in no log.
    this.link = `${issuer.origin}/wallet#${token}`;
    this.#digest = digestOf(token);
    this.#holders = new TokenBucket(PER_SECOND, () => clock.now(), AT_ONCE);
    this.#strangers = new TokenBucket(PER_SECOND, () => clock.now(), AT_ONCE);
    this.router.get('/', (_request, response) => sendPage(response, walletPage(issuer.host)));
    this.router.use((request, response, next) => this.#onlyHolders(request, response, next));
    this.router.use(express.json({ limit: MAX_BODY }));
    this.router.post('/holder', (_request, response) => send(response, { address: wallet.address }));
    for (const [what, bytesOf] of Object.entries(signs)) {
      this.router.post(`/${what}`, async (request: Request, response: Response) => {
        const signature = await wallet.sign(await bytesOf(request.body, wallet.address));
        send(response, { address: wallet.address, signature: Buffer.from(signature).toString('base64url') });
      });
    }
  }

  /** @throws RelaymintError LIMIT_EXCEEDED. */
  #onlyHolders(request: Request, response: Response, next: NextFunction): void {
    const given = digestOf(/^Bearer ([\w-]{1,128})$/.exec(request.get('Authorization') ?? '')?.[1] ?? '');
    const isHolder = timingSafeEqual(given, this.#digest);
    if (!(isHolder ? this.#holders : this.#strangers).take()) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'The wallet of this machine was asked too often.', {
        remedy: 'Wait a moment.',
        details: { retryAfterSeconds: 1 },
      });
    }
    if (isHolder) {
      next();
      return;
    }
    response.set({ 'WWW-Authenticate': 'Bearer', 'Cache-Control': 'no-store' }).status(401).json({
      error: 'invalid_token',
      error_description:
        'This link is not, or no longer, that of the wallet that runs. Open the one that was printed at its last start.',
    });
  }
}

function send(response: Response, answer: object): void {
  response.set('Cache-Control', 'no-store').json(answer);
}

/** Of one length, whatever was given. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
