/** The manifests of names that visitors ask for: each is fetched and verified once for each state of its record. */
import { LRUCache } from 'lru-cache';
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { toHex } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_KNOWN_MANIFESTS } from '../../core/limits.ts';
import type { BlockReader } from '../blocks/contract.ts';
import { decodeManifest, manifestCid } from './block.ts';
import type { Manifests, NameState, SignedManifest } from './contract.ts';
import { needsManifest } from './fields.ts';
import { checkManifest } from './verify.ts';

const VERIFYING = 'Verifying a manifest';

/** It stays good, or bad, as long as the record says the same. */
type Verdict = { readonly signed: SignedManifest } | { readonly failure: RelaymintError };

export function createManifests(): Manifests {
  return new KnownManifests();
}

class KnownManifests implements Manifests {
  readonly #known = new LRUCache<string, Verdict>({ max: MAX_KNOWN_MANIFESTS });
  readonly #asking = new Map<string, Promise<Verdict>>();

  async of(
    record: NameState,
    blocks: BlockReader,
    signal: AbortSignal,
    reader = '',
  ): Promise<SignedManifest | undefined> {
    assertNotAborted(signal, VERIFYING);
    if (record.manifest.length === 0) {
      if (needsManifest(record.name)) throw noManifest(record.name);
      return undefined;
    }
    const state = `${reader} ${stateOf(record)}`;
    const verdict = this.#known.get(state) ?? (await this.#verdict(state, record, blocks, signal));
    if ('failure' in verdict) throw verdict.failure;
    return verdict.signed;
  }

  async #verdict(state: string, record: NameState, blocks: BlockReader, signal: AbortSignal): Promise<Verdict> {
    for (;;) {
      const other = this.#asking.get(state);
      if (other === undefined) break;
      try {
        return await orAborted(other, signal, VERIFYING);
      } catch (error) {
        // That the visitor who fetched it left, or may spend no more, does not matter to this one.
        if (signal.aborted || !isRelaymintError(error, 'ABORTED', 'CLOSED', 'BUDGET_EXHAUSTED', 'BUDGET_STOPPED'))
          throw error;
      }
    }
    const mine = judge(record, blocks, signal)
      .then((verdict) => {
        this.#known.set(state, verdict);
        return verdict;
      })
      .finally(() => this.#asking.delete(state));
    this.#asking.set(state, mine);
    return await mine;
  }
}

/** @throws what the reader throws: nothing is known then. */
async function judge(record: NameState, blocks: BlockReader, signal: AbortSignal): Promise<Verdict> {
  try {
    const cid = manifestCid(record.name, record.manifest);
    const signed = decodeManifest(record.name, cid, await blocks.get(cid, { signal }));
    checkManifest(signed, record);
    return { signed };
  } catch (error) {
    if (isRelaymintError(error, 'MANIFEST_INVALID')) return { failure: error };
    throw error;
  }
}

/** All that a verdict depends on. `seq` alone would do, as long as the ledger node is honest. */
function stateOf({ name, seq, root, manifest, owner, manager, royaltyBps, referrerBps, splits }: NameState): string {
  const shares = splits.map(({ account, bps }) => `${account}:${bps}`);
  return [name, seq, toHex(root), toHex(manifest), owner, manager, royaltyBps, referrerBps, ...shares].join(' ');
}

function noManifest(name: string): RelaymintError {
  return new RelaymintError('MANIFEST_INVALID', `${name} has no manifest, and is not shown without one.`, {
    remedy: 'Its owner has to publish again with "relaymint site publish --manifest FILE".',
  });
}
