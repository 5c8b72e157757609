/** Messages of fixed layout over streams: what serving and publishing share. */
export {
  CONTENT_VERSION,
  MAX_TEXT_BYTES,
  checkBlockLength,
  checkVersion,
  encodeCid,
  encodeText,
  readCid,
  readText,
  violation,
} from './fields.ts';
export { Padding } from './padding.ts';
export { ByteReader, IdleTimer, writeAll } from './stream-io.ts';
