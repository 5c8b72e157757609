/** What the ledger would say of a site that is previewed, and its manifest: signed by a key of the preview's own, which is forgotten with it. */
import type { CID } from 'multiformats/cid';
import { parseShare } from '../../core/grammar.ts';
import { ledgerAddress } from '../../core/ids.ts';
import { parseName, type Tld } from '../../core/name.ts';
import { amount, unixSeconds } from '../../core/units.ts';
import { newIdentity, type NodeIdentity } from '../../platform/keys/identity.ts';
import type { BlockStore } from '../../sites/blocks/index.ts';
import {
  needsManifest,
  readManifestFile,
  type ContentKind,
  type ManifestTerms,
  type NameState,
} from '../../sites/manifest/index.ts';
import { DEFAULT_ROYALTY } from '../config/index.ts';
import { manifestOf } from '../roles/own-terms.ts';

/** The ending of a name whose content is of a kind. */
const ENDING: Readonly<Record<ContentKind, Tld>> = {
  site: 'web3',
  image: 'image',
  video: 'video',
  map: 'map',
  route: 'route',
};

/** A name for content of the kind that a file says: the one that is given, with another ending where that is not said. @throws RelaymintError as `readManifestFile`. */
export async function nameWithManifest(name: string, file: string): Promise<string> {
  const { kind } = await readManifestFile(file, name);
  return `${parseName(name).label}.${ENDING[kind]}`;
}

/** In place of a wallet and a ledger. */
export class StandIn implements Disposable {
  readonly #key: NodeIdentity = newIdentity();
  readonly #now = unixSeconds(BigInt(Math.floor(Date.now() / 1000)));

  /** undefined: the name has no manifest, and its ending needs none. @throws RelaymintError INVALID_ARGUMENT, STORAGE_FULL, .. */
  async recordOf(
    store: BlockStore,
    { name, root, terms }: { readonly name: string; readonly root: CID; readonly terms: ManifestTerms | undefined },
  ): Promise<NameState | undefined> {
    const wallet = ledgerAddress(this.#key.publicKey);
    const known = { name, seq: 1n, root: root.bytes, owner: wallet, manager: wallet };
    const royaltyBps = parseShare(DEFAULT_ROYALTY);
    if (terms === undefined) {
      // Visitors are told so.
      if (!needsManifest(name)) return undefined;
      return { ...known, manifest: new Uint8Array(), royaltyBps, referrerBps: 0, splits: [] };
    }
    const signer = { address: wallet, sign: (message: Uint8Array) => this.#key.sign(message) };
    const parts = { name, record: undefined, terms, wallet, store, root, royaltyBps, signer, now: this.#now };
    const signed = await manifestOf(parts);
    if (signed === undefined) throw new TypeError('terms make a manifest');
    const { manifest } = signed;
    return {
      ...known,
      manifest: signed.cid.bytes,
      royaltyBps: manifest.royaltyBps,
      referrerBps: manifest.referrerBps,
      splits: manifest.splits.map((split) => ({ ...split, owed: amount(0n) })),
    };
  }

  [Symbol.dispose](): void {
    this.#key[Symbol.dispose]();
  }
}
