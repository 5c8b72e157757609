/** Whether a file is what its name says, by its first bytes. */

/** What is wrong; undefined when nothing is. */
export interface Contradiction {
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly remedy: string;
}

interface Signature {
  readonly what: string;
  /** Latin-1, where it begins. */
  readonly bytes: string;
  readonly at?: number;
}

const PNG: Signature = { what: 'a PNG image', bytes: '\x89PNG' };
const JPEG: Signature = { what: 'a JPEG image', bytes: '\xff\xd8\xff' };
const GIF: Signature = { what: 'a GIF image', bytes: 'GIF8' };
const WEBP: Signature = { what: 'a WebP image', bytes: 'WEBP', at: 8 };
const ICON: Signature = { what: 'an icon', bytes: '\0\0\x01\0' };
const PDF: Signature = { what: 'a PDF document', bytes: '%PDF-' };
const WOFF: Signature = { what: 'a WOFF font', bytes: 'wOFF' };
const WOFF2: Signature = { what: 'a WOFF2 font', bytes: 'wOF2' };
const ISO_MEDIA: Signature = { what: 'an MP4, AVIF or HEIC file', bytes: 'ftyp', at: 4 };
const MATROSKA: Signature = { what: 'a WebM or Matroska file', bytes: '\x1aE\xdf\xa3' };
const OGG: Signature = { what: 'an Ogg file', bytes: 'OggS' };
const WASM: Signature = { what: 'WebAssembly', bytes: '\0asm' };
const GZIP: Signature = { what: 'a gzip file', bytes: '\x1f\x8b' };
const ZIP: Signature = { what: 'a ZIP file', bytes: 'PK' };
const ALL: readonly Signature[] = [
  PNG,
  JPEG,
  GIF,
  WEBP,
  ICON,
  PDF,
  WOFF,
  WOFF2,
  ISO_MEDIA,
  MATROSKA,
  OGG,
  WASM,
  GZIP,
  ZIP,
];

/** What files of these names begin with. */
const EXPECTED: Readonly<Record<string, readonly Signature[]>> = {
  png: [PNG],
  jpg: [JPEG],
  jpeg: [JPEG],
  gif: [GIF],
  webp: [WEBP],
  ico: [ICON, PNG],
  avif: [ISO_MEDIA],
  pdf: [PDF],
  woff: [WOFF],
  woff2: [WOFF2],
  mp4: [ISO_MEDIA],
  m4v: [ISO_MEDIA],
  m4a: [ISO_MEDIA],
  webm: [MATROSKA],
  ogg: [OGG],
  oga: [OGG],
  ogv: [OGG],
  opus: [OGG],
  wasm: [WASM],
  gz: [GZIP],
  svgz: [GZIP],
  zip: [ZIP],
};
/** Text that is no page. */
const TEXTS: ReadonlySet<string> = new Set(['css', 'js', 'mjs', 'cjs', 'json', 'svg', 'webmanifest', 'map', 'csv']);
/** A comment ends at its first "-->" and nowhere else: with two ways to read it, many comments would be read in all combinations. */
const PAGE = /^(?:\xef\xbb\xbf)?(?:\s|<!--(?:(?!-->)[^])*-->)*<(?:!doctype html|html)[\s>]/i;
const POINTER = 'version https://git-lfs.github.com/spec/';

/** `head`: the first bytes, some hundred at least where there are so many. */
export function contradictionIn(path: string, head: Uint8Array): Contradiction | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString('latin1');
  const extension = /[^/]\.([a-z\d]+)$/i.exec(path)?.[1]?.toLowerCase() ?? '';
  if (text.startsWith(POINTER)) {
    return {
      severity: 'error',
      message: 'It is a pointer of Git LFS, not the file itself.',
      remedy: 'Fetch the files with "git lfs pull".',
    };
  }
  const expected = EXPECTED[extension];
  if (expected === undefined && !TEXTS.has(extension)) return undefined;
  if (PAGE.test(text)) {
    return {
      severity: 'error',
      message: `It is named .${extension}, but is a page of HTML.`,
      remedy: 'Replace it: an error page was probably saved in its place.',
    };
  }
  if (expected === undefined || expected.some((signature) => fits(signature, text))) return undefined;
  if (text === '') {
    return { severity: 'warning', message: 'It is empty.', remedy: 'Replace it, or remove it.' };
  }
  const real = ALL.find((signature) => fits(signature, text));
  // Browsers look at the bytes of images, and go by the name of all else.
  return {
    severity: real === undefined ? 'error' : 'warning',
    message: `It is named .${extension}, but is ${real?.what ?? 'something else'}.`,
    remedy: real === undefined ? 'Replace it.' : 'Name it as what it is, or convert it.',
  };
}

function fits({ bytes, at = 0 }: Signature, text: string): boolean {
  return text.startsWith(bytes, at);
}
