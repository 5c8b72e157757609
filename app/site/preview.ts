/** What is previewed: its blocks, its names, and the gateway in front of them. */
import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { toHex } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { isName, parseName, siteUrl } from '../../core/name.ts';
import type { Log } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { hasErrno } from '../../platform/errno.ts';
import {
  blockMissing,
  isManifestCodec,
  openBlockStore,
  type BlockReader,
  type BlockStore,
  type Pin,
  type SiteContent,
} from '../../sites/blocks/index.ts';
import { openCar, type CarFile } from '../../sites/car/index.ts';
import { createGateway, frontPage, type SiteAddress } from '../../sites/gateway/index.ts';
import { manifestBeside, manifestFound, readManifestFile, type NameState } from '../../sites/manifest/index.ts';
import { importPath, type ImportProgress, type Skipped } from '../../sites/unixfs/index.ts';
import { RELOADING, reloadHandlers } from './reload.ts';
import { openScratch } from './scratch.ts';
import { StandIn, nameWithManifest } from './stand-in.ts';

export interface PreviewOptions {
  /** Folders and CAR files. */
  readonly paths: readonly string[];
  /** The file that the manifest of the only folder is made from. Default: what lies beside each folder, if anything does. */
  readonly manifest?: string | undefined;
  /** Under which name the only folder is shown. Default: one made of the folder's own, and of what the manifest says that it is. */
  readonly name?: string | undefined;
  readonly port: number;
  readonly signal: AbortSignal;
  readonly onImport?: (progress: ImportProgress) => void;
  /** A folder has changed and is shown anew, or could not be read. */
  readonly onChange?: (site: PreviewedSite, error?: unknown) => void;
  readonly log: Log;
}

export interface PreviewedSite {
  /** The folder or CAR file. */
  readonly path: string;
  readonly root: CID;
  /** Where a browser shows it. */
  readonly url: string;
  readonly skipped: readonly Skipped[];
  /** The file that its manifest is made from. Absent: it has none. */
  readonly manifest?: string | undefined;
}

export interface Preview extends AsyncDisposable {
  /** The path gateway. */
  readonly url: string;
  readonly sites: readonly PreviewedSite[];
  /** What of the CAR files cannot be shown, in sentences. */
  readonly remarks: readonly string[];
}

/** Changes that come this close together are read once, milliseconds. */
const SETTLE_MILLIS = 100;
/** How often it is looked whether a folder is still the same one: generators of sites remove it and make it anew. */
const LOOK_MILLIS = 1_000;
/** States of a folder that are kept: a download of the one before goes on. */
const KEPT_STATES = 2;
/** Of a host name. */
const MAX_LABEL = 63;

/**
 * Imports what is given and serves it on loopback.
 * @throws RelaymintError FILE_NOT_FOUND, CONTENT_REFUSED (not a CAR file), INVALID_ARGUMENT (an empty folder; a manifest with a fault, or for several), ADDRESS_IN_USE, ABORTED, ...
 */
