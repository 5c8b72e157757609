/** CRC-32C (Castagnoli), by which LevelDB's files check themselves. Node has only the other CRC-32. */

const POLYNOMIAL = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
  return crc;
});

/** Of no bytes at all, before the last complement: what `extended` begins with. */
export const EMPTY_CRC = 0xffffffff;

/** One byte more. */
export function extended(crc: number, byte: number): number {
  return ((crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0)) >>> 0;
}

/** As LevelDB writes it: turned and moved, so that no sum over bytes which contain one meets itself. */
export function masked(crc: number): number {
  const sum = (crc ^ 0xffffffff) >>> 0;
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}

/** The masked CRC-32C of these bytes. */
export function maskedCrc(bytes: Uint8Array): number {
  let crc = EMPTY_CRC;
  // An index loop, because this is most of the work of checking a table.
  for (let at = 0; at < bytes.length; at += 1) crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  return masked(crc >>> 0);
}
