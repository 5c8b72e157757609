/** The packed forms in which a file may be sent instead: by its publisher, as `app.js.br` beside `app.js`, or by the gateway. */
import type { CID } from 'multiformats/cid';
import { follow } from '../unixfs/index.ts';
import type { Answering } from './answering.ts';
import { rangeApplies } from './conditions.ts';
import { PACKED_ENDING, isCompressible, type Coding } from './encodings.ts';
import { typeByName } from './media-type.ts';

export interface Variant {
  readonly coding: Coding;
  /** ETag. What the gateway packs may differ in its bytes from version to version, so it is weak. */
  readonly tag: string;
  /** The file that its publisher packed; undefined: the gateway packs. */
  readonly cid: CID | undefined;
}

/** A range is cut out of what is not packed, unless the visitor does not take that. `tag`: of what is not packed. */
export function wantsPart({ asked: { request }, accepted }: Answering, tag: string): boolean {
  const isAsked = request.method === 'GET' && request.headers.range !== undefined;
  return isAsked && accepted.identity && rangeApplies(request, tag);
}

/** Of a file at a path, those that the visitor takes, in the order to try them. `tag`: of what is not packed. */
export async function variantsOf(
  answering: Answering,
  segments: readonly string[],
  tag: string,
): Promise<readonly Variant[]> {
  const { accepted, place, blocks, asked } = answering;
  if (accepted.codings.length === 0 || wantsPart(answering, tag)) return [];
  const of = (what: string): string => `"${tag.slice(1, -1)}.${what}"`;
  const ours = accepted.codings.map((coding): Variant => ({ coding, tag: `W/${of(coding)}`, cid: undefined }));
  const filename = segments.at(-1) ?? '';
  const known = typeByName(filename);
  const isPage = known?.type === 'text/html' && place.appendix !== undefined;
  if (known === undefined || known.encoding !== undefined || isPage || !isCompressible(known.type)) return ours;
  const theirs: Variant[] = [];
  for (const coding of accepted.codings) {
    const beside = [...segments.slice(0, -1), filename + PACKED_ENDING[coding]];
    const trail = await follow(blocks, place.root, beside, { signal: asked.signal });
    if (trail !== undefined) theirs.push({ coding, tag: of(trail.cid.toString()), cid: trail.cid });
  }
  return [...theirs, ...ours];
}
