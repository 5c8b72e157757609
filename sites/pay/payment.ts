/** A PAYMENT-SIGNATURE header (x402 v2), as far as it is of use here. What it says of amounts and receivers is not: the gateway knows them. */
import { decodePaymentSignatureHeader } from '@x402/core/http';
import { z } from 'zod';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PAYMENT_HEADER } from '../../core/limits.ts';

const shown = z.object({
  x402Version: z.literal(2),
  accepted: z.object({ scheme: z.literal('exact'), extra: z.object({ offer: z.string().max(128) }) }),
  payload: z.object({ transaction: z.string().max(MAX_PAYMENT_HEADER) }),
});

export interface ShownPayment {
  /** The offer that it answers. */
  readonly offer: string;
  /** base64. */
  readonly transaction: string;
}

/** @throws RelaymintError PAYMENT_INVALID */
export function readPayment(header: string): ShownPayment {
  if (header.length > MAX_PAYMENT_HEADER) throw invalidPayment('It is too long.');
  let decoded: unknown;
  try {
    decoded = decodePaymentSignatureHeader(header);
  } catch (cause) {
    throw invalidPayment('PAYMENT-SIGNATURE is no base64 of JSON.', cause);
  }
  const { success, data, error } = shown.safeParse(decoded);
  if (!success) throw invalidPayment('PAYMENT-SIGNATURE is no payment of x402 version 2, scheme exact.', error);
  return { offer: data.accepted.extra.offer, transaction: data.payload.transaction };
}

export function invalidPayment(what: string, cause?: unknown): RelaymintError {
  return new RelaymintError('PAYMENT_INVALID', what, {
    remedy: 'Ask again without a payment, and pay what the answer says.',
    cause,
  });
}
