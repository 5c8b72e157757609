/** Content codings (RFC 9110, section 12.5.3): which a visitor takes, what is worth packing, and packing it. */
import { constants, createBrotliCompress, createBrotliDecompress, createGunzip, createGzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Transform } from 'node:stream';

export type Coding = 'br' | 'gzip';

export interface AcceptedCodings {
  /** Those to use, the best first. */
  readonly codings: readonly Coding[];
  /** What is not packed may be sent. */
  readonly identity: boolean;
}

/** Where nothing is packed: content that shares its origin is what its address says, byte for byte. */
export const NOTHING_PACKED: AcceptedCodings = { codings: [], identity: true };
/** How a packed file beside a file ends its name. */
export const PACKED_ENDING: Readonly<Record<Coding, string>> = { br: '.br', gzip: '.gz' };
/** Packing less saves no packet. */
export const LEAST_PACKED_BYTES = 1_024;
/** Larger files are sent as they are, with ranges and a length: packing them costs a core for more than a tenth of a second. */
export const MOST_PACKED_BYTES = 8_388_608;
/** What we would use if the visitor has no preference. */
const OURS: readonly Coding[] = ['br', 'gzip'];
/** Of a packed file, to tell what is in it. */
const ENOUGH_BYTES = 65_536;
const COMPRESSIBLE =
  /^(?:text\/|image\/(?:svg\+xml|bmp$)|font\/(?:ttf|otf|collection)$|application\/(?:javascript|json|wasm|xml|rtf|x-ndjson|vnd\.ms-fontobject)$|[\w.-]+\/[\w.-]+\+(?:json|xml)$)/;

/** `header`: Accept-Encoding. Who does not send one gets nothing packed. */
export function acceptedCodings(header: string | undefined): AcceptedCodings {
  const weights = new Map<string, number>();
  for (const item of (header ?? '').split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    if (name !== '') weights.set(name === 'x-gzip' ? 'gzip' : name, weight === undefined ? 1 : Number(weight) || 0);
  }
  const weightOf = (name: string): number | undefined => weights.get(name) ?? weights.get('*');
  const least = weights.get('identity') ?? 0;
  const codings = OURS.map((coding) => [coding, weightOf(coding) ?? 0] as const)
    .filter(([, weight]) => weight > 0 && weight >= least)
    .toSorted(([, a], [, b]) => b - a)
    .map(([coding]) => coding);
  return { codings, identity: weightOf('identity') !== 0 };
}

/** `type`: with or without parameters. */
export function isCompressible(type: string): boolean {
  return COMPRESSIBLE.test(type.split(';')[0]?.trim().toLowerCase() ?? '');
}

/** Each chunk can be read as soon as it is sent. Throws what the chunks throw. */
export async function* packed(chunks: AsyncIterable<Uint8Array>, coding: Coding): AsyncGenerator<Uint8Array> {
  const packer = coding === 'br' ? brotli() : createGzip({ level: 5, flush: constants.Z_SYNC_FLUSH });
  const fed = pipeline(Readable.from(chunks, { highWaterMark: 1 }), packer);
  // Whoever reads hears of it.
  fed.catch(() => undefined);
  yield* packer as AsyncIterable<Uint8Array>;
}

/** Of 64 that pack at once each has a window of 256 KiB, not of 4 MiB. */
function brotli(): Transform {
  return createBrotliCompress({
    flush: constants.BROTLI_OPERATION_FLUSH,
    params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 },
  });
}

/** The first bytes of what is packed, of its first piece; undefined when that is not packed so. */
export async function unpackedBeginning(piece: Uint8Array, coding: Coding): Promise<Uint8Array | undefined> {
  // The rest is not here: that it ends early is no fault.
  const unpacker =
    coding === 'br'
      ? createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH })
      : createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
  unpacker.end(piece.subarray(0, ENOUGH_BYTES));
  try {
    for await (const chunk of unpacker as AsyncIterable<Uint8Array>) return chunk;
  } catch {
    // It is something else.
  }
  return undefined;
}
