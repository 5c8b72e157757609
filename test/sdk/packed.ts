/** The package as it would be published, in a folder where nothing else of ours is. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryFolder, type Cleanup } from '../sites/kit.ts';

const run = promisify(execFile);
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

interface Target {
  readonly types: string;
  readonly default: string;
}

export interface Packed {
  readonly tarball: string;
  /** An empty project that has the package, and the packages that ours says it needs. */
  readonly project: string;
  /** Where the package is in it. */
  readonly folder: string;
}

/** What `import` may say, with the files that it means, as package.json has them. */
export async function publicEntries(): Promise<ReadonlyMap<string, Target>> {
  const { exports } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, Target | string>;
  };
  const entries = Object.entries(exports).filter((entry): entry is [string, Target] => typeof entry[1] === 'object');
  return new Map(entries.map(([subpath, target]) => [path.posix.join('relaymint', subpath), target]));
}

/** Needs Node, whatever it is beside. */
const ON_NODE = 'relaymint/sdk/testing';

/** Those of them that browsers import. */
export async function browserEntries(): Promise<ReadonlyMap<string, Target>> {
  return new Map([...(await publicEntries())].filter(([name]) => /^relaymint(\/sdk|$)/.test(name) && name !== ON_NODE));
}

/**
 * As npm installs it, but without asking a registry: what the package needs is linked from here. Only what package.json names is, so that
 * an import of anything else fails as it would elsewhere.
 */
export async function packInto(cleanup: Cleanup): Promise<Packed> {
  const scratch = await temporaryFolder(cleanup);
  const { stdout } = await run(...npm('pack', '--ignore-scripts', '--json', '--pack-destination', scratch), {
    cwd: ROOT,
    maxBuffer: 1 << 24,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  const tarball = path.join(scratch, filename);
  const project = path.join(scratch, 'project');
  const modules = path.join(project, 'node_modules');
  await mkdir(modules, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', modules]);
  const folder = path.join(modules, 'relaymint');
  await rename(path.join(modules, 'package'), folder);
  const { dependencies } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  // Types of Node are for who compiles against the ledger's client.
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    await mkdir(path.dirname(path.join(modules, name)), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules', name), path.join(modules, name));
  }
  await writeFile(
    path.join(project, 'package.json'),
    JSON.stringify({ name: 'project', private: true, type: 'module' }),
  );
  return { tarball, project, folder };
}

/** The npm that runs the tests, or the one in the PATH. */
function npm(...args: readonly string[]): [string, string[]] {
  const script = process.env['npm_execpath'];
  return script !== undefined && /\.c?js$/.test(script) ? [process.execPath, [script, ...args]] : ['npm', [...args]];
}
