/** What a gateway says of a name's terms beside its content: its verified manifest as JSON, and its licence for programs that look for one. */
import type { Response } from 'express';
import { RSL_TYPE, manifestJson, rslOf, type SignedManifest } from '../manifest/index.ts';
import { follow } from '../unixfs/index.ts';
import { isKnown, strongTag } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import { noSuchPage } from './failure.ts';
import { sendMessage } from './pages.ts';
import { pathBelow, splitPath, type Place } from './place.ts';
import { representationOf } from './representation.ts';

/** Of the gateway alone, however it is written and in whichever form: a file of the site there would say what nobody signed. */
const MANIFEST_PATH = ['.well-known', 'relaymint', 'manifest.json'];
/** The block itself: who has it and the name's record needs to trust no gateway. */
const MANIFEST_BLOCK_PATH = ['.well-known', 'relaymint', 'manifest.cbor'];
const BLOCK_TYPE = 'application/vnd.ipld.dag-cbor';
/** The site's own file comes first. */
const LICENCE_FILE = 'license.xml';

/** On all answers of a name that has a licence. */
export function tellLicence(response: Response, { manifest }: SignedManifest): void {
  if (manifest.licence !== undefined) response.set('Link', `</${LICENCE_FILE}>; rel="license"; type="${RSL_TYPE}"`);
}

/**
 * @param signed undefined: the name has none, and nothing is shown in its place
 * @returns whether it was a request for one of these, and is answered. @throws RelaymintError and the reader's errors.
 */
export async function answerTerms(
  asked: ContentAsked,
  place: Place,
  signed: SignedManifest | undefined,
): Promise<boolean> {
  const path = splitPath(pathBelow(place, asked.request.path))?.segments ?? [];
  const asBlock = isSame(path, MANIFEST_BLOCK_PATH);
  if (asBlock || isSame(path, MANIFEST_PATH)) {
    if (signed === undefined) sendMessage(asked.response, noSuchPage(place.title));
    else if (asBlock) send(asked, signed, BLOCK_TYPE, signed.block);
    else send(asked, signed, 'application/json', `${JSON.stringify(manifestJson(signed), undefined, 2)}\n`);
    return true;
  }
  if (signed === undefined || !isSame(path, [LICENCE_FILE])) return false;
  if (representationOf(asked.request, true).form !== 'tree') return false;
  const licence = rslOf(signed.manifest);
  if (licence === undefined) return false;
  const own = await follow(place.blocks, place.root, [LICENCE_FILE], { signal: asked.signal });
  if (own !== undefined) return false;
  send(asked, signed, RSL_TYPE, licence);
  return true;
}

function isSame(path: readonly string[], other: readonly string[]): boolean {
  return path.length === other.length && path.every((segment, index) => segment === other[index]);
}

function send(
  { request, response }: ContentAsked,
  { cid }: SignedManifest,
  type: string,
  body: string | Uint8Array,
): void {
  // As text and as a block it is not the same.
  const tag = strongTag(typeof body === 'string' ? cid.toString() : `${cid.toString()}.block`);
  response.set({ ETag: tag, 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff', 'Content-Type': type });
  if (isKnown(request, tag)) response.status(304).end();
  else response.send(typeof body === 'string' ? body : Buffer.from(body));
}
