/** Whether a file is what it is said to be, by its first bytes: by its name, or by the media type that somebody declares for it. */
import { isText, sniffType } from './sniff.ts';

/** What is wrong; undefined when nothing is. */
export interface Contradiction {
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly remedy: string;
}

/** For people. */
const WORDS: Readonly<Record<string, string>> = {
  'application/gzip': 'a gzip file',
  'application/ogg': 'an Ogg file',
  'application/pdf': 'a PDF document',
  'application/postscript': 'a PostScript document',
  'application/vnd.pmtiles': 'a PMTiles archive',
  'application/wasm': 'WebAssembly',
  'application/x-rar-compressed': 'a RAR archive',
  'application/zip': 'a ZIP file',
  'audio/aiff': 'AIFF sound',
  'audio/basic': 'AU sound',
  'audio/flac': 'FLAC sound',
  'audio/midi': 'a MIDI file',
  'audio/mp4': 'MP4 sound',
  'audio/mpeg': 'MP3 sound',
  'audio/wav': 'WAV sound',
  'font/collection': 'a collection of fonts',
  'font/otf': 'an OpenType font',
  'font/ttf': 'a TrueType font',
  'font/woff': 'a WOFF font',
  'font/woff2': 'a WOFF2 font',
  'image/avif': 'an AVIF image',
  'image/bmp': 'a BMP image',
  'image/gif': 'a GIF image',
  'image/heic': 'a HEIC image',
  'image/heif': 'a HEIF image',
  'image/jpeg': 'a JPEG image',
  'image/jxl': 'a JPEG XL image',
  'image/png': 'a PNG image',
  'image/svg+xml': 'an SVG drawing',
  'image/tiff': 'a TIFF image',
  'image/webp': 'a WebP image',
  'image/x-icon': 'an icon',
  'text/html': 'a page of HTML',
  'text/xml': 'XML',
  'video/avi': 'an AVI film',
  'video/mp4': 'an MP4 film',
  'video/quicktime': 'a QuickTime film',
  'video/webm': 'a WebM film',
  'video/x-matroska': 'a Matroska film',
};

/** As what else a type may begin: the same container, or another word for it. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  'application/x-gzip': ['application/gzip'],
  'audio/mp4': ['video/mp4', 'video/quicktime'],
  'audio/ogg': ['application/ogg'],
  'audio/opus': ['application/ogg'],
  'audio/wave': ['audio/wav'],
  'audio/webm': ['video/webm'],
  'audio/x-flac': ['audio/flac'],
  'audio/x-m4a': ['audio/mp4', 'video/mp4'],
  'audio/x-wav': ['audio/wav'],
  'image/apng': ['image/png'],
  'image/heic': ['image/heif'],
  'image/heif': ['image/heic'],
  'image/vnd.microsoft.icon': ['image/x-icon', 'image/png'],
  'image/x-icon': ['image/png'],
  'image/svg+xml': ['text/xml'],
  'video/mp4': ['audio/mp4', 'video/quicktime'],
  'video/ogg': ['application/ogg'],
  'video/quicktime': ['video/mp4'],
  'video/vnd.avi': ['video/avi'],
  'video/x-m4v': ['video/mp4', 'audio/mp4', 'video/quicktime'],
  'video/x-matroska': ['video/webm'],
  'video/x-msvideo': ['video/avi'],
};

/** What files of these names begin with. */
const BY_ENDING: Readonly<Record<string, string>> = {
  apng: 'image/apng',
  avif: 'image/avif',
  bmp: 'image/bmp',
  flac: 'audio/flac',
  gif: 'image/gif',
  gz: 'application/gzip',
  heic: 'image/heic',
  ico: 'image/x-icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  jxl: 'image/jxl',
  m4a: 'audio/mp4',
  m4v: 'video/x-m4v',
  mkv: 'video/x-matroska',
  mov: 'video/quicktime',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  oga: 'audio/ogg',
  ogg: 'audio/ogg',
  ogv: 'video/ogg',
  opus: 'audio/opus',
  pdf: 'application/pdf',
  pmtiles: 'application/vnd.pmtiles',
  png: 'image/png',
  svgz: 'application/gzip',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  wasm: 'application/wasm',
  wav: 'audio/wav',
  webm: 'video/webm',
  webp: 'image/webp',
  woff: 'font/woff',
  woff2: 'font/woff2',
  zip: 'application/zip',
};
/** Text that is no page. */
const TEXTS: ReadonlySet<string> = new Set(['css', 'js', 'mjs', 'cjs', 'json', 'svg', 'webmanifest', 'map', 'csv']);
/** A comment ends at its first "-->" and nowhere else: with two ways to read it, many comments would be read in all combinations. */
const PAGE = /^(?:\xef\xbb\xbf)?(?:\s|<!--(?:(?!-->)[^])*-->)*<(?:!doctype html|html)[\s>]/i;
const POINTER = 'version https://git-lfs.github.com/spec/';

