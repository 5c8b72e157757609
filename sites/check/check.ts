/** Looks through a folder for what would be broken once it is published. Nothing is written, and nothing leaves the machine. */
import { open, realpath } from 'node:fs/promises';
import { assertNotAborted } from '../../core/abort.ts';
import { printable } from '../../core/printable.ts';
import { MAX_BLOCKS_PER_ROOT, MAX_LISTED_ENTRIES } from '../../core/limits.ts';
import { nameOfHost, parseName } from '../../core/name.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import {
  MAX_REDIRECTS_BYTES,
  describeType,
  parseRedirects,
  redirectsTooLarge,
  typeByName,
  type RedirectRules,
} from '../gateway/index.ts';
import { SNIFFED_BYTES, contradictionIn } from '../media/index.ts';
import { openFolder, type Skipped, type SkipReason } from '../unixfs/index.ts';
import { MAX_FINDINGS, type CheckOptions, type CheckReport, type Finding, type Severity } from './contract.ts';
import { addressesOfCss } from './css.ts';
import { referencesOf, type PageReferences, type Reference } from './html.ts';
import { alikeKey, isComposed, looksLike } from './names.ts';
import { SitePaths } from './paths.ts';

const CHECKING = 'The check';
/** Longer pages and style sheets are not looked through. */
const MAX_TEXT_BYTES = 8 * 1024 * 1024;
const LEAF_BYTES = 1024 * 1024;
const LEAVES_PER_NODE = 1_024;
/** A host that no site has. */
const ORIGIN = 'http://site.invalid';
const REDIRECTS = '_redirects';
const NOT_FOUND_PAGE = '404.html';

interface File {
  readonly path: string;
  readonly file: string;
}

/**
 * @throws RelaymintError FILE_NOT_FOUND (no such folder), STORAGE_FAILED (the disk fails), ABORTED. What is odd about one file is a
 * finding, and keeps no other from being looked at.
 */
export async function checkSite(folder: string, options: CheckOptions = {}): Promise<CheckReport> {
  const check = new Check({ ...options, manifest: options.manifest && (await whereReally(options.manifest)) });
  const opened = await openFolder(folder, options);
  for await (const { path, file } of opened.entries()) check.add(path, file);
  check.leftOut(opened.skipped);
  await check.run();
  return check.report();
}

