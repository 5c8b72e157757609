/**
 * A manifest as a block: dag-cbor, in its only encoding, so that what is said has one CID.
 *
 *   { body: { name, version, kind, ... }, signature: 64 bytes }
 *
 * Signed is "relaymint:manifest:v1" and the encoding of the body. Wallets are their 32 bytes, the root is a link, price and times are whole
 * numbers, what is not said is not there.
 */
import { createHash } from 'node:crypto';
import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { z } from 'zod';
import { concatBytes, equalBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { KEY_BYTES, ledgerAddress, ledgerAddressBytes, type LedgerAddress } from '../../core/ids.ts';
import { MAX_MANIFEST_BYTES } from '../../core/limits.ts';
import { ALL_BPS, MAX_PRICE, basisPoints, pricePerMiB, unixSeconds, type BasisPoints } from '../../core/units.ts';
import { SIGNATURE_BYTES } from '../../ledger/receipt/index.ts';
import type { PublisherKey } from '../blocks/contract.ts';
import { checkCarried, checkCid, isManifestCodec, verifyBlock } from '../blocks/index.ts';
import type { Licence, LicenceTerms, Manifest, SignedManifest } from './contract.ts';
import {
  commentsField,
  copyrightField,
  creatorField,
  descriptionField,
  embeddingField,
  firstIssue,
  geoField,
  kindField,
  mediaTypeField,
  nameField,
  paymentField,
  signInField,
  titleField,
  urlField,
  usageField,
  userField,
  wrongTogether,
  wrongWithSplits,
} from './fields.ts';
import { cborDepth } from '../blocks/index.ts';

const VERSION = 1;
const DOMAIN = 'relaymint:manifest:v1';
const SHA2_256 = 0x12;
/** block, body, licence, permits, usage; the root's tag and the splits are less deep. */
const MAX_DEPTH = 5;

const REMEDY = 'Its owner has to publish again with "relaymint site publish".';

const wallet: z.ZodType<LedgerAddress> = z
  .instanceof(Uint8Array)
  .refine((bytes) => bytes.length === KEY_BYTES, `has not ${KEY_BYTES} bytes`)
  .transform((bytes) => ledgerAddress(bytes));
const share: z.ZodType<BasisPoints> = z.int().min(0).max(ALL_BPS).transform(basisPoints);
const terms: z.ZodType<LicenceTerms> = z.strictObject({ usage: usageField, user: userField, geo: geoField });
const licence: z.ZodType<Licence> = z.strictObject({
  permits: terms,
  prohibits: terms,
  payment: paymentField,
  url: urlField.optional(),
});

const bodySchema: z.ZodType<Manifest> = z.strictObject({
  version: z.literal(VERSION),
  name: nameField,
  kind: kindField,
  mediaType: mediaTypeField,
  root: z.custom<CID>(isContent, 'is no link to content'),
  owner: wallet,
  creator: creatorField,
  title: titleField.optional(),
  description: descriptionField.optional(),
  copyright: copyrightField.optional(),
  licence: licence.optional(),
  price: z.int().min(0).max(Number(MAX_PRICE)).transform(pricePerMiB).optional(),
  royaltyBps: share,
  referrerBps: share,
  splits: z.array(z.strictObject({ account: wallet, bps: share })),
  embedding: embeddingField,
  comments: commentsField,
  signIn: signInField.optional(),
  created: z.int().nonnegative().transform(unixSeconds),
});

const blockSchema: z.ZodType<{ readonly body: Manifest; readonly signature: Uint8Array }> = z.strictObject({
  body: bodySchema,
  signature: z
    .instanceof(Uint8Array)
    .refine((bytes) => bytes.length === SIGNATURE_BYTES, `has not ${SIGNATURE_BYTES} bytes`),
});

/** Why a name's content is not shown. `why` is the end of a sentence about the manifest. */
export function manifestInvalid(name: string, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('MANIFEST_INVALID', `The manifest of ${name} ${why}.`, { remedy: REMEDY, cause });
}

/** What a record names as a manifest. @throws RelaymintError MANIFEST_INVALID. */
export function manifestCid(name: string, bytes: Uint8Array): CID {
  try {
    const cid = CID.decode(bytes);
    if (isManifestCodec(cid) && cid.version === 1) return checkCarried(cid);
  } catch (cause) {
    throw manifestInvalid(name, 'has an address that is none', cause);
  }
  throw manifestInvalid(name, 'is named as something else than a manifest');
}

/** What is signed. */
export function manifestMessage(manifest: Manifest): Uint8Array {
  return concatBytes(utf8(DOMAIN), dagCbor.encode(wireOf(manifest)));
}

/** @throws RelaymintError MANIFEST_INVALID: something in it is not as it has to be. */
export async function signManifest(manifest: Manifest, key: PublisherKey): Promise<SignedManifest> {
  const signature = await key.sign(manifestMessage(manifest));
  const block = encode(manifest, signature);
  const digest = Uint8Array.from(createHash('sha256').update(block).digest());
  // Read as visitors do: nothing is signed that they would refuse.
  return decodeManifest(manifest.name, CID.createV1(dagCbor.code, Digest.create(SHA2_256, digest)), block);
}

/**
 * What a block says; whether it may say so is `checkManifest`'s.
 * @throws RelaymintError MANIFEST_INVALID; CONTENT_CORRUPT when it is not the block of that CID.
 */
export function decodeManifest(name: string, cid: CID, block: Uint8Array): SignedManifest {
  verifyBlock(cid, block);
  if (block.length > MAX_MANIFEST_BYTES) throw manifestInvalid(name, `has ${block.length} bytes, too many`);
  const depth = cborDepth(block);
  if (depth === undefined || depth > MAX_DEPTH) throw manifestInvalid(name, 'is malformed');
  let said: unknown;
  try {
    said = dagCbor.decode(block);
  } catch (cause) {
    throw manifestInvalid(name, 'is malformed', cause);
  }
  const version = versionOf(said);
  if (version !== VERSION) {
    throw manifestInvalid(name, `is of version ${version}, and this release of Relaymint knows version ${VERSION}`);
  }
  const { data, error } = blockSchema.safeParse(said);
  if (error !== undefined) throw manifestInvalid(name, `does not say what it has to: ${firstIssue(error)}`);
  const { body: manifest, signature } = data;
  const splits = wrongWithSplits(manifest.splits);
  if (splits !== undefined) throw manifestInvalid(name, `does not say what it has to: body.splits: ${splits}`);
  const together = wrongTogether(manifest);
  if (together !== undefined) {
    throw manifestInvalid(name, `does not say what it has to: body.${together.field}: ${together.why}`);
  }
  if (!equalBytes(encode(manifest, signature), block)) throw manifestInvalid(name, 'is not in its only encoding');
  return { manifest, signature, cid, block };
}

function encode(manifest: Manifest, signature: Uint8Array): Uint8Array {
  return dagCbor.encode({ body: wireOf(manifest), signature });
}

function versionOf(said: unknown): string | number {
  const { data } = z.object({ body: z.object({ version: z.union([z.number(), z.string()]) }) }).safeParse(said);
  return data?.body.version ?? 'none';
}

function isContent(value: unknown): boolean {
  const root = CID.asCID(value);
  try {
    return root?.version === 1 && checkCid(root) === root;
  } catch (error) {
    if (error instanceof RelaymintError) return false;
    throw error;
  }
}

function wireOf({ owner, price, splits, created, ...rest }: Manifest): object {
  return present({
    ...rest,
    owner: ledgerAddressBytes(owner),
    price: price === undefined ? undefined : Number(price),
    splits: splits.map(({ account, bps }) => ({ account: ledgerAddressBytes(account), bps })),
    created: Number(created),
    licence: rest.licence && present(rest.licence),
  });
}

/** Without what is not said. */
function present(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
