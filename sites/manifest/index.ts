/** Manifests: what the owner of a name says of its content, signed, and whether it may say so. */
export type {
  ContentKind,
  Embedding,
  Licence,
  LicencePayment,
  LicenceTerms,
  LicenceUsage,
  LicenceUser,
  Manifest,
  Manifests,
  NameState,
  SignedManifest,
} from './contract.ts';
export { decodeManifest, manifestCid, manifestMessage, signManifest } from './block.ts';
export { needsManifest } from './fields.ts';
export { manifestJson } from './json.ts';
export { createManifests } from './manifests.ts';
export { RSL_TYPE, rslOf } from './rsl.ts';
export { manifestBeside, manifestFound, parseManifestFile, readManifestFile } from './source.ts';
export type { ManifestTerms } from './source.ts';
export { checkManifest, sameSplits } from './verify.ts';
