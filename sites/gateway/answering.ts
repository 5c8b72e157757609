/** What is the same for whatever answers a request for files of a place. */
import type { BlockReader } from '../blocks/contract.ts';
import type { ContentAsked } from './contract.ts';
import type { AcceptedCodings } from './encodings.ts';
import type { Place } from './place.ts';

export interface Answering {
  readonly asked: ContentAsked;
  readonly place: Place;
  readonly blocks: BlockReader;
  /** What the answer is said to be. Default: what the file is. */
  readonly type: string | undefined;
  readonly accepted: AcceptedCodings;
}
