/**
 * What the visitor's page asks: GET and POST /api/spending. It tells where the visitor has been, and changes what may be spent. Any page on
 * the web, and any site that is shown here, can make a browser send something to this address: only the page itself is answered, on
 * this machine, and whoever is not there is not told that there is anything.
 */
import type { Request, Response } from 'express';
import { isRelaymintError } from '../../core/errors.ts';
import { isThisMachine } from '../../core/name.ts';
import type { Log } from '../../core/ports.ts';
import { siteOrderSchema } from '../../ledger/budget/index.ts';
import { isForwarded } from './host.ts';
import { isOwnPage, isOwnReading } from './initiator.ts';
import { spendingViewSchema, type Spending } from './spending.ts';

/** An order has a name and an amount. */
const MAX_ORDER_BYTES = 1024;
/** Of what is too long, so much is read at most. */
const MOST_READ = 65_536;

const LOOPBACK = /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$|^::1$/;

/** Who asks is at this machine. Behind a proxy nobody is: what it passes on comes from this machine too. */
export function isPayerHere({ headers, socket }: Pick<Request, 'headers' | 'socket'>): boolean {
  return LOOPBACK.test(socket.remoteAddress ?? '') && !isForwarded(headers);
}

/** And asks this machine by its own name. */
export function isVisitorHere(request: Pick<Request, 'headers' | 'socket'>): boolean {
  return isThisMachine(request.headers.host) && isPayerHere(request);
}

export class SpendingService {
  readonly #spending: Spending;
  readonly #log: Log;

  constructor(spending: Spending, log: Log) {
    this.#spending = spending;
    this.#log = log;
  }

  /** GET. Sites of this gateway are other origins on this machine: they may ask, and get nothing. */
  async tell(request: Request, response: Response): Promise<void> {
    if (!isOwnReading(request.headers)) {
      refuse(response, 403, 'Only this gateway’s own page may read this.');
      return;
    }
    response.set('Cache-Control', 'no-store').json(spendingViewSchema.parse(await this.#spending.view()));
  }

  /** POST an order as JSON: it is answered with what is true then. */
  async obey(request: Request, response: Response): Promise<void> {
    if (!isOwnPage(request.headers)) {
      request.resume();
      refuse(response, 403, 'Only this gateway’s own page may ask for this.');
      return;
    }
    // A form cannot send this, and no page of another origin without asking first.
    if (request.is('application/json') === false) {
      request.resume();
      refuse(response, 415, 'An order is application/json.');
      return;
    }
    const body = await bodyOf(request);
    if (body === undefined) {
      refuse(response, 413, `An order has at most ${MAX_ORDER_BYTES} bytes.`);
      return;
    }
    const order = siteOrderSchema.safeParse(parsed(body));
    if (!order.success) {
      const [issue] = order.error.issues;
      const at = issue?.path.join('.') ?? '';
      refuse(response, 400, `This is no order: ${at === '' ? '' : `${at}: `}${issue?.message ?? 'unknown'}.`);
      return;
    }
    try {
      await this.#spending.order(order.data);
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      this.#log.warn({ err: error }, 'what a visitor asked for its spending could not be done');
      refuse(response, error.code === 'INVALID_ARGUMENT' ? 400 : 503, error.message, error.code);
      return;
    }
    response.set('Cache-Control', 'no-store').json(spendingViewSchema.parse(await this.#spending.view()));
  }
}

/** undefined: more than an order has. @throws when the visitor leaves before its end. */
async function bodyOf(request: Request): Promise<string | undefined> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    // What follows is read and dropped: an answer that comes before the end of a request is lost on some clients.
    if (length <= MAX_ORDER_BYTES) pieces.push(piece);
    else if (length > MOST_READ) return undefined;
  }
  return length > MAX_ORDER_BYTES ? undefined : Buffer.concat(pieces).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refuse(response: Response, status: number, message: string, code: string = 'INVALID_ARGUMENT'): void {
  response.set('Cache-Control', 'no-store').status(status).json({ error: { code, message } });
}
