/** The runtime calls a program may use, and the numbers the loader knows them by. */

/**
 * Active on every public cluster. An unknown or inactive call deploys and then fails at run time, so anything else is
 * refused here.
 */
const ALLOWED: readonly string[] = [
  'abort',
  'sol_curve_group_op',
  'sol_curve_multiscalar_mul',
  'sol_get_clock_sysvar',
  'sol_get_rent_sysvar',
  'sol_invoke_signed_c',
  'sol_log_',
  'sol_log_data',
  'sol_memcpy_',
  'sol_sha256',
  'sol_try_find_program_address',
];

/** Not active everywhere: a build has to ask for it. */
export type OptionalSyscall = 'sol_sha512';

/**
 * @throws Error for a name that is neither on the list nor asked for: mostly a library function that the compiler put
 * in.
 */
export function syscallNumber(name: string, optional: readonly OptionalSyscall[] = []): number {
  if (!ALLOWED.includes(name) && !optional.some((allowed) => allowed === name)) {
    throw new Error(`the program calls ${name}, which is no syscall that every cluster has`);
  }
  return murmur3(new TextEncoder().encode(name));
}

/** MurmurHash3 x86 32-bit, seed 0. */
export function murmur3(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let hash = 0;
  const blocks = bytes.length >>> 2;
  for (let block = 0; block < blocks; block += 1) {
    hash ^= scramble(view.getUint32(4 * block, true));
    hash = (Math.imul(rotate(hash, 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let index = bytes.length - 1; index >= 4 * blocks; index -= 1) tail = (tail << 8) | view.getUint8(index);
  if ((bytes.length & 3) !== 0) hash ^= scramble(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(word: number): number {
  return Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
