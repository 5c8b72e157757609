/**
 * Gzip that gives the same bytes everywhere: the one of Node differs between versions and processors, and with it the address of a map
 * that was built from the same tiles.
 */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { gzipSync } from 'fflate';
import type { Compression } from './header.ts';
import { broken } from './header.ts';

export function packed(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9, mtime: 0 });
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** @throws RelaymintError INVALID_ENCODING: it is not packed so, or larger than `most`. */
export function unpacked(bytes: Uint8Array, compression: Compression, most: number): Uint8Array {
  try {
    switch (compression) {
      case 'none':
        return bytes;
      case 'gzip':
        return gunzipSync(bytes, { maxOutputLength: most });
      case 'brotli':
        return brotliDecompressSync(bytes, { maxOutputLength: most });
      default:
    }
  } catch (cause) {
    throw broken('a part of it does not unpack', cause);
  }
  throw broken(`it is packed with ${compression === 'zstd' ? 'zstd, which is not read here' : 'something unknown'}`);
}
