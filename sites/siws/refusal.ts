import { RelaymintError } from '../../core/errors.ts';
import type { SignInRefusal } from './contract.ts';

const AGAIN = 'Go back to the site and sign in again.';

/** What the person does about each reason. */
const REMEDIES: Readonly<Record<SignInRefusal, string>> = {
  challenge: AGAIN,
  early: 'Set the clocks of all machines that serve this issuer by the same time service.',
  expired: `${AGAIN} It has to be signed within five minutes.`,
  address: 'Hand in the address as the wallet shows it: base58, 43 or 44 characters.',
  key: 'Use an ordinary wallet.',
  signature: `Sign with the wallet of that address exactly what the page shows. ${AGAIN}`,
};

/** SIGN_IN_REFUSED. `message` is a sentence. */
export function refusal(
  reason: SignInRefusal,
  message: string,
  options: { readonly cause?: unknown; readonly details?: Readonly<Record<string, number>> } = {},
): RelaymintError {
  return new RelaymintError('SIGN_IN_REFUSED', message, {
    remedy: REMEDIES[reason],
    cause: options.cause,
    details: { reason, ...options.details },
  });
}
