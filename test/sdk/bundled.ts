/** What bundlers make of a module, as their users run them for production. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import webpack from 'webpack';

/** Bytes on the wire. */
export function gzipped(text: string): number {
  return gzipSync(text, { level: 9 }).length;
}

/**
 * @param options.entryOnly the module itself is an entry of which nothing is exported: what is left is what it does by itself
 */
export async function bundledByVite(file: string, options: { readonly entryOnly?: boolean } = {}): Promise<string> {
  const { entryOnly = false } = options;
  const built = await build({
    root: path.dirname(file),
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: {
        input: file,
        preserveEntrySignatures: entryOnly ? false : 'strict',
        treeshake: entryOnly ? { moduleSideEffects: true } : true,
        output: { format: 'es' },
      },
    },
  });
  const outputs = [built].flat().flatMap((one) => ('output' in one ? one.output : []));
  return outputs
    .map((output) => (output.type === 'chunk' ? output.code : ''))
    .join('')
    .trim();
}

export async function bundledByWebpack(file: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-webpack-'));
  try {
    await new Promise<void>((resolve, reject) => {
      const compiler = webpack({
        mode: 'production',
        context: path.dirname(file),
        entry: file,
        output: { path: folder, filename: 'bundle.js' },
      });
      compiler.run((error, stats) => {
        const fault = error ?? (stats?.hasErrors() === true ? new Error(stats.toString('errors-only')) : undefined);
        compiler.close(() => (fault === undefined || fault === null ? resolve() : reject(fault)));
      });
    });
    return (await readFile(path.join(folder, 'bundle.js'), 'utf8')).trim();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
