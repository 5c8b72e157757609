import { createRequire } from 'node:module';
import path from 'node:path';

/** Path of the program's committed binary, which comes with the package: for `startEmbeddedLedger`, or to deploy it. */
export function programFile(): string {
  // The package's own name leads to its root, from the sources and from what is built.
  const manifest = createRequire(import.meta.url).resolve('relaymint/package.json');
  return path.join(path.dirname(manifest), 'ledger', 'program', 'relaymint.so');
}
