/** The manifest that goes with a root of a name: what the publisher's file says, or what the name's manifest said before, signed for that root. */
import type { CID } from 'multiformats/cid';
import { equalBytes } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { ALL_BPS, basisPoints, type UnixSeconds } from '../../core/units.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type { BlockStore, PublisherKey } from '../../sites/blocks/index.ts';
import {
  checkManifest,
  decodeManifest,
  manifestCid,
  manifestMessage,
  needsManifest,
  sameSplits,
  signManifest,
  type Manifest,
  type ManifestTerms,
  type SignedManifest,
} from '../../sites/manifest/index.ts';

/** What the terms of a name are made of. */
export interface TermsParts {
  readonly name: string;
  /** undefined: it is registered now. */
  readonly record: NameRecord | undefined;
  /** The publisher's file; undefined: the terms stay what they are. */
  readonly terms?: ManifestTerms | undefined;
  readonly wallet: LedgerAddress;
}

export interface ManifestParts extends TermsParts {
  /** Where earlier manifests are, and where this one is kept. */
  readonly store: BlockStore;
  readonly root: CID;
  /** Of a name that is registered now, where its file says nothing. */
  readonly royaltyBps: number;
  readonly signer: PublisherKey;
  readonly now: UnixSeconds;
}

/** Looks before anything is paid for. @throws RelaymintError INVALID_ARGUMENT. */
export function assertTerms({ name, record, terms, wallet }: TermsParts): void {
  if (terms === undefined && needsManifest(name) && (record?.manifest.length ?? 0) === 0) {
    throw new RelaymintError('INVALID_ARGUMENT', `${name} is not shown without a manifest.`, {
      remedy:
        'Say whose it is, and what others may do with it, in a file: --manifest FILE. docs/sites.md has an example.',
    });
  }
  if (record === undefined || terms === undefined || record.owner === wallet) return;
  const { royaltyBps = record.royaltyBps, referrerBps = record.referrerBps, splits = record.splits } = terms;
  const isSameShare = royaltyBps === record.royaltyBps && referrerBps === record.referrerBps;
  if (isSameShare && sameSplits(splits, record.splits)) return;
  throw new RelaymintError(
    'INVALID_ARGUMENT',
    `Only the owner of ${name} can change its royalty, its referrer's share or its splits.`,
    {
      remedy: 'Leave them out of the manifest, or have the owner publish.',
    },
  );
}

/**
 * Kept in the store when it resolves. The one that the name has is used again where it says the same.
 * @returns undefined: the name has no terms. @throws RelaymintError INVALID_ARGUMENT (they are not known here), MANIFEST_INVALID, STORAGE_FULL, ..
 */
export async function manifestOf(parts: ManifestParts): Promise<SignedManifest | undefined> {
  const { name, record, store, signer } = parts;
  const present = await presentManifest(store, record);
  const terms =
    parts.terms ??
    (present && { ...present.manifest, royaltyBps: undefined, referrerBps: undefined, splits: undefined });
  if (terms === undefined) {
    if (record === undefined || record.manifest.length === 0) return undefined;
    throw new RelaymintError(
      'INVALID_ARGUMENT',
      `${name} has a manifest that was not published from this data folder.`,
      {
        remedy: 'Publish with --manifest FILE: what it says counts from then on.',
      },
    );
  }
  const manifest = withTerms(parts, terms);
  const signed =
    present !== undefined && isSame(present, manifest, record) ? present : await signManifest(manifest, signer);
  await using session = store.begin();
  await session.put(signed.cid, signed.block);
  await session.pin(name, signed.cid);
  return signed;
}

/** The manifest that a record names, as far as it is kept here and can be read. */
export async function presentManifest(
  store: Pick<BlockStore, 'get'>,
  record: NameRecord | undefined,
): Promise<SignedManifest | undefined> {
  if (record === undefined || record.manifest.length === 0) return undefined;
  try {
    const cid = manifestCid(record.name, record.manifest);
    return decodeManifest(record.name, cid, await store.get(cid));
  } catch (error) {
    if (isRelaymintError(error, 'CONTENT_NOT_FOUND', 'MANIFEST_INVALID')) return undefined;
    throw error;
  }
}

/** What has to change on chain; undefined: nothing. */
export function changeOf(
  record: NameRecord,
  root: CID,
  signed: SignedManifest | undefined,
):
  Partial<Pick<NameRecord, 'root' | 'manifest' | 'royaltyBps' | 'referrerBps'> & Pick<Manifest, 'splits'>> | undefined {
  const { manifest: terms, cid } = signed ?? {};
  const change = {
    ...(!equalBytes(record.root, root.bytes) && { root: root.bytes }),
    ...(cid !== undefined && !equalBytes(record.manifest, cid.bytes) && { manifest: cid.bytes }),
    ...(terms !== undefined && terms.royaltyBps !== record.royaltyBps && { royaltyBps: terms.royaltyBps }),
    ...(terms !== undefined && terms.referrerBps !== record.referrerBps && { referrerBps: terms.referrerBps }),
    ...(terms !== undefined && !sameSplits(terms.splits, record.splits) && { splits: terms.splits }),
  };
  return Object.keys(change).length === 0 ? undefined : change;
}

function withTerms({ name, record, root, wallet, royaltyBps, now }: ManifestParts, terms: ManifestTerms): Manifest {
  const owner = record?.owner ?? wallet;
  const splits = record?.splits.map(({ account, bps }) => ({ account, bps })) ?? [{ account: owner, bps: ALL_BPS }];
  return {
    ...terms,
    version: 1,
    name,
    root,
    owner,
    royaltyBps: terms.royaltyBps ?? basisPoints(record?.royaltyBps ?? royaltyBps),
    referrerBps: terms.referrerBps ?? basisPoints(record?.referrerBps ?? 0),
    splits: terms.splits ?? splits,
    created: now,
  };
}

/** But for when it was made, and it is good. */
function isSame(present: SignedManifest, manifest: Manifest, record: NameRecord | undefined): boolean {
  const { created } = present.manifest;
  if (
    record === undefined ||
    !equalBytes(manifestMessage({ ...manifest, created }), manifestMessage(present.manifest))
  ) {
    return false;
  }
  try {
    checkManifest(present, {
      ...record,
      root: manifest.root.bytes,
      royaltyBps: manifest.royaltyBps,
      referrerBps: manifest.referrerBps,
      splits: record.splits,
    });
    return true;
  } catch (error) {
    if (isRelaymintError(error, 'MANIFEST_INVALID')) return false;
    throw error;
  }
}
