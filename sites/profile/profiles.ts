/** Profiles of names that others ask for: each is fetched once for each content of its name, and judged by the ledger's word each time. */
import { LRUCache } from 'lru-cache';
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_KNOWN_PROFILES } from '../../core/limits.ts';
import { parseName } from '../../core/name.ts';
import { systemClock, type Clock } from '../../core/ports.ts';
import type { ContentSource } from '../blocks/contract.ts';
import { checkProfile } from './check.ts';
import type { Profile, ProfileHolder, SignedProfile } from './contract.ts';
import { profileIn } from './read.ts';

export interface ProfilesOptions<Held extends ProfileHolder> {
  /** @throws RelaymintError as `NameResolver.resolve`. */
  readonly resolver: { resolve(name: string): Promise<{ readonly root: CID; readonly record: Held }> };
  readonly content: ContentSource;
  /** @throws RelaymintError: nothing of that name is to be shown, neither what is known. */
  readonly requireShown?:
    ((site: { readonly name: string; readonly referrer?: string | undefined }) => void) | undefined;
  /** Whether what was fetched is shown to whoever asks next. Default: always. */
  readonly keeps?: ((record: Held) => boolean) | undefined;
  readonly clock?: Clock | undefined;
}

export interface FoundProfile<Held extends ProfileHolder> {
  readonly profile: Profile;
  readonly record: Held;
}

export interface Profiles<Held extends ProfileHolder = ProfileHolder> {
  /**
   * @param options `referrer`: the name in whose page it is wanted, which pays, and learns nothing of what its visitor has seen elsewhere.
   * @returns undefined: the name has content, and no profile.
   * @throws RelaymintError NAME_INVALID (no `.sso` name), NAME_UNKNOWN, NAME_EXPIRED, CONTENT_NOT_FOUND, PROFILE_INVALID, PROFILE_STALE, ABORTED, and what the source throws.
   */
  of(
    name: string,
    options: { readonly referrer?: string | undefined; readonly signal: AbortSignal },
  ): Promise<FoundProfile<Held> | undefined>;
}

export function createProfiles<Held extends ProfileHolder>(options: ProfilesOptions<Held>): Profiles<Held> {
  return new KnownProfiles(options);
}

/** What lies in a content stays there. */
type Lies = { readonly signed: SignedProfile | undefined } | { readonly failure: RelaymintError };

class KnownProfiles<Held extends ProfileHolder> implements Profiles<Held> {
  readonly #options: ProfilesOptions<Held>;
  readonly #read = new LRUCache<string, Lies>({ max: MAX_KNOWN_PROFILES });
  /** The highest sequence of each owner's tenure of a name. */
  readonly #newest = new LRUCache<string, number>({ max: MAX_KNOWN_PROFILES });

  constructor(options: ProfilesOptions<Held>) {
    this.#options = options;
  }

  async of(
    text: string,
    { referrer: page, signal }: { readonly referrer?: string | undefined; readonly signal: AbortSignal },
  ): Promise<FoundProfile<Held> | undefined> {
    assertNotAborted(signal, 'Reading a profile');
    const { name, tld } = parseName(text);
    if (tld !== 'sso') {
      throw new RelaymintError('NAME_INVALID', `${name} has no profile: only .sso names do.`, {
        remedy: 'Ask for a name such as ann.sso.',
      });
    }
    const { resolver, requireShown, keeps = () => true, clock = systemClock } = this.#options;
    const referrer = page === name ? undefined : page;
    requireShown?.({ name, referrer });
    const { root, record } = await resolver.resolve(name);
    const key = `${referrer ?? ''} ${name} ${root.toString()}`;
    const isKept = keeps(record);
    const lies = (isKept ? this.#read.get(key) : undefined) ?? (await this.#fetch({ name, root, referrer }, signal));
    if (isKept) this.#read.set(key, lies);
    if ('failure' in lies) throw lies.failure;
    if (lies.signed === undefined) return undefined;
    const { profile } = lies.signed;
    const held = `${name} ${profile.tenure} ${profile.owner}`;
    const known = this.#newest.get(held);
    checkProfile(lies.signed, record, { now: clock.now(), known });
    this.#newest.set(held, profile.sequence);
    return { profile, record };
  }

  /** @throws what the source throws: nothing is known then. */
  async #fetch(site: Parameters<ContentSource['open']>[0], signal: AbortSignal): Promise<Lies> {
    const content = await this.#options.content.open(site, { signal });
    try {
      return { signed: await profileIn(content, site, { signal }) };
    } catch (error) {
      if (isRelaymintError(error, 'PROFILE_INVALID')) return { failure: error };
      throw error;
    } finally {
      content.close();
    }
  }
}
