/** The salt that hides a name in its commitment. */
import { hkdfSync } from 'node:crypto';
import type { WalletKey } from './keys.ts';

const SEED_BYTES = 32;
const SALT_BYTES = 32;
const HKDF_SALT = 'relaymint:name-salt:v1';

/** What makes a commitment differ from every other of this wallet. */
export interface SaltPurpose {
  readonly programId: string;
  /** The bank's 16 bytes. */
  readonly clusterTag: Uint8Array;
  readonly name: string;
  /** When the present record was registered, 0 when there is none: the next tenure gets a salt that nobody has seen. */
  readonly tenure: bigint;
}

/**
 * HKDF-SHA256 of the wallet's seed. Nothing needs to be kept between commitment and reveal: a process that died computes
 * it again. And it hides the name: an attacker with a list of likely names would need the salt of each, which
 * takes the wallet's secret. A salt that was revealed tells nothing about the others.
 */
export function nameSalt(key: WalletKey, purpose: SaltPurpose): Uint8Array {
  const seed = key.secretKey.slice(0, SEED_BYTES);
  const { programId, clusterTag, name, tenure } = purpose;
  const info = `${programId} ${Buffer.from(clusterTag).toString('hex')} ${tenure} ${name}`;
  try {
    return new Uint8Array(hkdfSync('sha256', seed, HKDF_SALT, info, SALT_BYTES));
  } finally {
    seed.fill(0);
  }
}
