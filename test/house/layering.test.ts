import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { weakDeadlines } from './deadlines.ts';
import { parseSource, readSources, type SourceFile } from './imports.ts';
import { MAY_OPEN, browserSafety, cycles, dangling, dumpingGrounds, layering, outgoing } from './rules.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = await readSources(root, ['core', 'node', 'ledger', 'sites', 'sdk']);
const files = [...sources].map(([path, text]) => parseSource(path, text));

describe('the house', () => {
  it('is read at all', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.find(({ path }) => path === 'node/link/tls.ts')?.imports.length).toBeGreaterThan(5);
  });

  it('keeps its layers', () => expect(layering(files)).toEqual([]));
  it('keeps what browsers run free of builtins', () => expect(browserSafety(files)).toEqual([]));
  it('has no cycles', () => expect(cycles(files)).toEqual([]));
  it('has no dumping ground', () => expect(dumpingGrounds(sources.keys())).toEqual([]));
  it('imports only what is there', () => expect(dangling(files, (path) => existsSync(join(root, path)))).toEqual([]));
  it('opens connections in one place', () => expect(outgoing(files)).toEqual([]));

  it('has no time limit that a garbage collection takes away, tests included', async () => {
    const all = [...sources, ...(await readSources(root, ['test', 'bench']))];
    expect(all.flatMap(([path, text]) => weakDeadlines(path, text))).toEqual([]);
  });

  it('needs each of its exceptions', () => {
    const used = outgoing(files.map((file) => ({ ...file, path: `node/cli/moved/${file.path}` })));
    for (const [path, { what, why }] of Object.entries(MAY_OPEN)) {
      expect(why.length).toBeGreaterThan(10);
      for (const way of what) {
        expect(
          used.filter((line) => line.startsWith(`node/cli/moved/${path} uses ${way}:`)),
          `${path} ${way}`,
        ).not.toEqual([]);
      }
    }
  });
});

describe('the rules catch', () => {
  const planted = (path: string, text: string): SourceFile[] => [parseSource(path, text)];

  it.each([
    ['core/a.ts', "import '../ledger/b.ts';"],
    ['core/a.ts', "import type { B } from '../node/b.ts';"],
    ['core/a.ts', "import { readFileSync } from 'node:fs';"],
    ['core/a.ts', "import { readFileSync } from 'fs';"],
    ['ledger/a.ts', "export * from '../sites/b.ts';"],
    ['ledger/a.ts', "import '@solana/web3.js';"],
    ['ledger/a.ts', "import { LiteSVM } from 'litesvm';"],
    ['node/link/a.ts', "import '../../sites/name/b.ts';"],
    ['node/link/a.ts', "import '../cli/b.ts';"],
    ['node/link/a.ts', "import '../../test/b.ts';"],
    ['sites/a/b.ts', "const late = await import('../../node/link/b.ts');"],
    ['sites/a/b.ts', "type Link = import('../../node/link/b.ts').Link;"],
    ['sites/a/b.ts', "export { x } from '../../node/cli/b.ts';"],
    ['sdk/a.ts', "import { join } from 'node:path';"],
    ['sdk/a.ts', "import '../node/link/index.ts';"],
  ])('a broken layer: %s with %s', (path, text) => {
    expect(layering(planted(path, text))).toHaveLength(1);
  });

  it.each([
    ['node/cli/a.ts', "import '../../sites/name/b.ts'; import '../link/b.ts'; import '../../ledger/b.ts';"],
    ['ledger/solana/a.ts', "import '@solana/web3.js'; import '../../core/b.ts';"],
    ['node/link/a.ts', "import 'node:net'; // import '../../sites/b.ts'\nconst text = \"import '../../sites/b.ts'\";"],
  ])('nothing where all is well: %s', (path, text) => {
    expect(layering(planted(path, text))).toEqual([]);
  });

  it.each([
    "import { connect } from 'node:net';",
    "import { createConnection as open } from 'net';",
    "import { Socket } from 'node:net';",
    "import net from 'node:net';",
    "import * as tls from 'node:tls';",
    "import { connect } from 'tls';",
    "import { request } from 'node:http';",
    "import { get } from 'node:https';",
    "import dgram from 'node:dgram';",
    "import { lookup } from 'node:dns/promises';",
    "import { Agent } from 'undici';",
    "import { SocksClient } from 'socks';",
    "import { WebSocket } from 'ws';",
    "import WebSocket from 'ws';",
    "const { connect } = await import('node:net');",
    "const net = require('node:net');",
    "export { connect } from 'node:net';",
    "await fetch('http://example');",
    'const get = fetch;',
    "await globalThis.fetch('http://example');",
    'const options = { fetch };',
    "new WebSocket('ws://example');",
  ])('a way out: %s', (text) => {
    expect(outgoing(planted('sites/a/b.ts', text))).toHaveLength(1);
  });

  it.each([
    "import { createServer, type Socket } from 'node:net';",
    "import type { Socket } from 'node:net';",
    "import { createServer, type IncomingMessage } from 'node:http';",
    "import { WebSocketServer } from 'ws';",
    "import type { WebSocket } from 'ws';",
    'function load(fetch: typeof globalThis.fetch) { return fetch("x"); }',
    'interface Port { fetch: typeof fetch }',
    'declare const port: { fetch(u: string): void }; port.fetch("x");',
  ])('no way out in: %s', (text) => {
    expect(outgoing(planted('sites/a/b.ts', text))).toEqual([]);
  });

  it('a builtin behind what the sdk imports by value, and not behind a type', () => {
    const far = parseSource('ledger/b.ts', "import { sign } from 'node:crypto';");
    expect(browserSafety([parseSource('sdk/a.ts', "import { b } from '../ledger/b.ts';"), far])).toHaveLength(1);
    expect(browserSafety([parseSource('sdk/a.ts', "import type { B } from '../ledger/b.ts';"), far])).toEqual([]);
  });

  it('a cycle, of values or of types', () => {
    const a = parseSource('core/a.ts', "import { b } from './b.ts';");
    const b = parseSource('core/b.ts', "import type { C } from './c.ts';");
    const c = parseSource('core/c.ts', "import { a } from './a.ts';");
    expect(cycles([a, b, c])).toEqual(['core/a.ts -> core/b.ts -> core/c.ts -> core/a.ts']);
    expect(cycles([a, b])).toEqual([]);
  });

  it('a time limit that is held weakly, and no other', () => {
    const weak = 'const limit = AbortSignal.any([signal, AbortSignal.timeout(5)]);';
    expect(weakDeadlines('node/a.ts', weak)).toHaveLength(1);
    const sound = 'wait(AbortSignal.any([signal, other])); wait(AbortSignal.timeout(5));';
    expect(weakDeadlines('node/a.ts', sound)).toEqual([]);
  });

  it('a dumping ground', () => {
    expect(dumpingGrounds(['core/utils/a.ts', 'node/link/helpers.ts', 'sites/common/x/y.ts'])).toHaveLength(3);
    expect(dumpingGrounds(['core/commons.ts', 'node/link/tls.ts'])).toEqual([]);
  });

  it('an import that leads nowhere', () => {
    expect(dangling(planted('core/a.ts', "import './gone.ts';"), () => false)).toHaveLength(1);
  });
});
