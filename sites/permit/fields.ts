/** Bounds of a permit, the same for what is asked for and for what stands in an entry. */
import { z } from 'zod';
import { KEY_BYTES } from '../../core/ids.ts';
import { MAX_PERMIT_MILLIS } from '../../core/limits.ts';
import { isName, parseName } from '../../core/name.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import { SIGNATURE_BYTES } from '../../ledger/receipt/index.ts';
import { SIGNED_FORMS } from '../siws/index.ts';
import type { Permit, PermitTerms } from './contract.ts';

function bytesOf(length: number): z.ZodType<Uint8Array> {
  return z.instanceof(Uint8Array).refine((bytes) => bytes.length === length, `has not ${length} bytes`);
}

/** The greatest that a date can say. */
const LAST_MILLIS = 8_640_000_000_000_000;
const timeField: z.ZodType<UnixMillis> = z.int().nonnegative().max(LAST_MILLIS).transform(unixMillis);

export const permitFields: z.ZodType<Permit> = z
  .strictObject({
    key: bytesOf(KEY_BYTES),
    since: timeField,
    until: timeField,
    form: z.enum(SIGNED_FORMS),
    signature: bytesOf(SIGNATURE_BYTES),
  })
  .refine(({ since, until }) => isSpan(since, until), 'counts for longer than it may, or for no time');

/** What cannot be permitted, the end of a sentence; undefined if it can. */
export function wrongWithTerms({ name, author, key, since, until }: PermitTerms): string | undefined {
  if (!isWritten(name)) return `${name} is no name`;
  if (!isWritten(author) || parseName(author).tld !== 'sso')
    return `${author} is no profile: posts are from .sso names`;
  if (author === name) return `${name} itself is said to by its owner alone`;
  if (key.length !== KEY_BYTES) return `a key has ${KEY_BYTES} bytes`;
  if (!isSpan(since, until)) return `it may last ${MAX_PERMIT_MILLIS / 3_600_000} hours at most`;
  return undefined;
}

function isSpan(since: number, until: number): boolean {
  return until > since && until - since <= MAX_PERMIT_MILLIS;
}

/** As it is written in a record. */
function isWritten(text: string): boolean {
  return isName(text) && parseName(text).name === text;
}
