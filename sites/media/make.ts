/**
 * Makes smaller forms and thumbnails of a folder's pictures, in a folder of their own: nothing of the publisher's is changed. By the sharp
 * package, which is optional and loaded only here.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Sharp, SharpOptions } from 'sharp';
import type * as SharpModule from 'sharp';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS } from '../../core/limits.ts';
import { formatBytes } from '../../core/units.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { publishableFiles } from '../unixfs/index.ts';
import { fitsType, typeOfEnding } from './kinds.ts';
import { MadeFiles, type MadeFile } from './made.ts';
import { SNIFFED_BYTES } from './sniff.ts';
import { rightsXmp, type Rights } from './xmp.ts';

export interface MakeOptions {
  readonly folder: string;
  /** Where what is made is kept from one publish to the next; nothing else is in it. */
  readonly into: string;
  /** Of thumbnails, pixels; those as wide as the picture or wider are not made. */
  readonly widths: readonly number[];
  /** Written into what is made, as XMP. */
  readonly rights?: Rights | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number; readonly path: string }) => void;
  /** Default: the sharp package. */
  readonly load?: () => Promise<Pick<typeof SharpModule, 'default'>>;
}

export interface MadePictures {
  /** What was made: where it is published, and the file that it is in. */
  readonly beside: ReadonlyMap<string, string>;
  /** Pictures of which something was made. */
  readonly pictures: number;
  /** Those of which nothing could be made, and why. */
  readonly failed: readonly { readonly path: string; readonly why: string }[];
}

/** The folder of the site where thumbnails are: `thumbnails/320/photo.jpg`. */
export const THUMBNAILS = 'thumbnails';
/** Larger than any screen. */
export const MAX_THUMBNAIL_WIDTH = 8_192;
/** A picture that keeps the library busy for longer is left as it is. */
const MAX_SECONDS = 120;

type Encode = (picture: Sharp) => Sharp;

const FORMS: readonly { readonly ending: string; readonly type: string; readonly encode: Encode }[] = [
  { ending: '.avif', type: 'image/avif', encode: (picture) => picture.avif({ quality: 55 }) },
  { ending: '.webp', type: 'image/webp', encode: (picture) => picture.webp({ quality: 80 }) },
];
/** What something is made of, and thumbnails in the same kind for browsers that know no other. */
const SOURCES: Readonly<Record<string, Encode>> = {
  'image/jpeg': (picture) => picture.jpeg({ quality: 82, mozjpeg: true }),
  'image/png': (picture) => picture.png({ compressionLevel: 9 }),
  'image/webp': (picture) => picture.webp({ quality: 80 }),
};

/**
 * The same pictures give the same bytes with the same version of sharp. A picture that is none, has too many pixels or moves is passed over.
 * @throws RelaymintError PROGRAM_MISSING (sharp is not installed), ABORTED, STORAGE_FAILED, STORAGE_FULL, and as `publishableFiles`.
 */
export async function makePictures(options: MakeOptions): Promise<MadePictures> {
  const { folder, into, signal, onProgress = () => {} } = options;
  assertNotAborted(signal, MAKING);
  const make = new Making(await loadSharp(options.load), options);
  const sources: { readonly path: string; readonly file: string }[] = [];
  for await (const one of publishableFiles(folder, { signal })) {
    const isMade = one.path.startsWith(`${THUMBNAILS}/`);
    if (!isMade && SOURCES[typeOfEnding(one.path) ?? ''] !== undefined) sources.push(one);
  }
  await makeFolder(into);
  const failed: { path: string; why: string }[] = [];
  for (const [done, source] of sources.entries()) {
    assertNotAborted(signal, MAKING);
    onProgress({ done, total: sources.length, path: source.path });
    try {
      await make.of(source.path, source.file);
    } catch (error) {
      if (isRelaymintError(error)) throw error;
      failed.push({ path: source.path, why: messageOf(error).split('\n')[0] ?? '' });
    }
  }
  await make.end();
  return { beside: make.beside, pictures: make.pictures, failed };
}

