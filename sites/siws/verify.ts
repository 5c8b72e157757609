/** Whether an answer to a challenge shows that its sender holds the wallet's key. */
import { isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { SIGN_IN_SKEW_MILLIS } from '../../core/limits.ts';
import type { UnixMillis } from '../../core/units.ts';
import { SIGNATURE_BYTES, receiptVerifier, type ReceiptVerifier } from '../../ledger/receipt/index.ts';
import { checkChallenge } from './challenge.ts';
import type { Challenge, SignedIn, SignInAnswer } from './contract.ts';
import { checkedAddress, formsOf } from './forms.ts';
import { refusal } from './refusal.ts';

/**
 * Who signed in. `challenge` is the one that was kept, and is no longer in the store: whoever verifies first and deletes afterwards lets two
 * in with one signature. @throws RelaymintError SIGN_IN_REFUSED, with a `SignInRefusal` as `details.reason`
 */
export function verifySignIn(challenge: Challenge, answer: SignInAnswer, now: UnixMillis): SignedIn {
  checkChallenge(challenge);
  checkTime(challenge, now);
  const address = checkedAddress(answer.address);
  const isSigned = verifierOf(address);
  if (answer.signature.length !== SIGNATURE_BYTES) {
    throw refusal('signature', `A signature has ${SIGNATURE_BYTES} bytes, this one ${answer.signature.length}.`);
  }
  const signed = formsOf(challenge, address).find(({ bytes }) => isSigned(bytes, answer.signature));
  if (signed === undefined) {
    throw refusal('signature', `The wallet ${address} has not signed what this page asked of it.`);
  }
  return { address, form: signed.form };
}

function checkTime({ issuedAt, expirationTime }: Challenge, now: UnixMillis): void {
  const early = Date.parse(issuedAt) - now;
  const late = now - Date.parse(expirationTime);
  if (early > SIGN_IN_SKEW_MILLIS) {
    throw refusal(
      'early',
      `This sign-in was begun ${seconds(early)} s ahead of this machine's clock, which says ${utc(now)}.`,
      {
        details: { skewSeconds: seconds(early) },
      },
    );
  }
  if (late >= 0) {
    throw refusal(
      'expired',
      `This sign-in ended ${seconds(late)} s ago by this machine's clock, which says ${utc(now)}.`,
      {
        details: { lateSeconds: seconds(late) },
      },
    );
  }
}

function seconds(millis: number): number {
  return Math.floor(millis / 1000);
}

function utc(now: UnixMillis): string {
  return new Date(now).toISOString();
}

/** A verifier as strict as the one of receipts: a key of small order "signs" every message, and node's own accepts that. */
function verifierOf(address: LedgerAddress): ReceiptVerifier {
  try {
    return receiptVerifier(address);
  } catch (cause) {
    if (isRelaymintError(cause, 'RECEIPT_INVALID')) {
      throw refusal('key', `${address} is no wallet's: signatures for it can be made without a key.`, { cause });
    }
    throw cause;
  }
}
