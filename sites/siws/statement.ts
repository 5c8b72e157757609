/** The line for the person in what a wallet signs. */
import { RelaymintError } from '../../core/errors.ts';
import { MAX_SIGN_IN_CLIENT_LETTERS } from '../../core/limits.ts';

/** What the grammar of a statement has: nothing that breaks a line, turns the direction or looks like another letter. */
const STATEMENT = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;= ]+$/;
/** All else, and the quote around the name: a client must not end it and go on in our words. */
const UNSAFE = /[^A-Za-z0-9\-._~:/?#[\]@!$&()*+,;= ]/gu;
const GAP = '..';
/** Of a name that is too long its end says more than its beginning: that is where a host name ends. */
const HEAD_LETTERS = 20;

export function isStatement(text: string): boolean {
  return STATEMENT.test(text);
}

/** @throws RelaymintError INVALID_ARGUMENT when the client has no name. */
export function statementFor(client: string): string {
  return `Sign in to '${safeName(client)}'. This only signs you in and moves no money.`;
}

function safeName(client: string): string {
  const safe = client.replaceAll(UNSAFE, '?').replaceAll(/ {2,}/g, ' ').trim();
  if (safe === '') {
    throw new RelaymintError('INVALID_ARGUMENT', 'A client without a name asks to sign somebody in.', {
      remedy: 'Name it by the origin of its redirect address.',
    });
  }
  if (safe.length <= MAX_SIGN_IN_CLIENT_LETTERS) return safe;
  const tail = MAX_SIGN_IN_CLIENT_LETTERS - HEAD_LETTERS - GAP.length;
  return `${safe.slice(0, HEAD_LETTERS)}${GAP}${safe.slice(-tail)}`;
}
