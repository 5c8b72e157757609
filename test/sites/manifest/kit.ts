/** Manifests of test names, and blocks that are nearly one. */
import { createHash } from 'node:crypto';
import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { ALL_BPS, basisPoints, unixSeconds } from '../../../core/units.ts';
import type { NameRecord } from '../../../ledger/contract.ts';
import { manifestMessage, signManifest, type Manifest, type SignedManifest } from '../../../sites/manifest/index.ts';
import { wallet, type TestWallet } from '../kit.ts';

export const OWNER: TestWallet = wallet(1);

/** What the owner of a record would publish for it. */
export function manifestFor(record: NameRecord, change: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    name: record.name,
    kind: 'site',
    mediaType: 'text/html',
    root: CID.decode(record.root),
    owner: record.owner,
    creator: 'Ana Lima',
    royaltyBps: basisPoints(record.royaltyBps),
    referrerBps: basisPoints(record.referrerBps),
    splits: record.splits.map(({ account, bps }) => ({ account, bps })),
    embedding: 'none',
    comments: 'none',
    created: unixSeconds(1_790_000_000n),
    ...change,
  };
}

/** A record as the chain has it, with somebody who gets its revenue. */
export function recordOf(record: NameRecord): NameRecord {
  return { ...record, splits: [{ account: record.owner, bps: ALL_BPS, owed: record.accrued }] };
}

/** The record names the manifest. */
export async function withManifest(
  record: NameRecord,
  { key = OWNER, change = {} }: { readonly key?: TestWallet; readonly change?: Partial<Manifest> } = {},
): Promise<{ readonly record: NameRecord; readonly signed: SignedManifest }> {
  const signed = await signManifest(manifestFor(record, change), key);
  return { record: { ...record, manifest: signed.cid.bytes }, signed };
}

export function cborBlock(block: Uint8Array): { readonly cid: CID; readonly block: Uint8Array } {
  const digest = Uint8Array.from(createHash('sha256').update(block).digest());
  return { cid: CID.createV1(dagCbor.code, Digest.create(0x12, digest)), block };
}

/** Any body, with a signature over a sound manifest: what the publisher's code would not sign. */
export function forged(
  body: (sound: Record<string, unknown>) => unknown,
  record: NameRecord,
): { readonly cid: CID; readonly block: Uint8Array } {
  const sound = manifestFor(record);
  const message = manifestMessage(sound);
  const wire = dagCbor.decode<Record<string, unknown>>(message.subarray('relaymint:manifest:v1'.length));
  return cborBlock(dagCbor.encode({ body: body(wire), signature: OWNER.sign(message) }));
}
