/** A permit on its way to the page that asked for it: base64url of dag-cbor. It is no secret: without the key nobody can use it. */
import * as dagCbor from '@ipld/dag-cbor';
import { RelaymintError } from '../../core/errors.ts';
import type { Permit, SignedPermit } from './contract.ts';
import { permitFields, wrongWithTerms } from './fields.ts';

/** More than any is long. */
const MAX_CHARACTERS = 1_024;

export function encodePermit({ name, author, ...permit }: SignedPermit): string {
  return Buffer.from(dagCbor.encode({ name, author, permit: wireOf(permit) })).toString('base64url');
}

/** @throws RelaymintError INVALID_ARGUMENT: it is none. Whether it is signed is not looked at. */
export function decodePermit(text: string): SignedPermit {
  try {
    if (text.length > MAX_CHARACTERS) throw new RangeError('it is too long');
    const { name, author, permit } = dagCbor.decode<Record<string, unknown>>(Buffer.from(text, 'base64url'));
    const decoded = { name: String(name), author: String(author), ...permitFields.parse(permit) };
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

function wireOf({ key, since, until, form, signature }: Permit): object {
  return { key, since, until, form, signature };
}
