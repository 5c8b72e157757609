/**
 * A permit on its way to the page that asked for it: base64url of JSON. Who has it and the key can post, and who asks chooses the key:
 * so the issuer sends it to the site's own address alone.
 */
import { fromHex, toHex } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { SignedPermit } from './contract.ts';
import { permitFields, wrongWithTerms } from './fields.ts';

/** More than any is long. */
const MAX_CHARACTERS = 1_024;

export function encodePermit({ name, author, key, since, until, form, signature }: SignedPermit): string {
  const said = { name, author, key: toHex(key), since, until, form, signature: toHex(signature) };
  return Buffer.from(JSON.stringify(said)).toString('base64url');
}

/** @throws RelaymintError INVALID_ARGUMENT: it is none. Whether it is signed is not looked at. */
export function decodePermit(text: string): SignedPermit {
  try {
    if (text.length > MAX_CHARACTERS) throw new RangeError('it is too long');
    const { name, author, key, signature, ...rest } = JSON.parse(
      Buffer.from(text, 'base64url').toString('utf8'),
    ) as Record<string, unknown>;
    const fields = permitFields.parse({ ...rest, key: fromHex(String(key)), signature: fromHex(String(signature)) });
    const decoded = { name: String(name), author: String(author), ...fields };
    const wrong = wrongWithTerms(decoded);
    if (wrong !== undefined) throw new RangeError(wrong);
    return decoded;
  } catch (cause) {
    throw new RelaymintError('INVALID_ARGUMENT', 'That is no permit to post.', {
      remedy: 'Ask the issuer for one anew.',
      cause,
    });
  }
}
