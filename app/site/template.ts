/**
 * Templates of `relaymint site init`: plain folders of this package, each with its manifest beside it. One thing is put into them, the title; and beside
 * their own modules those of the SDK which they import, so that the site asks nobody for a script.
 */
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import { escapeHtml } from '../../core/printable.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { hasErrno } from '../../platform/errno.ts';
import { manifestBeside, parseManifestFile } from '../../sites/manifest/index.ts';

export const TEMPLATES = ['blog', 'gallery', 'forum'] as const;

export interface NewFiles {
  /** By their paths, with slashes. */
  readonly files: ReadonlyMap<string, string>;
  readonly manifest: string;
}

const TITLE = '{{title}}';
/** As text of each kind of file. In no other kind is a title. */
const AS_TEXT: Readonly<Record<string, (title: string) => string>> = {
  '.html': escapeHtml,
  '.xml': escapeHtml,
  '.json': (title) => JSON.stringify(title).slice(1, -1),
};
/** Where the modules of the SDK are in a site. */
const SDK = 'relaymint';
const IMPORTED = /\bfrom\s*["']((?:\.{1,2}\/)[^"']+\.js)["']/g;
const SOURCE_MAP = /\n\/\/# sourceMappingURL=.*\s*$/;

/** @throws RelaymintError INVALID_ARGUMENT (no such template, or the title cannot be one), FILE_NOT_FOUND (the installation lacks files), STORAGE_FAILED. */
export async function filesOf(template: string, title: string): Promise<NewFiles> {
  if (!TEMPLATES.some((known) => known === template)) {
    throw new RelaymintError('INVALID_ARGUMENT', `There is no template "${template}".`, {
      remedy: `Take one of ${TEMPLATES.join(', ')}.`,
    });
  }
  const folder = path.join(installation(), 'templates', template);
  const manifest = written(await read(manifestBeside(folder)), '.json', title);
  // What a title may be, a manifest says; names of folders may be longer, and of several lines.
  parseManifestFile(manifest, { file: "the template's manifest", name: 'demo.web3' });
  const files = new Map<string, string>();
  for (const file of await filesIn(folder)) {
    files.set(file, written(await read(path.join(folder, file)), path.extname(file), title));
  }
  for (const [file, code] of await sdkFor(files)) files.set(file, code);
  return { files, manifest };
}

function written(text: string, extension: string, title: string): string {
  const asText = AS_TEXT[extension];
  return asText === undefined ? text : text.replaceAll(TITLE, () => asText(title));
}

async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    const found = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = found.filter((entry) => entry.isFile());
    return files
      .map(({ parentPath, name }) => path.relative(folder, path.join(parentPath, name)).replaceAll(path.sep, '/'))
      .toSorted();
  } catch (error) {
    throw hasErrno(error, 'ENOENT') ? missing(folder) : diskError(error, `Reading ${folder}`);
  }
}

/** What the modules of the site import of the SDK, and what that imports. */
async function sdkFor(files: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
  const wanted = new Set<string>();
  for (const [file, text] of files) {
    if (!file.endsWith('.js')) continue;
    for (const at of importsOf(file, text)) if (at.startsWith(`${SDK}/`)) wanted.add(at);
  }
  const found = new Map<string, string>();
  // A set tells of what is added while it is walked.
  for (const at of wanted.values()) {
    const file = path.join(installation(), 'dist', 'sdk', path.posix.relative(SDK, at));
    const code = (await read(file)).replace(SOURCE_MAP, '\n');
    found.set(at, code);
    for (const next of importsOf(at, code)) wanted.add(next);
  }
  // Whoever has a copy may read under which terms.
  if (found.size > 0) found.set(`${SDK}/LICENSE.txt`, await read(path.join(installation(), 'LICENSE')));
  return found;
}

/** Their paths in the site. */
function importsOf(file: string, code: string): readonly string[] {
  return Array.from(code.matchAll(IMPORTED), ([, to = '']) => path.posix.join(path.posix.dirname(file), to));
}

/** The folder of this package. */
function installation(): string {
  return path.dirname(createRequire(import.meta.url).resolve('relaymint/package.json'));
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw hasErrno(error, 'ENOENT') ? missing(file) : diskError(error, `Reading ${file}`);
  }
}

function missing(file: string): RelaymintError {
  return new RelaymintError('FILE_NOT_FOUND', `${file} is missing from this installation.`, {
    remedy: 'Install Relaymint again; in a clone, build it: npm run build.',
  });
}
