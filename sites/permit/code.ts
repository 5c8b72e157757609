/**
 * A permit on its way to the page that asked for it: base64url of JSON. Who has it and the key can post, and who asks chooses the key:
 * so the issuer sends it to the site's own address alone.
 */
import { toHex } from '../../core/codec.ts';
import type { SignedPermit } from './contract.ts';

export function encodePermit({ name, author, key, since, until, form, signature }: SignedPermit): string {
  const said = { name, author, key: toHex(key), since, until, form, signature: toHex(signature) };
  return Buffer.from(JSON.stringify(said)).toString('base64url');
}
