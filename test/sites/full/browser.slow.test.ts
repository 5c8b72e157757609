/** Full mode in Chromium, over relays and a host: a site at https://news.web3, and what neither a page nor a stolen key can do with it. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gateway as gatewayRole, site as siteRole, type Role, type SiteValues } from '../../../app/roles/index.ts';
import { publish } from '../../../app/roles/publisher.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../../app/testnet/index.ts';
import { systemClock } from '../../../core/ports.ts';
import { unixMillis } from '../../../core/units.ts';
import { createP256, p256Public, p256Secret } from '../../../platform/keys/p256.ts';
import { pem } from '../../../platform/keys/pem.ts';
import { leafCertificate } from '../../../sites/full/certificate.ts';
import { openAuthority, pacAsUrl } from '../../../sites/full/index.ts';
import { parseManifestFile } from '../../../sites/manifest/index.ts';
import { temporaryFolder } from '../../e2e/marketplace.ts';
import { describeUnless, missingPrograms } from '../../programs.ts';
import { stolenKey } from './kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const run = promisify(execFile);
const DAY = 86_400_000;
const DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>';
const owning: Role<SiteValues> = {
  ...siteRole,
  summary: '',
  description: '',
  example: '',
  start: () => Promise.resolve({ describe: () => '', [Symbol.asyncDispose]: () => Promise.resolve() }),
};
const DELIVERY = {
  hosts: [],
  replicas: 1,
  relays: 0,
  royaltyBps: 2_000,
  years: 1,
  signal: new AbortController().signal,
  onImport: () => undefined,
  onUpload: () => undefined,
  onRegistration: () => undefined,
};
const page = (title: string, body = ''): string =>
  `<!doctype html><link rel="icon" href="data:,"><title>${title}</title>${body}`;

describeUnless(missingPrograms(['chromium', 'certutil', 'openssl']), 'Full mode in a browser')('full mode', () => {
  const stack = new AsyncDisposableStack();
  let testnet: Testnet;
  let full: TestnetNode;
  let context: BrowserContext;
  /** Of the gateway. */
  let port: string;
  /** Of the authority. */
  let directory: string;
  /** The authority's certificate. */
  let certificate: string;
  let folder: string;
  /** A browser of the visitor's home, which trusts the authority. */
  let launch: (args: readonly string[]) => Promise<BrowserContext>;

  beforeAll(async () => {
    folder = stack.use(await temporaryFolder()).path;
    directory = path.join(folder, 'ca');
    const home = path.join(folder, 'home');
    const nss = path.join(home, '.pki/nssdb');
    await mkdir(nss, { recursive: true });
    const authority = await openAuthority({ directory, clock: systemClock });
    certificate = path.join(folder, 'ca.crt');
    await writeFile(certificate, authority.certificate);
    const database = ['-d', `sql:${nss}`];
    await run('certutil', [...database, '-N', '--empty-password']);
    await run('certutil', [...database, '-A', '-t', 'C,,', '-n', authority.title, '-i', certificate]);

    testnet = stack.use(await createTestnet({ relays: 2 }));
    const publishAs = async (name: string, files: Record<string, string>, manifest?: object): Promise<void> => {
      const site = path.join(folder, name);
      await mkdir(site);
      for (const [file, content] of Object.entries(files)) await writeFile(path.join(site, file), content);
      const terms = manifest && parseManifestFile(JSON.stringify(manifest), { file: 'terms.json', name });
      await using owner = await testnet.open(owning, 'owner');
      await publish(owner.node, { ...DELIVERY, directory: site, name, terms });
    };
    await publishAs('news.web3', {
      'index.html': page('the news', '<script src="/a.js"></script><img src="/dot.svg">'),
      'a.js': 'globalThis.ran = true',
      'dot.svg': DOT,
    });
    await publishAs(
      'other.web3',
      { 'index.html': page('another'), 'dot.svg': DOT, 'data.json': '[7]' },
      { creator: 'Ana Lima', embedding: ['news.web3'] },
    );
    full = stack.use(await testnet.open(gatewayRole, 'full', { port: '0', full: '0', ca: directory, relays: '2' }));
    ({ port } = new URL(String(full.ready['gateway'])));
    launch = async (args) => {
      const browser = await chromium.launch({
        executablePath: CHROMIUM,
        env: { ...process.env, HOME: home },
        args: [
          ...args,
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
        ],
      });
      stack.defer(() => browser.close());
      return await browser.newContext();
    };
    context = await launch([`--proxy-pac-url=${String(full.ready['pac'])}`]);
  }, 180_000);
  afterAll(() => stack.disposeAsync());

  const open = async (url: string): Promise<Page> => {
    const opened = await context.newPage();
    await opened.goto(url);
    return opened;
  };
  const spent = (): bigint => full.node.budget.sites().reduce((sum, { spent: one }) => sum + one, 0n);

  it('opens a site by its name, as a secure page, with all that it loads', async () => {
    const news = await open('https://news.web3/');
    expect(
      await news.evaluate('[document.title, isSecureContext, globalThis.ran, document.images[0].naturalWidth]'),
    ).toEqual(['the news', true, true, 7]);
    expect(
      await news.evaluate("crypto.subtle.digest('SHA-256', new Uint8Array()).then(({ byteLength }) => byteLength)"),
    ).toBe(32);
    // A person who leaves the scheme out.
    await news.goto('http://news.web3/?from=there');
    expect(news.url()).toBe('https://news.web3/?from=there');
  });

  it('is found by a browser that asks nobody for the file, and keeps finding it while no gateway is there', async () => {
    const { port: proxy } = new URL(String(full.ready['pac']));
    const own = await launch([`--proxy-pac-url=${pacAsUrl({ address: '127.0.0.1', port: Number(proxy) })}`]);
    const news = await own.newPage();
    await news.goto('https://news.web3/');
    expect(await news.title()).toBe('the news');
    const early = await launch([`--proxy-pac-url=${pacAsUrl({ address: '127.0.0.1', port: 1 })}`]);
    // By the proxy alone, and never by a resolver.
    await expect((await early.newPage()).goto('https://news.web3/')).rejects.toThrow('ERR_PROXY_CONNECTION_FAILED');
  });

  it('keeps sites apart', async () => {
    const news = await open('https://news.web3/');
    await news.evaluate(
      "localStorage.setItem('mine', '1'); document.cookie = 'wide=1; Domain=web3; Secure'; document.cookie = 'own=1; Secure'",
    );
    const other = await open('https://other.web3/');
    expect(await other.evaluate('[localStorage.length, document.cookie]')).toEqual([0, '']);
    expect(await news.evaluate('document.cookie')).toBe('own=1');
    expect(
      await (await open(`http://news-web3.localhost:${port}/`)).evaluate('[localStorage.length, document.cookie]'),
    ).toEqual([0, '']);
  });

  it('shows what is another’s by its terms, at either address', async () => {
    const shows = async (from: string, to: string): Promise<unknown> =>
      await (
        await open(from)
      ).evaluate(`(async () => {
        const shown = (crossOrigin) => new Promise((done) => Object.assign(new Image(), {
          crossOrigin, onload: () => done('shown'), onerror: () => done('refused'), src: '${to}dot.svg?' + crossOrigin,
        }));
        const read = fetch('${to}data.json').then((answer) => answer.json(), () => 'refused');
        return [await shown(null), await shown(''), await read];
      })()`);
    const plain = (name: string): string => `http://${name}-web3.localhost:${port}/`;
    const all = ['shown', 'shown', [7]];
    expect(await shows('https://news.web3/', 'https://other.web3/')).toEqual(all);
    expect(await shows(plain('news'), plain('other'))).toEqual(all);
    expect(await shows(plain('news'), 'https://other.web3/')).toEqual(all);
    // What is without TLS is not told by which page: only what says its origin is known to be of a name.
    expect(await shows('https://news.web3/', plain('other'))).toEqual(['refused', 'shown', [7]]);
    expect(await shows('https://other.web3/', 'https://news.web3/')).toEqual(['refused', 'refused', 'refused']);
  });

  it('is of no use to pages of elsewhere, nor the gateway itself to pages of sites', async () => {
    const server = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end(page('foreign')),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stack.defer(() => void server.close());
    const foreign = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const before = spent();
    const at = 'https://other.web3/';
    const tried = await (
      await open(foreign)
    ).evaluate(`(async () => {
      const seen = [];
      const attempt = (make) => new Promise((done) => make(() => done('came'), () => done('refused'))).then((said) => seen.push(said));
      await attempt((yes, no) => fetch('${at}data.json').then(yes, no));
      for (const [tag, from] of [['img', 'dot.svg'], ['script', 'data.json'], ['video', 'dot.svg']]) {
        await attempt((yes, no) => document.body.append(Object.assign(document.createElement(tag), { onload: yes, onerror: no, src: '${at}' + from })));
      }
      const answer = await fetch('${at}', { mode: 'no-cors' });
      return [...seen, answer.type];
    })()`);
    expect(tried).toEqual(['refused', 'refused', 'refused', 'refused', 'opaque']);
    expect(spent()).toBe(before);

    const news = await open('https://news.web3/');
    const gateway = `http://localhost:${port}`;
    const asked = await news.evaluate(`Promise.all(
      ['${gateway}/api/market', '${gateway}/api/spending', '${String(full.ready['pac'])}', 'https://news.web3/api/spending', 'https://news.web3/market']
        .map((url) => fetch(url).then(({ status }) => status, () => 'refused')))`);
    expect(asked).toEqual(['refused', 'refused', 'refused', 404, 404]);
  });

  it('leads who has stopped a site to the page where it is started again', async () => {
    await full.node.budget.stopSite('other.web3');
    const stopped = await open('https://other.web3/');
    expect(await stopped.textContent('h1')).toBe('other.web3 was stopped');
    await stopped.click('main a');
    await stopped.waitForURL(`http://localhost:${port}/#other.web3`);
  });

  it('lets nobody who has stolen the key of the authority be another site', async () => {
    const [stolen, key] = [await stolenKey(directory), createP256()];
    const [from, until] = [unixMillis(systemClock.now() - DAY), unixMillis(systemClock.now() + DAY)];
    // Without the proxy: what the key can fake is only to be told apart from what it cannot.
    const thief = await launch(['--host-resolver-rules=MAP * 127.0.0.1']);
    const seen: [string, unknown][] = [];
    for (const host of ['news.web3', 'example.com', 'film.video', 'harbour.map', 'localhost']) {
      const cert = pem('CERTIFICATE', leafCertificate(stolen, host, p256Public(key), { from, until }));
      const fake = createTlsServer({ key: pem('PRIVATE KEY', p256Secret(key)), cert }, (_request, response) =>
        response.end('fake'),
      );
      await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
      stack.defer(() => void fake.close());
      const victim = await thief.newPage();
      const came = await victim.goto(`https://${host}:${(fake.address() as AddressInfo).port}/`).then(
        (answer) => answer?.status(),
        ({ message }: Error) => /net::(\w+)/.exec(message)?.[1],
      );
      seen.push([host, came]);
    }
    const refused = 'ERR_CERT_INVALID';
    expect(seen).toEqual([
      ['news.web3', 200],
      ['example.com', refused],
      ['film.video', refused],
      ['harbour.map', refused],
      ['localhost', refused],
    ]);
  });

  it.each([
    ['DNS:news.web3', 'OK'],
    ['DNS:example.com', 'permitted subtree violation'],
    ['DNS:news.web3,DNS:example.com', 'permitted subtree violation'],
    ['DNS:news.web3,IP:127.0.0.1', 'excluded subtree violation'],
    ['DNS:news.web3,IP:2001:db8::1', 'excluded subtree violation'],
    ['DNS:news.web3,email:ana@example.com', 'permitted subtree violation'],
    ['DNS:news.web3,URI:https://example.com/', 'permitted subtree violation'],
  ])('has OpenSSL say of a certificate for %s by the stolen key: %s', async (names, verdict) => {
    const leaf = await signs({ certificate, key: path.join(directory, 'ca.pem') }, `CA:FALSE\nsubjectAltName=${names}`);
    expect(await verdictOn(leaf.certificate)).toContain(verdict);
  });

  it('has OpenSSL refuse an authority below it', async () => {
    const below = await signs({ certificate, key: path.join(directory, 'ca.pem') }, 'CA:TRUE');
    const leaf = await signs(below, 'CA:FALSE\nsubjectAltName=DNS:news.web3');
    expect(await verdictOn(leaf.certificate, '-untrusted', below.certificate)).toContain(
      'path length constraint exceeded',
    );
  });

  interface Signer {
    readonly certificate: string;
    readonly key: string;
  }

  /** A new key, and what the signer says of it. */
  async function signs(by: Signer, extensions: string): Promise<Signer> {
    const [place, { path: at }] = [(name: string): string => path.join(at, name), stack.use(await temporaryFolder())];
    await writeFile(place('of'), `basicConstraints=${extensions}\n`);
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=somebody'];
    await run('openssl', ['req', '-new', ...made, '-keyout', place('key'), '-out', place('request')]);
    const signing = ['-CA', by.certificate, '-CAkey', by.key, '-days', '2', '-extfile', place('of')];
    await run('openssl', ['x509', '-req', '-in', place('request'), ...signing, '-out', place('leaf')]);
    return { certificate: place('leaf'), key: place('key') };
  }

  async function verdictOn(leaf: string, ...more: readonly string[]): Promise<string> {
    return await run('openssl', ['verify', '-CAfile', certificate, ...more, leaf]).then(
      ({ stdout }) => stdout,
      ({ stderr }: { stderr: string }) => stderr,
    );
  }
});