/** By its name. `head`: the first bytes, SNIFFED_BYTES where there are so many. */
export function contradictionIn(path: string, head: Uint8Array): Contradiction | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString('latin1');
  const extension = endingOf(path);
  if (text.startsWith(POINTER)) {
    return {
      severity: 'error',
      message: 'It is a pointer of Git LFS, not the file itself.',
      remedy: 'Fetch the files with "git lfs pull".',
    };
  }
  const expected = BY_ENDING[extension];
  if (expected === undefined && !TEXTS.has(extension)) return undefined;
  if (PAGE.test(text)) {
    return {
      severity: 'error',
      message: `It is named .${extension}, but is a page of HTML.`,
      remedy: 'Replace it: an error page was probably saved in its place.',
    };
  }
  if (expected === undefined || fitsType(expected, head)) return undefined;
  if (text === '') {
    return { severity: 'warning', message: 'It is empty.', remedy: 'Replace it, or remove it.' };
  }
  const real = sniffType(head);
  // Browsers look at the bytes of images, and go by the name of all else.
  return {
    severity: real === undefined ? 'error' : 'warning',
    message: `It is named .${extension}, but is ${wordsFor(real)}.`,
    remedy: real === undefined ? 'Replace it.' : 'Name it as what it is, or convert it.',
  };
}

/** Something is known of how files of that name begin. */
export function isTold(path: string): boolean {
  const ending = endingOf(path);
  return BY_ENDING[ending] !== undefined || TEXTS.has(ending);
}

/** The media type of pictures, films and sound of that name; undefined for all else. */
export function typeOfEnding(path: string): string | undefined {
  const ending = endingOf(path);
  return ending === 'svg' || ending === 'svgz' ? 'image/svg+xml' : BY_ENDING[ending];
}

function endingOf(path: string): string {
  return /[^/]\.([a-z\d]+)$/i.exec(path)?.[1]?.toLowerCase() ?? '';
}

/**
 * Whether bytes may be what a media type says, which has no parameters. Of a type whose beginning is not known here, everything but a page, a
 * script or other text is believed; a drawing may begin with a long comment.
 */
export function fitsType(type: string, head: Uint8Array): boolean {
  const real = sniffType(head);
  if (real === type || (real !== undefined && ALSO[type]?.includes(real) === true)) return true;
  if (type === 'image/svg+xml') return real === undefined && isText(head);
  const isKnown = WORDS[type] !== undefined || ALSO[type] !== undefined;
  return !isKnown && head.length > 0 && real !== 'text/html' && !isText(head);
}

/** What bytes are, for people. */
export function describeBytes(head: Uint8Array): string {
  if (head.length === 0) return 'empty';
  const real = sniffType(head);
  return real === undefined && isText(head) ? 'text' : wordsFor(real);
}

function wordsFor(type: string | undefined): string {
  return (type === undefined ? undefined : WORDS[type]) ?? 'something else';
}
