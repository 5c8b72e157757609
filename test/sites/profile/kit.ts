/** Profiles of test names, by the hands of whoever signs them. */
import * as dagCbor from '@ipld/dag-cbor';
import { unixMillis, unixSeconds } from '../../../core/units.ts';
import type { NameRecord } from '../../../ledger/contract.ts';
import {
  bindWallet,
  profileMessage,
  signConsent,
  signProfile,
  type Profile,
  type SignedProfile,
} from '../../../sites/profile/index.ts';
import { NameBook, rawBlock, wallet, type TestWallet } from '../kit.ts';

export const OWNER: TestWallet = wallet(1);
export const OTHER: TestWallet = wallet(2);
export const STRANGER: TestWallet = wallet(9);
/** When the profiles here were signed, milliseconds. */
export const NOW = 1_790_000_000_000;
export const NAME = 'ann.sso';

export function recordOf(change: Partial<NameRecord> = {}): NameRecord {
  return { ...new NameBook().register(NAME, rawBlock('a site').cid.bytes, OWNER.address), ...change };
}

export function profileFor(record: NameRecord, change: Partial<Profile> = {}): Profile {
  return {
    version: 1,
    name: record.name,
    tenure: record.registeredAt,
    owner: record.owner,
    sequence: unixMillis(NOW),
    displayName: 'Ann Lee',
    links: [],
    wallets: [],
    ...change,
  };
}

export async function signedFor(
  record: NameRecord,
  change: Partial<Profile> = {},
  key: TestWallet = OWNER,
): Promise<SignedProfile> {
  return await signProfile(profileFor(record, change), key);
}

/** What is bound to the profile of a record by that wallet's own word. */
export async function boundBy(record: NameRecord, key: TestWallet): Promise<Profile['wallets']> {
  const { name, registeredAt: tenure, owner } = record;
  const consent = await signConsent({ name, tenure, owner, created: unixSeconds(BigInt(NOW / 1000)) }, key);
  return bindWallet({ name, tenure, owner, wallets: [] }, consent, NOW);
}

/** Any body, with the owner's signature over that very body: what the owner's own code would not sign. */
export function forged(record: NameRecord, body: (sound: Record<string, unknown>) => unknown): Uint8Array {
  const sound = dagCbor.decode<Record<string, unknown>>(
    profileMessage(profileFor(record)).subarray('relaymint:profile:v1'.length),
  );
  const changed = body(sound);
  const message = Buffer.concat([Buffer.from('relaymint:profile:v1'), dagCbor.encode(changed)]);
  return dagCbor.encode({ body: changed, signature: OWNER.sign(message) });
}

/** What is refused, and with which words. */
export function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${String(error.code)} ${error.message}`;
    throw error;
  }
  return 'not refused';
}
