/** Makes and changes the profile of a name of one's own: signs it, and publishes it with a page as the content of the name. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { concatBytes, equalBytes } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { systemClock } from '../../core/ports.ts';
import { unixMillis, unixSeconds } from '../../core/units.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import type { BlockReader } from '../../sites/blocks/index.ts';
import { createMemoryCache } from '../../sites/cache/index.ts';
import {
  PROFILE_PATH,
  bindWallet,
  checkProfile,
  isProfilePage,
  profileIn,
  profileJson,
  profileMessage,
  profilePage,
  signProfile,
  type Profile,
  type ProfileJson,
  type SignedProfile,
  type WalletConsent,
} from '../../sites/profile/index.ts';
import { createContentSource } from '../../sites/serve/index.ts';
import { follow, openNode, readFile } from '../../sites/unixfs/index.ts';
import type { Published } from '../market/index.ts';
import { signerOf, type RunningNode } from '../node/index.ts';
import { hasArchive, openArchive, profileFolder } from './archive.ts';
import { nameUnknown, requireOwn } from './own-name.ts';
import { noProfile } from './profile.ts';
import { publish, registerAlone, type PublishSettings } from './publisher.ts';
import { createRoutes } from './routes.ts';

/** What is said anew. undefined: it stays as it is; null: it is said no more. */
export interface ProfileWords {
  readonly displayName?: string | undefined;
  readonly avatar?: string | null | undefined;
  readonly about?: string | null | undefined;
  readonly links?: Profile['links'] | undefined;
  readonly payout?: LedgerAddress | null | undefined;
  readonly messagingKey?: Uint8Array | null | undefined;
  /** Wallets that are this person's no more. */
  readonly unbind?: readonly LedgerAddress[] | undefined;
}

export type ProfileStep =
  | { readonly kind: 'create'; readonly words: ProfileWords & { readonly displayName: string } }
  | { readonly kind: 'edit'; readonly words: ProfileWords }
  | { readonly kind: 'bind'; readonly consent: WalletConsent };

export interface ProfileSettings extends Omit<PublishSettings, 'directory' | 'beside' | 'car'> {
  readonly step: ProfileStep;
  /** A folder that is shown with the profile, instead of the page that is made of it. */
  readonly page?: string | undefined;
  /** Puts the page that is made of it in the place of whatever the name shows. */
  readonly replace: boolean;
}

/** What `relaymint profile create`, `edit` and `bind` print. */
export type ProfilePublished = Published & { readonly profile: ProfileJson };

/** The first page of a folder that we make. */
const INDEX = 'index.html';
/** Of a page, bytes: ours are shorter. */
const MAX_OWN_PAGE_BYTES = 64 * 1024;

/**
 * A name that is free is registered first, by `create` alone, since a profile says since when its name is held. Doing it again goes on where
 * it stopped.
 * @throws RelaymintError PROFILE_INVALID, INVALID_ARGUMENT (it has one already, or shows something else), NAME_UNKNOWN, NAME_TAKEN,
 * NAME_EXPIRED, CONTENT_NOT_FOUND (it has none), and as `publish`.
 */
export async function publishProfile(node: RunningNode, settings: ProfileSettings): Promise<ProfilePublished> {
  const { name, step, signal, page, replace } = settings;
  assertNotAborted(signal, 'Publishing a profile');
  if (page !== undefined) await assertNoProfileIn(page);
  const before = await node.ledger.name(name);
  const isFree = before === undefined || before.status === 'expired';
  if (isFree && step.kind !== 'create') throw nameUnknown(name);
  if (isFree && step.kind === 'create') await assertSound(node, name, step.words);
  const purchase = isFree ? await registerAlone(node, settings) : undefined;
  const record = await requireOwn(node, name);
  const isAnew = step.kind === 'create' && (replace || page !== undefined);
  const shown = await shownBy(node, record, settings).catch((error: unknown) => {
    // What no host has any more keeps nobody from beginning anew.
    if (!isAnew || !isRelaymintError(error, 'NO_ROUTE', 'CONTENT_NOT_FOUND', 'CONTENT_REFUSED')) throw error;
    return { profile: undefined, isOther: true };
  });
  const isOther = shown.isOther && page === undefined && !replace;
  if (isOther) {
    throw new RelaymintError('INVALID_ARGUMENT', `${name} shows a site that is not made of its profile.`, {
      remedy: 'Give --page with the folder of the site, which is published with the profile; or --replace.',
    });
  }
  const signed = await signedAnew(node, record, step, shown.profile);
  const made = profileFolder(node.settings.dataDir, name);
  await writeProfile(made, signed);
  const content =
    page === undefined
      ? { directory: made }
      : { directory: page, beside: new Map([INDEX, PROFILE_PATH].map((file) => [file, path.join(made, file)])) };
  const published = await publish(node, { ...settings, ...content });
  const registered = purchase && { record: 'registered' as const, paid: String(purchase.paid) };
  return { ...published, ...registered, profile: profileJson(signed.profile) };
}

