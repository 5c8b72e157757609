/**
 * The forms of a picture that its publisher put beside it, `photo.jpg.avif` beside `photo.jpg`: one that the visitor's browser knows is sent in
 * its place. The picture itself stays what it is, and can always be had.
 */
import type { CID } from 'multiformats/cid';
import { isDirectoryCodec } from '../blocks/index.ts';
import { fitsType, SNIFFED_BYTES } from '../media/index.ts';
import { follow, openNode, readFile, type Trail } from '../unixfs/index.ts';
import { AcceptedTypes } from './accepted-types.ts';
import type { Answering } from './answering.ts';
import { isKnown, isOther } from './conditions.ts';
import { typeByName } from './media-type.ts';
import { parameter } from './representation.ts';

/** How a form beside a picture ends its name; the first of those that are wanted alike is sent. */
export const PICTURE_FORMS: readonly { readonly ending: string; readonly type: string }[] = [
  { ending: '.avif', type: 'image/avif' },
  { ending: '.webp', type: 'image/webp' },
];
/** A drawing is sharp at every size, and is packed as text. */
const DRAWING = /\+xml$/;

export interface PictureForm {
  readonly segments: readonly string[];
  readonly trail: Trail;
}

/**
 * The form to send in place of the picture at a path. Undefined: the picture itself, which `?original` and `?download=true` always ask for.
 * `tagOf`: the ETag of a form.
 */
export async function pictureForm(
  { asked: { request, signal }, blocks, place, type: given }: Answering,
  segments: readonly string[],
  picture: CID,
  tagOf: (trail: Trail) => string,
): Promise<PictureForm | undefined> {
  const filename = segments.at(-1) ?? '';
  const type = typeByName(filename)?.type;
  if (!place.ownOrigin || given !== undefined || type?.startsWith('image/') !== true || DRAWING.test(type))
    return undefined;
  if (parameter(request, 'original') !== undefined || parameter(request, 'download') === 'true') return undefined;
  const accepted = new AcceptedTypes(request.headers.accept);
  const wanted = PICTURE_FORMS.filter((form) => form.type !== type && accepted.prefers(type, form.type)).toSorted(
    (a, b) => accepted.of(b.type).weight - accepted.of(a.type).weight,
  );
  for (const form of wanted) {
    const beside = [...segments.slice(0, -1), filename + form.ending];
    const trail = await follow(blocks, place.root, beside, { signal });
    if (trail === undefined) continue;
    const tag = tagOf(trail);
    // Who wants another one, by its tag, gets that if it is there.
    if (isOther(request, tag)) continue;
    const isWell = isKnown(request, tag) || (await isOfType(form.type, trail.cid, blocks, signal));
    // A folder may be called so too.
    if (isWell && (await isFile(picture, blocks, signal))) return { segments: beside, trail };
  }
  return undefined;
}

/** What is not what its name says would be a broken picture, and the one that was asked for is not. */
async function isOfType(type: string, cid: CID, blocks: Answering['blocks'], signal: AbortSignal): Promise<boolean> {
  const file = await openNode(blocks, cid, { signal });
  if (file.type !== 'file') return false;
  const first = await readFile(blocks, file, { start: 0, end: Math.min(file.size, SNIFFED_BYTES) }, { signal }).next();
  return first.done !== true && fitsType(type, first.value);
}

/** A leaf is one, and is not fetched to be sent in another form. */
async function isFile(cid: CID, blocks: Answering['blocks'], signal: AbortSignal): Promise<boolean> {
  return !isDirectoryCodec(cid) || (await openNode(blocks, cid, { signal })).type === 'file';
}
