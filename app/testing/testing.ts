/** The whole marketplace in one process, cut down to what the tests of a site want. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import { parseName, siteUrl } from '../../core/name.ts';
import type * as Manifests from '../../sites/manifest/index.ts';
import type * as Whole from '../testnet/index.ts';
import { testClient, type TestClient } from './client.ts';

export interface TestnetOptions {
  /** 1 to 3, which is the default: how many a visitor's circuit passes. */
  readonly relays?: number;
}

export interface PublishOptions {
  /** `demo.web3` */
  readonly name: string;
  /** What a manifest file says: whose it is, and what others may do. Names under `.image`, `.video` and `.map` need one. */
  readonly manifest?: object;
}

export interface Published {
  readonly name: string;
  /** CID of the content. */
  readonly root: string;
  readonly files: number;
  /** Where browsers on this machine find it. */
  readonly url: string;
}

export interface Testnet extends AsyncDisposable {
  /** Where browsers on this machine find the gateway itself. */
  readonly gateway: string;
  /** For the functions of the SDK, which are told about which name. */
  readonly client: TestClient;
  /** The same as in a page of that name. */
  clientOf(name: string): TestClient;
  /** Where browsers on this machine find a path of a name. */
  addressOf(name: string, path?: string): string;
  /**
   * Publishes a folder, or files by their paths. A name that was published before shows what is published now.
   * @throws RelaymintError NAME_INVALID, INVALID_ARGUMENT (the manifest), CONTENT_REFUSED, ...
   */
  publish(site: string | Readonly<Record<string, string | Uint8Array>>, options: PublishOptions): Promise<Published>;
  /** Moves the clock of all of it forward. */
  advance(seconds: number): Promise<void>;
}

const MOST_RELAYS = 3;

/**
 * Starts one: nothing of it leaves the process but HTTP on 127.0.0.1, and nothing of it is left when it is disposed of.
 * @throws RelaymintError INVALID_ARGUMENT
 */
export async function createTestnet(options: TestnetOptions = {}): Promise<Testnet> {
  const { relays = MOST_RELAYS } = options;
  if (!Number.isInteger(relays) || relays < 1 || relays > MOST_RELAYS) {
    throw new RelaymintError('INVALID_ARGUMENT', `A test network of ${relays} relays cannot be made.`, {
      remedy: 'Take 1, 2 or 3.',
    });
  }
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-testing-'));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const [whole, { parseManifestFile }] = await Promise.all([wholeTestnet(), manifests()]);
  const testnet = stack.use(await whole.createTestnet({ relays }));
  const port = Number(new URL(testnet.url).port);
  const gateway = new URL(testnet.url).origin;
  const addressOf: Testnet['addressOf'] = (name, at = '/') => new URL(at, siteUrl(name, port)).href;
  let sites = 0;
  const owned = stack.move();
  return {
    gateway,
    client: testClient(gateway, undefined),
    clientOf: (name) => testClient(new URL(addressOf(name)).origin, parseName(name).name),
    addressOf,
    publish: async (site, { name: wanted, manifest }) => {
      const { name } = parseName(wanted);
      const terms = manifest && parseManifestFile(JSON.stringify(manifest), { file: 'the manifest', name });
      const from = typeof site === 'string' ? site : await filesIn(path.join(folder, String((sites += 1))), site);
      const { root, files } = await testnet.publish(from, name, {}, terms);
      return { name, root, files, url: addressOf(name) };
    },
    advance: (seconds) => testnet.advance(seconds),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function filesIn(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    if (!file.startsWith(folder + path.sep)) {
      throw new RelaymintError('INVALID_ARGUMENT', `${name} is no path in a folder.`, {
        remedy: 'Name files as they are in the site, such as "about/index.html".',
      });
    }
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  return folder;
}

/** All of a node: not before somebody wants one. */
function wholeTestnet(): Promise<typeof Whole> {
  return import('../testnet/index.ts');
}

function manifests(): Promise<typeof Manifests> {
  return import('../../sites/manifest/index.ts');
}
