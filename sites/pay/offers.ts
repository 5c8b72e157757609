/**
 * Offers: what a 402 answer asks for, without anything being remembered. An offer proves by a MAC that this gateway made it, for this
 * site and on these terms. It is a secret between the gateway and whoever was answered: on chain stands only what is derived from it
 * (the memo), so that who reads the chain cannot show somebody else's payment.
 *
 *   offer  = expires i64 (ms) | nonce 16 bytes | MAC 16 bytes
 *   memo   = "relaymint:" and 16 bytes of SHA-256 over the offer: in the transaction; the purchase is kept under it
 *   token  = HMAC-SHA256 over the offer: for who has paid; kept as its SHA-256
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Reader, Writer } from '../../core/codec.ts';
import { OFFER_MILLIS } from '../../core/limits.ts';
import type { QuotaPrice, SaleTerms } from './contract.ts';

export const OFFER_KEY_BYTES = 32;
const NONCE_BYTES = 16;
const MAC_BYTES = 16;
const HEAD_BYTES = 8 + NONCE_BYTES;
const MEMO_BYTES = 16;
const TOKEN_BYTES = 32;

export interface Offer {
  /** What the payer's client sends back. */
  readonly text: string;
  readonly memo: string;
}

/** What a payer's client sent back. */
export interface ShownOffer {
  readonly memo: string;
  /** For whoever has paid it. */
  readonly token: string;
  /** What this gateway asked for by it; undefined if it did not make it, for this site and on the terms of today. */
  readonly price: QuotaPrice | undefined;
  readonly expires: number;
}

export class Offers {
  readonly #key: Uint8Array;
  readonly #terms: SaleTerms;

  /** `key`: OFFER_KEY_BYTES, kept over restarts. */
  constructor(key: Uint8Array, terms: SaleTerms) {
    this.#key = key;
    this.#terms = terms;
  }

  make(site: string, price: QuotaPrice, now: number): Offer {
    const head = new Writer(HEAD_BYTES)
      .i64(BigInt(now + OFFER_MILLIS))
      .bytes(randomBytes(NONCE_BYTES))
      .finish();
    const offer = Buffer.concat([head, this.#mac(site, price, head)]);
    return { text: offer.toString('base64url'), memo: memoOf(offer) };
  }

  /** undefined if it has not the form of one. */
  read(site: string, text: string): ShownOffer | undefined {
    const offer = Buffer.from(text, 'base64url');
    if (offer.length !== HEAD_BYTES + MAC_BYTES) return undefined;
    const [head, mac] = [offer.subarray(0, HEAD_BYTES), offer.subarray(HEAD_BYTES)];
    return {
      memo: memoOf(offer),
      token: this.#hmac('token', offer).toString('base64url'),
      price: this.#terms.prices.find((one) => timingSafeEqual(this.#mac(site, one, head), mac)),
      expires: Number(new Reader(head, 'offer').i64()),
    };
  }

  #mac(site: string, { mint, amount }: QuotaPrice, head: Uint8Array): Buffer {
    const { network, feePayer, payTo, quotaBytes } = this.#terms;
    const terms = JSON.stringify([site, network, feePayer, payTo, quotaBytes, mint, String(amount)]);
    return this.#hmac('offer', Buffer.concat([head, Buffer.from(terms)])).subarray(0, MAC_BYTES);
  }

  #hmac(what: string, data: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(`relaymint:${what}:v1\0`).update(data).digest();
  }
}

/** What is kept of a token; undefined if it is none. */
export function tokenHash(token: string): string | undefined {
  const secret = Buffer.from(token, 'base64url');
  return secret.length === TOKEN_BYTES ? createHash('sha256').update(secret).digest('base64url') : undefined;
}

function memoOf(offer: Uint8Array): string {
  const digest = createHash('sha256').update('relaymint:memo:v1\0').update(offer).digest();
  return `relaymint:${digest.subarray(0, MEMO_BYTES).toString('base64url')}`;
}
