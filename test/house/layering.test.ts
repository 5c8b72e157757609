import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { weakSignals } from './signals.ts';
import { parseSource, readSources, type SourceFile } from './imports.ts';
import {
  COMMAND_LINE,
  HOMES,
  MAY_OPEN,
  SIDE_DOORS,
  borrowed,
  browserSafety,
  circles,
  cycles,
  dangling,
  doors,
  dumpingGrounds,
  errorKeys,
  layering,
  outgoing,
  strays,
} from './rules.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = await readSources(root, [
  'core',
  'platform',
  'ledger',
  'node',
  'sites',
  'testbed',
  'app',
  'cli',
  'sdk',
]);
const files = [...sources].map(([path, text]) => parseSource(path, text));

describe('the house', () => {
  it('is read at all', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.find(({ path }) => path === 'node/link/tls.ts')?.imports.length).toBeGreaterThan(5);
  });

  it('keeps its layers', () => expect(layering(files)).toEqual([]));
  it('keeps what browsers run free of builtins', () => expect(browserSafety(files)).toEqual([]));
  it('has no cycles', () => expect(cycles(files)).toEqual([]));
  it('has no circle of parts', () => expect(circles(files)).toEqual([]));
  it('enters parts by their doors', () => expect(doors(files)).toEqual([]));
  it('has one home for each name', () => expect(borrowed(files)).toEqual([]));
  it('has no dumping ground', () => expect(dumpingGrounds(sources.keys())).toEqual([]));
  it('imports only what is there', () => expect(dangling(files, (path) => existsSync(join(root, path)))).toEqual([]));
  it('opens connections in one place', () => expect(outgoing(files)).toEqual([]));

  it('has one home for each primitive', async () => {
    const allowed = new Set(
      HOMES.flatMap(({ what, besides }) => Object.keys(besides).map((path) => `${path} ${what}`)),
    );
    const found = [...sources, ...(await readSources(root, ['bench']))].flatMap(([path, text]) =>
      strays(path, text).map((stray) => ({ path, stray })),
    );
    const broken = found.filter(({ path, stray }) => !allowed.has(`${path} ${stray.split(' is for: ')[1]}`));
    expect(broken.map(({ stray }) => stray)).toEqual([]);
    // It reads every file of the tree, beside a worker that may compile it.
  }, 120_000);

  it('has one home for options of the command line, in benchmarks too', async () => {
    const found = [...(await readSources(root, ['bench']))].flatMap(([path, text]) => strays(path, text));
    expect(found.filter((stray) => stray.endsWith(COMMAND_LINE))).toEqual([]);
  });

  it('logs errors under one key', () => {
    expect([...sources].flatMap(([path, text]) => errorKeys(path, text))).toEqual([]);
  });

  it('has no signal that a garbage collection takes away, tests included', async () => {
    const all = [...sources, ...(await readSources(root, ['test', 'bench']))];
    expect(all.flatMap(([path, text]) => weakSignals(path, text))).toEqual([]);
  });

  it('needs each of its exceptions', () => {
    const used = outgoing(files.map((file) => ({ ...file, path: `app/moved/${file.path}` })));
    for (const [path, { what, why }] of Object.entries(MAY_OPEN)) {
      expect(why.length).toBeGreaterThan(10);
      for (const way of what) {
        expect(
          used.filter((line) => line.startsWith(`app/moved/${path} uses ${way}:`)),
          `${path} ${way}`,
        ).not.toEqual([]);
      }
    }
    for (const { what, besides } of HOMES) {
      for (const [path, why] of Object.entries(besides)) {
        expect(why.length).toBeGreaterThan(10);
        const does = strays(path, sources.get(path) ?? '').filter((stray) => stray.endsWith(`: ${what}`));
        expect([path, does.length]).toEqual([path, 1]);
      }
    }
    for (const [part, why] of Object.entries(SIDE_DOORS)) {
      expect(why.length).toBeGreaterThan(10);
      const inside = files.flatMap(({ path, imports }) =>
        imports.filter(({ file }) => file?.startsWith(`${part}/`) === true && !path.startsWith(`${part}/`)),
      );
      expect([part, inside.length]).not.toEqual([part, 0]);
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
    ['sites/a/b.ts', "import { ExactSvmScheme } from '@x402/svm/exact/facilitator';"],
    ['node/link/a.ts', "import '../../sites/name/b.ts';"],
    ['node/link/a.ts', "import '../../app/node/b.ts';"],
    ['app/node/a.ts', "import '../../cli/b.ts';"],
    ['platform/keys/a.ts', "import '../../ledger/b.ts';"],
    ['ledger/a.ts', "import '../node/b.ts';"],
    ['testbed/a.ts', "import '../app/node/b.ts';"],
    ['node/link/a.ts', "import '../../test/b.ts';"],
    ['sites/a/b.ts', "const late = await import('../../node/link/b.ts');"],
    ['sites/a/b.ts', "type Link = import('../../node/link/b.ts').Link;"],
    ['sites/a/b.ts', "export { x } from '../../app/node/b.ts';"],
    ['sdk/a.ts', "import { join } from 'node:path';"],
    ['sdk/a.ts', "import '../node/link/index.ts';"],
  ])('a broken layer: %s with %s', (path, text) => {
    expect(layering(planted(path, text))).toHaveLength(1);
  });

  it.each([
    ['app/node/a.ts', "import '../../sites/name/b.ts'; import '../../node/link/b.ts'; import '../../ledger/b.ts';"],
    ['ledger/books/a.ts', "import '../../platform/disk/b.ts';"],
    ['ledger/solana/a.ts', "import '@solana/web3.js'; import '../../core/b.ts';"],
    ['node/link/a.ts', "import 'node:net'; // import '../../sites/b.ts'\nconst text = \"import '../../sites/b.ts'\";"],
  ])('nothing if all is well: %s', (path, text) => {
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

  it('a circle of parts, though no file is in it', () => {
    const a = parseSource('node/link/a.ts', "import type { B } from '../offer/b.ts';");
    const c = parseSource('node/offer/c.ts', "import { d } from '../link/d.ts';");
    expect(circles([a, c])).toEqual(['node/link -> node/offer -> node/link']);
    expect(circles([a, parseSource('node/link/b.ts', "import './a.ts';")])).toEqual([]);
  });

  it.each([
    ['node/link/a.ts', "import { b } from '../offer/b.ts';"],
    ['cli/a.ts', "import type { B } from '../app/node/b.ts';"],
    ['sites/serve/a.ts', "export { b } from '../blocks/deep/contract.ts';"],
  ])('a way past a door: %s with %s', (path, text) => {
    expect(doors(planted(path, text))).toHaveLength(1);
  });

  it.each([
    ['node/link/a.ts', "import { b } from '../offer/index.ts'; import type { C } from '../transport/contract.ts';"],
    ['node/link/a.ts', "import { b } from './b.ts'; import { c } from '../../platform/keys/c.ts';"],
    ['cli/a.ts', "const late = await import('../app/roles/b.ts');"],
    ['cli/a.ts', "import { x } from '../ledger/solana/embedded/index.ts'; import { y } from '../ledger/term.ts';"],
  ])('no way past a door in: %s with %s', (path, text) => {
    expect(doors(planted(path, text))).toEqual([]);
  });

  it('a name that two doors show', () => {
    expect(borrowed(planted('node/link/index.ts', "export { b } from '../offer/index.ts';"))).toHaveLength(1);
    expect(borrowed(planted('node/link/index.ts', "export { b } from './b.ts'; import '../offer/index.ts';"))).toEqual(
      [],
    );
  });

  it.each([
    "log.warn({ error }, 'x');",
    "this.#log.debug({ peer, error: failure }, 'x');",
    "options.log.info({ reason: messageOf(error) }, 'x');",
    "log.error({ why: error.message }, 'x');",
  ])('an error under another key: %s', (text) => {
    expect(errorKeys('node/a.ts', text)).toHaveLength(1);
    expect(errorKeys('node/a.ts', "log.warn({ peer, err: error, reason: 'shut' }, error.message);")).toEqual([]);
  });

  it('signals that are held weakly, and no others', () => {
    const weak = 'const limit = AbortSignal.any([signal, AbortSignal.timeout(5)]);';
    expect(weakSignals('node/a.ts', weak)).toHaveLength(1);
    expect(weakSignals('core/abort.ts', 'const either = AbortSignal.any([signal, other]);')).toHaveLength(1);
    const sound = '/** Not AbortSignal.any. */ wait(following(signal, other)); wait(AbortSignal.timeout(5));';
    expect(weakSignals('node/a.ts', sound)).toEqual([]);
  });

  it.each([
    "import { createPrivateKey } from 'node:crypto';",
    'const key = crypto.createPublicKey({ key: der });',
    "const SPKI = Buffer.from('302a300506032b656e032100', 'hex');",
    "const OID = Buffer.from('06032B6570', 'hex');",
    "import { ClassicLevel } from 'classic-level';",
    "import { Level } from 'level';",
    "const { Level } = await import('level');",
    "if (cause.code === 'ENOENT') return;",
    "return 'EADDRINUSE' !== (error as NodeJS.ErrnoException).code;",
    "const file = await open(draft, 'wx', 0o600);",
    'signal?.throwIfAborted();',
    "gone.abort(new DOMException('The visitor left', 'AbortError'));",
    'pause = Math.min(2 * pause, LAST);',
    'this.#pause = Math.min(LAST, this.#pause * 2);',
    'await sleep(Math.min(FIRST_MILLIS * 2 ** attempt, LAST));',
    "if (error.code === 'EPIPE') return;",
    "signal?.addEventListener('abort', stop, { once: true });",
    'controller.signal.onabort = stop;',
    "throw new RelaymintError('PROTOCOL_VIOLATION', 'A cell.');",
    'this.#tick = setInterval(() => this.#look(), EVERY_MILLIS).unref();',
    "import { setInterval as ticks } from 'node:timers';",
    "import { setTimeout as sleep } from 'node:timers/promises';",
    "const { setTimeout: sleep } = await import('timers/promises');",
    'await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));',
    'const over = new Promise<void>((done) => { timer = globalThis.setTimeout(() => done(), LATE); });',
    'await new Promise(function (go) { setTimeout(() => { go(); }, 5); });',
    "import { readFile, rename } from 'node:fs/promises';",
    "import { renameSync as put } from 'node:fs';",
    "command.option('--all', 'everything');",
    "program.command('a').summary('b').requiredOption('--name <name>', 'its name');",
    'command.addOption(dataOption());',
    "const port = new Option('--port <n>', 'a port');",
    "throw new InvalidArgumentError('No.');",
    "command.argument('<n>', 'how many', Number).action(run);",
    "command.argument('<n>', 'how many', (text) => argumentOf(count(1, 2))(text));",
  ])('a primitive away from its home: %s', (text) => {
    expect(strays('node/link/a.ts', text)).toHaveLength(1);
  });

  it.each([
    ['platform/keys/der.ts', "import { createPrivateKey } from 'node:crypto';"],
    ['node/link/a.ts', "import { sign, type KeyObject } from 'node:crypto'; // createPrivateKey"],
    ['node/link/a.ts', "import type { Level } from 'level'; const option = 'level';"],
    ['platform/disk/level.ts', "import { Level } from 'level';"],
    ['node/link/a.ts', "if (error.code === 'CLOSED') return; if (hasErrno(error, 'ENOENT')) return;"],
    ['platform/errno.ts', "return error.code === 'ENOENT';"],
    ['core/abort.ts', "signal.addEventListener('abort', act);"],
    ['node/link/a.ts', "socket.addEventListener('close', stop); throw violation('A cell.');"],
    ['node/link/a.ts', "import { rename } from '../names.ts'; if (code === 'PROTOCOL_VIOLATION') return;"],
    ['node/link/a.ts', "assertNotAborted(signal, 'Waiting'); if (signal.aborted) return;"],
    ['core/repeat.ts', 'const timer = setInterval(look, millis);'],
    ['core/abort.ts', 'await new Promise((resolve) => setTimeout(resolve, millis));'],
    ['node/link/a.ts', 'await new Promise((done, fail) => { late = setTimeout(() => fail(gone()), LATE); });'],
    [
      'node/link/a.ts',
      'clearInterval(timer); setTimeout(() => socket.destroy(), LATE); await new Promise(setImmediate);',
    ],
    ['node/link/a.ts', 'const most = Math.min(2 * size, LAST); const wait = 2 * pause;'],
    ['cli/settings.ts', "command.addOption(new Option('--all', 'everything'));"],
    ['cli/a.ts', "addSettings(command, section).argument('<n>', 'how many', argumentOf(count(1, 2))).action(run);"],
    [
      'cli/a.ts',
      "import type { Option } from 'commander'; command.argument('[file...]', 'files'); show(options.option);",
    ],
  ])('no primitive away from its home in: %s with %s', (path, text) => {
    expect(strays(path, text)).toEqual([]);
  });

  it('a dumping ground', () => {
    expect(dumpingGrounds(['core/utils/a.ts', 'node/link/helpers.ts', 'sites/common/x/y.ts'])).toHaveLength(3);
    expect(dumpingGrounds(['core/commons.ts', 'node/link/tls.ts'])).toEqual([]);
  });

  it('an import of a file that does not exist', () => {
    expect(dangling(planted('core/a.ts', "import './gone.ts';"), () => false)).toHaveLength(1);
  });
});
