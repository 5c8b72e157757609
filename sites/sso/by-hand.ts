/** A challenge and its answer as text to be copied: from the page to the command line and back. */
import { RelaymintError } from '../../core/errors.ts';
import type { Challenge } from '../siws/index.ts';

export function encodeChallenge(challenge: Challenge): string {
  return encode(challenge);
}

/** What it holds is not checked. @throws RelaymintError INVALID_ARGUMENT. */
export function decodeChallenge(text: string): unknown {
  return decode(text, 'what the sign-in page shows');
}

export function encodeAnswer(answer: object): string {
  return encode(answer);
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
    throw new RelaymintError('INVALID_ARGUMENT', `That is not ${what}.`, {
      remedy: 'Copy all of it, without anything before and after.',
      cause,
    });
  }
}