/** Before anything is paid. @throws RelaymintError PROFILE_INVALID. */
async function assertSound({ keys, wallet }: RunningNode, name: string, words: ProfileWords): Promise<void> {
  using signer = closing(keys.walletKey);
  const holder = { name, owner: wallet.address, registeredAt: unixSeconds(0) };
  await signProfile(worded(holder, words, undefined, 1), signer.key);
}

/** The folder's own file would be published instead of the profile. @throws RelaymintError INVALID_ARGUMENT. */
async function assertNoProfileIn(page: string): Promise<void> {
  const file = path.join(page, PROFILE_PATH);
  if ((await stat(file).catch(() => undefined)) === undefined) return;
  throw new RelaymintError('INVALID_ARGUMENT', `${file} is where the profile is put.`, { remedy: 'Remove that file.' });
}

async function writeProfile(folder: string, { profile, encoded }: SignedProfile): Promise<void> {
  const file = path.join(folder, PROFILE_PATH);
  await makeFolder(path.dirname(file));
  await replaceFile(file, encoded);
  await replaceFile(path.join(folder, INDEX), Buffer.from(profilePage(profile)));
}

/** @throws RelaymintError PROFILE_INVALID, INVALID_ARGUMENT, CONTENT_NOT_FOUND. */
async function signedAnew(
  { keys, settings: { world } }: RunningNode,
  record: NameRecord,
  step: ProfileStep,
  present: SignedProfile | undefined,
): Promise<SignedProfile> {
  const { clock } = world ?? { clock: systemClock };
  const now = clock.now();
  const current =
    step.kind === 'create' ? present && soundOr(present, record, now) : requireSound(present, record, now);
  // Numbers rise, whatever the clock does.
  const sequence = Math.max(now, (current?.profile.sequence ?? 0) + 1);
  const { name } = record;
  if (step.kind === 'create' && current !== undefined) {
    const again = worded(record, step.words, undefined, current.profile.sequence);
    if (equalBytes(profileMessage(again), profileMessage(current.profile))) return current;
    throw new RelaymintError('INVALID_ARGUMENT', `${name} has a profile, which says something else.`, {
      remedy: `Change it with "relaymint profile edit ${name}".`,
    });
  }
  const profile =
    step.kind === 'bind' && current !== undefined
      ? {
          ...current.profile,
          sequence: unixMillis(sequence),
          wallets: bindWallet(current.profile, step.consent, now),
        }
      : worded(record, step.kind === 'bind' ? {} : step.words, current?.profile, sequence);
  using signer = closing(keys.walletKey);
  const signed = await signProfile(profile, signer.key);
  // As others will: a manager hears here what is not a manager's.
  checkProfile(signed, record, { now: Math.max(now, sequence) });
  return signed;
}

/** Of another owner, or of before the name was registered anew: nothing of it stays. */
function soundOr(present: SignedProfile, record: NameRecord, now: number): SignedProfile | undefined {
  try {
    checkProfile(present, record, { now });
    return present;
  } catch (error) {
    if (isRelaymintError(error, 'PROFILE_INVALID')) return undefined;
    throw error;
  }
}

