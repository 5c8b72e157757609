/** What is previewed: its blocks, its names, and the gateway in front of them. */
import { watch, type FSWatcher } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { isName, siteUrl } from '../../core/name.ts';
import type { Log } from '../../core/ports.ts';
import {
  blockMissing,
  openBlockStore,
  type BlockReader,
  type BlockStore,
  type SiteContent,
} from '../../sites/blocks/index.ts';
import { openCar, type CarFile } from '../../sites/car/index.ts';
import { createGateway, frontPage } from '../../sites/gateway/index.ts';
import { importSite, type ImportProgress, type Skipped } from '../../sites/unixfs/index.ts';
import { RELOAD_SCRIPT, Reload } from './reload.ts';

export interface PreviewOptions {
  /** Folders and CAR files. */
  readonly paths: readonly string[];
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
}

export interface Preview extends AsyncDisposable {
  /** The path gateway. */
  readonly url: string;
  readonly sites: readonly PreviewedSite[];
}

/** Changes that come this close together are read once, milliseconds. */
const SETTLE_MILLIS = 100;

/**
 * Imports what is given and serves it on loopback.
 * @throws RelaymintError FILE_NOT_FOUND, CONTENT_REFUSED (not a CAR file), INVALID_ARGUMENT (an empty folder), ADDRESS_IN_USE, ABORTED, ...
 */
export async function openPreview(options: PreviewOptions): Promise<Preview> {
  const { port, signal, log } = options;
  await using opening = new AsyncDisposableStack();
  const scratch = await mkdtemp(path.join(tmpdir(), 'relaymint-preview-'));
  opening.defer(() => rm(scratch, { recursive: true, force: true }));
  const store = opening.use(await openBlockStore({ directory: scratch, log }));
  const shown = new Shown(store, options);
  opening.use(shown);
  for (const one of options.paths) await shown.add(one);
  assertNotAborted(signal, 'Opening the preview');
  const gateway = createGateway({
    resolver: { resolve: async (name) => await Promise.resolve(shown.resolve(name)) },
    content: { open: async () => await Promise.resolve(shown.content) },
    roots: { open: async () => await Promise.resolve(shown.content) },
    names: [shown.reload.handler],
    appendix: RELOAD_SCRIPT,
    front: (_request, response) =>
      frontPage(response, {
        title: 'Preview',
        links: shown.sites(bound).map(({ path: label, url }) => ({ label, url })),
      }),
    free: true,
    log,
  });
  opening.defer(() => gateway.close());
  const { port: bound } = await gateway.listen({ port });
  shown.watch(bound);
  const all = opening.move();
  return {
    url: `http://127.0.0.1:${bound}/`,
    sites: shown.sites(bound),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface Folder {
  readonly path: string;
  readonly name: string;
  root: CID;
  skipped: readonly Skipped[];
}

/** The folders and CAR files, and all their blocks. */
class Shown implements AsyncDisposable {
  readonly reload: Reload = new Reload((name) => this.#folders.get(name)?.root.toString());
  readonly content: SiteContent;
  readonly #store: BlockStore;
  readonly #options: PreviewOptions;
  readonly #folders = new Map<string, Folder>();
  readonly #cars: { readonly path: string; readonly car: CarFile }[] = [];
  readonly #watchers: FSWatcher[] = [];
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

  async add(given: string): Promise<void> {
    const { signal } = this.#options;
    const found = await stat(given).catch(() => undefined);
    if (found?.isFile() === true) {
      this.#cars.push({ path: given, car: await openCar(given, { signal }) });
      return;
    }
    const name = this.#nameFor(given);
    this.#folders.set(name, { path: given, name, ...(await this.#import(name, given)) });
  }

  /** @throws RelaymintError NAME_UNKNOWN. */
  resolve(name: string): { readonly name: string; readonly root: CID } {
    const folder = this.#folders.get(name);
    if (folder !== undefined) return folder;
    throw new RelaymintError('NAME_UNKNOWN', `${name} is not previewed here.`, {
      remedy: 'Open the address that was printed.',
    });
  }

  sites(port: number): readonly PreviewedSite[] {
    const folders = [...this.#folders.values()].map((folder) => siteOf(folder, port));
    const cars = this.#cars.flatMap(({ path: file, car }) =>
      car.roots.map((root) => ({
        path: file,
        root,
        url: `http://${root.toV1().toString()}.ipfs.localhost:${port}/`,
        skipped: [],
      })),
    );
    return [...folders, ...cars];
  }

  /** Shows each folder anew when something in it changes. */
  watch(port: number): void {
    for (const folder of this.#folders.values()) {
      let settling: NodeJS.Timeout | undefined;
      const watcher = watch(folder.path, { recursive: true });
      watcher.on('change', () => {
        clearTimeout(settling);
        settling = setTimeout(() => void this.#refresh(folder, port), SETTLE_MILLIS);
      });
      watcher.on('error', (error) => this.#options.log.warn({ err: error }, 'changes of a folder are no longer seen'));
      watcher.on('close', () => clearTimeout(settling));
      this.#watchers.push(watcher);
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
      const before = folder.root;
      Object.assign(folder, await this.#import(folder.name, folder.path));
      if (folder.root.equals(before)) return;
      this.reload.changed(folder.name, folder.root.toString());
      onChange(siteOf(folder, port));
    } catch (error) {
      if (!this.#closed) onChange(siteOf(folder, port), error);
    }
  }

  async #import(name: string, folder: string): Promise<Pick<Folder, 'root' | 'skipped'>> {
    const { signal, onImport } = this.#options;
    const { root, skipped } = await importSite(this.#store, name, folder, {
      signal,
      ...(onImport && { onProgress: onImport }),
    });
    return { root, skipped };
  }

  /** A name made of the folder's own. */
  #nameFor(folder: string): string {
    const letters = path
      .basename(path.resolve(folder))
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 20);
    const label = isName(`${letters}.web3`) ? letters : 'site';
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? `${label}.web3` : `${label}${number}.web3`;
      if (!this.#folders.has(name)) return name;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const watcher of this.#watchers) watcher.close();
    await this.#importing;
    for (const { car } of this.#cars) await car[Symbol.asyncDispose]();
  }
}

function siteOf({ path: folder, name, root, skipped }: Folder, port: number): PreviewedSite {
  return { path: folder, root, url: siteUrl(name, port), skipped };
}
