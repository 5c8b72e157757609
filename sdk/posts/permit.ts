/** Being allowed to post: the whole page goes to the issuer, where the visitor's wallet is, and comes back with its permit. */
import { fromHex, toHex } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { Client, Options } from '../client.ts';
import { issuerFor } from '../sso/issuer.ts';
import { readKept, removeKept, writeKept, type Kept, type Permit } from './keys.ts';

export interface AskToPost extends Options {
  /** The visitor's profile: `alice.sso`. */
  readonly author: string;
  /** `http://localhost:8404`. Default: the one that the gateway tells. */
  readonly issuer?: string | URL;
  /** Where the visitor comes back to: one of the manifest's `signIn.redirects`, at this page's origin. Default: this page. */
  readonly back?: string | URL;
}

/** As whom this page may post, and until when. */
export interface Posting {
  readonly author: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

const FRAGMENT = '#permit=';
const REFUSED = 'refused';

/**
 * Leaves the page for the issuer. Call `finishAsking` in the page that the visitor comes back to.
 * @throws RelaymintError INVALID_ARGUMENT (also: the gateway tells no issuer), VERSION_UNSUPPORTED (this browser signs nothing by Ed25519), STORAGE_FAILED.
 */
export async function askToPost(client: Client, { author, issuer, back, signal }: AskToPost): Promise<never> {
  const name = nameOf(client);
  const at = await issuerFor(client, issuer, { signal });
  const pair = await newPair();
  const publicKey = toHex(new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
  const url = new URL('/permit', at);
  const to = new URL(back ?? location.href, location.href);
  if (to.origin !== location.origin) {
    throw new RelaymintError('INVALID_ARGUMENT', `${to.href} is not at this page's origin.`, {
      remedy: 'Give an address of this site.',
    });
  }
  to.hash = '';
  url.search = new URLSearchParams({ site: name, author, key: publicKey, back: to.href }).toString();
  await writeKept(name, { author, key: pair.privateKey, publicKey }, 'asked');
  location.assign(url);
  // The page is left.
  return await new Promise<never>(() => undefined);
}

/**
 * Takes what the issuer sent, and takes it out of the page's address. undefined: this page was not come to from there.
 * @throws RelaymintError SIGN_IN_REFUSED (the visitor said no, or it is for another key), STORAGE_FAILED.
 */
export async function finishAsking(client: Client): Promise<Posting | undefined> {
  const { hash, pathname, search } = location;
  if (!hash.startsWith(FRAGMENT)) return undefined;
  history.replaceState(history.state, '', location.origin + pathname + search);
  const name = nameOf(client);
  const kept = await readKept(name, 'asked');
  await removeKept(name, 'asked');
  const permit = hash === FRAGMENT + REFUSED ? undefined : permitIn(hash.slice(FRAGMENT.length));
  if (permit === undefined || kept?.publicKey !== permit.key || permit.name !== name || permit.author !== kept.author) {
    throw new RelaymintError('SIGN_IN_REFUSED', 'This page was not allowed to write posts.', {
      remedy: 'Ask once more, and sign it with the wallet that has the profile.',
    });
  }
  await writeKept(name, { ...kept, permit });
  return postingOf(permit);
}

/** undefined: nobody allowed it here, or it is over. @throws RelaymintError STORAGE_FAILED. */
export async function postingAs(client: Client): Promise<Posting | undefined> {
  const permit = (await readKept(nameOf(client)))?.permit;
  return permit !== undefined && permit.until > Date.now() ? postingOf(permit) : undefined;
}

/** Forgets the key: nobody can post with it any more. @throws RelaymintError STORAGE_FAILED. */
export async function endPosting(client: Client): Promise<void> {
  await removeKept(nameOf(client));
}

/** @throws RelaymintError SIGN_IN_REFUSED: nobody allowed it, or it is over. */
export async function keptPermit(client: Client): Promise<Kept & { readonly permit: Permit }> {
  const kept = await readKept(nameOf(client));
  if (kept?.permit !== undefined && kept.permit.until > Date.now()) return { ...kept, permit: kept.permit };
  throw new RelaymintError('SIGN_IN_REFUSED', 'Nobody allowed this page to write posts, or it is over.', {
    remedy: 'Call askToPost, which lets the visitor allow it.',
  });
}

/** @throws RelaymintError INVALID_ARGUMENT: at the gateway's own address. */
export function nameOf({ name }: Client): string {
  if (name !== undefined) return name;
  throw new RelaymintError('INVALID_ARGUMENT', 'Posts are written in pages of names.', {
    remedy: 'Give createClient the address of a site.',
  });
}

function postingOf({ author, until }: Permit): Posting {
  return { author, until };
}

/** undefined: it is none. */
function permitIn(code: string): Permit | undefined {
  try {
    const bytes = Uint8Array.from(atob(code.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0));
    const permit = JSON.parse(new TextDecoder().decode(bytes)) as Permit;
    const { name, author, key, since, until, form, signature } = permit;
    const texts = [name, author, key, form, signature].every((text) => typeof text === 'string');
    const isWhole = texts && Number.isSafeInteger(since) && Number.isSafeInteger(until);
    return isWhole && fromHex(signature).length > 0 ? permit : undefined;
  } catch {
    return undefined;
  }
}

async function newPair(): Promise<CryptoKeyPair> {
  try {
    return await crypto.subtle.generateKey('Ed25519', false, ['sign']);
  } catch (cause) {
    throw new RelaymintError('VERSION_UNSUPPORTED', 'This browser cannot sign posts.', {
      remedy: 'Use a browser of 2025 or later.',
      cause,
    });
  }
}