/** @throws RelaymintError CONTENT_NOT_FOUND, PROFILE_INVALID. */
function requireSound(present: SignedProfile | undefined, record: NameRecord, now: number): SignedProfile {
  if (present === undefined) throw noProfile(record.name);
  checkProfile(present, record, { now });
  return present;
}

function worded(
  { name, owner, registeredAt: tenure }: Pick<NameRecord, 'name' | 'owner' | 'registeredAt'>,
  words: ProfileWords,
  current: Profile | undefined,
  sequence: number,
): Profile {
  const said = <T>(anew: T | null | undefined, before: T | undefined): T | undefined =>
    anew === undefined ? before : (anew ?? undefined);
  return {
    version: 1,
    name,
    tenure,
    owner,
    sequence: unixMillis(sequence),
    displayName: words.displayName ?? current?.displayName ?? '',
    avatar: said(words.avatar, current?.avatar),
    about: said(words.about, current?.about),
    links: words.links ?? current?.links ?? [],
    payout: said(words.payout, current?.payout),
    messagingKey: said(words.messagingKey, current?.messagingKey),
    wallets: (current?.wallets ?? []).filter(({ wallet }) => words.unbind?.includes(wallet) !== true),
  };
}

function closing(key: Parameters<typeof signerOf>[0]): Disposable & { readonly key: ReturnType<typeof signerOf> } {
  const signer = signerOf(key);
  return { key: signer, [Symbol.dispose]: () => signer.close() };
}

interface Shown {
  /** What lies in the content, whoever said it. */
  readonly profile: SignedProfile | undefined;
  /** It has files that are not made of a profile. */
  readonly isOther: boolean;
}

/** What a name shows now: by the data folder, or else by its hosts, which are paid. */
async function shownBy(
  node: RunningNode,
  record: NameRecord,
  { relays, signal }: Pick<ProfileSettings, 'relays' | 'signal'>,
): Promise<Shown> {
  if (record.root.length === 0) return { profile: undefined, isOther: false };
  const { name } = record;
  const root = CID.decode(record.root);
  const { dataDir, log } = node.settings;
  await using stack = new AsyncDisposableStack();
  if (await hasArchive(dataDir)) {
    const { store } = await openArchive(dataDir, log);
    stack.use(store);
    if (store.pins(name).some((pin) => pin.root.equals(root))) return await shownIn(store, name, root, signal);
  }
  const routes = stack.use(createRoutes({ node, relays }));
  const cache = createMemoryCache({ leaves: true });
  const source = createContentSource({ route: routes.route, onBadHost: routes.failed, cache, log });
  stack.defer(() => source.close());
  const content = await source.open({ name, root }, { signal });
  stack.defer(() => content.close());
  return await shownIn(content, name, root, signal);
}

async function shownIn(blocks: BlockReader, name: string, root: CID, signal: AbortSignal): Promise<Shown> {
  let profile: SignedProfile | undefined;
  try {
    profile = await profileIn(blocks, { name, root }, { signal });
  } catch (error) {
    // One that nobody can read is replaced as if it were not there.
    if (!isRelaymintError(error, 'PROFILE_INVALID')) throw error;
  }
  return { profile, isOther: !(await isMade(blocks, root, signal)) };
}

/** Whether all of it is made of a profile. */
async function isMade(blocks: BlockReader, root: CID, signal: AbortSignal): Promise<boolean> {
  const folder = await openNode(blocks, root, { signal });
  if (folder.type !== 'directory') return false;
  const [first = ''] = PROFILE_PATH.split('/');
  for await (const { name } of folder.entries({ signal })) if (name !== INDEX && name !== first) return false;
  const trail = await follow(blocks, root, [INDEX], { signal });
  const file = trail && (await openNode(blocks, trail.cid, { signal }));
  if (file?.type !== 'file' || file.size > MAX_OWN_PAGE_BYTES) return false;
  const parts: Uint8Array[] = [];
  for await (const part of readFile(blocks, file, undefined, { signal })) parts.push(part);
  return isProfilePage(Buffer.from(concatBytes(...parts)).toString());
}