class Check {
  readonly #options: CheckOptions;
  readonly #findings: Finding[] = [];
  readonly #counts: Record<Severity, number> = { error: 0, warning: 0, note: 0 };
  readonly #files: File[] = [];
  /** Of all paths, without the root. */
  readonly #kinds = new Map<string, 'file' | 'folder'>();
  readonly #skipped = new Map<string, SkipReason>();
  /** Entries of each folder; the root is the empty path. */
  readonly #children = new Map<string, number>([['', 0]]);
  /** The first path of those that are alike. */
  readonly #alike = new Map<string, string>();
  #paths = new SitePaths(this.#kinds, []);
  #bytes = 0;
  #blocks = 0;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  add(path: string, file: string | undefined): void {
    this.#kinds.set(path, file === undefined ? 'folder' : 'file');
    if (file === undefined) this.#children.set(path, 0);
    else this.#files.push({ path, file });
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    this.#children.set(parent, (this.#children.get(parent) ?? 0) + 1);
  }

  leftOut(skipped: readonly Skipped[]): void {
    for (const { path, reason } of skipped) {
      this.#skipped.set(path, reason);
      const { severity, remedy } = LEFT_OUT[reason];
      this.#say({
        severity,
        code: 'left-out',
        file: path,
        message: `It is not published: ${reason}.`,
        ...(remedy !== undefined && { remedy }),
      });
    }
  }

  async run(): Promise<void> {
    this.#checkNames();
    this.#checkLabel();
    this.#paths = new SitePaths(this.#kinds, await this.#redirects());
    for (const [number, one] of this.#files.entries()) {
      assertNotAborted(this.#options.signal, CHECKING);
      this.#options.onProgress?.({ files: number, total: this.#files.length, path: one.path });
      await this.#checkFile(one);
    }
    this.#checkLimits();
  }

  report(): CheckReport {
    const order = (a: Finding, b: Finding): number =>
      a.file === b.file ? (a.line ?? 0) - (b.line ?? 0) : a.file < b.file ? -1 : 1;
    return {
      files: this.#files.length,
      bytes: this.#bytes,
      errors: this.#counts.error,
      warnings: this.#counts.warning,
      findings: this.#findings.sort(order),
    };
  }

  // --- names ------------------------------------------------------------------------------------------------------------

  #checkNames(): void {
    for (const path of this.#kinds.keys()) {
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (!isComposed(name)) {
        this.#say({
          severity: 'warning',
          code: 'name-not-nfc',
          file: path,
          message: 'Its name has letters with marks in two parts (not NFC), so that it is not found by who types it.',
          remedy: 'Rename it with composed letters (NFC).',
        });
      }
      const key = alikeKey(path);
      const other = this.#alike.get(key);
      this.#alike.set(key, other ?? path);
      if (other === undefined) continue;
      this.#say({
        severity: 'warning',
        code: 'names-alike',
        file: path,
        message: `Its name differs from ${other} only by case, or by how letters with marks are written.`,
        remedy: 'Rename one: on many machines only one of them can be there.',
      });
    }
  }

  #checkLabel(): void {
    const { name } = this.#options;
    if (name === undefined) return;
    const { label, tld } = parseName(name);
    const seen = looksLike(label);
    if (seen === undefined) return;
    this.#say({
      severity: 'warning',
      code: 'name-look-alike',
      file: '',
      message: `${name} looks like ${seen}.${tld}.`,
      remedy: 'Choose a name that nobody takes for another one.',
    });
  }

  // --- the site as a whole ----------------------------------------------------------------------------------------------

  #checkLimits(): void {
    if (this.#files.length === 0) {
      this.#say({
        severity: 'error',
        code: 'no-index',
        file: '',
        message: 'There is nothing to publish in it.',
        remedy: 'Check the folder that your generator writes to.',
      });
    } else if (this.#kinds.get('index.html') !== 'file') {
      this.#say({
        severity: 'warning',
        code: 'no-index',
        file: '',
        message: 'There is no index.html: visitors get a list of the files.',
        remedy: 'Add an index.html, or check the folder that your generator writes to.',
      });
    }
    for (const [folder, entries] of this.#children) {
      const index = folder === '' ? 'index.html' : `${folder}/index.html`;
      if (entries <= MAX_LISTED_ENTRIES || this.#kinds.get(index) === 'file') continue;
      this.#say({
        severity: 'warning',
        code: 'limit',
        file: folder,
        message: `Its list shows ${MAX_LISTED_ENTRIES} of ${entries} entries.`,
        remedy: 'Give it an index.html, or divide it.',
      });
    }
    // Every folder is a block at least.
    const blocks = this.#blocks + this.#children.size;
    if (blocks <= MAX_BLOCKS_PER_ROOT) return;
    this.#say({
      severity: 'error',
      code: 'limit',
      file: '',
      message: `It has about ${blocks} blocks; hosts take ${MAX_BLOCKS_PER_ROOT} under one name (${this.#files.length} files, ${formatBytes(this.#bytes)}).`,
      remedy: 'Divide it among several names, or pack small files together.',
    });
  }

  async #redirects(): Promise<RedirectRules> {
    const own = this.#files.find(({ path }) => path === REDIRECTS);
    if (own === undefined) return [];
    try {
      const { bytes, size } = await readBeginning(own, MAX_REDIRECTS_BYTES);
      if (size > MAX_REDIRECTS_BYTES) throw redirectsTooLarge();
      return parseRedirects(new TextDecoder().decode(bytes));
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      const said = error.message.slice(0, -(error.remedy?.length ?? 0)).trim();
      const [, line, why = said] = /_redirects: (?:line (\d+): )?(.*)$/.exec(said) ?? [];
      this.#say({
        severity: 'error',
        code: 'redirects',
        file: REDIRECTS,
        ...(line !== undefined && { line: Number(line) }),
        message: `${why.charAt(0).toUpperCase()}${why.slice(1)}.`,
        remedy: 'Correct it: until then addresses without a file of their own are answered with an error.',
      });
      return [];
    }
  }

  // --- files ------------------------------------------------------------------------------------------------------------

  async #checkFile(one: File): Promise<void> {
    let beginning: Beginning;
    if ((await whereReally(one.file)) === this.#options.manifest) {
      this.#say({
        severity: 'warning',
        code: 'manifest-inside',
        file: one.path,
        message: 'Its manifest is made from this file, which would be published with the site.',
        remedy: 'Keep it beside the folder.',
      });
    }
    try {
      const first = await readBeginning(one, SNIFFED_BYTES);
      const type = (typeByName(one.path)?.type ?? describeType(undefined, first.bytes, first.whole)).split(';')[0];
      this.#count(first.size);
      this.#checkKind(one.path, first.bytes);
      const look = type === undefined ? undefined : LOOKS[type];
      if (look === undefined) return;
      beginning = first.whole ? first : await readBeginning(one, MAX_TEXT_BYTES);
      if (!beginning.whole) this.#tooLong(one.path);
      const text = new TextDecoder().decode(beginning.bytes);
      this.#checkReferences(one.path, text, look(text));
    } catch (error) {
      // It went, or may not be read; a disk that fails would fail for the others too.
      if (!isRelaymintError(error, 'STORAGE_FAILED')) throw error;
      this.#say({
        severity: 'error',
        code: 'unchecked',
        file: one.path,
        message: error.message,
      });
    }
  }

  #count(size: number): void {
    const leaves = Math.max(1, Math.ceil(size / LEAF_BYTES));
    this.#bytes += size;
    this.#blocks += leaves + (leaves > 1 ? Math.ceil(leaves / LEAVES_PER_NODE) : 0);
  }

  #checkKind(path: string, head: Uint8Array): void {
    const wrong = contradictionIn(path, head);
    if (wrong !== undefined) this.#say({ ...wrong, code: 'type', file: path });
  }

  #tooLong(path: string): void {
    this.#say({
      severity: 'warning',
      code: 'unchecked',
      file: path,
      message: `It is longer than ${formatBytes(MAX_TEXT_BYTES)}: what it names after that was not checked.`,
    });
  }

  #checkReferences(path: string, text: string, { references, base }: PageReferences): void {
    const own = new URL(`/${path.split('/').map(encodeURIComponent).join('/')}`, ORIGIN);
    const from = (base === undefined ? undefined : parsed(base.trim(), own)) ?? own;
    const lines = new Lines(text);
    const relative = path === NOT_FOUND_PAGE && from.href === own.href;
    let saidRelative = false;
    for (const reference of references) {
      const line = lines.at(reference.at);
      const finding = this.#checkAddress(reference, from);
      if (finding !== undefined) this.#say({ ...finding, file: path, line });
      else if (relative && !saidRelative && isRelative(reference.address)) {
        saidRelative = true;
        this.#say({
          severity: 'warning',
          code: 'not-found-relative',
          file: path,
          line,
          message: `It is shown at the address that was asked for, from which "${shortened(reference.address)}" leads elsewhere.`,
          remedy: 'Begin the addresses in it with "/".',
        });
      }
    }
  }

  #checkAddress({ address, use }: Reference, from: URL): Omit<Finding, 'file' | 'line'> | undefined {
    const said = address.trim();
    // Nothing, or a part of this page.
    if (said === '' || said.startsWith('#')) return undefined;
    const to = parsed(said, from);
    if (to === undefined) {
      const message = `"${shortened(said)}" is not an address.`;
      return { severity: 'error', code: 'missing', message, remedy: 'Correct it.' };
    }
    // A single letter is a drive.
    if (to.protocol === 'file:' || /^[a-z]:$/.test(to.protocol)) {
      return {
        severity: 'error',
        code: 'own-machine',
        message: `"${shortened(said)}" is a file of your machine.`,
        remedy: 'Put the file into the folder, and name it by a relative address.',
      };
    }
    if (to.origin === ORIGIN) return this.#checkPath(said, to);
    if (!/^(?:https?|wss?):$/.test(to.protocol) || !isOwnMachine(to.hostname)) return undefined;
    return {
      // A guide may send its readers to a program of their own.
      severity: use === 'load' ? 'error' : 'warning',
      code: 'own-machine',
      message: `"${shortened(said)}" leads to each visitor's own machine.`,
      remedy: 'Name the file by a relative address.',
    };
  }

  #checkPath(said: string, { pathname }: URL): Omit<Finding, 'file' | 'line'> | undefined {
    if (this.#paths.answer(pathname).found) return undefined;
    const path = decodedPath(pathname);
    const skipped = this.#skipped.get(path);
    const alike = this.#alike.get(alikeKey(path));
    const remedy =
      skipped !== undefined
        ? `${path} is not published: ${skipped}.`
        : alike !== undefined && alike !== path
          ? `There is ${alike}: case and the form of letters with marks count.`
          : 'Add it, or correct the address.';
    return { severity: 'error', code: 'missing', message: `"${shortened(said)}" is not there.`, remedy };
  }

  #say(finding: Finding): void {
    this.#counts[finding.severity] += 1;
    if (this.#findings.length < MAX_FINDINGS) this.#findings.push(finding);
  }
}

