/** Scalars of Ed25519: numbers below the order of its group, 32 bytes with the lowest first. */
import { toHex } from '../../core/codec.ts';

/** L: 2^252 and a bit. */
export const GROUP_ORDER: bigint = (1n << 252n) + 27742317777372353535851937790883648493n;

export function littleEndian(value: Uint8Array): bigint {
  return BigInt(`0x${toHex(value.toReversed())}`);
}
