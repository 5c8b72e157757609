/** Publishes a folder: imports it, brings it to a host over a paid circuit, and points the name at it on chain. And back again. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { amount, formatCredits, unixMillis, type Amount, type UnixSeconds } from '../../core/units.ts';
import type {
  LedgerReader,
  NamePurchase,
  NameRecord,
  RegistrationStep,
  TransactionResult,
} from '../../ledger/contract.ts';
import { daysBetween, namePrice } from '../../ledger/term.ts';
import type { Pin } from '../../sites/blocks/index.ts';
import { bringIn } from '../../sites/keeping/index.ts';
import type { PublishJournal } from '../../sites/publish/index.ts';
import { importPath, importSite, type ImportProgress } from '../../sites/unixfs/index.ts';
import type { OfferBook } from '../../node/discovery/index.ts';
import type { Published, RolledBack } from '../market/index.ts';
import type { ManifestTerms, SignedManifest } from '../../sites/manifest/index.ts';
import { accountsBefore, accountsOf } from './accounts.ts';
import { openArchive, rootsKept, rootsOf, targetOf } from './archive.ts';
import { uploadToAll, type DeliverySettings } from './delivery.ts';
import { isLeaving, keepersOf } from './keepers.ts';
import { assertOurs, requireOwn } from './own-name.ts';
import { assertDeclared, doubtsOf } from './own-media.ts';
import { assertTerms, changeOf, manifestOf, type ManifestParts } from './own-terms.ts';
import { takeCar, type SiteCar } from './site-car.ts';
import { signerOf, type RunningNode } from '../node/index.ts';

export interface PublishSettings extends DeliverySettings {
  /** Read if there is no `car`. */
  readonly directory: string;
  /** Published with the folder: made of its pictures (`picturesFor`). */
  readonly beside?: ReadonlyMap<string, string> | undefined;
  /** What the name's manifest is to say; undefined: what it said before, if it has one. */
  readonly terms?: ManifestTerms | undefined;
  /** Published instead of a folder; the caller disposes it. */
  readonly car?: SiteCar;
  /** Share of what hosts earn with the name, basis points; for a name that is registered now. */
  readonly royaltyBps: number;
  /** How long a name that is registered now is paid for, 1 .. 10. */
  readonly years: number;
  readonly onImport: (progress: ImportProgress) => void;
  readonly onRegistration: (step: RegistrationStep) => void;
}

export interface RollbackSettings extends DeliverySettings {
  /** A root of ours, or the number of an entry of the journal. Default: the root before the one that the chain names. */
  readonly to?: CID | number | undefined;
}

/** @throws RelaymintError NO_ROUTE (no host), NAME_TAKEN, INSUFFICIENT_FUNDS, CONTENT_REFUSED, ABORTED, .. Doing it again goes on where it stopped. */
export async function publish(node: RunningNode, settings: PublishSettings): Promise<Published> {
  const { name, signal } = settings;
  assertNotAborted(signal, 'Publishing');
  await using stack = new AsyncDisposableStack();
  const { car } = settings;
  const doubts = await doubtsOf(settings.directory, car, settings.terms, signal);
  const before = await accountsBefore(node);
  const registration = await openRegistration(node, settings);
  const { store, journal, indexOf } = await openArchive(node.settings.dataDir, node.settings.log);
  stack.use(store);
  const taking = {
    signal,
    onProgress: settings.onImport,
    ...(settings.beside && { beside: settings.beside }),
    keep: (older: readonly Pin[]) => rootsKept(older, registration.record),
  };
  const imported =
    car === undefined
      ? await importSite(store, name, settings.directory, { ...taking, index: { file: indexOf(name) } })
      : await takeCar(store, name, car, taking);
  const { root, files, bytes, readBytes, skipped, changed } = imported;

  const { record } = registration;
  const manifest = await signed(node, { ...settings, store, root, record });
  if (settings.terms === undefined) await assertDeclared(store, root, manifest?.manifest, signal);

  const mend = async (): Promise<void> => {
    if (car !== undefined) return void (await bringIn(store, { name, root }, car.blocks, { signal }));
    await using session = store.begin();
    await importPath(settings.directory, session, { signal, ...(settings.beside && { beside: settings.beside }) });
  };
  const delivered = await uploadToAll(node, settings, {
    store,
    root,
    manifest: manifest?.cid,
    totalBytes: bytes,
    mend,
  });
  const pointed = { root, files, bytes, hosts: delivered.hosts, manifest, journal };
  const change = await pointName(node, settings, pointed, registration);
  return {
    event: 'published',
    name,
    cid: root.toString(),
    files,
    bytes,
    readBytes,
    skipped,
    changed,
    doubts: doubts.map(({ path, message, remedy }) => ({ path, message, remedy })),
    ...delivered,
    stale: change.record === 'unchanged' ? [] : staleAfter(node.discovery.book, name, delivered.hosts),
    ...change,
    ...(manifest && { manifest: manifest.cid.toString() }),
    ...(await accountsOf(node, before)),
  };
}