const MAKING = 'Making forms of pictures';

class Making {
  readonly beside = new Map<string, string>();
  pictures = 0;
  readonly #sharp: (typeof SharpModule)['default'];
  readonly #options: MakeOptions;
  readonly #xmp: string | undefined;
  readonly #made: MadeFiles;

  constructor(sharp: (typeof SharpModule)['default'], options: MakeOptions) {
    this.#sharp = sharp;
    this.#options = options;
    this.#made = new MadeFiles(options.into);
    this.#xmp = options.rights && rightsXmp(options.rights);
  }

  /** @throws Error (nothing can be made of it); RelaymintError STORAGE_FAILED, STORAGE_FULL. */
  async of(published: string, file: string): Promise<void> {
    const type = typeOfEnding(published) ?? '';
    const encode = SOURCES[type];
    const { size } = await stat(file);
    if (size > MAX_PICTURE_BYTES) throw new Error(`it is larger than ${formatBytes(MAX_PICTURE_BYTES)}`);
    const bytes = await readFile(file);
    if (encode === undefined || !fitsType(type, bytes.subarray(0, SNIFFED_BYTES)))
      throw new Error('it is something else');
    const { pages = 1, autoOrient } = await this.#open(bytes).metadata();
    // What moves is a film: its forms would be, too, and larger.
    if (pages > 1) return;
    const original = createHash('sha256').update(bytes).digest('hex');
    const made = new Map<string, string>();
    const forms = async (at: string, most: number, width: number | undefined): Promise<void> => {
      for (const form of FORMS) {
        if (form.type === type) continue;
        const kept = await this.#kept(original, bytes, form.encode, form.type, width);
        if (kept.size < most) made.set(at + form.ending, kept.file);
      }
    };
    await forms(published, size, undefined);
    for (const width of this.#options.widths) {
      if (width >= autoOrient.width) continue;
      const at = `${THUMBNAILS}/${width}/${published}`;
      const kept = await this.#kept(original, bytes, encode, type, width);
      made.set(at, kept.file);
      await forms(at, kept.size, width);
    }
    // All of a picture, or nothing.
    for (const [where, from] of made) this.beside.set(where, from);
    if (made.size > 0) this.pictures += 1;
  }

  async end(): Promise<void> {
    await this.#made.forgetOthers();
  }

  async #kept(original: string, bytes: Uint8Array, encode: Encode, how: string, width?: number): Promise<MadeFile> {
    const { versions } = this.#sharp;
    return await this.#made.of([RECIPE, versions, original, how, width ?? null, this.#xmp ?? null], async () => {
      const oriented = this.#open(bytes).autoOrient();
      const sized = width === undefined ? oriented : oriented.resize({ width, withoutEnlargement: true });
      const told = this.#xmp === undefined ? sized : sized.withXmp(this.#xmp);
      return await encode(told).timeout({ seconds: MAX_SECONDS }).toBuffer();
    });
  }

  /** Nothing of what it says of itself goes into what is made of it: a camera says where it was. */
  #open(bytes: Uint8Array): Sharp {
    const options: SharpOptions = { limitInputPixels: MAX_PICTURE_PIXELS, failOn: 'error' };
    return this.#sharp(bytes, options);
  }
}

/** Rises when the same pictures shall be made anew. */
const RECIPE = 1;

async function loadSharp(
  load: NonNullable<MakeOptions['load']> = () => import('sharp'),
): Promise<(typeof SharpModule)['default']> {
  try {
    return (await load()).default;
  } catch (cause) {
    throw new RelaymintError(
      'PROGRAM_MISSING',
      'Forms of pictures are made by the package "sharp", which is not here.',
      {
        remedy: 'Install it with "npm install sharp", or publish without --thumbnails.',
        cause,
      },
    );
  }
}
