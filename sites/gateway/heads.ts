/** What the head of an answer says of content, in whichever form it is sent. */
import type { ServerResponse } from 'node:http';
import { isKnown, isOther } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import type { Place } from './place.ts';
import type { Trail } from '../unixfs/index.ts';

/** What says which form an answer has: an error has none. */
const FORM_HEADERS: readonly string[] = [
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Encoding',
  'Content-Length',
  'Content-Range',
  'ETag',
  'X-Ipfs-Path',
  'X-Ipfs-Roots',
];

/** Cache-Control of what an address names by its bytes. */
export const FOR_EVER = 'public, max-age=29030400, immutable';

export interface Told {
  readonly trail: Trail;
  /** ETag. */
  readonly tag: string;
  /** Cache-Control. Default: what the address promises. */
  readonly caching?: string | undefined;
  /** Which headers of a request choose the answer besides Accept. */
  readonly vary?: string;
}

export function setHeads({ request, response }: ContentAsked, place: Place, told: Told): void {
  const { trail, tag, caching, vary } = told;
  response.set({
    ETag: tag,
    // A name may move on, so it is asked about each time.
    'Cache-Control': caching ?? (place.immutable ? FOR_EVER : 'no-cache'),
    'X-Content-Type-Options': 'nosniff',
    'X-Ipfs-Path': place.canonical + request.path.slice(place.base.length),
    'X-Ipfs-Roots': trail.roots.map((cid) => cid.toString()).join(','),
    // It has other forms too.
    Vary: vary === undefined ? 'Accept' : `Accept, ${vary}`,
  });
  if (place.page !== undefined) response.vary('Origin');
  if (place.ownOrigin) response.set('Origin-Agent-Cluster', '?1');
}

/** Takes back what was said of the form of an answer, so that another one can be given. */
export function forgetForm(response: ServerResponse): void {
  for (const header of FORM_HEADERS) response.removeHeader(header);
}

/** Answers a visitor that has it already, or wants another one. `others`: tags of further forms that it may have. @returns whether it did. */
export function isAnswered(asked: ContentAsked, place: Place, told: Told, others: readonly string[] = []): boolean {
  const { request, response } = asked;
  const tags = [told.tag, ...others];
  const known = tags.find((tag) => isKnown(request, tag));
  const status = tags.every((tag) => isOther(request, tag)) ? 412 : known === undefined ? undefined : 304;
  if (status === undefined) return false;
  setHeads(asked, place, { ...told, tag: known ?? told.tag });
  // A browser replaces what it has by what this says: the policy that keeps a drawing from running scripts is to stay.
  if (status === 304 && place.declared !== undefined) response.removeHeader('Content-Security-Policy');
  response.status(status).end();
  return true;
}