/**
 * Points a name at an earlier root again, once hosts have it.
 * @throws RelaymintError NAME_UNKNOWN, NAME_TAKEN, NAME_EXPIRED, CONTENT_NOT_FOUND (its blocks are not kept here), and as `publish`.
 */
export async function rollback(node: RunningNode, settings: RollbackSettings): Promise<RolledBack> {
  const { name, signal } = settings;
  assertNotAborted(signal, 'Going back');
  await using stack = new AsyncDisposableStack();
  const before = await accountsBefore(node);
  const record = await requireOwn(node, name);
  const { store, journal } = await openArchive(node.settings.dataDir, node.settings.log);
  stack.use(store);
  const pins = rootsOf(store.pins(name));
  const target = targetOf({ name, to: settings.to, entries: await journal.read(name), pins, current: record.root });
  const { root, files, bytes } = target;
  const size = pins.find((pin) => pin.root.equals(root))?.bytes ?? 0;
  {
    await using session = store.begin();
    // It counts as new: what was published after it goes first.
    await session.pin(name, root).catch((error: unknown) => {
      // Hosts may have what is damaged here.
      if (!isRelaymintError(error, 'CONTENT_NOT_FOUND')) throw error;
    });
  }
  // What the name's terms are now goes back with it.
  const manifest = await signed(node, { name, royaltyBps: record.royaltyBps, store, root, record });
  const content = { store, root, manifest: manifest?.cid, totalBytes: size, mend: () => Promise.resolve() };
  const { hosts, sentBlocks, sentBytes } = await uploadToAll(node, settings, content);
  const change = changeOf(record, root, manifest);
  if (change !== undefined) {
    const entry = { name, root, files, bytes, hosts, step: 'rolled back' as const, at: unixMillis(Date.now()) };
    await recorded(node, journal, entry, () => node.wallet.updateName(name, change));
  }
  return {
    event: 'rolled back',
    name,
    cid: root.toString(),
    ...(record.root.length > 0 && { from: CID.decode(record.root).toString() }),
    record: change === undefined ? 'unchanged' : 'updated',
    ...(manifest && { manifest: manifest.cid.toString() }),
    hosts,
    stale: change === undefined ? [] : staleAfter(node.discovery.book, name, hosts),
    sentBlocks,
    sentBytes,
    ...(await accountsOf(node, before)),
  };
}

/** Those that keep the name, and were not brought what it points to now. One that leaves takes nothing any more. */
function staleAfter(book: OfferBook, name: string, brought: readonly NodeId[]): NodeId[] {
  return keepersOf(book, name).filter((host) => !brought.includes(host) && !isLeaving(book, host));
}

/** The manifest for a root, signed by the wallet. */
async function signed(
  { ledger, wallet, keys }: RunningNode,
  parts: Omit<ManifestParts, 'wallet' | 'signer' | 'now'>,
): Promise<SignedManifest | undefined> {
  const signer = signerOf(keys.walletKey);
  try {
    return await manifestOf({ ...parts, wallet: wallet.address, signer, now: await ledger.now() });
  } finally {
    signer.close();
  }
}

/** The journal has it before the chain changes, and says afterwards that it did. */
async function recorded(
  node: RunningNode,
  journal: PublishJournal,
  entry: Parameters<PublishJournal['begin']>[0],
  change: () => Promise<Pick<TransactionResult, 'signature'>>,
): Promise<void> {
  const begun = await journal.begin(entry);
  const { signature } = await change();
  try {
    await journal.confirm(begun, signature);
  } catch (error) {
    node.settings.log.warn(
      { err: error },
      'the name is changed, but the list of what was published could not be written',
    );
  }
}

/** A name that is ours, or one that we are about to register for at most so much. */
type Registration = { readonly record: NameRecord } | { readonly record: undefined; readonly maxPrice: Amount };

/**
 * Looks whether the name can be ours before anything is paid for, and commits to it when it is free: the commitment ages
 * while the content is sent.
 */