/** How those types of files are looked through. */
const LOOKS: Readonly<Record<string, (text: string) => PageReferences>> = {
  'text/html': referencesOf,
  'application/xhtml+xml': referencesOf,
  'text/css': (text) => ({ references: addressesOfCss(text).map((one) => ({ ...one, use: 'load' as const })) }),
};

const RENAME = 'Rename it.';
const LEFT_OUT: Readonly<Record<SkipReason, { readonly severity: Severity; readonly remedy?: string }>> = {
  hidden: { severity: 'note' },
  'a name that is not UTF-8': {
    severity: 'error',
    remedy: 'Rename it, for example with "convmv -f latin1 -t utf8".',
  },
  'a name that ends in a backslash': { severity: 'error', remedy: RENAME },
  'a link to nothing': { severity: 'warning', remedy: 'Remove the link, or bring back what it leads to.' },
  'a link that leaves the folder': { severity: 'warning', remedy: 'Copy what it leads to into the folder.' },
  'a link to a folder that contains it': { severity: 'warning', remedy: 'Remove the link.' },
  'neither a file nor a folder': { severity: 'warning', remedy: 'Remove it.' },
  'it cannot be read': { severity: 'error', remedy: 'Give yourself the right to read it.' },
  'it went while the folder was read': { severity: 'warning', remedy: 'Check again when nothing changes the folder.' },
  'too many folders deep': { severity: 'error', remedy: 'Flatten the tree.' },
};

