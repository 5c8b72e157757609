#!/usr/bin/env node
import { existsSync } from 'node:fs';

const entry = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(entry)) {
  process.stderr.write(
    'relaymint is not built yet. Run `npm start -- --help` once in its folder; that installs and builds it.\n',
  );
  process.exit(1);
}
await import(entry.href);
