/** A challenge and its answer as text to be copied: from the page to the command line and back. */
import { z } from 'zod';
import { RelaymintError } from '../../core/errors.ts';
import type { UnixMillis } from '../../core/units.ts';
import type { Challenge } from './contract.ts';
import { messageOf } from './forms.ts';
import { utf8 } from '../../core/codec.ts';
import type { PublisherKey } from '../blocks/index.ts';

export const challengeSchema: z.ZodType<Challenge> = z.strictObject({
  domain: z.string(),
  uri: z.string(),
  statement: z.string(),
  version: z.literal('1'),
  chainId: z.enum(['solana:mainnet', 'solana:testnet', 'solana:devnet', 'localnet']),
  nonce: z.string(),
  issuedAt: z.string(),
  expirationTime: z.string(),
  requestId: z.string(),
});

/** Letters, digits, "-" and "_". */
export function encodeChallenge(challenge: Challenge): string {
  return encode(challenge);
}

/**
 * What a page asks to be signed.
 * @throws RelaymintError INVALID_ARGUMENT: it is none, or its time is over.
 */
export function readChallenge(text: string, now: UnixMillis): Challenge {
  const what = 'what the sign-in page shows';
  const { data } = challengeSchema.safeParse(decode(text, what));
  if (data === undefined) throw notThat(what);
  if (Date.parse(data.expirationTime) > now) return data;
  throw new RelaymintError('INVALID_ARGUMENT', 'The time to sign this is over.', {
    remedy: 'Load the page once more, and sign what it shows then.',
  });
}

/** Signs the sign-in, and nothing else can be signed so. @throws RelaymintError SIGN_IN_REFUSED: it is no sign-in. */
export async function answerByHand(
  challenge: Challenge,
  key: PublisherKey,
  profile: string | undefined,
): Promise<string> {
  const signature = await key.sign(utf8(messageOf(challenge, key.address)));
  return encode({
    nonce: challenge.nonce,
    address: key.address,
    signature: Buffer.from(signature).toString('base64url'),
    ...(profile !== undefined && { profile }),
  });
}

/** What it holds is not checked. @throws RelaymintError INVALID_ARGUMENT. */
export function decodeAnswer(text: string): unknown {
  return decode(text.replaceAll(/\s/g, ''), 'what "relaymint sso sign" prints');
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(text: string, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch (cause) {
    throw notThat(what, cause);
  }
}

function notThat(what: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `That is not ${what}.`, {
    remedy: 'Copy all of it, without anything before and after.',
    cause,
  });
}