interface Beginning {
  readonly bytes: Uint8Array;
  readonly size: number;
  /** There are no more. */
  readonly whole: boolean;
}

/** Links are followed. What is gone is nowhere else. */
async function whereReally(file: string): Promise<string> {
  return await realpath(file).catch(() => file);
}

/** The first bytes of a file, `most` at most. @throws RelaymintError STORAGE_FAILED. */
async function readBeginning({ path, file }: File, most: number): Promise<Beginning> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.min(size, most)), 0);
      return { bytes: buffer.subarray(0, bytesRead), size, whole: bytesRead === size };
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw diskError(cause, `Reading ${path}`);
  }
}

/** Line numbers of places in a text, asked for in rising order. */
class Lines {
  readonly #text: string;
  #line = 1;
  /** Where the line ends. */
  #end: number;

  constructor(text: string) {
    this.#text = text;
    this.#end = this.#endFrom(0);
  }

  at(place: number): number {
    while (this.#end < place) {
      this.#line += 1;
      this.#end = this.#endFrom(this.#end + 1);
    }
    return this.#line;
  }

  #endFrom(at: number): number {
    const end = this.#text.indexOf('\n', at);
    return end < 0 ? Infinity : end;
  }
}

function parsed(address: string, base: URL): URL | undefined {
  return URL.canParse(address, base.href) ? new URL(address, base) : undefined;
}

/** It is not a name of this network, which the gateway on a visitor's machine shows. */
function isOwnMachine(host: string): boolean {
  if (/^(?:127(?:\.\d+){3}|0\.0\.0\.0|\[::1?\])$/.test(host)) return true;
  return /(?:^|\.)localhost$/.test(host) && nameOfHost(host) === undefined;
}

/** Where it leads depends on the page's own address. */
function isRelative(address: string): boolean {
  const said = address.trim();
  return said !== '' && !/^(?:[/?#]|[a-z][a-z\d+.-]*:)/i.test(said);
}

function decodedPath(pathname: string): string {
  try {
    return decodeURIComponent(pathname).replaceAll(/^\/|\/$/g, '');
  } catch {
    return pathname;
  }
}

function shortened(text: string): string {
  const most = 120;
  const shown = printable(text);
  return shown.length > most ? `${shown.slice(0, most)}...` : shown;
}