export async function openPreview(options: PreviewOptions): Promise<Preview> {
  const { port, signal, log } = options;
  const began = Date.now();
  await using opening = new AsyncDisposableStack();
  await assertOneFolder(options);
  const scratch = opening.use(await openScratch('preview'));
  const store = opening.use(await openBlockStore({ directory: scratch.path, log }));
  const shown = opening.use(new Shown(store, options));
  const gateway = createGateway({
    resolver: { resolve: async (name) => await Promise.resolve(shown.resolve(name)) },
    content: { open: async () => await Promise.resolve(shown.content) },
    roots: { open: async () => await Promise.resolve(shown.content) },
    names: reloadHandlers((name) => shown.stateOf(name)),
    appendix: RELOADING,
    front: (_request, response) =>
      frontPage(response, {
        title: 'Preview',
        links: shown.sites(bound).map(({ path: label, url }) => ({ label, url })),
      }),
    free: true,
    log,
  });
  opening.defer(() => gateway.close());
  // A port that is taken is said before a film is imported.
  const { port: bound } = await gateway.listen({ port });
  for (const one of options.paths) await shown.add(one);
  assertNotAborted(signal, 'Opening the preview');
  await shown.watch(bound, began);
  const all = opening.move();
  return {
    url: `http://127.0.0.1:${bound}/`,
    sites: shown.sites(bound),
    remarks: shown.remarks,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface Folder {
  readonly path: string;
  readonly name: string;
  root: CID;
  skipped: readonly Skipped[];
  manifest: string | undefined;
  /** In the place of the ledger's: it names the manifest. */
  record: NameState | undefined;
}

type Imported = Omit<Folder, 'path' | 'name'>;

/** The folders and CAR files, and all their blocks. */
class Shown implements AsyncDisposable {
  readonly content: SiteContent;
  readonly remarks: string[] = [];
  readonly #store: BlockStore;
  readonly #options: PreviewOptions;
  readonly #standIn = new StandIn();
  readonly #folders = new Map<string, Folder>();
  readonly #cars: { readonly path: string; readonly car: CarFile }[] = [];
  readonly #watching = new AsyncDisposableStack();
  #importing: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(store: BlockStore, options: PreviewOptions) {
    this.#store = store;
    this.#options = options;
    const reader: BlockReader = {
      get: async (cid, how) => {
        const holder = store.has(cid) ? store : this.#cars.find(({ car }) => car.has(cid))?.car;
        if (holder === undefined) throw blockMissing(cid);
        return await holder.get(cid, how);
      },
    };
    this.content = { get: (cid, how) => reader.get(cid, how), close() {} };
  }

  /** @throws RelaymintError as `openPreview`. */
  async add(given: string): Promise<void> {
    const { signal } = this.#options;
    if (given.trim() === '') {
      throw new RelaymintError('INVALID_ARGUMENT', 'The name of a folder or file is empty.', {
        remedy: 'Name a folder or a file.',
      });
    }
    const found = await stat(given).catch(() => undefined);
    if (found?.isFile() !== true) {
      const name = await this.#nameFor(given);
      this.#folders.set(name, { path: given, name, ...(await this.#import(name, given)) });
      return;
    }
    const car = await openCar(given, { signal });
    this.#cars.push({ path: given, car });
    if (car.leftOut > 0) this.remarks.push(`${given}: ${car.leftOut} blocks of other kinds are left out.`);
    if (!car.roots.some((root) => isShown(root, car))) {
      this.remarks.push(`${given}: none of its roots can be shown; its ${car.blocks} blocks are at /ipfs/CID.`);
    }
  }

  /** What pages of the name show: it changes with the folder and with the manifest. */
  stateOf(name: string): string | undefined {
    const folder = this.#folders.get(name);
    return folder && stateOf(folder);
  }

  /** @throws RelaymintError NAME_UNKNOWN. */
  resolve(name: string): SiteAddress {
    const folder = this.#folders.get(name);
    if (folder !== undefined) return { name, root: folder.root, record: folder.record };
    throw new RelaymintError('NAME_UNKNOWN', `${name} is not previewed here.`, {
      remedy: 'Open the address that was printed.',
    });
  }

  sites(port: number): readonly PreviewedSite[] {
    const folders = [...this.#folders.values()].map((folder) => siteOf(folder, port));
    const cars = this.#cars.flatMap(({ path: file, car }) => {
      const roots = new Map(
        car.roots.filter((root) => isShown(root, car)).map((root) => [root.toV1().toString(), root]),
      );
      return Array.from(roots, ([label, root]) => ({
        path: file,
        root,
        url: `http://${label}.ipfs.localhost:${port}/`,
        skipped: [],
      }));
    });
    return [...folders, ...cars];
  }

  /** Shows each folder anew when something in it changes. @param began when reading began, Unix milliseconds: what was written since may not be shown yet. */
  async watch(port: number, began: number): Promise<void> {
    for (const folder of this.#folders.values()) {
      const { log, manifest = manifestBeside(folder.path) } = this.#options;
      const watched = new WatchedFolder(folder.path, manifest, () => void this.#refresh(folder, port), log);
      this.#watching.use(watched);
      await watched.begin(began);
    }
  }

  async #refresh(folder: Folder, port: number): Promise<void> {
    const next = this.#importing.then(() => this.#readAgain(folder, port));
    this.#importing = next;
    await next;
  }

  async #readAgain(folder: Folder, port: number): Promise<void> {
    if (this.#closed) return;
    const { onChange = () => {} } = this.#options;
    try {
      const before = stateOf(folder);
      Object.assign(folder, await this.#import(folder.name, folder.path));
      if (stateOf(folder) !== before) onChange(siteOf(folder, port));
    } catch (error) {
      if (!this.#closed) onChange(siteOf(folder, port), error);
    }
  }

  async #import(name: string, folder: string): Promise<Imported> {
    const { signal, onImport } = this.#options;
    const manifest = await this.#manifestOf(folder);
    const terms = manifest === undefined ? undefined : await readManifestFile(manifest, name);
    await using session = this.#store.begin();
    const { root, skipped } = await importPath(folder, session, { signal, ...(onImport && { onProgress: onImport }) });
    await session.pin(name, root);
    const record = await this.#standIn.recordOf(this.#store, { name, root, terms });
    const isManifest = (pin: Pin): boolean => isManifestCodec(pin.root);
    for (const kind of [isManifest, (pin: Pin) => !isManifest(pin)]) {
      const pins = this.#store.pins(name).filter(kind);
      for (const pin of pins.slice(0, -KEPT_STATES)) await this.#store.unpin(name, pin.root);
    }
    return { root, skipped, manifest, record };
  }

  async #manifestOf(folder: string): Promise<string | undefined> {
    return this.#options.manifest ?? (await manifestFound(folder));
  }

  async #nameFor(folder: string): Promise<string> {
    const { name } = this.#options;
    if (name !== undefined) return name;
    const manifest = await this.#manifestOf(folder);
    const own = this.#ownNameFor(folder);
    return manifest === undefined ? own : await nameWithManifest(own, manifest);
  }

  /** A name made of the folder's own. */
  #ownNameFor(folder: string): string {
    const letters = path
      .basename(path.resolve(folder))
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 20);
    const label = isName(`${letters}.web3`) ? letters : 'site';
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? `${label}.web3` : `${label}${number}.web3`;
      if (Array.from(this.#folders.keys()).every((other) => parseName(other).label !== parseName(name).label))
        return name;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#watching.disposeAsync();
    await this.#importing;
    for (const { car } of this.#cars) await car[Symbol.asyncDispose]();
    this.#standIn[Symbol.dispose]();
  }
}

/** Tells of changes in a folder, also when another one has come in its place, and of its manifest. */
class WatchedFolder implements AsyncDisposable {
  readonly #path: string;
  readonly #manifest: string;
  readonly #onChange: () => void;
  readonly #log: Log;
  #looking: AsyncDisposable | undefined;
  #watcher: FSWatcher | undefined;
  #settling: NodeJS.Timeout | undefined;
  /** Which folder it is. */
  #which: string | undefined;
  /** Which file the manifest is, and as it was written last. */
  #said: string | undefined;

  constructor(folder: string, manifest: string, onChange: () => void, log: Log) {
    this.#path = folder;
    this.#manifest = manifest;
    this.#onChange = onChange;
    this.#log = log;
  }

  /** Resolves when every later change is seen. @param began see `Shown.watch`. */
  async begin(began: number): Promise<void> {
    await this.#look();
    const written = await stat(this.#manifest).catch(() => undefined);
    if (written !== undefined && written.mtimeMs >= began) this.#changed();
    const what = 'looking for changes of a folder';
    this.#looking = repeat({ everyMillis: LOOK_MILLIS, work: () => this.#look(), what, log: this.#log });
  }

  async #look(): Promise<void> {
    await this.#lookAtFolder();
    await this.#lookAtManifest();
  }

  async #lookAtFolder(): Promise<void> {
    const found = await stat(this.#path, { bigint: true }).catch(() => undefined);
    // A number may be used again at once.
    const which = found && `${found.ino} ${found.birthtimeNs}`;
    if (which === this.#which) return;
    const isFirst = this.#watcher === undefined && this.#which === undefined;
    this.#which = which;
    this.#watcher?.close();
    if (found !== undefined) this.#watch();
    if (!isFirst) this.#changed();
  }

  async #lookAtManifest(): Promise<void> {
    const found = await stat(this.#manifest, { bigint: true }).catch(() => undefined);
    const said = found === undefined ? 'none' : `${found.ino} ${found.mtimeNs} ${found.size}`;
    const before = this.#said;
    this.#said = said;
    if (before !== undefined && said !== before) this.#changed();
  }

  #watch(): void {
    this.#watcher = watch(this.#path, { recursive: true });
    this.#watcher.on('change', () => this.#changed());
    this.#watcher.on('error', (error) => {
      // A folder below it went while it was looked at.
      if (!hasErrno(error, 'ENOENT')) this.#log.warn({ err: error }, 'some changes of a folder may not be seen');
    });
  }

  #changed(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(this.#onChange, SETTLE_MILLIS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking?.[Symbol.asyncDispose]();
    clearTimeout(this.#settling);
    this.#watcher?.close();
  }
}

/** It is in the file, and fits into a host name. */
function isShown(root: CID, car: CarFile): boolean {
  return car.has(root) && root.toV1().toString().length <= MAX_LABEL;
}

function siteOf({ path: folder, name, root, skipped, manifest }: Folder, port: number): PreviewedSite {
  return { path: folder, root, url: siteUrl(name, port), skipped, manifest };
}

function stateOf({ root, record }: Folder): string {
  const manifest = record === undefined ? '' : ` ${toHex(record.manifest)}`;
  return `${root.toString()}${manifest}`;
}

/** One name and one manifest are of one folder. @throws RelaymintError INVALID_ARGUMENT */
async function assertOneFolder({ paths, manifest, name }: PreviewOptions): Promise<void> {
  const [first, ...others] = paths;
  if (manifest === undefined && name === undefined) return;
  const isFile = first !== undefined && (await stat(first).catch(() => undefined))?.isFile() === true;
  if (others.length === 0 && !isFile) return;
  const what = manifest === undefined ? 'A name' : 'A manifest';
  throw new RelaymintError('INVALID_ARGUMENT', `${what} is for one folder.`, {
    remedy: 'Preview the folder alone. Manifests that lie beside their folders are found for several, too.',
  });
}
