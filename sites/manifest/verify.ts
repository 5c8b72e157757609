/** Whether a manifest may say what it says: by the record of its name, as the ledger has it now. */
import { equalBytes } from '../../core/codec.ts';
import type { Split } from '../../ledger/contract.ts';
import { isSignedBy } from '../../ledger/receipt/index.ts';
import { manifestInvalid, manifestMessage } from './block.ts';
import type { Manifest, NameState, SignedManifest } from './contract.ts';

/**
 * It is about this name and this root, states what the ledger has for money, and is signed by who has or manages the name now: after a
 * transfer the new owner has to publish.
 * @throws RelaymintError MANIFEST_INVALID.
 */
export function checkManifest(signed: SignedManifest, record: NameState): void {
  const { manifest } = signed;
  const fail = (why: string): never => {
    throw manifestInvalid(record.name, why);
  };
  if (!equalBytes(signed.cid.bytes, record.manifest)) fail('is another one than its record names');
  if (manifest.name !== record.name) fail(`is that of ${manifest.name}`);
  if (!equalBytes(manifest.root.bytes, record.root)) fail('is about other content than the name points to');
  if (manifest.owner !== record.owner) fail(`names an owner that the name does not have now`);
  const differs = differenceOf(manifest, record);
  if (differs !== undefined) fail(`states ${differs} than its record`);
  const message = manifestMessage(manifest);
  if (![record.owner, record.manager].some((wallet) => isSignedBy(wallet, message, signed.signature))) {
    fail('is signed neither by the owner of the name nor by its manager');
  }
}

/** The terms that stand on chain too, where they count: a manifest has to state the same ones. Each is one line here. */
function differenceOf(manifest: Manifest, record: NameState): string | undefined {
  if (manifest.royaltyBps !== record.royaltyBps) return 'another royalty';
  if (manifest.referrerBps !== record.referrerBps) return "another referrer's share";
  if (!sameSplits(manifest.splits, record.splits)) return 'other splits';
  return undefined;
}

/** In any order: the ledger pays by wallets. */
export function sameSplits(one: readonly Split[], other: readonly Split[]): boolean {
  return textOf(one) === textOf(other);
}

function textOf(splits: readonly Split[]): string {
  return splits
    .map(({ account, bps }) => `${account} ${bps}`)
    .sort()
    .join('\n');
}
