/** A verified manifest as programs and pages read it. */
import { toHex } from '../../core/codec.ts';
import { formatCredits } from '../../core/units.ts';
import type { SignedManifest } from './contract.ts';

/** Addresses are texts, the price is credits per MiB, `created` UNIX seconds. What is not said is not there. */
export function manifestJson({ cid, manifest, signature }: SignedManifest): object {
  const { root, price, created, ...rest } = manifest;
  return {
    cid: cid.toString(),
    ...rest,
    root: root.toString(),
    ...(price !== undefined && { price: formatCredits(price) }),
    created: Number(created),
    signature: toHex(signature),
  };
}
