/**
 * POST /api/settle: a person at this machine makes the nodes settle now. It spends their transaction fees, so it needs the token
 * and works only from the marketplace's own page: any page on the web, and any site that is shown here, can make a browser
 * send something to this address.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, Response } from 'express';
import { isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { isOwnPage } from './initiator.ts';
import type { MarketSettled } from './market.ts';

export interface SettleOptions {
  /** Required to settle. No answer of the gateway contains it. */
  readonly token: string;
  /** Settles; called by the page's button. @throws RelaymintError when nothing could be. */
  readonly now: () => Promise<MarketSettled>;
}

/** Answers a request on one of the gateway's own host names. */
export async function settleNow(
  { token, now }: SettleOptions,
  log: Log,
  request: Request,
  response: Response,
): Promise<void> {
  // The request's body is not read.
  request.resume();
  response.set('Cache-Control', 'no-store');
  if (!isOwnPage(request.headers)) {
    response.status(403).json(refused('Only the marketplace page of this gateway may ask for this.'));
    return;
  }
  if (!showsToken(request, token)) {
    response
      .status(403)
      .json(refused('This link is from an earlier start of the gateway. Open the link that the terminal shows now.'));
    return;
  }
  try {
    response.json(await now());
  } catch (error) {
    if (!isRelaymintError(error)) throw error;
    log.warn({ err: error }, 'settling for the marketplace page failed');
    response.status(502).json({ error: { code: error.code, message: toldOf(error.code) } });
  }
}

function showsToken({ headers }: Request, token: string): boolean {
  return timingSafeEqual(digest(headers.authorization ?? ''), digest(`Bearer ${token}`));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function refused(message: string): object {
  return { error: { code: 'INVALID_ARGUMENT', message } };
}

function toldOf(code: ErrorCode): string {
  if (code === 'TIMEOUT') return 'This is taking long: the ledger may be down. The nodes keep trying.';
  return 'The nodes could not settle: their logs say why.';
}
