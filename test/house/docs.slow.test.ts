/**
 * What the documents say must be so: commands and options exist in the program's own help, files and links resolve, code
 * samples compile and run, and docs/cli.md is the help itself (`npm test -- test/house/docs.slow.test.ts -u` writes it anew).
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** How each program is called, and the file that it is. */
const PROGRAMS = { relaymint: 'bin/relaymint.js', 'npm run bench --': 'dist/bench/main.js' } as const;
const run = promisify(execFile);
/** Each of some hundred commands is asked for its help, on a machine that may be busy. */
const HELP_MILLIS = 240_000;

interface Fence {
  readonly language: string;
  readonly text: string;
}

interface Document {
  /** Relative to the repository. */
  readonly file: string;
  readonly text: string;
  readonly fences: readonly Fence[];
  /** The text without its fenced blocks. */
  readonly prose: string;
}

const documents: readonly Document[] = [
  ...markdownIn('.'),
  ...markdownIn('docs'),
  ...markdownIn('docs/adr'),
  ...markdownIn('ledger/program'),
].map(readDocument);

// --- the program's own words --------------------------------------------------------------------------------------------

/** Help by command as one would type it: 'relaymint', 'relaymint ledger start'. */
let help: ReadonlyMap<string, string>;

beforeAll(async () => {
  if (!existsSync(path.join(root, 'dist/cli/main.js'))) {
    throw new Error('The program is not built: run this test with npm test, which builds first.');
  }
  const all = await Promise.all(Object.entries(PROGRAMS).map(([name, file]) => readHelp(name, file, [])));
  help = new Map(all.flat());
}, HELP_MILLIS);

/** The help of a command and of those below it, in the order in which they are listed. */
async function readHelp(
  name: string,
  file: string,
  command: readonly string[],
): Promise<(readonly [command: string, text: string])[]> {
  const { stdout } = await run(process.execPath, [path.join(root, file), ...command, '--help'], {
    cwd: root,
    // The help shows default folders.
    env: { ...process.env, HOME: '/home/you', USERPROFILE: '/home/you', NO_COLOR: '1' },
  });
  // The help of an unknown command is its parent's: without this, the walk below would never end.
  if (!stdout.startsWith(`Usage: ${[name, ...command].join(' ')} `)) throw new Error(`no help of ${command.join(' ')}`);
  const text = stdout.replaceAll('/home/you', '~').trimEnd();
  const all: (readonly [command: string, text: string])[] = [[[name, ...command].join(' '), text]];
  // One after the other: a hundred processes at once would take the machine from whatever else runs on it.
  for (const next of subcommandsIn(stdout)) all.push(...(await readHelp(name, file, [...command, next])));
  return all;
}

function subcommandsIn(text: string): string[] {
  const section = /^Commands:\n((?: .*\n?)+)/m.exec(text)?.[1] ?? '';
  return [...section.matchAll(/^ {2}([a-z][a-z0-9-]*)/gm)]
    .map((match) => match[1] ?? '')
    .filter((name) => name !== 'help');
}

function optionsIn(text: string): string[] {
  return [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z][a-z0-9-]*)/gm)].map((match) => match[1] ?? '');
}

describe('the commands', () => {
  it('all have help that names what they are', () => {
    expect([...help.keys()]).toContain('relaymint ledger start');
    for (const [command, text] of help) expect(text).toContain(`Usage: ${command} `);
  });

  it('are in docs/cli.md as their own help says', async () => {
    const chapters = [...help].map(([command, text]) => `## ${command}\n\n${fenced(text)}`);
    const expected = `# Commands\n\nThis page is the program's own help; a test compares them.\n\n${chapters.join('\n\n')}\n`;
    await expect(expected).toMatchFileSnapshot(path.join(root, 'docs/cli.md'));
  });

  it.each(documents.map((document) => document.file))('exist as %s names them', (file) => {
    const faults = commandsIn(documentOf(file)).flatMap((command) => faultsOfCommand(command));
    expect(faults).toEqual([]);
  });

  it('are refused here when they do not exist', () => {
    expect(faultsOfCommand('relaymint fly')).toHaveLength(1);
    expect(faultsOfCommand('relaymint wallet channels')).toHaveLength(1);
    expect(faultsOfCommand('relaymint relay --free --price 1')).toHaveLength(1);
    expect(faultsOfCommand('npm start -- --one')).toHaveLength(1);
    expect(faultsOfCommand('npm run fly')).toHaveLength(1);
    expect(faultsOfCommand('npm run bench -- fly')).toHaveLength(1);
    expect(faultsOfCommand('node bin/relaymint.js ledger start --memory')).toEqual([]);
    expect(faultsOfCommand('npm run bench -- circuit --json')).toEqual([]);
    expect(faultsOfCommand('npm test -- test/house')).toEqual([]);
  });
});

