/** Pictures, films and sound: what files really are, and what is made of pictures for visitors. */
export { beginningsOfContent, beginningsOfFolder, doubtsAbout } from './doubts.ts';
export type { Beginning, Doubt, LookOptions } from './doubts.ts';
export { contradictionIn, describeBytes, fitsType } from './kinds.ts';
export type { Contradiction } from './kinds.ts';
export { MAX_THUMBNAIL_WIDTH, THUMBNAILS, makePictures } from './make.ts';
export type { MadePictures, MakeOptions } from './make.ts';
export { POSTER_ENDING, makePosters } from './posters.ts';
export type { MadePosters, PosterOptions } from './posters.ts';
export { SNIFFED_BYTES, sniffType } from './sniff.ts';
export type { Rights } from './xmp.ts';
