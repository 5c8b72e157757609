/**
 * What a file is by its first bytes: the patterns of the WHATWG's MIME Sniffing standard as far as it has them, and the public formats that
 * it does not know (AVIF, HEIC, QuickTime, Matroska, FLAC, JPEG XL, SVG, WebAssembly, PMTiles). Only what a format begins with is looked at,
 * so that a media type here says how something begins, not that all of it is well.
 */

/** As many bytes as are looked at: the standard's resource header has 1,445. */
export const SNIFFED_BYTES = 2048;

interface Pattern {
  readonly type: string;
  /** Latin-1; an ellipsis is the length of a RIFF or IFF file, four bytes. */
  readonly begins: readonly string[];
}

const RIFF_LENGTH = '…';

/** In the order of the standard; none of them begins as another one does. */
const PATTERNS: readonly Pattern[] = [
  { type: 'application/pdf', begins: ['%PDF-'] },
  { type: 'application/postscript', begins: ['%!PS-Adobe-'] },
  { type: 'image/x-icon', begins: ['\0\0\x01\0', '\0\0\x02\0'] },
  { type: 'image/bmp', begins: ['BM'] },
  { type: 'image/gif', begins: ['GIF87a', 'GIF89a'] },
  { type: 'image/webp', begins: ['RIFF…WEBPVP'] },
  { type: 'image/png', begins: ['\x89PNG\r\n\x1a\n'] },
  { type: 'image/jpeg', begins: ['\xff\xd8\xff'] },
  { type: 'image/jxl', begins: ['\xff\x0a', '\0\0\0\x0cJXL \r\n\x87\n'] },
  { type: 'image/tiff', begins: ['II*\0', 'MM\0*'] },
  { type: 'audio/basic', begins: ['.snd'] },
  { type: 'audio/aiff', begins: ['FORM…AIFF'] },
  { type: 'audio/mpeg', begins: ['ID3'] },
  { type: 'application/ogg', begins: ['OggS\0'] },
  { type: 'audio/midi', begins: ['MThd\0\0\0\x06'] },
  { type: 'video/avi', begins: ['RIFF…AVI '] },
  { type: 'audio/wav', begins: ['RIFF…WAVE'] },
  { type: 'audio/flac', begins: ['fLaC'] },
  { type: 'font/ttf', begins: ['\0\x01\0\0'] },
  { type: 'font/otf', begins: ['OTTO'] },
  { type: 'font/collection', begins: ['ttcf'] },
  { type: 'font/woff', begins: ['wOFF'] },
  { type: 'font/woff2', begins: ['wOF2'] },
  { type: 'application/gzip', begins: ['\x1f\x8b'] },
  { type: 'application/zip', begins: ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'] },
  { type: 'application/x-rar-compressed', begins: ['Rar!\x1a\x07'] },
  { type: 'application/wasm', begins: ['\0asm'] },
  { type: 'application/vnd.pmtiles', begins: ['PMTiles'] },
];

/** By the first brand that says it: ISO base media files of other brands are films. */
const BRANDS: readonly (readonly [RegExp, string])[] = [
  [/^avi[fs]$/, 'image/avif'],
  [/^(?:hei[cxms]|hev[cxms])$/, 'image/heic'],
  [/^qt  $/, 'video/quicktime'],
  [/^M4[ABP] $/, 'audio/mp4'],
];
/** A brand that says nothing of what is coded, as AVIF and HEIC may begin. */
const PICTURE_BRAND = /^(?:mif1|msf1|miaf)$/;
/** The standard's list; a tag ends with a space or ">". */
const PAGE_TAG =
  /^<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)(?=[\t\n\f\r >])/i;
const DECLARATION = /^<\?xml(?=[\t\n\f\r ])/;
const SVG_TAG = /^<(?:[a-z_][\w.-]{0,40}:)?svg(?=[\t\n\f\r />])/;
const BLANK = /^[\t\n\f\r ]+/;
/**
 * A media type without parameters; undefined where nothing known begins so. Text is told apart as `text/html`, `image/svg+xml`, `text/xml`;
 * other text is undefined, see `isText`.
 */
export function sniffType(head: Uint8Array): string | undefined {
  const text = latin1(head);
  return (
    PATTERNS.find(({ begins }) => begins.some((one) => beginsWith(text, one)))?.type ??
    isoType(text) ??
    matroskaType(text) ??
    markupType(text) ??
    (isMpegFrame(head) ? 'audio/mpeg' : undefined)
  );
}

