/**
 * Builds `dist`. The compiler writes what runs on Node, file by file and without declarations. The bundler writes what others import:
 * the SDK as modules for browsers, and for each public entry the one declaration file, in which no path into our sources is left.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

const root = fileURLToPath(new URL('..', import.meta.url));
const inRoot = (...parts) => path.join(root, ...parts);

const compiler = inRoot('node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

const shared = {
  config: false,
  cwd: root,
  format: 'esm',
  hash: false,
  logLevel: 'warn',
  failOnWarn: true,
  fixedExtension: false,
};

await build({
  ...shared,
  entry: {
    index: 'sdk/index.ts',
    elements: 'sdk/elements/index.ts',
    media: 'sdk/media/index.ts',
    posts: 'sdk/posts/index.ts',
    site: 'sdk/site/index.ts',
    sso: 'sdk/sso/index.ts',
    wallet: 'sdk/wallet/index.ts',
  },
  outDir: 'dist/sdk',
  platform: 'neutral',
  target: 'es2023',
  tsconfig: 'sdk/tsconfig.json',
  clean: true,
  sourcemap: true,
  dts: { sourcemap: false },
});
await build({
  ...shared,
  entry: { testing: 'app/testing.ts' },
  outDir: 'dist/sdk',
  platform: 'node',
  clean: false,
  dts: { emitDtsOnly: true },
});
await build({
  ...shared,
  entry: { index: 'ledger/index.ts' },
  outDir: 'dist/ledger',
  platform: 'node',
  clean: false,
  dts: { emitDtsOnly: true },
});