/** Lines of shell blocks, and code in the prose, that begin with one of our commands. */
function commandsIn(document: Document): string[] {
  const lines = document.fences
    .filter(({ language }) => ['sh', 'bash', 'console', 'shell'].includes(language))
    .flatMap(({ text }) => text.split('\n'));
  const inline = [...document.prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');
  return [...lines, ...inline]
    .map((line) =>
      line
        .replace(/^\$ /, '')
        .replace(/\s#.*$/, '')
        .trim(),
    )
    .filter((line) => /^(?:relaymint|npm|node) /.test(line));
}

function faultsOfCommand(line: string): string[] {
  const words = line.split(/\s+/);
  if (words[0] === 'relaymint') return faultsOfCall(line, words);
  if (words[0] === 'node') {
    if (words[1] === undefined || !existsSync(path.join(root, words[1]))) return [`${line}: there is no ${words[1]}`];
    return words[1] === PROGRAMS.relaymint ? faultsOfCall(line, ['relaymint', ...words.slice(2)]) : [];
  }
  const script = words[1] === 'run' ? words[2] : words[1];
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { scripts: object };
  if (script === undefined || !Object.hasOwn(scripts, script)) return [`${line}: there is no npm script ${script}`];
  const separator = words.indexOf('--');
  const rest = separator < 0 ? [] : words.slice(separator + 1);
  if (script === 'start') return faultsOfCall(line, ['relaymint', 'start', ...rest]);
  return script === 'bench' ? faultsOfCall(line, ['npm run bench --', ...rest]) : [];
}

/** Checks a program's name and the words after it. */
function faultsOfCall(line: string, words: readonly string[]): string[] {
  let command = words[0] ?? '';
  let rest = words.slice(1);
  for (let next = `${command} ${rest[0]}`; rest.length > 0 && help.has(next); next = `${command} ${rest[0]}`) {
    command = next;
    rest = rest.slice(1);
  }
  const text = help.get(command) ?? '';
  const faults: string[] = [];
  const [first] = rest;
  if (subcommandsIn(`${text}\n`).length > 0 && first !== undefined && /^[a-z]/.test(first)) {
    faults.push(`${line}: "${command}" has no command ${first}`);
  }
  const known = optionsIn(text);
  for (const word of rest) {
    const option = /^(--[a-z][a-z0-9-]*)/.exec(word)?.[1];
    if (option !== undefined && !known.includes(option)) faults.push(`${line}: there is no option ${option}`);
  }
  return faults;
}

// --- what errors advise -------------------------------------------------------------------------------------------------

describe('the remedies of errors', () => {
  const sources = ['core', 'node', 'ledger', 'sites', 'sdk'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith(path.join('program', 'build')))
      .map((name) => path.join(folder, name)),
  );

  it('name commands that exist', () => {
    const faults = sources.flatMap((file) =>
      [...readFileSync(path.join(root, file), 'utf8').matchAll(/"((?:relaymint|npm run) [a-z][^"'`\n]*)"/g)].flatMap(
        (match) => faultsOfCommand(match[1] ?? '').map((fault) => `${file}: ${fault}`),
      ),
    );
    expect(faults).toEqual([]);
  });

  it('name options that exist', () => {
    const known = new Set([...help.values()].flatMap(optionsIn));
    const faults = sources.flatMap((file) =>
      [...readFileSync(path.join(root, file), 'utf8').matchAll(/remedy:\s*['`]([^'`]*)/g)].flatMap((match) =>
        [...(match[1] ?? '').matchAll(/--[a-z][a-z0-9-]*/g)]
          .filter(([option]) => !known.has(option))
          .map(([option]) => `${file}: there is no option ${option}`),
      ),
    );
    expect(faults).toEqual([]);
  });
});

// --- options, files and links that the prose names ----------------------------------------------------------------------

describe('the prose', () => {
  it.each(documents.map((document) => document.file))('of %s names only options that some command has', (file) => {
    const known = new Set([...help.values()].flatMap(optionsIn));
    const named = [...documentOf(file).prose.matchAll(/`(--[a-z][a-z0-9-]*)[^`]*`/g)].map((match) => match[1] ?? '');
    expect(named.filter((option) => !known.has(option))).toEqual([]);
  });

  it.each(documents.map((document) => document.file))('of %s names only files that exist', (file) => {
    const named = [...documentOf(file).prose.matchAll(/`((?:\.ci|[a-z]+)\/[\w./-]+)`/g)].map((match) => match[1] ?? '');
    const ours = named.filter((name) => existsSync(path.join(root, name.split('/')[0] ?? '')));
    expect(ours.filter((name) => !existsSync(path.join(root, name)))).toEqual([]);
  });

  it.each(documents.map((document) => document.file))('of %s links to what is there', (file) => {
    const links = [...documentOf(file).prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
    expect(links.filter((link) => !/^[a-z]+:/.test(link) && !resolves(file, link))).toEqual([]);
  });
});

function resolves(from: string, link: string): boolean {
  const [target = '', anchor] = link.split('#');
  const file = target === '' ? from : path.join(path.dirname(from), target);
  if (!existsSync(path.join(root, file))) return false;
  return anchor === undefined || headingsOf(file).includes(anchor);
}

/** Anchors as forges make them. */
function headingsOf(file: string): string[] {
  return [...readDocument(file).prose.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

// --- code samples -------------------------------------------------------------------------------------------------------

const samples = documents.flatMap(({ file, fences }) =>
  fences
    .filter(({ language }) => language === 'ts')
    .map(({ text }, index) => ({ name: `${file} sample ${index + 1}`, text })),
);

describe('the code samples', () => {
  it('are there', () => {
    expect(samples).not.toEqual([]);
  });

  it.each(samples)('of $name compile', ({ text }) => {
    expect(compile(text)).toEqual([]);
  });

  it('are refused here when they do not compile', () => {
    expect(compile("import { siteUrl } from 'relaymint/sdk';\nsiteUrl(1);")).not.toEqual([]);
  });

  it.each(samples)('of $name run', async ({ text }) => {
    const { outputText } = ts.transpileModule(text, { compilerOptions: { module: ts.ModuleKind.ES2022 } });
    const runnable = outputText.replace(/'relaymint\/(\w+)'/g, (_match, entry: string) => {
      return `'${pathToFileURL(path.join(root, `dist/${entry}/index.js`)).href}'`;
    });
    const ran = run(process.execPath, ['--input-type=module', '--eval', runnable], { cwd: root });
    await expect(ran).resolves.toEqual({ stdout: '', stderr: '' });
  });
});

/** Compiles a sample under the repository's own settings, with the package's public entries. @returns the errors. */
function compile(text: string): string[] {
  const file = path.join(root, 'docs/sample.ts');
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), (name) => readFileSync(name, 'utf8')) as {
    config: { compilerOptions: { lib: readonly string[] } };
  };
  // Some samples are parts of pages.
  const lib = [...config.compilerOptions.lib, 'dom', 'dom.iterable'];
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, lib, noEmit: true, isolatedDeclarations: false, declaration: false },
    root,
  );
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => name === file || disk.fileExists(name),
    readFile: (name) => (name === file ? text : disk.readFile(name)),
    getSourceFile: (name, language, ...rest) =>
      name === file ? ts.createSourceFile(name, text, language) : disk.getSourceFile(name, language, ...rest),
  };
  const compiled = ts.createProgram([file], options, host);
  return ts
    .getPreEmitDiagnostics(compiled)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

// --- reading ------------------------------------------------------------------------------------------------------------

function markdownIn(folder: string): string[] {
  return readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.posix.join(folder, name));
}

function readDocument(file: string): Document {
  const text = readFileSync(path.join(root, file), 'utf8');
  const fences: Fence[] = [];
  const prose = text.replace(/^```(\w*)\n([\s\S]*?)^```$/gm, (_match, language: string, body: string) => {
    fences.push({ language, text: body });
    return '';
  });
  return { file, text, fences, prose };
}

function documentOf(file: string): Document {
  const found = documents.find((document) => document.file === file);
  if (found === undefined) throw new TypeError(`no document ${file}`);
  return found;
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