/** There is something, and it reads as text: a page, a script, a list. */
export function isText(head: Uint8Array): boolean {
  if (head.length === 0) return false;
  const text = latin1(head);
  const isMarked = ['\xfe\xff', '\xff\xfe', '\xef\xbb\xbf'].some((mark) => text.startsWith(mark));
  return isMarked || !head.subarray(0, SNIFFED_BYTES).some(isBinary);
}

/** What plain text never has: control characters but tab, line feed, form feed, carriage return and escape. */
function isBinary(byte: number): boolean {
  return byte < 0x20 && ![0x09, 0x0a, 0x0c, 0x0d, 0x1b].includes(byte);
}

function beginsWith(text: string, pattern: string): boolean {
  const [first = '', second] = pattern.split(RIFF_LENGTH);
  return text.startsWith(first) && (second === undefined || text.startsWith(second, first.length + 4));
}

function latin1(head: Uint8Array): string {
  return Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, SNIFFED_BYTES)).toString('latin1');
}

/** Files of boxes (ISO 14496-12): the first box has its length, "ftyp", the major brand, a version, and brands that can read it too. */
function isoType(text: string): string | undefined {
  if (!text.startsWith('ftyp', 4)) return undefined;
  const major = text.slice(8, 12);
  if (!PICTURE_BRAND.test(major)) return typeOfBrand(major) ?? 'video/mp4';
  const end = Buffer.from(text.slice(0, 4), 'latin1').readUInt32BE();
  for (let at = 16; at < Math.min(end, text.length); at += 4) {
    const type = typeOfBrand(text.slice(at, at + 4));
    if (type !== undefined) return type;
  }
  return 'image/heif';
}

function typeOfBrand(brand: string): string | undefined {
  return BRANDS.find(([fits]) => fits.test(brand))?.[1];
}

/** An EBML head; the document's type stands in it. */
function matroskaType(text: string): string | undefined {
  if (!text.startsWith('\x1aE\xdf\xa3')) return undefined;
  return /\x42\x82.matroska/s.test(text.slice(0, 64)) ? 'video/x-matroska' : 'video/webm';
}

/** Markup, whatever comments and declarations it begins with. Each letter is looked at once or twice. */
function markupType(text: string): string | undefined {
  let rest = text.replace(/^\xef\xbb\xbf/, '');
  let declared = false;
  for (;;) {
    rest = rest.replace(BLANK, '');
    if (PAGE_TAG.test(rest)) return 'text/html';
    if (SVG_TAG.test(rest)) return 'image/svg+xml';
    const [opened] = /^(?:<!--|<\?|<!doctype svg)/i.exec(rest) ?? [];
    if (opened === undefined) return declared ? 'text/xml' : undefined;
    declared ||= DECLARATION.test(rest);
    const closing = opened === '<!--' ? '-->' : opened === '<?' ? '?>' : '>';
    const end = rest.indexOf(closing, opened.length);
    // The standard takes what begins with a comment for a page; a drawing may begin so too.
    if (end < 0) return declared ? 'text/xml' : undefined;
    rest = rest.slice(end + closing.length);
  }
}

const MPEG_RATES: readonly number[] = [44_100, 48_000, 32_000];
/** Kilobits in a second by the index of a head: layer III of MPEG 1, and of MPEG 2 and 2.5. */
const MPEG1_BITS: readonly number[] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MPEG2_BITS: readonly number[] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/** Two frames of MP3 that follow each other (the standard's "signature for MP3 without ID3"): two bytes alone occur anywhere. */
function isMpegFrame(head: Uint8Array): boolean {
  const length = mpegFrameLength(head);
  // The second need not be here whole.
  return length !== undefined && mpegFrameLength(head.subarray(length)) !== undefined;
}

function mpegFrameLength(head: Uint8Array): number | undefined {
  const [sync = 0, kind = 0, rates = 0] = head;
  const version = (kind >> 3) & 3;
  const rate = MPEG_RATES[(rates >> 2) & 3];
  const bits = (version === 3 ? MPEG1_BITS : MPEG2_BITS)[rates >> 4];
  if (sync !== 0xff || (kind & 0xe0) !== 0xe0 || version === 1 || ((kind >> 1) & 3) !== 1) return undefined;
  if (rate === undefined || bits === undefined || bits === 0) return undefined;
  const perSecond = rate >> (version === 3 ? 0 : version === 2 ? 1 : 2);
  return Math.floor(((version === 3 ? 144 : 72) * bits * 1000) / perSecond) + ((rates >> 1) & 1);
}
