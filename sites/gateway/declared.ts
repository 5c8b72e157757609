/**
 * Pictures and films whose owner says in a manifest what they are: their first bytes are compared before any is sent, and a drawing that can
 * hold script (SVG) is shown without.
 */
import type { Response } from 'express';
import { LRUCache } from 'lru-cache';
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_KNOWN_MEDIA } from '../../core/limits.ts';
import type { SignedManifest } from '../manifest/contract.ts';
import { describeBytes, fitsType, sniffType } from '../media/index.ts';

export interface Declared {
  /** Of the original. */
  readonly mediaType: string;
  /** For whom the bytes are fetched: what was fetched for another page is nobody's business. */
  readonly reader: string;
}

/** It draws, and does nothing else: no script, no form, nothing of another address, and an origin that is nobody's. */
export const DRAWING_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";
const MEDIA = /^(?:image|video|audio)\/|^application\/ogg$/;

/** Contents that were compared and are what they are said to be. */
const known = new LRUCache<string, true>({ max: MAX_KNOWN_MEDIA });

/** undefined: the manifest is about no picture and no film. `page`: the name that embeds it. */
export function declaredBy(signed: SignedManifest | undefined, page: string | undefined): Declared | undefined {
  if (signed === undefined || (signed.manifest.kind !== 'image' && signed.manifest.kind !== 'video')) return undefined;
  return { mediaType: signed.manifest.mediaType, reader: `${signed.manifest.name} ${page ?? ''}` };
}

/**
 * What is sent as the declared type has to be that; what is sent as another picture, film or sound at least no page and no script.
 * `head`: reads the first bytes, unpacked.
 * @throws RelaymintError CONTENT_REFUSED, and what `head` throws.
 */
export async function requireDeclared(
  declared: Declared,
  { cid, type, path }: { readonly cid: CID; readonly type: string; readonly path: string },
  head: () => Promise<Uint8Array>,
): Promise<void> {
  const said = essenceOf(type);
  if (!MEDIA.test(said)) return;
  const key = `${declared.reader} ${said} ${cid.toString()}`;
  if (known.has(key)) return;
  const bytes = await head();
  const isWell = said === declared.mediaType ? fitsType(said, bytes) : isHarmless(said, bytes);
  if (!isWell) {
    throw new RelaymintError('CONTENT_REFUSED', `${path} is ${describeBytes(bytes)}, and is said to be ${said}.`, {
      remedy: 'Its owner has to publish the picture or film itself, with "relaymint site publish".',
    });
  }
  known.set(key, true);
}

/** Beside what the site says itself: browsers obey each policy. */
export function sandboxDrawing(response: Response, type: string): void {
  if (/^image\/[\w.-]+\+xml$/.test(essenceOf(type))) response.append('Content-Security-Policy', DRAWING_POLICY);
}

function isHarmless(type: string, head: Uint8Array): boolean {
  const real = sniffType(head);
  return fitsType(type, head) || (real !== undefined && MEDIA.test(real) && real !== 'image/svg+xml');
}

function essenceOf(type: string): string {
  return type.split(';')[0]?.trim().toLowerCase() ?? '';
}
