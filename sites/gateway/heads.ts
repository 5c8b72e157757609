/** What the head of an answer says of content, in whichever form it is sent. */
import { isKnown, isOther } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import type { Place } from './place.ts';
import type { Trail } from '../unixfs/index.ts';

/** Cache-Control of what an address names by its bytes. */
export const FOR_EVER = 'public, max-age=29030400, immutable';

export interface Told {
  readonly trail: Trail;
  /** ETag. */
  readonly tag: string;
}

export function setHeads({ request, response }: ContentAsked, place: Place, { trail, tag }: Told): void {
  response.set({
    ETag: tag,
    // A name may move on, so it is asked about each time.
    'Cache-Control': place.immutable ? FOR_EVER : 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    'X-Ipfs-Path': place.canonical + request.path.slice(place.base.length),
    'X-Ipfs-Roots': trail.roots.map((cid) => cid.toString()).join(','),
    // It has other forms too.
    Vary: 'Accept',
  });
  if (place.ownOrigin) response.set('Origin-Agent-Cluster', '?1');
}

/** Answers a visitor that has it already, or wants another one. @returns whether it did. */
export function isAnswered(asked: ContentAsked, place: Place, told: Told): boolean {
  const { request, response } = asked;
  const status = isOther(request, told.tag) ? 412 : isKnown(request, told.tag) ? 304 : undefined;
  if (status === undefined) return false;
  setHeads(asked, place, told);
  response.status(status).end();
  return true;
}
