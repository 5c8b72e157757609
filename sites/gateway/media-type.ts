/** What kind of file it is: by its name, and by its first bytes where the name does not say or says too much. */
import { lookup } from 'mime-types';

/** Bytes of which nothing is known. */
export const UNKNOWN_TYPE = 'application/octet-stream';

/** What the library says otherwise or not at all. */
const BY_EXTENSION: Readonly<Record<string, string>> = {
  '.cjs': 'text/javascript',
  '.mjs': 'text/javascript',
  '.pmtiles': 'application/vnd.pmtiles',
};

/** A file's name says that it is packed, and what is in it. */
const PACKED: Readonly<Record<string, string>> = { '.svgz': 'image/svg+xml' };

export interface MediaType {
  readonly type: string;
  /** Content-Encoding. */
  readonly encoding?: string;
}

/** By the name alone; undefined: the bytes have to tell. */
export function typeByName(filename: string): MediaType | undefined {
  const extension = extensionOf(filename).toLowerCase();
  const packed = PACKED[extension];
  if (packed !== undefined) return { type: packed, encoding: 'gzip' };
  const type = BY_EXTENSION[extension] ?? lookup(extension);
  return type === false ? undefined : { type };
}

/** The bytes tell more than the type that a name tells: whether text is UTF-8. */
export function needsBytes(known: MediaType): boolean {
  return isText(known.type);
}

/** `head`: the first bytes; `whole`: there are no others. */
export function describeType(known: MediaType | undefined, head: Uint8Array, whole: boolean): string {
  const type = known?.type ?? sniff(head, whole);
  return isText(type) && readsAsUtf8(head, whole) && !declaresCharset(head) ? `${type}; charset=utf-8` : type;
}

function sniff(head: Uint8Array, whole: boolean): string {
  if (head.includes(0) || !readsAsUtf8(head, whole)) return UNKNOWN_TYPE;
  const text = new TextDecoder().decode(head).trimStart();
  if (/^<(?:!doctype html|html)[\s>]/i.test(text)) return 'text/html';
  if (whole && /^[{[]/.test(text) && isJson(text)) return 'application/json';
  return 'text/plain';
}

function isText(type: string): boolean {
  return type.startsWith('text/');
}

function readsAsUtf8(head: Uint8Array, whole: boolean): boolean {
  try {
    // stream: the last character may be cut in half.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: !whole });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** A page that names another encoding is read by it, even if these bytes would be UTF-8 as well. */
function declaresCharset(head: Uint8Array): boolean {
  const beginning = Buffer.from(head.subarray(0, 1024)).toString('latin1');
  const [, charset] = /<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)/i.exec(beginning) ?? [];
  return charset !== undefined && !/^utf-?8$/i.test(charset);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function extensionOf(filename: string): string {
  const dot = filename.lastIndexOf('.');
  return dot <= 0 ? '' : filename.slice(dot);
}