async function openRegistration(
  node: RunningNode,
  { name, years, terms }: Pick<PublishSettings, 'name' | 'years' | 'terms'>,
): Promise<Registration> {
  const { ledger, wallet } = node;
  const record = await ledger.name(name);
  if (record !== undefined && record.status !== 'expired') {
    assertOurs(record, wallet.address);
    assertTerms({ name, record, terms, wallet: wallet.address });
    return { record };
  }
  assertTerms({ name, record: undefined, terms, wallet: wallet.address });
  const [{ nameYearPrice: yearPrice }, now, { credits }] = await Promise.all([
    ledger.bank(),
    ledger.now(),
    ledger.balances(wallet.address),
  ]);
  const maxPrice = amount(BigInt(years) * yearPrice);
  const price = namePrice({ yearPrice, years, expiresAt: record?.expiresAt, now });
  if (price > maxPrice) {
    const text = formatCredits(price);
    throw new RelaymintError('INVALID_ARGUMENT', `${name} was given up recently and costs ${text} credits today.`, {
      remedy: `It costs less every day. To have it now: relaymint name register ${name} --max-price ${text}`,
    });
  }
  if (credits < price) {
    throw new RelaymintError(
      'INSUFFICIENT_FUNDS',
      `${name} costs ${formatCredits(price)} credits, the wallet ${wallet.address} has ${formatCredits(credits)}.`,
      { remedy: 'Buy credits with "relaymint wallet buy".', details: { has: String(credits), needs: String(price) } },
    );
  }
  await wallet.commitName(name);
  return { record: undefined, maxPrice };
}

/**
 * Registers a name that points to nothing yet. @returns undefined: it is the wallet's already.
 * @throws RelaymintError NAME_TAKEN, INSUFFICIENT_FUNDS, INVALID_ARGUMENT (it costs more than usual), ABORTED, ..
 */
export async function registerAlone(
  node: RunningNode,
  settings: Pick<PublishSettings, 'name' | 'years' | 'royaltyBps' | 'signal' | 'onRegistration'>,
): Promise<NamePurchase | undefined> {
  const { name, years, royaltyBps, signal, onRegistration } = settings;
  const registration = await openRegistration(node, { name, years, terms: undefined });
  if (registration.record !== undefined) return undefined;
  const { maxPrice } = registration;
  const record = { name, years, maxPrice, royaltyBps, root: new Uint8Array() };
  return await node.wallet.registerName(record, { signal, onStep: onRegistration });
}

/** What a name is pointed at. */
interface Delivered {
  readonly root: CID;
  readonly files: number;
  readonly bytes: number;
  readonly hosts: readonly NodeId[];
  readonly manifest: SignedManifest | undefined;
  readonly journal: PublishJournal;
}

async function pointName(
  node: RunningNode,
  { name, royaltyBps, years, signal, onRegistration }: PublishSettings,
  { journal, manifest: signed, ...delivered }: Delivered,
  registration: Registration,
): Promise<Pick<Published, 'record' | 'paid' | 'expiresAt' | 'daysLeft'>> {
  const { ledger, wallet } = node;
  const root = delivered.root.bytes;
  const entry = { ...delivered, name, at: unixMillis(Date.now()) };
  if (registration.record === undefined) {
    const { maxPrice } = registration;
    let term: Pick<NamePurchase, 'paid' | 'expiresAt'> | undefined;
    await recorded(node, journal, { ...entry, step: 'registered' }, async () => {
      const { royaltyBps: royalty = royaltyBps, referrerBps, splits } = signed?.manifest ?? {};
      const record = {
        name,
        root,
        manifest: signed?.cid.bytes,
        royaltyBps: royalty,
        referrerBps,
        splits,
        years,
        maxPrice,
      };
      const purchase = await wallet.registerName(record, { signal, onStep: onRegistration });
      term = purchase;
      return purchase;
    });
    return { record: 'registered', paid: String(term?.paid ?? 0n), ...(await termOf(ledger, term?.expiresAt)) };
  }
  const term = { paid: '0', ...(await termOf(ledger, registration.record.expiresAt)) };
  const change = changeOf(registration.record, delivered.root, signed);
  if (change === undefined) return { record: 'unchanged', ...term };
  await recorded(node, journal, { ...entry, step: 'updated' }, () => wallet.updateName(name, change));
  return { record: 'updated', ...term };
}

async function termOf(
  ledger: LedgerReader,
  expiresAt: UnixSeconds | undefined,
): Promise<Pick<Published, 'expiresAt' | 'daysLeft'>> {
  if (expiresAt === undefined) return {};
  return { expiresAt: String(expiresAt), daysLeft: daysBetween(await ledger.now(), expiresAt) };
}
