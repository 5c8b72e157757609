/**
 * The project's commands on a fresh clone: installs what is missing, builds what is stale, then runs the real thing.
 * Needs nothing but Node and npm, so it is plain JavaScript. Everything it says goes to stderr: stdout belongs to the
 * command.
 *
 *   node scripts/run.js start [...]     the local marketplace
 *   node scripts/run.js test [...]      the quick tests, or those that are named (arguments go to vitest)
 *   node scripts/run.js test:all [...]  all tests: tor, I2P, Chromium, crashes, fuzzing, models too
 *   node scripts/run.js bench [...]     the benchmarks
 *   node scripts/run.js program [...]   rebuilds the on-chain program (--check compares with the committed one)
 *   node scripts/run.js ready           only installs and builds
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const inRoot = (...parts) => path.join(root, ...parts);
const SOURCES = [
  'core',
  'platform',
  'ledger',
  'node',
  'sites',
  'app',
  'cli',
  'testbed',
  'sdk',
  'bench',
  'test/adversary',
  'test/pattern.ts',
  'test/port.ts',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/build.js',
];

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(`Relaymint needs Node 20.19 or later; this is ${process.versions.node}.`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Runs a program with its output on stderr; resolves with its exit code. */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal === null ? code : 1));
  });
}

/** Digest of the path, size and time of every source file: cheaper than asking the compiler whether it has work. */
function sourceStamp() {
  const hash = createHash('sha256');
  const visit = (relative) => {
    const absolute = inRoot(relative);
    if (!existsSync(absolute)) return;
    const info = statSync(absolute);
    if (info.isDirectory()) {
      for (const name of readdirSync(absolute).sort()) visit(path.join(relative, name));
    } else if (/\.(ts|json)$|^scripts/.test(relative)) {
      hash.update(`${relative}\0${info.size}\0${info.mtimeMs}\0`);
    }
  };
  for (const source of SOURCES) visit(source);
  return hash.digest('hex');
}

async function step(stampFile, stamp, title, work) {
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  process.stderr.write(`${title}\n`);
  const began = Date.now();
  const code = await work();
  if (code !== 0) fail(`${title} failed (exit code ${code}); see above.`);
  mkdirSync(path.dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
  process.stderr.write(`  done in ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
}

async function ready() {
  const lock = createHash('sha256')
    .update(readFileSync(inRoot('package-lock.json')))
    .update(process.versions.modules)
    .digest('hex');
  const npm = process.env.npm_execpath;
  await step(inRoot('node_modules', '.relaymint-stamp'), lock, 'Installing dependencies (once)', () => {
    // Not `ci`: a package of ours lists builds for platforms that the registry lacks, and `ci` insists on all of them.
    const args = ['install', '--no-audit', '--no-fund', '--include=dev', '--loglevel=error'];
    return npm !== undefined && /\.c?js$/.test(npm) ? run(process.execPath, [npm, ...args]) : run('npm', args);
  });
  await step(inRoot('dist', '.relaymint-stamp'), sourceStamp(), 'Building', () => {
    rmSync(inRoot('dist'), { recursive: true, force: true });
    return run(process.execPath, [inRoot('scripts', 'build.js')]);
  });
}

/** Loads a built entry into this very process, so that signals and exit codes need no forwarding. */
async function become(entry, args) {
  process.argv = [process.execPath, inRoot(entry), ...args];
  await import(new URL(`../${entry}`, import.meta.url).href);
}

function vitest(args) {
  return run(process.execPath, [inRoot('node_modules', 'vitest', 'vitest.mjs'), 'run', ...args], { stdio: 'inherit' });
}

/** The quick lane; files and folders that are named are run whatever their lane is. */
async function test(args) {
  if (args.some((arg) => arg.startsWith('test'))) return await vitest(args);
  const code = await vitest(['--project', 'quick', ...args]);
  const slow = readdirSync(inRoot('test'), { recursive: true }).filter((file) => file.endsWith('.slow.test.ts'));
  process.stderr.write(
    `Left out: ${slow.length} files of tests that take half an hour, some of which need tor, i2pd, Chromium or the Rust ` +
      'tool-chain (CONTRIBUTING.md says which packages). Run them too: npm run test:all\n',
  );
  return code;
}

const [command, ...args] = process.argv.slice(2);
requireNode();
switch (command) {
  case 'start':
    await ready();
    await become('dist/cli/main.js', ['start', ...args]);
    break;
  case 'bench':
    await ready();
    await become('dist/bench/main.js', args);
    break;
  case 'program':
    await ready();
    await become('dist/ledger/program/build/main.js', args);
    break;
  case 'test':
    await ready();
    process.exitCode = await test(args);
    break;
  case 'test:all':
    await ready();
    process.exitCode = await vitest(args);
    break;
  case 'ready':
    await ready();
    break;
  default:
    fail('Usage: node scripts/run.js start|test|test:all|bench|program|ready [arguments]');
}
