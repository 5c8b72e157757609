/** The package as others get it: what `npm pack` makes, imported, compiled against, and bundled in a project of its own. */
import { execFile } from 'node:child_process';
import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cleanup } from '../sites/kit.ts';
import { bundledByVite, bundledByWebpack, gzipped } from './bundled.ts';
import { ROOT, browserEntries, packInto, publicEntries, type Packed } from './packed.ts';

const run = promisify(execFile);
const entries = await publicEntries();
const inBrowsers = [...(await browserEntries()).keys()];
const KIB = 1024;

describe('the package, packed and installed elsewhere,', () => {
  const cleanup = new Cleanup();
  let packed: Packed;
  beforeAll(async () => {
    packed = await packInto(cleanup);
  });
  afterAll(() => cleanup.run());

  const node = async (code: string): Promise<string> => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: packed.project });
    return stdout;
  };

  it.each([...entries.keys()])('gives what %s exports', async (name) => {
    const names = await node(`console.log(Object.keys(await import('${name}')).join(' '))`);
    const own = (await import(path.join(ROOT, entries.get(name)?.default ?? ''))) as object;
    expect(names.trim().split(' ').toSorted()).toEqual(Object.keys(own).toSorted());
    expect(names).toContain('RelaymintError');
  });

  it('has a command that runs', async () => {
    const { stdout } = await run(process.execPath, [path.join(packed.folder, 'bin/relaymint.js'), '--version']);
    const { version } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(stdout.trim()).toBe(version);
  });

  it('has templates of sites, with the modules that they import', async () => {
    const site = path.join(packed.project, 'talk');
    const args = ['site', 'init', site, '--template', 'forum', '--title', 'The Wall', '--json'];
    const { stdout } = await run(process.execPath, [path.join(packed.folder, 'bin/relaymint.js'), ...args]);
    expect((JSON.parse(stdout) as { files: string[] }).files).toContain('relaymint/posts.js');
    expect(await readFile(path.join(site, 'index.html'), 'utf8')).toContain('<title>The Wall</title>');
    const check = [path.join(packed.folder, 'bin/relaymint.js'), 'site', 'check', site, '--strict'];
    expect((await run(process.execPath, check)).stderr).toBe('');
  });

  it('has a test network, in which a site is published and shown', async () => {
    const said = await node(`
      import { createClient, readManifest } from 'relaymint/sdk';
      import { createTestnet } from 'relaymint/sdk/testing';
      const testnet = await createTestnet({ relays: 1 });
      await testnet.publish({ 'index.html': 'here' }, { name: 'demo.web3', manifest: { creator: 'Ana' } });
      const page = await testnet.client.fetch(testnet.addressOf('demo.web3'));
      const { creator } = await readManifest(createClient({ gateway: testnet.addressOf('demo.web3'), fetch: testnet.client.fetch }));
      console.log(await page.text(), creator);
      await testnet[Symbol.asyncDispose]();
    `);
    expect(said).toBe('here Ana\n');
  });

  it('B10: names no source of ours in a declaration', async () => {
    const files = await readdir(packed.folder, { recursive: true });
    const declarations = files.filter((file) => file.endsWith('.d.ts'));
    expect(declarations.length).toBeGreaterThan(1);
    const faults: string[] = [];
    for (const file of declarations) {
      const text = await readFile(path.join(packed.folder, file), 'utf8');
      if (/['"][^'"\n]*\.ts['"]/.test(text)) faults.push(file);
    }
    expect(faults).toEqual([]);
  });

  it('B10: has types that are right, by attw', async () => {
    const pack = createPackageFromTarballData(new Uint8Array(await readFile(packed.tarball)));
    const { types, problems } = { problems: [], ...(await checkPackage(pack)) };
    expect(types).toMatchObject({ kind: 'included' });
    // Modules only: resolution as Node had it before modules, and CommonJS, are left out, as its profile "esm-only" does.
    const old = ['node10', 'node16-cjs'];
    expect(
      problems.filter((problem) => !('resolutionKind' in problem && old.includes(problem.resolutionKind))),
    ).toEqual([]);
  });

  it('B10: is as packages should be, by publint', async () => {
    const { messages, pkg } = await publint({ pkgDir: packed.folder, pack: false, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it.each([
    ['nodenext', ts.ModuleKind.NodeNext, ts.ModuleResolutionKind.NodeNext],
    ['bundler', ts.ModuleKind.ESNext, ts.ModuleResolutionKind.Bundler],
  ])('B10: compiles under %s, with all that it declares', async (name, module, moduleResolution) => {
    const file = path.join(packed.project, `${name}.ts`);
    await cp(path.join(ROOT, 'test/sdk/consumer/types.ts'), file);
    const program = ts.createProgram([file], {
      module,
      moduleResolution,
      target: ts.ScriptTarget.ES2023,
      lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.esnext.disposable.d.ts'],
      types: ['node'],
      typeRoots: [path.join(packed.project, 'node_modules/@types')],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    });
    const faults = ts
      .getPreEmitDiagnostics(program)
      .map(({ file: at, messageText }) => [at?.fileName, ts.flattenDiagnosticMessageText(messageText, '\n')]);
    expect(faults).toEqual([]);
  });

  /** What a page, a worker and a server have, and modules have no business with while they are loaded. */
  const TOUCHABLE =
    `fetch document window self navigator location localStorage sessionStorage history setTimeout setInterval
    setImmediate queueMicrotask requestAnimationFrame addEventListener XMLHttpRequest WebSocket EventSource customElements crypto
    process Buffer require`.split(/\s+/);

  it.each(inBrowsers)('B11: touches nothing while %s is imported', async (name) => {
    const said = await node(`
      const touched = [];
      for (const name of ${JSON.stringify(TOUCHABLE)}) {
        const get = () => { touched.push(name); throw new Error(name + ' was touched'); };
        Object.defineProperty(globalThis, name, { get, set: get, configurable: true });
      }
      const { log } = console;
      const before = new Set(Reflect.ownKeys(globalThis));
      await import('${name}');
      const added = Reflect.ownKeys(globalThis).filter((key) => !before.has(key));
      for (const name of ${JSON.stringify(TOUCHABLE)}) delete globalThis[name];
      log(JSON.stringify({ touched, added }));
    `);
    expect(JSON.parse(said)).toEqual({ touched: [], added: [] });
  });

  describe('in a bundle', () => {
    const bundle = async (code: string, by: 'vite' | 'webpack'): Promise<string> => {
      const file = path.join(packed.project, 'entry.js');
      await writeFile(file, code);
      return by === 'vite' ? await bundledByVite(file) : await bundledByWebpack(file);
    };

    it.each(inBrowsers.flatMap((name) => [[name, 'vite'] as const, [name, 'webpack'] as const]))(
      'B11: is nothing where %s is imported and not used, by %s',
      async (name, by) => {
        expect(await bundle(`import * as all from '${name}';`, by)).toBe('');
        expect(await bundle(`import '${name}';`, by)).toBe('');
      },
    );

    // A bundler that does not read what package.json says of side effects finds none either.
    it.each(inBrowsers)('B11: is nothing by what is in %s alone', async (name) => {
      const file = path.join(packed.folder, entries.get(name)?.default ?? '');
      expect(await bundledByVite(file, { entryOnly: true })).toBe('');
    });

    it.each([
      ['the core', ['relaymint/sdk'], 4],
      ['the wallet', ['relaymint/sdk/wallet'], 4],
      ['media', ['relaymint/sdk/media'], 4],
      ['posting', ['relaymint/sdk/posts'], 6],
      ['what a name is and earned', ['relaymint/sdk/site'], 4],
      ['the elements', ['relaymint/sdk/elements'], 6],
      ['the core and signing in', ['relaymint/sdk', 'relaymint/sdk/sso'], 8],
      ['all without the wallet', inBrowsers.filter((name) => name !== 'relaymint/sdk/wallet'), 40],
    ] as const)('%s has its budget, all of it taken: %j in %d KiB', async (_what, names, kib) => {
      const code = names.map((name) => `export * from '${name}';`).join('\n');
      const bytes = gzipped(await bundle(code, 'vite'));
      expect(bytes).toBeGreaterThan(200);
      expect(bytes).toBeLessThanOrEqual(kib * KIB);
    });

    it('is as small as what is used of it', async () => {
      const bytes = gzipped(
        await bundle("import { formatCredits } from 'relaymint/sdk'; globalThis.f = formatCredits;", 'vite'),
      );
      expect(bytes).toBeLessThan(300);
    });
  });
});
