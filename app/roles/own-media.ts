/** Whether what is published is what its names and its manifest say. */
import type { CID } from 'multiformats/cid';
import { findProgram } from '../../platform/program.ts';
import type { BlockReader } from '../../sites/blocks/index.ts';
import type { ManifestTerms } from '../../sites/manifest/index.ts';
import {
  beginningsOfContent,
  beginningsOfFolder,
  doubtsAbout,
  makePictures,
  makePosters,
  type Doubt,
  type MadePictures,
  type MadePosters,
  type MakeOptions,
  type PosterOptions,
  type Rights,
} from '../../sites/media/index.ts';
import { picturesFolder, postersFolder } from './archive.ts';

type Declaring = Pick<ManifestTerms, 'kind' | 'mediaType'>;

/** Looks before anything is paid for. @throws RelaymintError INVALID_ARGUMENT: a picture or film is not what `terms` declare. */
export async function doubtsOf(
  directory: string,
  car: { readonly blocks: BlockReader; readonly root: CID } | undefined,
  terms: Declaring | undefined,
  signal: AbortSignal,
): Promise<readonly Doubt[]> {
  const files =
    car === undefined
      ? beginningsOfFolder(directory, { signal })
      : beginningsOfContent(car.blocks, car.root, { signal });
  return await doubtsAbout(files, terms && declaredType(terms));
}

/** For terms that were signed before, of other content. @throws RelaymintError INVALID_ARGUMENT, and the reader's errors. */
export async function assertDeclared(
  blocks: BlockReader,
  root: CID,
  manifest: Declaring | undefined,
  signal: AbortSignal,
): Promise<void> {
  const type = manifest && declaredType(manifest);
  if (type !== undefined) await doubtsAbout(beginningsOfContent(blocks, root, { signal }), type);
}

export interface PicturesOptions extends Omit<MakeOptions, 'into' | 'rights'> {
  readonly dataDir: string;
  readonly terms: ManifestTerms | undefined;
}

/** Smaller forms and thumbnails of a folder's pictures, kept for the name in the data folder. @throws RelaymintError as `makePictures`. */
export async function picturesFor(
  name: string,
  { dataDir, terms, ...options }: PicturesOptions,
): Promise<MadePictures> {
  const into = picturesFolder(dataDir, name);
  return await makePictures({ ...options, into, rights: rightsOf(terms) });
}

export interface PostersOptions extends Omit<PosterOptions, 'into' | 'rights' | 'program'> {
  readonly dataDir: string;
  readonly terms: ManifestTerms | undefined;
}

/** A picture of each of a folder's films, kept for the name in the data folder. @throws RelaymintError PROGRAM_MISSING, and as `makePosters`. */
export async function postersFor(name: string, { dataDir, terms, ...options }: PostersOptions): Promise<MadePosters> {
  const program = await findProgram('ffmpeg');
  return await makePosters({ ...options, program, into: postersFolder(dataDir, name), rights: rightsOf(terms) });
}

function rightsOf(terms: ManifestTerms | undefined): Rights | undefined {
  return terms && { creator: terms.creator, copyright: terms.copyright, url: terms.licence?.url };
}

/** What pictures or films have to be; undefined: it is about a site. */
function declaredType({ kind, mediaType }: Declaring): string | undefined {
  return kind === 'image' || kind === 'video' ? mediaType : undefined;
}
